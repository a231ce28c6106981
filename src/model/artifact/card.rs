//! Card of a model: its description for people and dashboards.

use serde::Deserialize;
use serde::Serialize;

use super::digest::Digest;
use super::report::HoldoutReport;
use crate::model::schema::FeatureKind;
use crate::model::schema::Missing;
use crate::model::schema::Schema;

/// How missing and unseen values are treated, which is part of the model.
pub const MISSING_RULE: &str = "missing numbers are imputed with the training mean; missing or unseen categories contribute nothing";

/// Description of an artifact.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Card {
    /// The kind of model.
    pub kind: &'static str,
    /// The artifact's digest, its identity.
    pub digest: Digest,
    /// Size of the artifact in bytes.
    pub size_bytes: u64,
    /// Version of the file's format.
    pub format_version: u32,
    /// The features, in order.
    pub features: Schema,
    /// How missing and unseen values are treated.
    pub missing: &'static str,
    /// What means a missing value, in the training data and in requests.
    pub missing_values: Missing,
    /// The probability at and above which the label is 1.
    pub threshold: f64,
    /// The log-odds of a row with mean numbers and unseen categories.
    pub intercept: f64,
    /// The terms of the sum, largest magnitude first.
    pub coefficients: Vec<Coefficient>,
    /// What the model was trained on.
    pub training: TrainingDescription,
    /// Quality on the holdout.
    pub holdout: HoldoutReport,
}

/// A term of the sum on the standardized scale: what one standard deviation of a number, or a level,
/// adds to the log-odds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Coefficient {
    /// The feature.
    pub feature: String,
    /// The level, for a categorical feature.
    pub level: Option<String>,
    /// The weight in log-odds.
    pub weight: f64,
}

/// The coefficients with their names, largest magnitude first.
pub(crate) fn coefficients(schema: &Schema, weights: &[f64]) -> Vec<Coefficient> {
    let names = schema.features().iter().flat_map(|feature| match &feature.kind {
        FeatureKind::Numeric { .. } => vec![(feature.name.clone(), None)],
        FeatureKind::Categorical { levels } => {
            levels.iter().map(|level| (feature.name.clone(), Some(level.clone()))).collect()
        }
    });
    let mut named: Vec<Coefficient> = names
        .zip(weights)
        .map(|((feature, level), weight)| Coefficient { feature, level, weight: *weight })
        .collect();
    named.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
    named
}

/// Data and options of the training. It contains no time and no path: the same data, seed and options
/// give the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingDescription {
    /// The file name without its folder, or the generator of the data.
    pub source: String,
    /// Rows in the data.
    pub rows: u64,
    /// Rows the coefficients were fitted on.
    pub training_rows: u64,
    /// The column to predict.
    pub target: String,
    /// The target's value that counts as 1.
    pub positive: String,
    /// The penalty: `l2 / 2` times the sum of squared coefficients; 1 / C of scikit-learn.
    pub l2: f64,
    /// How rows were held out.
    pub holdout: String,
    /// The seed of the split.
    pub seed: u64,
    /// Warnings about the data.
    pub warnings: Vec<String>,
}
