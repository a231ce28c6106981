//! `POST /record`, `POST /analyze`, `GET /status`, `POST /reset`: numbers measured elsewhere.
//!
//! Nothing here changes what users get: an analysis advises whoever asks. These routes are open to
//! whoever may predict.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Payload;
use serde::Deserialize;
use serde::Deserializer;
use serde_json::json;

use crate::canary::Analysis;
use crate::canary::MetricName;
use crate::canary::Track;
use crate::canary::judge::two_samples::AnalysisOptions;
use crate::canary::judge::two_samples::GivenOptions;
use crate::canary::judge::two_samples::Sample;
use crate::http::access;
use crate::http::answer::blocking;
use crate::http::answer::json;
use crate::http::answer::respond;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::http::reading::body::ContentType;
use crate::http::reading::body::Nothing;
use crate::http::reading::fields;
use crate::http::reading::fields::check_key;
use crate::http::shared::Shared;
use crate::service::Service;
use crate::service::reported::analysis::analyzed;

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

/// The body of `/analyze`; without one, the recorded scores are compared.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Analyze {
    #[serde(default, alias = "stable", deserialize_with = "baseline")]
    baseline: Option<Vec<f64>>,
    #[serde(default, deserialize_with = "canary")]
    canary: Option<Vec<f64>>,
    #[serde(default, deserialize_with = "metric")]
    metric: Option<String>,
    #[serde(default, deserialize_with = "p_threshold")]
    p_threshold: Option<f64>,
    #[serde(default, deserialize_with = "effect_threshold")]
    effect_threshold: Option<f64>,
    #[serde(default, deserialize_with = "min_samples")]
    min_samples: Option<f64>,
    #[serde(default, deserialize_with = "higher_is_better")]
    higher_is_better: Option<bool>,
}

/// The metric that is meant when none is named.
const RECORDED_BY_DEFAULT: &str = "score";

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
    let missing =
        |field| Problem::field(format!("{field} is missing; send JSON like {RECORD_EXAMPLE}"));
    let track = track(&version.ok_or_else(|| missing("version"))?)?;
    let score = score.ok_or_else(|| missing("score"))?;
    let metric = metric_name(metric)?;
    check_key("key", key.as_deref())?;
    // As in a prediction, no key is no key.
    let key = key.as_deref().filter(|key| !key.is_empty());
    shared.service.recordings().record(track, metric, score, key)?;
    Ok(())
}

/// `POST /analyze`
pub async fn analyze(request: HttpRequest, payload: Payload, shared: Data<Shared>) -> HttpResponse {
    let outcome = compared(&request, payload, &shared).await;
    respond(&request, outcome.and_then(|analysis| json(&analysis, None)))
}

async fn compared(
    request: &HttpRequest,
    payload: Payload,
    shared: &Shared,
) -> Result<Analysis, Problem> {
    let bytes = body::read(request, payload, ContentType::Optional, &shared.settings).await?;
    let permit = shared.analyses.permit().await?;
    let service = shared.service.clone();
    blocking(move || {
        // Given back only when the work is done, even if the client has gone by then.
        let _permit = permit;
        answered(&service, body::parse_or_default(&bytes)?)
    })
    .await
}

fn answered(service: &Service, asked: Analyze) -> Result<Analysis, Problem> {
    let options = AnalysisOptions::checked(GivenOptions {
        p_threshold: asked.p_threshold,
        effect_threshold: asked.effect_threshold,
        min_samples: asked.min_samples.map(whole).transpose()?,
        higher_is_better: asked.higher_is_better,
    })?;
    match (asked.baseline, asked.canary) {
        (None, None) => Ok(service.analyzed_recordings(&metric_name(asked.metric)?, options)),
        (Some(_), Some(_)) if asked.metric.is_some() => Err(Problem::field(
            "metric names recorded values, and baseline and canary are values; give one or the other",
        )),
        (Some(baseline), Some(canary)) => {
            let (baseline, canary) = (sample("baseline", &baseline)?, sample("canary", &canary)?);
            Ok(analyzed(&baseline, &canary, options))
        }
        (Some(_), None) => Err(without_its_pair("canary")),
        (None, Some(_)) => Err(without_its_pair("baseline")),
    }
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
    // A browser sends a request without a body to any site without asking, and this one deletes.
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
            "version = {other:?} is none; give \"baseline\" (or \"stable\", which means the same) \
             or \"canary\""
        ))),
    }
}

fn metric_name(given: Option<String>) -> Result<MetricName, Problem> {
    Ok(MetricName::new(given.as_deref().unwrap_or(RECORDED_BY_DEFAULT))?)
}

fn sample(field: &str, values: &[f64]) -> Result<Sample, Problem> {
    if values.is_empty() {
        return Err(Problem::field(format!(
            "{field} has no values; give at least one, or leave out baseline and canary to compare \
             what was recorded"
        )));
    }
    Sample::of(values).map_err(|cause| Problem::field(format!("{field}: {cause}")))
}

fn without_its_pair(missing: &str) -> Problem {
    Problem::field(format!(
        "{missing} is missing; give both arrays, or neither to compare what was recorded"
    ))
}

/// JSON knows no whole numbers.
fn whole(min_samples: f64) -> Result<u64, Problem> {
    // 2^53: up to here every whole number is one of its own.
    let possible = (0.0..9_007_199_254_740_992.0).contains(&min_samples);
    if possible && min_samples.fract() == 0.0 {
        return Ok(min_samples as u64);
    }
    Err(Problem::field(format!(
        "min_samples = {min_samples} is out of range; give a whole number of 2 or more, such as 30"
    )))
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

fn baseline<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<f64>>, D::Error> {
    fields::numbers(from, "baseline").map(Some)
}

fn canary<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<f64>>, D::Error> {
    fields::numbers(from, "canary").map(Some)
}

fn p_threshold<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    fields::number(from, "p_threshold").map(Some)
}

fn effect_threshold<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    fields::number(from, "effect_threshold").map(Some)
}

fn min_samples<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    fields::number(from, "min_samples").map(Some)
}

fn higher_is_better<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    fields::flag(from, "higher_is_better").map(Some)
}
