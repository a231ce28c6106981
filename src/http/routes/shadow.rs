//! Shadow traffic: the largest disagreements, and a replay of recent requests.

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::http::reading::body::Nothing;
use crate::service::serving::shadow::disagreements::Disagreement;
use crate::service::serving::shadow::queue::ReplayedRecent;

/// The answer of `disagreements`.
#[derive(Serialize, ToSchema)]
struct Disagreements {
    /// Their rollout; `null` if no rollout has shadow traffic.
    rollout: Option<u64>,
    /// Largest difference first.
    disagreements: Vec<Disagreement>,
    /// Features left out of the report.
    redacted: Vec<String>,
}

/// The requests on which the versions differ most in shadow.
#[utoipa::path(
    get,
    path = "/admin/disagreements",
    tag = "rollout",
    operation_id = "disagreements",
    responses((status = 200, description = "Up to 20 requests, largest difference first", body = Disagreements)),
)]
pub async fn disagreements(call: Call) -> Answer {
    let answer = call.ask(|service| {
        let shadow = &service.serving.shadow;
        let (rollout, disagreements) = shadow.disagreements();
        Ok::<_, Problem>(Disagreements {
            rollout,
            disagreements,
            redacted: shadow.redacted().to_vec(),
        })
    });
    json(&answer.await?)
}

/// Lets both versions answer the recent requests once more, in shadow.
#[utoipa::path(
    post,
    path = "/admin/replay-recent",
    tag = "rollout",
    operation_id = "replay_recent",
    request_body = Option<Nothing>,
    responses((status = 200, description = "How many requests are answered in the background", body = ReplayedRecent)),
)]
pub async fn replay_recent(call: Call) -> Answer {
    let Nothing {} = body::parse_or_default(&call.body)?;
    json(&call.ask(|service| service.serving.replay_recent()).await?)
}
