//! `POST /predict`: one row or many, by position or by name.

mod explanation;

use std::borrow::Cow;

use actix_web::http::header::HeaderMap;
use actix_web::web;
use serde::Serialize;
use serde::Serializer;
use tokio::runtime::Handle;

use crate::canary::Track;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::with_json;
use crate::http::answer::written;
use crate::http::problem::Problem;
use crate::http::reading::fields::check_covariate;
use crate::http::reading::fields::check_key;
use crate::http::reading::prediction;
use crate::http::reading::prediction::BodySeed;
use crate::http::reading::prediction::PredictionBody;
use crate::http::settings::UnknownFields;
use crate::http::shared::Shared;
use crate::http::shared::Turn;
use crate::model::Features;
use crate::model::Label;
use crate::model::Output;
use crate::model::OutputKind;
use crate::model::schema::features::Optional;
use crate::model::schema::features::Unknown;
use crate::service::reported::feedback::Ids;
use crate::service::serving::predict::Prediction;
use crate::service::serving::predict::Request;
use crate::service::serving::predict::explained::Explained;

/// The body of the answer.
#[derive(Serialize)]
struct Answered<'a> {
    #[serde(flatten)]
    rows: Rows<'a>,
    model_used: &'static str,
    model_version: &'a str,
    latency_ms: f64,
    prediction_id: &'a str,
    fallback: bool,
    /// Present if a tester chose the track.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    r#override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// Present if the client asked for explanations.
    #[serde(skip_serializing_if = "Option::is_none")]
    explained: Option<explanation::About<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Rows<'a> {
    One(Row<'a>),
    Many { predictions: Vec<Row<'a>> },
}

/// The answer to a row, by the kind of output: `probability` and `label` of two classes, `label` and `probabilities`
/// of many, or a `score`.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<Label<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probabilities: Option<ByClass<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    /// One per row; a single row's id is in the answer itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<explanation::OfRow<'a>>,
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

impl<'a> Row<'a> {
    fn new(
        kind: &'a OutputKind,
        output: &'a Output,
        prediction_id: Option<String>,
        explanation: Option<explanation::OfRow<'a>>,
    ) -> Self {
        let first = Some(output.score());
        let (probability, probabilities, score) = match kind {
            OutputKind::Probability { .. } => (first, None, None),
            OutputKind::Probabilities { classes } => {
                (None, Some(ByClass { classes, numbers: output.numbers() }), None)
            }
            OutputKind::Score => (None, None, first),
        };
        let label = kind.label(output);
        Row { probability, label, probabilities, score, prediction_id, explanation }
    }
}

const EXAMPLE: &str = r#"{"features": [0.5, 1.2, 0.8, 0.3, 1.1]}"#;

/// Bodies that a worker handles itself. Larger ones would make the other connections of the worker wait.
const SMALL_BODY: usize = 16 << 10;

/// Answers a prediction request.
pub async fn predict(call: Call) -> Answer {
    let Call { request, body, room, shared } = call;
    if body.len() <= SMALL_BODY {
        let asked = read(&body, request.headers(), &shared)?;
        return Ok(with_json(asked.answered(&shared).await?.written(&shared)?));
    }
    let turn = shared.batches.turn().await?;
    let (headers, runtime) = (request.headers().clone(), Handle::current());
    let answer = web::block(move || {
        // Kept until the work is done, even if the client has gone by then.
        let _room = room;
        runtime.block_on(in_turn(turn, &body, &headers, &shared))
    });
    Ok(with_json(answer.await.map_err(|_| Problem::too_busy())??))
}

/// The answer to a large body, as JSON. It works in a turn, which ends when it waits for a model.
async fn in_turn(
    mut turn: Turn,
    body: &[u8],
    headers: &HeaderMap,
    shared: &Shared,
) -> Result<Vec<u8>, Problem> {
    let asked = read(body, headers, shared)?;
    turn.until_it_waits(asked.answered(shared)).await?.written(shared)
}

/// A request that has been read.
struct Asked<'a> {
    inputs: Request<'a>,
    /// The track that a tester asks for.
    track: Option<Track>,
    is_single: bool,
    id: Option<Cow<'a, str>>,
    /// The rows once more, if the answer is to be explained.
    explain: Option<Vec<Features<'a>>>,
}

fn read<'a>(body: &'a [u8], headers: &'a HeaderMap, shared: &Shared) -> Result<Asked<'a>, Problem> {
    let body = parsed(body, shared)?;
    check_key("key", body.key.as_deref())?;
    check_key("id", body.id.as_deref())?;
    check_covariate(body.covariate)?;
    let covariate = body.covariate;
    let segments = body.segments.checked(shared.service.control.declared_segments())?;
    let request_headers = &shared.settings.request_headers;
    let key = request_headers.key(headers, body.key)?;
    let track = request_headers.track(headers)?;
    let is_single = body.features.is_some();
    let rows = match (body.features, body.instances) {
        (Some(row), None) => vec![row],
        (None, Some(rows)) => rows,
        (None, None) => return Err(Problem::missing("features", EXAMPLE)),
        (Some(_), Some(_)) => {
            return Err(Problem::field("features excludes instances; send one of them"));
        }
    };
    let explain = body.explain.then(|| rows.clone());
    if let Some(rows) = &explain {
        explanation::check(rows.len(), shared)?;
    }
    Ok(Asked {
        inputs: Request { rows, key, segments, covariate },
        track,
        is_single,
        id: body.id,
        explain,
    })
}

fn parsed<'a>(body: &'a [u8], shared: &Shared) -> Result<PredictionBody<'a>, Problem> {
    let unknown = match shared.settings.unknown_fields {
        UnknownFields::Refuse => Unknown::Kept,
        UnknownFields::Ignore => Unknown::Skipped,
    };
    let live = shared.service.serving.live.load();
    let seed = BodySeed { known: live.intake.known(), unknown, optional: Optional::Read };
    prediction::parsed(seed, body, EXAMPLE)
}

impl<'a> Asked<'a> {
    async fn answered(self, shared: &Shared) -> Result<Done<'a>, Problem> {
        let Asked { inputs, track, is_single, id, explain } = self;
        let prediction = match track {
            None => shared.service.predict(inputs).await?,
            Some(track) => shared.service.predict_on(track, inputs).await?,
        };
        let explained = match explain {
            // Boxed, so that other requests do not carry its state.
            Some(rows) => Some(Box::pin(prediction.explained(rows)).await),
            None => None,
        };
        Ok(Done { prediction, is_single, is_override: track.is_some(), id, explained })
    }
}

/// A request that has been answered.
struct Done<'a> {
    prediction: Prediction,
    is_single: bool,
    is_override: bool,
    id: Option<Cow<'a, str>>,
    explained: Option<Result<Explained, String>>,
}

impl Done<'_> {
    /// The answer as JSON.
    fn written(&self, shared: &Shared) -> Result<Vec<u8>, Problem> {
        let ids = shared.service.ids(&self.prediction);
        answer_body(self, ids.as_ref())
    }
}

fn answer_body(done: &Done<'_>, ids: Option<&Ids<'_>>) -> Result<Vec<u8>, Problem> {
    let Done { prediction, is_single, is_override, id, explained } = done;
    let model = prediction.answered_by().inference.model();
    let kind = model.output();
    let explanations = explained.as_ref().and_then(|explained| explained.as_ref().ok());
    let explanation = |number: usize| {
        let explanation = explanations?.rows.get(number)?;
        Some(explanation::OfRow::of(explanation, model))
    };
    // Without feedback the id only has to be unique.
    let first = ids.map_or_else(|| format!("{:032x}", rand::random::<u128>()), |ids| ids.of_row(0));
    let of_row = |number: usize| match (number, ids) {
        (_, None) => None,
        (0, Some(_)) => Some(first.clone()),
        (_, Some(ids)) => Some(ids.of_row(number)),
    };
    let rows = match (is_single, prediction.outputs.as_slice()) {
        (true, [output]) => Rows::One(Row::new(kind, output, None, explanation(0))),
        (_, outputs) => {
            let rows = outputs.iter().enumerate();
            let row =
                |(number, output)| Row::new(kind, output, of_row(number), explanation(number));
            Rows::Many { predictions: rows.map(row).collect() }
        }
    };
    written(&Answered {
        rows,
        model_used: prediction.track.name(),
        model_version: &prediction.answered_by().version.name,
        // To the nanosecond, the resolution of the clock.
        latency_ms: prediction.latency.as_nanos() as f64 / 1e6,
        prediction_id: &first,
        fallback: prediction.fallback,
        r#override: *is_override,
        id: id.as_deref(),
        explained: explained.as_ref().map(explanation::About::of),
    })
}
