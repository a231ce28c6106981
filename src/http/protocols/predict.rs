//! `POST /predict`: one row or many, by position or by name.

mod explanation;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde::Serializer;
use utoipa::ToSchema;

use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::object::Object;
use crate::http::answer::object::array;
use crate::http::openapi::requests::PredictRequest;
use crate::http::predicting;
use crate::http::predicting::Asked;
use crate::http::predicting::Attributes;
use crate::http::predicting::Done;
use crate::http::predicting::Protocol;
use crate::http::predicting::Sent;
use crate::http::predicting::Written;
use crate::http::problem::Problem;
use crate::http::reading::fields::check_key;
use crate::http::reading::prediction;
use crate::http::reading::prediction::BodySeed;
use crate::http::reading::prediction::PredictionBody;
use crate::http::shared::Shared;
use crate::model::Label;
use crate::model::Output;
use crate::model::OutputKind;
use crate::model::schema::features::Optional;

/// The body of the answer, as OpenAPI describes it: one object, because generators of clients cannot read a choice.
#[derive(ToSchema)]
#[schema(as = Prediction)]
#[expect(dead_code, reason = "only describes the answer")]
pub(super) struct Answered {
    /// Of many rows.
    #[schema(nullable = false)]
    predictions: Option<Vec<Row>>,
    /// Of one row and two classes: that of the positive class.
    #[schema(nullable = false)]
    probability: Option<f64>,
    /// Of one row and classes: the answer.
    #[schema(nullable = false)]
    label: Option<Label<'static>>,
    /// Of one row and many classes: by class.
    #[schema(nullable = false)]
    probabilities: Option<BTreeMap<String, f64>>,
    /// Of one row and a regression.
    #[schema(nullable = false)]
    score: Option<f64>,
    /// Of one row, if it was asked for.
    #[schema(nullable = false)]
    explanation: Option<explanation::OfRow<'static>>,
    /// `stable` or `canary`: which answered.
    model_used: String,
    /// The version that answered.
    model_version: String,
    /// Time that the model took, without HTTP.
    latency_ms: f64,
    /// For feedback.
    prediction_id: String,
    /// Whether stable answered in the canary's place.
    fallback: bool,
    /// Present if a tester chose the track.
    #[schema(nullable = false)]
    r#override: Option<bool>,
    /// The id of the request.
    #[schema(nullable = false)]
    id: Option<String>,
    /// How rows are explained, or why not.
    #[schema(nullable = false)]
    explained: Option<explanation::About<'static>>,
}

/// The answer to a row, by the kind of output: `probability` and `label` of two classes, `label` and `probabilities`
/// of many, or a `score`.
#[derive(ToSchema)]
#[schema(as = PredictedRow)]
#[expect(dead_code, reason = "only describes the answer")]
struct Row {
    #[schema(nullable = false)]
    probability: Option<f64>,
    #[schema(nullable = false)]
    label: Option<Label<'static>>,
    #[schema(nullable = false)]
    probabilities: Option<BTreeMap<String, f64>>,
    #[schema(nullable = false)]
    score: Option<f64>,
    /// One per row; a single row's id is in the answer itself.
    #[schema(nullable = false)]
    prediction_id: Option<String>,
    #[schema(nullable = false)]
    explanation: Option<explanation::OfRow<'static>>,
}

/// A probability for each class, by its name.
struct ByClass<'a> {
    classes: &'a [String],
    numbers: &'a [f64],
}

impl Serialize for ByClass<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.classes.iter().zip(self.numbers))
    }
}

/// Appends the members of a row: an object of its own, or the first of an answer to one row.
fn row(
    to: &mut Object<'_>,
    kind: &OutputKind,
    output: &Output,
    prediction_id: Option<&str>,
    explanation: Option<explanation::OfRow<'_>>,
) -> Result<(), Problem> {
    let label = kind.label(output);
    match kind {
        OutputKind::Probability { .. } => {
            to.member("probability", &output.score())?;
            to.optional("label", label)?;
        }
        OutputKind::Probabilities { classes } => {
            to.optional("label", label)?;
            to.member("probabilities", &ByClass { classes, numbers: output.numbers() })?;
        }
        OutputKind::Score => to.member("score", &output.score())?,
    }
    if let Some(prediction_id) = prediction_id {
        to.plain("prediction_id", prediction_id);
    }
    to.optional("explanation", explanation)
}

const EXAMPLE: &str = r#"{"features": [0.5, 1.2, 0.8, 0.3, 1.1]}"#;

/// Answers one row, or many.
#[utoipa::path(
    post,
    path = "/predict",
    tag = "predictions",
    operation_id = "predict",
    request_body = PredictRequest,
    responses((status = 200, description = "The answer", body = Answered)),
)]
pub fn predict(call: Call) -> impl Future<Output = Answer> {
    predicting::answer(Predict, call)
}

struct Predict;

/// The form of an answer: one row or many, and the id of the request.
pub(super) struct Form<'a> {
    pub(super) is_single: bool,
    pub(super) id: Option<Cow<'a, str>>,
}

impl Protocol for Predict {
    type Form<'a> = Form<'a>;

    fn read<'a>(
        &'a self,
        sent: Sent<'a>,
        shared: &Shared,
    ) -> Result<(Asked<'a>, Form<'a>), Problem> {
        let body = parsed(sent.body, shared)?;
        check_key("id", body.id.as_deref())?;
        let PredictionBody { features, instances, key, segments, covariate, id, explain } = body;
        let mut asked = Attributes { key, segments, covariate }.checked(sent.headers, shared)?;
        let is_single = features.is_some();
        asked.inputs.rows = match (features, instances) {
            (Some(row), None) => vec![row],
            (None, Some(rows)) => rows,
            (None, None) => return Err(Problem::missing("features", EXAMPLE)),
            (Some(_), Some(_)) => {
                return Err(Problem::field("features excludes instances; send one of them"));
            }
        };
        if explain {
            explanation::check(asked.inputs.rows.len(), shared)?;
            asked.explain = Some(asked.inputs.rows.clone());
        }
        Ok((asked, Form { is_single, id }))
    }

    fn write(&self, done: &Done, form: &Form<'_>, shared: &Shared) -> Result<Written, Problem> {
        answer_body(done, form, shared).map(Written::json)
    }
}

fn parsed<'a>(body: &'a [u8], shared: &Shared) -> Result<PredictionBody<'a>, Problem> {
    let live = shared.service.serving.live.load();
    let unknown = shared.settings.unknown_fields.into();
    let seed = BodySeed { known: live.intake.known(), unknown, optional: Optional::Read };
    prediction::parsed(seed, body, EXAMPLE)
}

/// The answer as JSON, also for protocols whose answers have its members.
///
/// # Errors
/// When it cannot be written as JSON.
pub(super) fn answer_body(
    done: &Done,
    form: &Form<'_>,
    shared: &Shared,
) -> Result<Vec<u8>, Problem> {
    let Done { prediction, is_override, explained, .. } = done;
    let Form { is_single, id } = form;
    let model = prediction.answered_by().inference.model();
    let kind = model.output();
    let explanations = explained.as_ref().and_then(|explained| explained.as_ref().ok());
    let explanation = |number: usize| {
        let explanation = explanations?.rows.get(number)?;
        Some(explanation::OfRow::of(explanation, model))
    };
    let ids = done.row_ids(shared);
    let mut bytes = Vec::with_capacity(256);
    let mut answer = Object::begin(&mut bytes);
    match (is_single, prediction.outputs.as_slice()) {
        (true, [output]) => row(&mut answer, kind, output, None, explanation(0))?,
        (_, outputs) => {
            let rows = outputs.iter().enumerate();
            array(answer.value_of("predictions"), rows, |bytes, (number, output)| {
                let mut object = Object::begin(bytes);
                let id = ids.of_row(number);
                row(&mut object, kind, output, id.as_deref(), explanation(number))?;
                object.end();
                Ok(())
            })?;
        }
    }
    answer.plain("model_used", prediction.track.name());
    answer.member("model_version", &*prediction.answered_by().version.name)?;
    // To the nanosecond, the resolution of the clock.
    answer.member("latency_ms", &(prediction.latency.as_nanos() as f64 / 1e6))?;
    answer.plain("prediction_id", ids.first());
    answer.member("fallback", &prediction.fallback)?;
    answer.optional("override", is_override.then_some(true))?;
    answer.optional("id", id.as_deref())?;
    answer.optional("explained", explained.as_ref().map(explanation::About::of))?;
    answer.end();
    bytes.push(b'\n');
    Ok(bytes)
}
