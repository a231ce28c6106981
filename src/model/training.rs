//! Training: split, learn the schema, fit, evaluate on the holdout, seal.
//!
//! The same data, options and seed give the same bytes. The evaluated model is the one that is written;
//! it is not refitted on all rows. The holdout is predicted row by row through the schema, as a server
//! does, so the report describes what will run.

pub mod defaults;
pub(crate) mod design;
pub(crate) mod encoding;
pub(crate) mod fitting;
pub(crate) mod holdout_split;
pub(crate) mod leaks;
pub(crate) mod newton;
pub(crate) mod random;
pub mod synthetic;

pub(crate) mod error;

use self::design::Design;
pub use self::error::TrainingError;
use super::Model;
use super::artifact::Artifact;
use super::artifact::card::TrainingDescription;
use super::artifact::codec::Payload;
use super::artifact::codec::Probe;
use super::artifact::report;
use super::artifact::report::HoldoutReport;
use super::dataset::Dataset;
use super::kinds::logistic::LogisticRegression;
use super::schema::Feature;
use super::schema::FeatureKind;
use super::schema::features::Features;
use super::schema::features::Value;
pub use super::training::holdout_split::Holdout;
use super::training::holdout_split::split;
use crate::text::fields::FieldError;
use crate::text::lists::listed;
use crate::text::numbers::exact;

/// Number of probes: enough that several use each coefficient of an ordinary model.
const PROBES: usize = 16;

/// Maximum penalty: coefficients are nearly zero there, and the arithmetic degrades beyond it.
const MAX_L2: f64 = 1e9;

/// Options of the training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingOptions {
    /// L2 penalty, `1 / C` of scikit-learn; above 0, at most 1e9.
    pub l2: f64,
    /// How rows are held out.
    pub holdout: Holdout,
    /// Seed of a random holdout.
    pub seed: u64,
    /// The label is 1 at and above this probability, 0 to 1.
    pub threshold: f64,
}

impl Default for TrainingOptions {
    fn default() -> Self {
        Self { l2: 1.0, holdout: Holdout::default(), seed: 42, threshold: 0.5 }
    }
}

impl TrainingOptions {
    /// Checks every option, so that a mistake costs no reading of the data.
    ///
    /// # Errors
    ///
    /// [`TrainingError::Option`] names the option and what is allowed.
    pub fn check(&self) -> Result<(), TrainingError> {
        let TrainingOptions { l2, threshold, .. } = *self;
        let l2_range = format!(
            "a number above 0 and up to {MAX_L2:e}, for example 1 (at 0 the coefficients of a category are not unique)"
        );
        in_range("l2", l2, l2 > 0.0 && l2 <= MAX_L2, &l2_range)?;
        let is_probability = (0.0..=1.0).contains(&threshold);
        in_range("threshold", threshold, is_probability, "0 to 1, for example 0.5")?;
        match self.holdout {
            Holdout::Fraction(value) => {
                let allowed = "a number above 0 and below 1, for example 0.2";
                in_range("test fraction", value, value > 0.0 && value < 1.0, allowed)
            }
            Holdout::Every(value) => {
                let allowed = "a whole number from 2, for example 5 for a fifth";
                in_range("holdout every", value as f64, value >= 2, allowed)
            }
        }
    }
}

/// Trains a logistic regression.
///
/// # Errors
///
/// [`TrainingError`] names the option or column and the remedy.
pub fn train(dataset: &Dataset, options: &TrainingOptions) -> Result<Artifact, TrainingError> {
    options.check()?;
    let rows = split(dataset.labels(), options.holdout, options.seed);
    let training_labels = labels(dataset, &rows.training, "training")?;
    let holdout_labels = labels(dataset, &rows.holdout, "holdout")?;

    let (schema, constant) = encoding::learn_schema(dataset, &rows.training)?;
    let schema = schema.with_missing(dataset.missing().clone());
    if constant.len() == schema.features().len() {
        return Err(TrainingError::NothingVaries { names: listed(schema.feature_names()) });
    }
    let design = Design::new(dataset, &schema, &rows.training);
    let fitted = fitting::fit(&design, &training_labels, options.l2)?;
    let (intercept, coefficients) = (fitted.intercept, fitted.coefficients);
    let model =
        LogisticRegression::new(schema.clone(), intercept, &coefficients, options.threshold)?;
    let holdout = evaluate(&model, options, dataset, &rows.holdout, &holdout_labels)?;

    let mut warnings = dataset.warnings().to_vec();
    warnings.extend(leaks::warnings(dataset, &rows.training));
    if !constant.is_empty() {
        let names = listed(constant.iter().map(String::as_str));
        warnings
            .push(format!("constant in the training rows and therefore without effect: {names}"));
    }
    let training = TrainingDescription {
        source: dataset.source().to_owned(),
        rows: dataset.labels().len() as u64,
        training_rows: rows.training.len() as u64,
        target: dataset.target().to_owned(),
        positive: dataset.positive().to_owned(),
        l2: options.l2,
        holdout: options.holdout.to_string(),
        seed: options.seed,
        warnings,
    };
    Ok(Artifact::seal(&Payload {
        probes: probes(&model)?,
        features: schema.features().to_vec(),
        intercept,
        coefficients,
        threshold: options.threshold,
        training,
        holdout,
        missing: dataset.missing().clone(),
    })?)
}

fn in_range(
    option: &str,
    value: f64,
    is_allowed: bool,
    allowed: &str,
) -> Result<(), TrainingError> {
    if is_allowed {
        return Ok(());
    }
    Err(FieldError::out_of_range(option, exact(value), allowed).into())
}

/// The labels of a part, which must contain both classes.
fn labels(
    dataset: &Dataset,
    rows: &[usize],
    part: &'static str,
) -> Result<Vec<bool>, TrainingError> {
    let labels: Vec<bool> = rows.iter().map(|row| dataset.labels()[*row]).collect();
    if !labels.contains(&true) || !labels.contains(&false) {
        return Err(TrainingError::OneClass { part, rows: rows.len() });
    }
    Ok(labels)
}

fn evaluate(
    model: &LogisticRegression,
    options: &TrainingOptions,
    dataset: &Dataset,
    rows: &[usize],
    labels: &[bool],
) -> Result<HoldoutReport, TrainingError> {
    let answers = rows.iter().map(|row| {
        let row = model.schema().row(dataset.features(*row))?;
        Ok(model.predict(&row)?.score())
    });
    let probabilities = answers.collect::<Result<Vec<f64>, TrainingError>>()?;
    report::report(labels, &probabilities, options.threshold)
        .ok_or(TrainingError::OneClass { part: "holdout", rows: rows.len() })
}

/// Probes made from the schema, not from rows of the data. The first has every value missing; in the
/// others numbers step through two standard deviations around the mean and categories through their
/// levels, each feature at its own pace.
fn probes(model: &LogisticRegression) -> Result<Vec<Probe>, TrainingError> {
    let probe = |step| {
        let features = model.schema().features().iter().enumerate();
        let values: Vec<Value<'static>> =
            features.map(|(index, feature)| probe_value(feature, index, step)).collect();
        let row = model.schema().row(Features::Ordered(values.clone()))?;
        Ok(Probe::new(values, &model.predict(&row)?))
    };
    (0..PROBES).map(probe).collect()
}

fn probe_value(feature: &Feature, index: usize, step: usize) -> Value<'static> {
    match &feature.kind {
        _ if step == 0 => Value::Missing,
        FeatureKind::Numeric { mean, scale } => {
            let deviations = ((step * 7 + index * 3) % 9) as f64 / 2.0 - 2.0;
            Value::Number(mean + deviations * scale)
        }
        FeatureKind::Number => Value::Number((step as f64) - 2.0),
        FeatureKind::Categorical { levels } => {
            Value::Text(levels[(step + index) % levels.len()].clone().into())
        }
    }
}

#[cfg(test)]
mod tests;
