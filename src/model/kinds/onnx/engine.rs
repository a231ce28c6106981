//! A model in ONNX Runtime: from rows of numbers to the numbers of the answer.
//!
//! A session runs one batch at a time, with one thread. Each thread that predicts takes a session of its own, so that
//! predictions do not wait for each other; further sessions are opened when they are needed, and kept.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use ort::session::RunOptions;
use ort::session::Session;
use ort::session::SessionInputValue;
use ort::session::builder::AutoDevicePolicy;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::DynMapValueType;
use ort::value::DynValue;
use ort::value::Tensor;
use ort::value::TensorElementType;
use ort::value::ValueType;
use parking_lot::Mutex;
use thiserror::Error;

use super::ports::Element;
use super::ports::Input;
use super::ports::Output;
use super::runtime;
use super::runtime::RuntimeError;
use crate::model::kinds::features::FeatureKind;
use crate::model::kinds::features::FeatureSpec;
use crate::model::stop::Stop;

/// Why a model in ONNX Runtime gave no answer.
#[derive(Debug, Error)]
pub enum EngineError {
    /// ONNX Runtime is not available.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The runtime refuses the file.
    #[error("ONNX Runtime cannot open the model: {0}")]
    NotOpened(String),
    /// The run failed.
    #[error("ONNX Runtime: {0}")]
    Failed(String),
    /// A value is not one of the input's type.
    #[error("input `{input}`: {problem}")]
    Value {
        /// The input.
        input: String,
        /// What is wrong.
        problem: String,
    },
    /// The answer is not what the file declares.
    #[error("output `{output}`: {problem}")]
    Answer {
        /// The output.
        output: String,
        /// What is wrong.
        problem: String,
    },
    /// The prediction was stopped.
    #[error("stopped, because its time was over")]
    Stopped,
}

/// A checked file, ready to be opened.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    file: Box<[u8]>,
    inputs: Vec<Input>,
    output: Output,
    /// Rows of a run.
    rows: usize,
    /// The words of each column, by their numbers; empty for a column of numbers.
    words: Vec<Vec<String>>,
    /// A word that the file does not know.
    unknown: String,
    /// Sessions that are not running.
    idle: Mutex<Vec<Session>>,
}

/// Two probabilities add up to one within this: single precision, and sums of many trees.
const SUM_TOLERANCE: f64 = 1e-3;

impl Engine {
    pub(super) fn new(
        file: &[u8],
        inputs: Vec<Input>,
        output: Output,
        rows: usize,
        features: &[FeatureSpec],
    ) -> Self {
        let words: Vec<Vec<String>> = features.iter().map(words_of).collect();
        let longest = words.iter().flatten().map(String::len).max().unwrap_or_default();
        let unknown = "?".repeat(longest + 1);
        let idle = Mutex::default();
        Self(Arc::new(Inner { file: file.into(), inputs, output, rows, words, unknown, idle }))
    }

    /// Opens the model, so that the first prediction need not.
    ///
    /// # Errors
    ///
    /// ONNX Runtime is not available, or refuses the file.
    pub fn prepare(&self) -> Result<(), EngineError> {
        let session = self.session()?;
        self.0.idle.lock().push(session);
        Ok(())
    }

    /// Answers rows of numbers, one after another in `rows`, as many numbers each as the output has, or one for a pair of probabilities.
    ///
    /// # Errors
    ///
    /// [`EngineError`]; none of the rows has an answer then.
    pub fn run(&self, rows: &[f64], stop: &Stop) -> Result<Vec<f64>, EngineError> {
        let width = self.0.words.len();
        let mut session = self.session()?;
        let columns = if self.0.output.is_pair { 1 } else { self.0.output.columns };
        let mut answers = Vec::with_capacity(rows.len() / width * columns);
        for batch in rows.chunks(width * self.0.rows) {
            self.run_batch(&mut session, batch, stop, &mut answers)?;
        }
        // One that failed is closed.
        self.0.idle.lock().push(session);
        Ok(answers)
    }

    fn session(&self) -> Result<Session, EngineError> {
        let idle = self.0.idle.lock().pop();
        match idle {
            Some(session) => Ok(session),
            None => open(&self.0.file),
        }
    }

    fn run_batch(
        &self,
        session: &mut Session,
        batch: &[f64],
        stop: &Stop,
        answers: &mut Vec<f64>,
    ) -> Result<(), EngineError> {
        let failed = |cause: ort::Error| EngineError::Failed(cause.to_string());
        let rows = batch.len() / self.0.words.len();
        let mut values: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::new();
        let mut first = 0;
        for input in &self.0.inputs {
            let value = self.value(input, batch, first)?;
            values.push((Cow::Borrowed(&input.name), value.into()));
            first += input.columns;
        }
        let options = Arc::new(RunOptions::new().map_err(failed)?);
        let end = {
            let options = options.clone();
            move || drop(options.terminate())
        };
        let outputs = stop.during(end, || session.run_with_options(values, &options));
        let outputs = outputs.ok_or(EngineError::Stopped)?.map_err(failed)?;
        let output = outputs.get(&self.0.output.name).ok_or_else(|| self.wrong("it is missing"))?;
        self.read(output, rows, answers)
    }

    /// The tensor of an input, whose columns begin at `first`.
    fn value(&self, input: &Input, batch: &[f64], first: usize) -> Result<DynValue, EngineError> {
        let width = self.0.words.len();
        let shape = match input.is_flat {
            true => vec![batch.len() / width],
            false => vec![batch.len() / width, input.columns],
        };
        let numbers = || batch.chunks(width).flat_map(|row| &row[first..first + input.columns]);
        let failed = |cause: ort::Error| EngineError::Failed(cause.to_string());
        let whole =
            |number: &f64| whole(*number).map_err(|problem| self.wrong_value(input, problem));
        Ok(match input.element {
            Element::Float => {
                let values: Vec<f32> = numbers().map(|number| *number as f32).collect();
                Tensor::from_array((shape, values)).map_err(failed)?.into_dyn()
            }
            Element::Double => {
                let values: Vec<f64> = numbers().copied().collect();
                Tensor::from_array((shape, values)).map_err(failed)?.into_dyn()
            }
            Element::Int64 => {
                let values = numbers().map(whole).collect::<Result<Vec<i64>, _>>()?;
                Tensor::from_array((shape, values)).map_err(failed)?.into_dyn()
            }
            Element::Int32 => {
                let narrow = |number: i64| {
                    let problem = || format!("{number} is not a 32-bit integer");
                    i32::try_from(number).map_err(|_| self.wrong_value(input, problem()))
                };
                let values = numbers().map(|number| narrow(whole(number)?));
                let values = values.collect::<Result<Vec<i32>, _>>()?;
                Tensor::from_array((shape, values)).map_err(failed)?.into_dyn()
            }
            Element::Text => {
                let columns = (first..first + input.columns).cycle();
                let words = numbers().zip(columns);
                let words = words.map(|(number, column)| self.word(*number, column).to_owned());
                let words: Vec<String> = words.collect();
                Tensor::from_string_array((shape, &words[..])).map_err(failed)?.into_dyn()
            }
        })
    }

    /// The word of a number: ONNX has no missing word, exporters write an empty one.
    fn word(&self, number: f64, column: usize) -> &str {
        if number.is_nan() {
            return "";
        }
        let words = self.0.words.get(column);
        let word = words.filter(|_| number >= 0.0).and_then(|words| words.get(number as usize));
        word.unwrap_or(&self.0.unknown)
    }

    #[cold]
    fn wrong_value(&self, input: &Input, problem: String) -> EngineError {
        EngineError::Value { input: input.name.clone(), problem }
    }

    #[cold]
    fn wrong(&self, problem: impl Into<String>) -> EngineError {
        EngineError::Answer { output: self.0.output.name.clone(), problem: problem.into() }
    }

    /// Appends the answers of an output.
    fn read(
        &self,
        value: &DynValue,
        rows: usize,
        answers: &mut Vec<f64>,
    ) -> Result<(), EngineError> {
        let failed = |cause: ort::Error| self.wrong(cause.to_string());
        let numbers: Vec<f64> = match (value.dtype(), &self.0.output.keys) {
            (ValueType::Tensor { ty: TensorElementType::Float32, .. }, None) => {
                let (_, numbers) = value.try_extract_tensor::<f32>().map_err(failed)?;
                numbers.iter().copied().map(f64::from).collect()
            }
            (ValueType::Tensor { ty: TensorElementType::Float64, .. }, None) => {
                value.try_extract_tensor::<f64>().map_err(failed)?.1.to_vec()
            }
            (ValueType::Sequence(inner), Some(keys)) => self.read_maps(value, inner, keys)?,
            (other, _) => return Err(self.wrong(format!("it is {other}"))),
        };
        let columns = self.0.output.columns;
        if numbers.len() != rows * columns {
            let (found, expected) = (numbers.len(), rows * columns);
            return Err(self.wrong(format!("{found} numbers for {rows} rows, expected {expected}")));
        }
        if !self.0.output.is_pair {
            answers.extend(numbers);
            return Ok(());
        }
        for pair in numbers.chunks(2) {
            let sum = pair.iter().sum::<f64>();
            // NaN is refused where the answer is.
            if (sum - 1.0).abs() > SUM_TOLERANCE {
                let problem = format!("{} and {} are not two probabilities", pair[0], pair[1]);
                return Err(self.wrong(problem));
            }
            answers.push(pair[1]);
        }
        Ok(())
    }

    /// The numbers of a map a row, in the order of the classes.
    fn read_maps(
        &self,
        value: &DynValue,
        inner: &ValueType,
        keys: &[String],
    ) -> Result<Vec<f64>, EngineError> {
        let failed = |cause: ort::Error| self.wrong(cause.to_string());
        let maps = value.try_extract_sequence::<DynMapValueType>().map_err(failed)?;
        let mut numbers = Vec::with_capacity(maps.len() * keys.len());
        for map in maps {
            let pairs: Vec<(String, f32)> = match inner {
                ValueType::Map { key: TensorElementType::Int64, .. } => {
                    let pairs = map.try_extract_key_values::<i64, f32>().map_err(failed)?;
                    pairs.into_iter().map(|(key, number)| (key.to_string(), number)).collect()
                }
                _ => map.try_extract_key_values::<String, f32>().map_err(failed)?,
            };
            for key in keys {
                let found = pairs.iter().find(|(name, _)| name == key);
                let found = found.ok_or_else(|| self.wrong(format!("class {key} is missing")))?;
                numbers.push(f64::from(found.1));
            }
        }
        Ok(numbers)
    }
}

fn open(file: &[u8]) -> Result<Session, EngineError> {
    let environment = runtime::environment()?;
    let not_opened = |cause: String| EngineError::NotOpened(cause);
    let builder = || {
        Session::builder(environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            // Nothing but this process's own CPU code.
            .with_auto_device(AutoDevicePolicy::PreferCPU)?
            .with_log_level(ort::logging::LogLevel::Error)?
            .commit_from_memory(file)
    };
    builder().map_err(|cause: ort::Error| not_opened(cause.to_string()))
}

fn words_of(feature: &FeatureSpec) -> Vec<String> {
    match &feature.kind {
        FeatureKind::Words(words) => words.clone(),
        FeatureKind::Number
        | FeatureKind::Numbers(_)
        | FeatureKind::Codes
        | FeatureKind::Unused => Vec::new(),
    }
}

/// A number as an integer.
fn whole(number: f64) -> Result<i64, String> {
    // 2^63 is the first that does not fit.
    const END: f64 = 9_223_372_036_854_775_808.0;
    if number.is_nan() {
        return Err("it takes whole numbers, which cannot be missing".to_owned());
    }
    match number.trunc() == number && (-END..END).contains(&number) {
        true => Ok(number as i64),
        false => Err(format!("{number} is not a whole number")),
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("output", &self.0.output).finish_non_exhaustive()
    }
}
