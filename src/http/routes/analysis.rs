//! `POST /record`, `GET /status`, `POST /reset`: values measured elsewhere.
//!
//! They need no admin token, like `/predict`.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Payload;
use serde::Deserialize;
use serde::Deserializer;
use serde_json::json;

use crate::canary::MetricName;
use crate::canary::Track;
use crate::http::access;
use crate::http::answer::json;
use crate::http::answer::respond;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::http::reading::body::ContentType;
use crate::http::reading::body::Nothing;
use crate::http::reading::fields;
use crate::http::reading::fields::check_key;
use crate::http::shared::Shared;

/// The body of `/record`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    #[serde(default, deserialize_with = "version")]
    version: Option<String>,
    #[serde(default, deserialize_with = "score")]
    score: Option<f64>,
    #[serde(default, deserialize_with = "metric")]
    metric: Option<String>,
    #[serde(default, deserialize_with = "key")]
    key: Option<String>,
}

/// The default metric.
pub const DEFAULT_METRIC: &str = "score";

const RECORD_EXAMPLE: &str = r#"{"version": "canary", "score": 0.87}"#;

/// `POST /record`
pub async fn record(request: HttpRequest, payload: Payload, shared: Data<Shared>) -> HttpResponse {
    let outcome = recorded(&request, payload, &shared).await;
    respond(&request, outcome.and_then(|()| json(&json!({ "status": "recorded" }), None)))
}

async fn recorded(request: &HttpRequest, payload: Payload, shared: &Shared) -> Result<(), Problem> {
    let bytes = body::read(request, payload, ContentType::Optional, &shared.settings).await?;
    if bytes.is_empty() {
        return Err(Problem::empty_body(RECORD_EXAMPLE));
    }
    let Record { version, score, metric, key } = body::parse(&bytes)?;
    let missing = |field| {
        Problem::field(format!("{field} is missing; send JSON, for example {RECORD_EXAMPLE}"))
    };
    let track = track(&version.ok_or_else(|| missing("version"))?)?;
    let score = score.ok_or_else(|| missing("score"))?;
    let metric = metric_name(metric)?;
    check_key("key", key.as_deref())?;
    // As in a prediction, an empty key means no key.
    let key = key.as_deref().filter(|key| !key.is_empty());
    shared.service.recordings().record(track, metric, score, key)?;
    Ok(())
}

/// `GET /status`
pub async fn status(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    respond(&request, json(&shared.service.recordings().counts(), None))
}

/// `POST /reset`
pub async fn reset(request: HttpRequest, payload: Payload, shared: Data<Shared>) -> HttpResponse {
    let outcome = cleared(&request, payload, &shared).await;
    respond(&request, outcome.and_then(|()| json(&json!({ "status": "cleared" }), None)))
}

async fn cleared(request: &HttpRequest, payload: Payload, shared: &Shared) -> Result<(), Problem> {
    // Browsers send a bodiless POST cross-site without a preflight, and this one deletes.
    access::same_site(request.headers())?;
    let bytes = body::read(request, payload, ContentType::Optional, &shared.settings).await?;
    let Nothing {} = body::parse_or_default(&bytes)?;
    shared.service.recordings().clear();
    Ok(())
}

fn track(version: &str) -> Result<Track, Problem> {
    match version {
        "baseline" | "stable" => Ok(Track::Stable),
        "canary" => Ok(Track::Canary),
        other => Err(Problem::field(format!(
            "version: {other:?} is not a version; use \"baseline\" (or its synonym \"stable\") or \
             \"canary\""
        ))),
    }
}

fn metric_name(given: Option<String>) -> Result<MetricName, Problem> {
    Ok(MetricName::new(given.as_deref().unwrap_or(DEFAULT_METRIC))?)
}

fn version<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    fields::text(from, "version").map(Some)
}

fn score<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    fields::number(from, "score").map(Some)
}

fn key<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    fields::text(from, "key").map(Some)
}

fn metric<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    fields::text(from, "metric").map(Some)
}
