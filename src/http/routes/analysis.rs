//! `POST /record`, `GET /status`, `POST /reset`: values measured elsewhere.
//!
//! `/status` is as open as `/predict`; the other two need the admin token if there is one.

use serde::Deserialize;
use serde_json::json;

use crate::canary::MetricName;
use crate::canary::Track;
use crate::http::access;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::http::reading::body::Nothing;
use crate::http::reading::fields::check_key;
use crate::http::reading::fields::given;

/// The body of `/record`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    #[serde(default, deserialize_with = "given")]
    version: Option<String>,
    #[serde(default, deserialize_with = "given")]
    score: Option<f64>,
    #[serde(default, deserialize_with = "given")]
    metric: Option<String>,
    #[serde(default, deserialize_with = "given")]
    key: Option<String>,
}

/// The default metric.
const DEFAULT_METRIC: &str = "score";

const EXAMPLE: &str = r#"{"version": "canary", "score": 0.87}"#;

/// `POST /record`
pub async fn record(call: Call) -> Answer {
    let Record { version, score, metric, key } = body::parse(&call.body, EXAMPLE)?;
    let missing = |field| Problem::missing(field, EXAMPLE);
    let track = track(&version.ok_or_else(|| missing("version"))?)?;
    let score = score.ok_or_else(|| missing("score"))?;
    let metric = metric_name(metric.as_deref())?;
    check_key("key", key.as_deref())?;
    // As in a prediction, an empty key means no key.
    let key = key.as_deref().filter(|key| !key.is_empty());
    call.shared.service.recordings().record(track, metric, score, key)?;
    json(&json!({ "status": "recorded" }))
}

/// `GET /status`
pub async fn status(call: Call) -> Answer {
    json(&call.shared.service.recordings().counts())
}

/// `POST /reset`
pub async fn reset(call: Call) -> Answer {
    // Browsers send a bodiless POST cross-site without a preflight, and this one deletes.
    access::same_site(call.request.headers())?;
    let Nothing {} = body::parse_or_default(&call.body)?;
    call.shared.service.recordings().clear();
    json(&json!({ "status": "cleared" }))
}

fn track(version: &str) -> Result<Track, Problem> {
    match version {
        "baseline" | "stable" => Ok(Track::Stable),
        "canary" => Ok(Track::Canary),
        other => Err(Problem::field(format_args!(
            "version: {other:?} is not a version; use \"baseline\" (or its synonym \"stable\") or \
             \"canary\""
        ))),
    }
}

/// The metric of this name, or the default one.
pub(super) fn metric_name(given: Option<&str>) -> Result<MetricName, Problem> {
    MetricName::new(given.unwrap_or(DEFAULT_METRIC)).map_err(Problem::field)
}
