//! Card of a model: its description for people and dashboards.

use std::sync::Arc;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use utoipa::ToSchema;

use super::class_report::ClassesReport;
use super::digest::Digest;
use super::limits::MAX_LIST;
use super::report::HoldoutReport;
use crate::model::inputs::Inputs;
use crate::model::kinds::imported::Format;
use crate::model::output::OutputKind;
use crate::model::schema::FeatureKind;
use crate::model::schema::Missing;
use crate::model::schema::Schema;
use crate::model::schema::features::Value;
use crate::text::bounded::text;
use crate::text::bounded::texts;
use crate::text::lists::quoted;
use crate::text::numbers::grouped;

/// How an imported model treats missing and unseen values.
pub const IMPORTED_MISSING_RULE: &str = "missing values and unknown categories mean what they mean to the library that trained the model";

/// How missing and unseen values are treated, which is part of the model.
pub const MISSING_RULE: &str = "missing numbers are imputed with the training mean; missing or unseen categories contribute nothing";

/// The most rows of a model file on which versions are compared.
pub const MAX_KEPT_ROWS: usize = 32;

/// Description of an artifact.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Card {
    /// The kind of model.
    pub kind: &'static str,
    /// The artifact's digest, its identity.
    pub digest: Digest,
    /// Size of the artifact in bytes.
    pub size_bytes: u64,
    /// Version of the file's format; `None` for a file as its library wrote it.
    pub format_version: Option<u32>,
    /// The features, in order.
    pub features: Schema,
    /// How missing and unseen values are treated.
    pub missing: &'static str,
    /// What means a missing value, in the training data and in requests.
    pub missing_values: Missing,
    /// What the model answers.
    #[serde(flatten)]
    pub output: OutputKind,
    /// The inputs of probes that say something about the model, in the order of the features: those made in training,
    /// and rows that were compared with the original. At most [`MAX_KEPT_ROWS`].
    #[serde(skip)]
    pub kept_rows: Arc<[Vec<Value<'static>>]>,
    /// The inputs of training, or those of the rows that an imported model was compared with; `None` in files that have
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Inputs>,
    /// Where the model comes from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Origin {
    /// serin trained it, with two classes.
    Trained(Box<Trained>),
    /// serin trained it, with three classes or more.
    TrainedClasses(Box<TrainedClasses>),
    /// Another library trained it.
    Imported {
        /// The import.
        import: Box<Import>,
    },
}

/// Training of a model of two classes by serin.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Trained {
    /// The log-odds of a row with mean numbers and unseen categories.
    pub intercept: f64,
    /// The terms of the sum, largest magnitude first.
    pub coefficients: Vec<Coefficient>,
    /// What the model was trained on.
    pub training: TrainingDescription,
    /// Quality on the holdout.
    pub holdout: HoldoutReport,
}

/// Training of a model of three classes or more by serin.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TrainedClasses {
    /// The sum of each class.
    pub terms: Vec<ClassTerms>,
    /// What the model was trained on.
    pub training: TrainingDescription,
    /// Quality on the holdout.
    pub holdout: ClassesReport,
}

/// The sum of one class. Only differences between classes mean something: over all classes, the intercepts and the
/// weights of each term have the mean 0.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ClassTerms {
    /// The class.
    pub class: String,
    /// The sum of a row with mean numbers and unseen categories.
    pub intercept: f64,
    /// The terms of the sum, largest magnitude first.
    pub coefficients: Vec<Coefficient>,
}

/// Import of a model that another library trained.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Import {
    /// The format of its file.
    pub format: Format,
    /// The file's name without its folder; `None` for a file as its library wrote it.
    pub source: Option<String>,
    /// The objective in the words of the file.
    pub objective: String,
    /// What it predicts, if the import says so.
    pub target: Option<Target>,
    /// The two classes of a file that names them. The probability is of the second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Comparison with the original's answers; `None` without any.
    pub parity: Option<Parity>,
    /// The answer to all rows that were kept of the comparison, if it is the same, which shows little.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constant: Option<f64>,
    /// The library that computes it in this process, such as `ONNX Runtime 1.32.0`; `None` if serin does, or if it is
    /// not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<&'static str>,
}

/// What a model predicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Target {
    /// The column.
    #[serde(deserialize_with = "text")]
    pub column: String,
    /// The column's value that counts as 1.
    #[serde(deserialize_with = "text")]
    pub positive: String,
}

/// Comparison of the answers of an imported model with those of the original.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Parity {
    /// The file with the original's answers, without its folder.
    #[serde(deserialize_with = "text")]
    pub source: String,
    /// Rows that were compared.
    pub rows: u64,
    /// The largest difference.
    pub largest_difference: f64,
    /// The difference up to which answers count as equal.
    pub tolerance: f64,
    /// Rows with a larger difference.
    pub rows_above: u64,
}

impl Target {
    /// `Churn` = `Yes`, in quotes.
    pub fn in_words(&self) -> String {
        format!("{} = {}", quoted(&self.column), quoted(&self.positive))
    }
}

impl Parity {
    /// `1,408 rows of expected.csv, largest difference 3.4e-8`.
    pub fn in_words(&self) -> String {
        let rows = match self.rows {
            1 => "1 row".to_owned(),
            rows => format!("{} rows", grouped(rows)),
        };
        let difference = match self.largest_difference {
            0.0 => "all equal".to_owned(),
            difference => format!("largest difference {difference:.1e}"),
        };
        let above = match self.rows_above {
            0 => String::new(),
            above => format!(", {} above {:e}", grouped(above), self.tolerance),
        };
        format!("{rows} of {}, {difference}{above}", self.source)
    }
}

impl Card {
    /// The training, if serin trained the model with two classes.
    pub fn trained(&self) -> Option<&Trained> {
        match &self.origin {
            Origin::Trained(trained) => Some(trained),
            Origin::TrainedClasses(_) | Origin::Imported { .. } => None,
        }
    }

    /// The training, if serin trained the model with three classes or more.
    pub fn trained_classes(&self) -> Option<&TrainedClasses> {
        match &self.origin {
            Origin::TrainedClasses(trained) => Some(trained),
            Origin::Trained(_) | Origin::Imported { .. } => None,
        }
    }

    /// What serin trained the model on.
    pub fn training(&self) -> Option<&TrainingDescription> {
        match &self.origin {
            Origin::Trained(trained) => Some(&trained.training),
            Origin::TrainedClasses(trained) => Some(&trained.training),
            Origin::Imported { .. } => None,
        }
    }

    /// The import, if another library trained the model.
    pub fn imported(&self) -> Option<&Import> {
        match &self.origin {
            Origin::Trained(_) | Origin::TrainedClasses(_) => None,
            Origin::Imported { import } => Some(import),
        }
    }

    /// The column that the model predicts, if it is known.
    pub fn target_column(&self) -> Option<&str> {
        match &self.origin {
            Origin::Trained(_) | Origin::TrainedClasses(_) => self.training().map(|it| &*it.target),
            Origin::Imported { import } => import.target.as_ref().map(|it| &*it.column),
        }
    }

    /// Which value of which column the model predicts, if it is known and the model has two classes.
    pub fn target(&self) -> Option<Target> {
        match &self.origin {
            Origin::Trained(trained) => {
                let TrainingDescription { target, positive, .. } = &trained.training;
                Some(Target { column: target.clone(), positive: positive.clone()? })
            }
            Origin::TrainedClasses(_) => None,
            Origin::Imported { import } => import.target.clone(),
        }
    }
}

/// A term of the sum on the standardized scale: what one standard deviation of a number, or a level,
/// adds to the log-odds.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Coefficient {
    /// The feature.
    pub feature: String,
    /// The level, for a categorical feature.
    pub level: Option<String>,
    /// The weight in log-odds.
    pub weight: f64,
}

impl Coefficient {
    /// `tenure`, or `contract = monthly`.
    pub fn name(&self) -> String {
        match &self.level {
            Some(level) => format!("{} = {level}", self.feature),
            None => self.feature.clone(),
        }
    }
}

/// The coefficients with their names, largest magnitude first.
pub(crate) fn coefficients(schema: &Schema, weights: &[f64]) -> Vec<Coefficient> {
    let names = schema.features().iter().flat_map(|feature| match &feature.kind {
        FeatureKind::Numeric { .. } | FeatureKind::Number => vec![(feature.name.clone(), None)],
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrainingDescription {
    /// The file name without its folder, or the generator of the data.
    #[serde(deserialize_with = "text")]
    pub source: String,
    /// Rows in the data.
    pub rows: u64,
    /// Rows the coefficients were fitted on.
    pub training_rows: u64,
    /// The column to predict.
    #[serde(deserialize_with = "text")]
    pub target: String,
    /// The target's value that counts as 1; `None` if all values are classes. Model files have an empty text then.
    #[serde(serialize_with = "write_positive", deserialize_with = "read_positive")]
    pub positive: Option<String>,
    /// The penalty: `l2 / 2` times the sum of squared coefficients; 1 / C of scikit-learn.
    pub l2: f64,
    /// How rows were held out.
    #[serde(deserialize_with = "text")]
    pub holdout: String,
    /// The seed of the split.
    pub seed: u64,
    /// Warnings about the data.
    #[serde(deserialize_with = "texts::<_, MAX_LIST>")]
    pub warnings: Vec<String>,
}

/// `null` in JSON and an empty text in a model file, whose format has a text there.
fn write_positive<S: Serializer>(value: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match serializer.is_human_readable() {
        true => value.serialize(serializer),
        false => value.as_deref().unwrap_or_default().serialize(serializer),
    }
}

fn read_positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match deserializer.is_human_readable() {
        true => Option::deserialize(deserializer),
        false => Ok(Some(text(deserializer)?).filter(|value| !value.is_empty())),
    }
}
