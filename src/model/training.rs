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
pub(crate) mod softmax;
pub mod synthetic;

pub(crate) mod error;

use self::design::Design;
pub use self::error::TrainingError;
use super::Model;
use super::artifact::Artifact;
use super::artifact::card::TrainingDescription;
use super::artifact::class_report;
use super::artifact::class_report::ClassesReport;
use super::artifact::codec::ClassesPayload;
use super::artifact::codec::Payload;
use super::artifact::codec::Probe;
use super::artifact::report;
use super::artifact::report::HoldoutReport;
use super::dataset::Classes;
use super::dataset::Dataset;
use super::dataset::Labels;
use super::inputs::Inputs;
use super::kinds::logistic::LogisticRegression;
use super::kinds::multinomial::MultinomialRegression;
use super::schema::Feature;
use super::schema::FeatureKind;
use super::schema::Schema;
use super::schema::features::Features;
use super::schema::features::Value;
pub use super::training::holdout_split::Holdout;
use super::training::holdout_split::split;
use crate::text::fields::FieldError;
use crate::text::lists::listed;
use crate::text::lists::quoted;
use crate::text::numbers::exact;

/// Number of probes: enough that several use each coefficient of an ordinary model.
const PROBES: usize = 16;

/// Training rows of a class below which it gets a warning.
const RARE_ROWS: usize = 10;

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

/// Trains a logistic regression; a multinomial one, without a threshold, if the data has more than two classes.
///
/// # Errors
///
/// [`TrainingError`] names the option or column and the remedy.
pub fn train(dataset: &Dataset, options: &TrainingOptions) -> Result<Artifact, TrainingError> {
    options.check()?;
    match dataset.labels() {
        Labels::Two { positive, of_rows } => train_two(dataset, positive, of_rows, options),
        Labels::Many(classes) => train_many(dataset, classes, options),
    }
}

fn train_two(
    dataset: &Dataset,
    positive: &str,
    outcomes: &[bool],
    options: &TrainingOptions,
) -> Result<Artifact, TrainingError> {
    let rows = split(outcomes, options.holdout, options.seed);
    let training_labels = labels(outcomes, &rows.training, "training")?;
    let holdout_labels = labels(outcomes, &rows.holdout, "holdout")?;
    let (schema, warnings) = learn_schema(dataset, &rows.training)?;
    let design = Design::new(dataset, &schema, &rows.training);
    let fitted = fitting::fit(&design, &training_labels, options.l2)?;
    let (intercept, coefficients) = (fitted.intercept, fitted.coefficients);
    let model =
        LogisticRegression::new(schema.clone(), intercept, &coefficients, options.threshold)?;
    let holdout = evaluate(&model, options, dataset, &rows.holdout, &holdout_labels)?;

    let positive = Some(positive.to_owned());
    let training = description(dataset, positive, rows.training.len(), options, warnings);
    Ok(Artifact::seal(&Payload {
        probes: probes(&model)?,
        features: schema.features().to_vec(),
        intercept,
        coefficients,
        threshold: options.threshold,
        training,
        holdout,
        missing: dataset.missing().clone(),
        inputs: Some(Inputs::of_columns(dataset.columns(), &rows.training)),
    })?)
}

fn train_many(
    dataset: &Dataset,
    classes: &Classes,
    options: &TrainingOptions,
) -> Result<Artifact, TrainingError> {
    let rows = split(&classes.of_rows, options.holdout, options.seed);
    let training_labels = places(classes, &rows.training, "training")?;
    let holdout_labels = places(classes, &rows.holdout, "holdout")?;
    let (schema, mut warnings) = learn_schema(dataset, &rows.training)?;
    warnings.extend(rare(dataset, classes, &training_labels));
    let design = Design::new(dataset, &schema, &rows.training);
    let names = &classes.names;
    let fitted = softmax::fit(&design, &training_labels, names.len(), options.l2)?;
    let softmax::FittedClasses { intercepts, coefficients } = fitted;
    let model = MultinomialRegression::new(schema.clone(), names, &intercepts, &coefficients)?;
    let holdout = evaluate_classes(&model, names, dataset, &rows.holdout, &holdout_labels)?;
    let training = description(dataset, None, rows.training.len(), options, warnings);
    Ok(Artifact::seal_classes(&ClassesPayload {
        probes: probes(&model)?,
        features: schema.features().to_vec(),
        classes: names.clone(),
        intercepts,
        coefficients,
        training,
        holdout,
        missing: dataset.missing().clone(),
        inputs: Some(Inputs::of_columns(dataset.columns(), &rows.training)),
    })?)
}

/// The schema of the training rows, and what there is to say about the columns.
fn learn_schema(dataset: &Dataset, rows: &[usize]) -> Result<(Schema, Vec<String>), TrainingError> {
    let (schema, constant) = encoding::learn_schema(dataset, rows)?;
    let schema = schema.with_missing(dataset.missing().clone());
    if constant.len() == schema.features().len() {
        return Err(TrainingError::NothingVaries { names: listed(schema.feature_names()) });
    }
    let mut warnings = dataset.warnings().to_vec();
    warnings.extend(leaks::warnings(dataset, rows));
    if !constant.is_empty() {
        let names = listed(constant.iter().map(String::as_str));
        warnings
            .push(format!("constant in the training rows and therefore without effect: {names}"));
    }
    Ok((schema, warnings))
}

fn description(
    dataset: &Dataset,
    positive: Option<String>,
    training_rows: usize,
    options: &TrainingOptions,
    warnings: Vec<String>,
) -> TrainingDescription {
    TrainingDescription {
        source: dataset.source().to_owned(),
        rows: dataset.labels().rows() as u64,
        training_rows: training_rows as u64,
        target: dataset.target().to_owned(),
        positive,
        l2: options.l2,
        holdout: options.holdout.to_string(),
        seed: options.seed,
        warnings,
    }
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
    outcomes: &[bool],
    rows: &[usize],
    part: &'static str,
) -> Result<Vec<bool>, TrainingError> {
    let labels: Vec<bool> = rows.iter().map(|row| outcomes[*row]).collect();
    if !labels.contains(&true) || !labels.contains(&false) {
        return Err(TrainingError::OneClass { part, rows: rows.len() });
    }
    Ok(labels)
}

/// The classes of a part, which must contain all of them.
fn places(classes: &Classes, rows: &[usize], part: &'static str) -> Result<Vec<u8>, TrainingError> {
    let places: Vec<u8> = rows.iter().map(|row| classes.of_rows[*row]).collect();
    let counts = |places: &[u8]| {
        let mut counts = vec![0_usize; classes.names.len()];
        places.iter().for_each(|place| counts[usize::from(*place)] += 1);
        counts
    };
    let absent = counts(&places).iter().position(|count| *count == 0);
    match absent {
        Some(class) => Err(TrainingError::NoRowOfClass {
            class: quoted(&classes.names[class]),
            part,
            rows: counts(&classes.of_rows)[class],
        }),
        None => Ok(places),
    }
}

/// A warning about classes with few training rows.
fn rare(dataset: &Dataset, classes: &Classes, training: &[u8]) -> Option<String> {
    let rows = |class: usize| training.iter().filter(|one| usize::from(**one) == class).count();
    let rare = classes.names.iter().enumerate().map(|(class, name)| (name, rows(class)));
    let rare = rare.filter(|(_, rows)| *rows < RARE_ROWS);
    let rare: Vec<String> = rare.map(|(name, rows)| format!("{} ({rows})", quoted(name))).collect();
    (!rare.is_empty()).then(|| {
        format!(
            "target {}: classes of fewer than {RARE_ROWS} training rows are hardly learned, and their figures are \
             chance: {}; group them, or leave their rows out",
            quoted(dataset.target()),
            rare.join(", ")
        )
    })
}

fn evaluate_classes(
    model: &MultinomialRegression,
    names: &[String],
    dataset: &Dataset,
    rows: &[usize],
    places: &[u8],
) -> Result<ClassesReport, TrainingError> {
    let answers = rows.iter().map(|row| {
        let row = model.schema().row(dataset.features(*row))?;
        Ok(model.predict(&row)?)
    });
    let outputs = answers.collect::<Result<Vec<_>, TrainingError>>()?;
    let outcomes: Vec<usize> = places.iter().map(|place| usize::from(*place)).collect();
    class_report::report(names, &outcomes, &outputs)
        .ok_or(TrainingError::OneClass { part: "holdout", rows: rows.len() })
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
fn probes(model: &impl Model) -> Result<Vec<Probe>, TrainingError> {
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
