//! The answer to an inference: output tensors in JSON, or behind it as raw bytes.

use std::borrow::Cow;

use serde::Serialize;
use smallvec::SmallVec;
use utoipa::ToSchema;

use super::request::OutputParameters;
use super::request::WantedOutput;
use crate::http::answer::object::Object;
use crate::http::answer::object::append;
use crate::http::answer::object::array;
use crate::http::predicting::Done;
use crate::http::predicting::RowIds;
use crate::http::predicting::Written;
use crate::http::problem::Problem;
use crate::http::shared::Shared;
use crate::model::Label;
use crate::model::OutputKind;
use crate::text::lists::did_you_mean;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// What an output tensor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Probability,
    Probabilities,
    Score,
    Label,
    /// An id for each row, under which its label is reported. Sent only if it is asked for.
    PredictionId,
}

impl Output {
    /// The outputs of a model of this kind, in order.
    pub(super) fn all(kind: &OutputKind) -> &'static [Output] {
        match kind {
            OutputKind::Probability { .. } => {
                &[Output::Probability, Output::Label, Output::PredictionId]
            }
            OutputKind::Probabilities { .. } => {
                &[Output::Probabilities, Output::Label, Output::PredictionId]
            }
            OutputKind::Score => &[Output::Score, Output::PredictionId],
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Output::Probability => "probability",
            Output::Probabilities => "probabilities",
            Output::Score => "score",
            Output::Label => "label",
            Output::PredictionId => "prediction_id",
        }
    }

    /// The datatype of its values.
    pub(super) fn datatype(self, kind: &OutputKind) -> &'static str {
        match (self, kind) {
            (Output::Probability | Output::Probabilities | Output::Score, _) => "FP64",
            (Output::Label, OutputKind::Probability { .. }) => "INT64",
            (Output::Label | Output::PredictionId, _) => "BYTES",
        }
    }

    /// The values of a row beyond the first dimension.
    pub(super) fn width(self, kind: &OutputKind) -> Option<usize> {
        (self == Output::Probabilities).then(|| kind.numbers())
    }
}

/// Which outputs the client wants, each with whether it is sent as raw bytes.
pub(super) struct Wanted<'a> {
    outputs: Option<Vec<WantedOutput<'a>>>,
    binary: bool,
}

impl<'a> Wanted<'a> {
    /// The outputs that are named, or all.
    pub(super) fn new(outputs: Option<Vec<WantedOutput<'a>>>, binary: bool) -> Wanted<'a> {
        Wanted { outputs: outputs.filter(|outputs| !outputs.is_empty()), binary }
    }

    /// Checks that a model of this kind has all of them.
    ///
    /// # Errors
    /// Names the first that it has not.
    pub(super) fn of(&self, kind: &OutputKind) -> Result<SmallVec<[(Output, bool); 3]>, Problem> {
        let all = Output::all(kind);
        let Some(outputs) = &self.outputs else {
            let sent = all.iter().filter(|output| **output != Output::PredictionId);
            return Ok(sent.map(|output| (*output, self.binary)).collect());
        };
        let one = |(place, wanted): (usize, &WantedOutput<'_>)| {
            let name = &*wanted.name.0;
            if outputs.iter().take(place).any(|earlier| *earlier.name.0 == *name) {
                return Err(Problem::field(format_args!(
                    "outputs[{place}]: {} is asked for twice; ask for it once",
                    quoted(name)
                )));
            }
            let output = all.iter().find(|output| output.name() == name).ok_or_else(|| {
                let names = || all.iter().map(|output| output.name());
                Problem::field(format_args!(
                    "outputs[{place}]: {}{} is not an output of this model; it has {}",
                    quoted(name),
                    did_you_mean(name, names()),
                    listed(names())
                ))
            })?;
            let own = wanted.parameters.as_ref().and_then(|it: &OutputParameters| it.binary_data);
            Ok((*output, own.unwrap_or(self.binary)))
        };
        outputs.iter().enumerate().map(one).collect()
    }
}

/// The outputs, and which version they are from.
#[derive(ToSchema)]
#[schema(as = InferResponse)]
#[expect(dead_code, reason = "only describes the answer")]
pub(super) struct Answered {
    model_name: String,
    model_version: String,
    #[schema(nullable = false)]
    id: Option<String>,
    parameters: Parameters,
    outputs: Vec<Tensor>,
}

/// What `/predict` says besides its rows.
#[derive(ToSchema)]
#[schema(as = InferResponseParameters)]
#[expect(dead_code, reason = "only describes the answer")]
struct Parameters {
    track: String,
    prediction_id: String,
    fallback: bool,
    latency_ms: f64,
    /// Present if the request named a version, or a tester a track.
    #[schema(nullable = false)]
    r#override: Option<bool>,
}

#[derive(ToSchema)]
#[schema(as = ResponseOutput)]
#[expect(dead_code, reason = "only describes the answer")]
struct Tensor {
    name: String,
    datatype: String,
    shape: Vec<usize>,
    #[schema(value_type = Option<Object>, nullable = false)]
    parameters: Option<serde_json::Value>,
    #[schema(nullable = false)]
    data: Option<Values<'static>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TensorValues)]
#[serde(untagged)]
enum Values<'a> {
    Numbers(Vec<f64>),
    Integers(Vec<i64>),
    Texts(Vec<Cow<'a, str>>),
}

impl Values<'_> {
    fn append_to(&self, bytes: &mut Vec<u8>) {
        match self {
            Values::Numbers(all) => all.iter().for_each(|it| bytes.extend(it.to_le_bytes())),
            Values::Integers(all) => all.iter().for_each(|it| bytes.extend(it.to_le_bytes())),
            Values::Texts(all) => all.iter().for_each(|text| {
                bytes.extend((text.len() as u32).to_le_bytes());
                bytes.extend(text.as_bytes());
            }),
        }
    }
}

/// Writes the answer with the outputs that are wanted.
///
/// # Errors
/// When the version that answered does not have one of them.
pub(super) fn write(
    done: &Done,
    id: Option<&str>,
    wanted: &Wanted<'_>,
    shared: &Shared,
) -> Result<Written, Problem> {
    let prediction = &done.prediction;
    let loaded = prediction.answered_by();
    let kind = loaded.inference.model().output();
    let ids = done.row_ids(shared);
    let (mut bytes, mut raw) = (Vec::with_capacity(512), Vec::new());
    let mut answer = Object::begin(&mut bytes);
    answer.member("model_name", &*shared.settings.model_name)?;
    answer.member("model_version", &*loaded.version.name)?;
    answer.optional("id", id)?;
    let mut parameters = Object::begin(answer.value_of("parameters"));
    parameters.plain("track", prediction.track.name());
    parameters.plain("prediction_id", ids.first());
    parameters.member("fallback", &prediction.fallback)?;
    parameters.member("latency_ms", &(prediction.latency.as_nanos() as f64 / 1e6))?;
    parameters.optional("override", done.is_override.then_some(true))?;
    parameters.end();
    array(answer.value_of("outputs"), wanted.of(kind)?, |bytes, (output, is_binary)| {
        let values = values(output, kind, done, &ids);
        let mut tensor = Object::begin(bytes);
        tensor.plain("name", output.name());
        tensor.plain("datatype", output.datatype(kind));
        let shape = [Some(prediction.outputs.len()), output.width(kind)];
        array(tensor.value_of("shape"), shape.into_iter().flatten(), |bytes, length| {
            append(bytes, &length)
        })?;
        if is_binary {
            let start = raw.len();
            values.append_to(&mut raw);
            let mut parameters = Object::begin(tensor.value_of("parameters"));
            parameters.member("binary_data_size", &(raw.len() - start))?;
            parameters.end();
        } else {
            tensor.member("data", &values)?;
        }
        tensor.end();
        Ok(())
    })?;
    answer.end();
    bytes.push(b'\n');
    let json_bytes = (!raw.is_empty()).then_some(bytes.len());
    bytes.extend(raw);
    Ok(Written { bytes, json_bytes })
}

fn values<'a>(
    output: Output,
    kind: &'a OutputKind,
    done: &'a Done,
    ids: &RowIds<'_>,
) -> Values<'a> {
    let rows = done.prediction.outputs.iter();
    match output {
        Output::Probability | Output::Score => {
            Values::Numbers(rows.map(|row| row.score()).collect())
        }
        Output::Probabilities => {
            Values::Numbers(rows.flat_map(|row| row.numbers()).copied().collect())
        }
        Output::Label if kind.classes().is_empty() => {
            let label = |row| match kind.label(row) {
                Some(Label::Binary(label)) => i64::from(label),
                Some(Label::Class(_)) | None => 0,
            };
            Values::Integers(rows.map(label).collect())
        }
        Output::Label => {
            let label = |row| match kind.label(row) {
                Some(Label::Class(class)) => Cow::Borrowed(class),
                Some(Label::Binary(_)) | None => Cow::Borrowed(""),
            };
            Values::Texts(rows.map(label).collect())
        }
        Output::PredictionId => {
            let id = |(number, _)| {
                ids.of_row(number).unwrap_or_else(|| format!("{}-{number}", ids.first()))
            };
            Values::Texts(rows.enumerate().map(id).map(Cow::Owned).collect())
        }
    }
}
