//! `POST /record`, `GET /status`, `POST /reset`: values measured elsewhere.
//!
//! `/status` is as open as `/predict`; the other two need the admin token if there is one.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

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
use crate::service::reported::recordings::RecordedCounts;

/// A value.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Record {
    /// `baseline` (or `stable`) or `canary`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = MeasuredVersion, required = true)]
    version: Option<String>,
    /// The value.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = f64, required = true, minimum = -1e144, maximum = 1e144)]
    score: Option<f64>,
    /// What it measures; `score` by default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = MetricName, required = false)]
    metric: Option<String>,
    /// The user or session. Of each key the judge takes only the first value.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, max_length = 256)]
    key: Option<String>,
}

/// Which version was measured.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only describes a field")]
enum MeasuredVersion {
    Baseline,
    Stable,
    Canary,
}

/// That it is done.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordingDone)]
struct Done {
    /// `recorded` or `cleared`.
    status: &'static str,
}

/// The default metric.
const DEFAULT_METRIC: &str = "score";

const EXAMPLE: &str = r#"{"version": "canary", "score": 0.87}"#;

/// Records a value measured elsewhere.
#[utoipa::path(
    post,
    path = "/record",
    tag = "measured elsewhere",
    operation_id = "record",
    request_body = Record,
    responses((status = 200, description = "It is recorded", body = Done)),
)]
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
    json(&Done { status: "recorded" })
}

/// How many values are recorded.
#[utoipa::path(
    get,
    path = "/status",
    tag = "measured elsewhere",
    operation_id = "recorded",
    responses((status = 200, description = "Counts by track and metric", body = RecordedCounts)),
)]
pub async fn status(call: Call) -> Answer {
    json(&call.shared.service.recordings().counts())
}

/// Deletes all recorded values.
#[utoipa::path(
    post,
    path = "/reset",
    tag = "measured elsewhere",
    operation_id = "reset",
    request_body = Option<Nothing>,
    responses((status = 200, description = "They are deleted", body = Done)),
)]
pub async fn reset(call: Call) -> Answer {
    // Browsers send a bodiless POST cross-site without a preflight, and this one deletes.
    access::same_site(call.request.headers())?;
    let Nothing {} = body::parse_or_default(&call.body)?;
    call.shared.service.recordings().clear();
    json(&Done { status: "cleared" })
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
