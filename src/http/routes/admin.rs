//! Reports under `/admin`: health, status, models and history. None of them changes anything.

use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::judge::sequential::metric_history::MetricHistory;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::answer::json_at;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::query::Fields;
use crate::service::Service;
use crate::service::control::registry::listed::Listed;
use crate::service::status::health::Health;
use crate::service::status::history::History;
use crate::service::status::report::Reported;

/// The answer of `models`.
#[derive(Serialize, ToSchema)]
struct Models {
    /// The version that is stable, with its inputs of training.
    stable: Listed,
    /// By path.
    models: Vec<Listed>,
}

const DEFAULT_PAGE: u64 = 100;
const MAX_PAGE: u64 = 1000;

/// How the canary is doing.
///
/// The fixed-horizon tests on everything observed since the step began, and what the sequential judge concludes.
#[utoipa::path(
    get,
    path = "/admin/check-canary-health",
    tag = "rollout",
    operation_id = "check_canary_health",
    responses((status = 200, description = "The health check, also without a canary", body = Health)),
)]
pub async fn health(call: Call) -> Answer {
    let health = |service: &Service| {
        service.control.follow_answered_commands();
        service.health()
    };
    json(&call.ask(health).await?)
}

/// Everything at a glance.
#[utoipa::path(
    get,
    path = "/admin/status",
    tag = "rollout",
    operation_id = "status",
    responses((status = 200, description = "The status, with a report in words", body = Reported, headers(("ETag" = String, description = "The revision, for `If-Match`")))),
)]
pub async fn status(call: Call) -> Answer {
    let reported = |service: &Service| {
        service.control.follow_answered_commands();
        Ok::<_, Problem>(Reported::from(service.status()))
    };
    let reported = call.ask(reported).await?;
    json_at(reported.status.revision, &reported)
}

/// The files of the models folder.
#[utoipa::path(
    get,
    path = "/admin/models",
    tag = "rollout",
    operation_id = "models",
    responses((status = 200, description = "Each file with its card, or why it is not a model", body = Models)),
)]
pub async fn models(call: Call) -> Answer {
    let listed = |service: &Service| {
        let stable = Listed::from(&*service.serving.live.load().stable);
        Ok::<_, Problem>(Models { stable, models: service.control.registry().list() })
    };
    json(&call.ask(listed).await?)
}

/// The journal: what happened, and why.
#[utoipa::path(
    get,
    path = "/admin/history",
    tag = "rollout",
    operation_id = "history",
    params(
        ("limit" = Option<usize>, Query, minimum = 0, maximum = 1000, description = "Maximum number of entries; 100 by default"),
        ("after" = Option<u64>, Query, minimum = 0, description = "The revision after which to begin"),
    ),
    responses((status = 200, description = "The newest entries, or those after `after`, oldest first", body = History)),
)]
pub async fn history(call: Call) -> Answer {
    let fields = Fields::of(call.request.query_string(), &["limit", "after"])?;
    let limit = page(&fields)?;
    let after = fields.whole("after")?;
    let history = call.ask(move |service| {
        let entries = match after {
            Some(after) => service.history(after, limit),
            None => service.newest_history(limit),
        };
        entries.map(History::new)
    });
    json(&history.await?)
}

/// How the interval of a metric has narrowed since the rollout began.
///
/// At most 200 moments of the judged rollout, one metric a call. Once after a restart this reads the tick log.
#[utoipa::path(
    get,
    path = "/admin/metric-history",
    tag = "rollout",
    operation_id = "metric_history",
    params(("metric" = String, Query, description = "The name of the metric, for example `latency`")),
    responses((status = 200, description = "Its moments, oldest first", body = MetricHistory)),
)]
pub async fn metric_history(call: Call) -> Answer {
    let fields = Fields::of(call.request.query_string(), &["metric"])?;
    let metric = fields.text("metric").ok_or_else(|| {
        Problem::new(Kind::InvalidQuery, "the query names no metric; ask for ?metric=latency")
    })?;
    let metric = metric.to_owned();
    json(&call.ask(move |service| service.control.metric_history(&metric)).await?)
}

/// The most entries that are asked for.
pub(super) fn page(fields: &Fields) -> Result<usize, Problem> {
    let limit = fields.whole("limit")?.unwrap_or(DEFAULT_PAGE);
    if limit > MAX_PAGE {
        let detail = format!("limit: {limit} is out of range; use 0 to {MAX_PAGE}");
        return Err(Problem::new(Kind::InvalidQuery, detail));
    }
    Ok(limit as usize)
}
