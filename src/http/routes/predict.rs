//! `POST /predict`: one row or many, by position or by name.

use std::borrow::Cow;

use actix_web::http::header::HeaderMap;
use actix_web::web;
use serde::Deserialize;
use serde::Serialize;
use tokio::runtime::Handle;

use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::too_busy;
use crate::http::answer::with_json;
use crate::http::answer::written;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::http::reading::fields::check_key;
use crate::http::reading::rows::Instances;
use crate::http::reading::segments::RequestSegments;
use crate::http::reading::unknown::without_unknown;
use crate::http::settings::UnknownFields;
use crate::http::shared::Shared;
use crate::model::Features;
use crate::model::Output;
use crate::service::reported::feedback::Ids;
use crate::service::serving::predict::Prediction;
use crate::service::serving::predict::Request;

/// The body of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    /// One row.
    #[serde(borrow)]
    features: Option<Features<'a>>,
    /// Many rows, all answered by the same track.
    #[serde(borrow)]
    instances: Option<Instances<'a>>,
    /// Requests with the same key get the same track.
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    /// The segments of the request.
    #[serde(borrow, default)]
    segments: RequestSegments<'a>,
    /// Returned unchanged in the answer.
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
}

/// The body of the answer.
#[derive(Serialize)]
struct Answered<'a> {
    #[serde(flatten)]
    rows: Rows,
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
}

#[derive(Serialize)]
#[serde(untagged)]
enum Rows {
    One(Row),
    Many { predictions: Vec<Row> },
}

#[derive(Serialize)]
struct Row {
    probability: f64,
    label: u8,
    /// One per row; a single row's id is in the answer itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction_id: Option<String>,
}

const EXAMPLE: &str = r#"{"features": [0.5, 1.2, 0.8, 0.3, 1.1]}"#;

/// Bodies that a worker handles itself: at some 40 ns for a value of at least three bytes, this takes 0.2 ms at
/// most. Larger ones would make the other connections of the worker wait.
const SMALL_BODY: usize = 16 << 10;

/// Answers a prediction request.
pub async fn predict(call: Call) -> Answer {
    let Call { request, body, room, shared } = call;
    if body.len() <= SMALL_BODY {
        return Ok(with_json(leniently_answered(&body, request.headers(), &shared).await?));
    }
    let permit = shared.batches.permit().await?;
    let (headers, runtime) = (request.headers().clone(), Handle::current());
    let answer = web::block(move || {
        // Released only when the work is done, even if the client has gone by then.
        let (_permit, _room) = (permit, room);
        runtime.block_on(leniently_answered(&body, &headers, &shared))
    });
    Ok(with_json(answer.await.map_err(|_| too_busy())??))
}

/// The answer to this body, where unknown fields are ignored if the settings say so.
async fn leniently_answered(
    body: &[u8],
    headers: &HeaderMap,
    shared: &Shared,
) -> Result<Vec<u8>, Problem> {
    let answer = answered(body, headers, shared).await;
    // Only what was refused is read again, so that clients without unknown fields pay nothing.
    match (&answer, shared.settings.unknown_fields) {
        (Err(problem), UnknownFields::Ignore) if problem.is_about_fields() => {
            let known = {
                let live = shared.service.serving.live.load();
                without_unknown(body, live.stable.inference.model().schema())
            };
            match known {
                Some(known) => answered(&known, headers, shared).await,
                None => answer,
            }
        }
        (_, UnknownFields::Ignore | UnknownFields::Refuse) => answer,
    }
}

/// The answer to this body, as JSON.
async fn answered(body: &[u8], headers: &HeaderMap, shared: &Shared) -> Result<Vec<u8>, Problem> {
    let body: Body<'_> = body::parse(body, EXAMPLE)?;
    check_key("key", body.key.as_deref())?;
    check_key("id", body.id.as_deref())?;
    let segments = body.segments.checked(shared.service.control.declared_segments())?;
    let request_headers = &shared.settings.request_headers;
    let key = request_headers.key(headers, body.key)?;
    let track = request_headers.track(headers)?;
    let single = body.features.is_some();
    let rows = match (body.features, body.instances) {
        (Some(row), None) => vec![row],
        (None, Some(Instances(rows))) => rows,
        (None, None) => return Err(Problem::missing("features", EXAMPLE)),
        (Some(_), Some(_)) => {
            return Err(Problem::field("features excludes instances; send one of them"));
        }
    };
    let inputs = Request { rows, key, segments };
    let prediction = match track {
        None => shared.service.predict(inputs).await?,
        Some(track) => shared.service.predict_on(track, inputs).await?,
    };
    let ids = shared.service.ids(&prediction);
    answer_body(&prediction, ids.as_ref(), single, track.is_some(), body.id.as_deref())
}

fn answer_body(
    prediction: &Prediction,
    ids: Option<&Ids<'_>>,
    single: bool,
    is_override: bool,
    id: Option<&str>,
) -> Result<Vec<u8>, Problem> {
    let kind = prediction.answered_by().inference.model().output();
    let row = |&output: &Output, prediction_id| Row {
        probability: output.score(),
        label: kind.label(output),
        prediction_id,
    };
    // Without feedback the id only has to be unique.
    let first = ids.map_or_else(|| format!("{:032x}", rand::random::<u128>()), |ids| ids.of_row(0));
    let of_row = |number: usize| match (number, ids) {
        (_, None) => None,
        (0, Some(_)) => Some(first.clone()),
        (_, Some(ids)) => Some(ids.of_row(number)),
    };
    let rows = match (single, prediction.outputs.as_slice()) {
        (true, [output]) => Rows::One(row(output, None)),
        (_, outputs) => {
            let rows = outputs.iter().enumerate();
            let predictions = rows.map(|(number, output)| row(output, of_row(number))).collect();
            Rows::Many { predictions }
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
        r#override: is_override,
        id,
    })
}
