//! Model of a file that another library wrote.
//!
//! A row becomes the numbers of the file's inputs: a number as it is, a word by its position in the file's list, a
//! missing value and an unknown word as the file's library treats them. The markers of missing values are applied here
//! and not in the row, which stable and canary share.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use smallvec::SmallVec;
use utoipa::ToSchema;

use super::columns::Columns;
use super::features::MISSING;
use super::features::Values;
use super::lightgbm;
use super::linear::coefficients;
use super::onnx;
use super::onnx::engine::Engine;
use super::onnx::engine::EngineError;
use super::onnx::runtime;
use super::parsed::Answer;
use super::parsed::NoAnswer;
use super::parsed::Parsed;
use super::parsed::Scorer;
use super::refusal::Refusal;
use super::skops;
use super::xgboost;
use crate::model::Execution;
use crate::model::Model;
use crate::model::PredictError;
use crate::model::explanation::Explains;
use crate::model::explanation::Explanation;
use crate::model::output::MAX_CLASS_NAME_BYTES;
use crate::model::output::MAX_CLASSES;
use crate::model::output::Output;
use crate::model::output::OutputKind;
use crate::model::output::bad_class_name;
use crate::model::schema::Feature;
use crate::model::schema::Missing;
use crate::model::schema::Schema;
use crate::model::schema::error::SchemaError;
use crate::model::schema::row::Row;
use crate::model::stop::Stop;

/// The format of a model file that another library wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModelFormat)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// LightGBM's text.
    Lightgbm,
    /// XGBoost's JSON or UBJSON.
    Xgboost,
    /// scikit-learn by skops.
    Skops,
    /// Coefficients as JSON, `serin.model/v1`.
    Coefficients,
    /// ONNX, run by ONNX Runtime.
    Onnx,
}

impl Format {
    /// The format that the bytes look like.
    pub fn detect(bytes: &[u8]) -> Option<Self> {
        if lightgbm::is_lightgbm(bytes) {
            Some(Self::Lightgbm)
        } else if skops::is_skops(bytes) {
            Some(Self::Skops)
        } else if coefficients::is_coefficients(bytes) {
            Some(Self::Coefficients)
        } else if xgboost::is_xgboost(bytes) {
            Some(Self::Xgboost)
        } else if onnx::is_onnx(bytes) {
            Some(Self::Onnx)
        } else {
            None
        }
    }

    /// Reads a file of this format.
    ///
    /// # Errors
    ///
    /// [`Refusal`] names the place in the file.
    pub fn read(self, bytes: &[u8]) -> Result<Parsed, Refusal> {
        match self {
            Self::Lightgbm => match str::from_utf8(bytes) {
                Ok(text) => lightgbm::read(text),
                Err(cause) => Err(Refusal::new("file", cause.to_string())),
            },
            Self::Xgboost => xgboost::read(bytes),
            Self::Skops => skops::read(bytes),
            Self::Coefficients => coefficients::read(bytes),
            Self::Onnx => onnx::read(bytes),
        }
    }

    /// The word in a card.
    pub fn word(self) -> &'static str {
        match self {
            Self::Lightgbm => "lightgbm",
            Self::Xgboost => "xgboost",
            Self::Skops => "skops",
            Self::Coefficients => "coefficients",
            Self::Onnx => "onnx",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lightgbm => "LightGBM",
            Self::Xgboost => "XGBoost",
            Self::Skops => "scikit-learn (skops)",
            Self::Coefficients => "coefficients (serin.model/v1)",
            Self::Onnx => "ONNX",
        })
    }
}

/// A model of an imported file.
#[derive(Clone, Debug)]
pub struct ImportedModel {
    schema: Schema,
    output: OutputKind,
    inputs: Vec<Input>,
    parsed: Parsed,
    explains: Option<Explains>,
}

/// An input of the file.
#[derive(Clone, Debug)]
struct Input {
    /// Its place in the row; `None` for a column that the file's pipeline drops.
    place: Option<usize>,
    values: Values,
}

/// Numbers of a row on the stack up to this many.
const INLINE_NUMBERS: usize = 64;

/// Splits on the way through all trees up to which a row is computed on the request's thread, at 1 to 5 ns each.
const MAX_INLINE_SPLITS: usize = 4000;

impl ImportedModel {
    /// The model, with the names of its inputs in the order of the file.
    ///
    /// `threshold` is for two classes. `classes` names more than two, where the file does not; without both, they are
    /// numbered from 0.
    ///
    /// # Errors
    ///
    /// [`ImportError`], if two classes have the same name, or the inputs are not a schema.
    pub fn new(
        parsed: Parsed,
        names: &[String],
        threshold: f64,
        classes: &[String],
    ) -> Result<Self, ImportError> {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(ImportError::Threshold { value: threshold });
        }
        let output = match parsed.answer {
            Answer::Probability => OutputKind::Probability { threshold },
            Answer::Classes(count) => {
                OutputKind::Probabilities { classes: class_names(count, &parsed.classes, classes)? }
            }
            Answer::Score => OutputKind::Score,
        };
        if names.len() != parsed.features.len() {
            let (found, expected) = (names.len(), parsed.features.len());
            return Err(ImportError::Names { found, expected });
        }
        let mut features = Vec::new();
        let mut inputs = Vec::with_capacity(names.len());
        for (spec, name) in parsed.features.iter().zip(names) {
            let kind = spec.kind.for_clients();
            let place = kind.is_some().then_some(features.len());
            features.extend(kind.map(|kind| Feature { name: name.clone(), kind }));
            inputs.push(Input { place, values: Values::of(&spec.kind) });
        }
        let explains = parsed.explains();
        Ok(Self { schema: Schema::new(features)?, output, inputs, parsed, explains })
    }

    /// The same model with these markers of missing values.
    #[must_use]
    pub fn with_missing(self, missing: Missing) -> Self {
        Self { schema: self.schema.with_missing(missing), ..self }
    }

    /// The model in ONNX Runtime, if that computes it.
    fn engine(&self) -> Option<&Engine> {
        match &self.parsed.scorer {
            Scorer::Onnx(engine) => Some(engine),
            Scorer::Trees(_) | Scorer::Linear(_) => None,
        }
    }

    /// The library that computes the model, in words; `None` if serin does.
    pub fn library(&self) -> Option<Library> {
        self.engine().map(|_| runtime::version().map_or(Library::Absent, Library::Open))
    }

    /// The numbers of the file's inputs for a row.
    fn numbers(&self, row: &Row<'_>) -> Result<SmallVec<[f64; INLINE_NUMBERS]>, PredictError> {
        let values = row.values();
        let features = self.schema.features();
        if values.len() != features.len() {
            let problem = format!("{} values for {} features", values.len(), features.len());
            return Err(PredictError::ForeignRow { problem });
        }
        let missing = self.schema.missing();
        let number = |input: &Input| match input.place.and_then(|place| values.get(place)) {
            None => Ok(MISSING),
            Some(value) => {
                let number = input.values.number(value, missing);
                number.ok_or_else(|| self.foreign_kind(input))
            }
        };
        self.inputs.iter().map(number).collect()
    }

    #[cold]
    fn foreign_kind(&self, input: &Input) -> PredictError {
        let feature = input.place.and_then(|place| self.schema.features().get(place));
        let name = feature.map_or("a dropped column", |feature| feature.name.as_str());
        PredictError::ForeignRow { problem: format!("the value of `{name}` is of another kind") }
    }
}

/// The library that computes a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// This process has opened it: `ONNX Runtime 1.32.0`.
    Open(&'static str),
    /// This process has none, so that the model cannot run.
    Absent,
}

#[cold]
fn failed(cause: &EngineError) -> PredictError {
    PredictError::Failed { problem: cause.to_string() }
}

/// The names of the classes: those of the file, else the given ones, else numbers from 0.
fn class_names(
    count: usize,
    in_file: &[String],
    given: &[String],
) -> Result<Vec<String>, ImportError> {
    if count > MAX_CLASSES {
        return Err(ImportError::Classes { count });
    }
    let names = match (in_file, given) {
        ([], []) => (0..count).map(|number| number.to_string()).collect(),
        ([], given) => given.to_vec(),
        (in_file, _) => in_file.to_vec(),
    };
    if names.len() != count {
        return Err(ImportError::ClassNames { found: names.len(), expected: count });
    }
    match bad_class_name(&names) {
        Some(name) => Err(ImportError::ClassName { name: name.clone() }),
        None => Ok(names),
    }
}

/// What a row costs, in splits of trees: at most as many as the longest paths have, and what the columns in front do.
fn splits_per_row(parsed: &Parsed) -> usize {
    let scorer = match &parsed.scorer {
        Scorer::Trees(trees) => trees.longest(),
        Scorer::Linear(linear) => linear.features(),
        Scorer::Onnx(_) => usize::MAX,
    };
    scorer.saturating_add(parsed.columns.as_ref().map_or(0, Columns::cost))
}

impl Model for ImportedModel {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn output(&self) -> &OutputKind {
        &self.output
    }

    fn predict(&self, row: &Row<'_>) -> Result<Output, PredictError> {
        let mut scratch = Vec::with_capacity(self.parsed.room());
        let numbers = self.numbers(row)?;
        let mut answer = |out: &mut [f64]| {
            let outcome = self.parsed.predict(&numbers, &mut scratch, out);
            outcome.map_err(|cause| match cause {
                NoAnswer::Length(cause) => PredictError::ForeignRow { problem: cause.to_string() },
                NoAnswer::Engine(cause) => failed(&cause),
            })
        };
        match self.parsed.answer.numbers() {
            1 => {
                let mut out = [f64::NAN];
                answer(&mut out).map(|()| Output::of(out[0]))
            }
            many => {
                let mut out = vec![f64::NAN; many];
                answer(&mut out).map(|()| Output::of_many(out))
            }
        }
    }

    fn predict_many(&self, rows: &[Row<'_>]) -> Result<Vec<Output>, PredictError> {
        self.predict_until(rows, &Stop::default())
    }

    fn predict_until(&self, rows: &[Row<'_>], stop: &Stop) -> Result<Vec<Output>, PredictError> {
        let Some(engine) = self.engine() else {
            return rows.iter().map(|row| self.predict(row)).collect();
        };
        let mut numbers = Vec::with_capacity(rows.len() * self.inputs.len());
        for row in rows {
            numbers.extend_from_slice(&self.numbers(row)?);
        }
        let answers = engine.run(&numbers, stop).map_err(|cause| failed(&cause))?;
        Ok(match self.parsed.answer.numbers() {
            1 => answers.into_iter().map(Output::of).collect(),
            many => answers.chunks(many).map(|row| Output::of_many(row.to_vec())).collect(),
        })
    }

    fn prepare(&self) -> Result<(), PredictError> {
        self.engine().map_or(Ok(()), |engine| engine.prepare().map_err(|cause| failed(&cause)))
    }

    fn explains(&self) -> Option<Explains> {
        self.explains
    }

    fn explain(&self, row: &Row<'_>) -> Result<Option<Explanation>, PredictError> {
        if self.explains.is_none() {
            return Ok(None);
        }
        let class = match self.output {
            OutputKind::Probabilities { .. } => Some(self.predict(row)?.largest()),
            OutputKind::Probability { .. } | OutputKind::Score => None,
        };
        let mut scratch = Vec::with_capacity(self.parsed.room());
        let numbers = self.numbers(row)?;
        let parts = self.parsed.contributions(&numbers, class.unwrap_or(0), &mut scratch);
        let parts =
            parts.map_err(|cause| PredictError::ForeignRow { problem: cause.to_string() })?;
        let explanation = |parts: Vec<f64>| {
            let mut contributions = vec![0.0; self.schema.features().len()];
            for (input, part) in self.inputs.iter().zip(&parts) {
                if let Some(sum) = input.place.and_then(|place| contributions.get_mut(place)) {
                    *sum += part;
                }
            }
            let baseline = parts.last().copied().unwrap_or_default();
            Explanation { class, baseline, contributions }
        };
        Ok(parts.map(explanation))
    }

    fn execution(&self) -> Execution {
        match splits_per_row(&self.parsed) <= MAX_INLINE_SPLITS {
            true => Execution::Inline,
            false => Execution::Pooled,
        }
    }
}

/// Why a file that could be read is not a model that serin serves.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It has more classes than serin compares.
    #[error(
        "classes: {count}, the maximum is {MAX_CLASSES}, because each class is compared on its own; \
         group rare classes and train again"
    )]
    Classes {
        /// How many.
        count: usize,
    },
    /// The number of class names differs from that of the classes.
    #[error("classes: {found} names for the {expected} classes of the file")]
    ClassNames {
        /// How many names.
        found: usize,
        /// How many classes.
        expected: usize,
    },
    /// A class cannot be named so.
    #[error(
        "classes: {name:?} is empty, repeated, or longer than {MAX_CLASS_NAME_BYTES} bytes of one line; rename the class"
    )]
    ClassName {
        /// The name.
        name: String,
    },
    /// The threshold is not a probability.
    #[error("threshold: {value}; use a probability from 0 to 1")]
    Threshold {
        /// The value.
        value: f64,
    },
    /// The number of names differs from that of the inputs.
    #[error("features: {found} names for {expected} inputs of the file")]
    Names {
        /// How many names.
        found: usize,
        /// How many inputs.
        expected: usize,
    },
    /// The inputs are not a schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}
