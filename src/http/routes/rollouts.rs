//! Rollouts of the past as JSON. The page in a browser shows the same.

use super::admin::page;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::answer::with_json;
use crate::http::answer::written;
use crate::http::past;
use crate::http::query::Fields;
use crate::http::shared::Asker;
use crate::service::status::past::PastRollout;
use crate::service::status::past::Rollouts;

/// All rollouts, the newest first.
#[utoipa::path(
    get,
    path = "/admin/rollouts",
    tag = "rollout",
    operation_id = "rollouts",
    params(
        ("limit" = Option<usize>, Query, minimum = 0, maximum = 1000, description = "Maximum number of rollouts; 100 by default"),
        ("before" = Option<u64>, Query, minimum = 0, description = "The rollout before which to begin; without it, with the newest"),
    ),
    responses((status = 200, description = "Each with its model, outcome, largest share, requests and reason", body = Rollouts)),
)]
pub async fn rollouts(call: Call) -> Answer {
    let fields = Fields::of(call.request.query_string(), &["limit", "before"])?;
    let limit = page(&fields)?;
    let before = fields.whole("before")?;
    let _turn = call.shared.documents.acquire().await;
    json(&call.ask(move |service| service.rollouts(before, limit)).await?)
}

/// One rollout as it ended, or as it is.
///
/// With `recompute`, its verdicts are recomputed from the stored ticks; with other margins, `what_if` says what the
/// sequential judge would have said and when. Both read all stored ticks, one request at a time. After 30 seconds the
/// server ends it (`replay_stopped`); `serin replay` has no limit.
#[utoipa::path(
    get,
    path = "/admin/rollouts/{id}",
    tag = "rollout",
    operation_id = "rollout",
    params(
        ("id" = String, Path, description = "Its number, or `latest`"),
        ("recompute" = Option<bool>, Query, description = "Whether to recompute its verdicts"),
        ("metric" = Option<String>, Query, description = "The metric of `tolerated` and `accepted`; latency by default"),
        ("tolerated" = Option<String>, Query, description = "Another tolerated difference in percent, such as `5%`"),
        ("accepted" = Option<String>, Query, description = "Another accepted difference in percent, such as `10%`"),
        ("alpha" = Option<f64>, Query, exclusive_minimum = 0, exclusive_maximum = 1, description = "Another probability of a false rollback"),
        ("min_samples" = Option<u64>, Query, minimum = 2, description = "How many samples each metric needs"),
    ),
    responses((status = 200, description = "Its report, policy and entries of the journal", body = PastRollout)),
)]
pub async fn rollout(call: Call) -> Answer {
    let fields = Fields::of(call.request.query_string(), &past::FIELDS)?.of_form();
    let question = past::question(&call, &fields)?;
    Ok(with_json(past::answered(&call, Asker::Admin, question, |past| written(&past)).await?))
}
