//! Shadow traffic: the largest disagreements, and a replay of recent requests.

use serde::Serialize;

use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::http::reading::body::Nothing;
use crate::service::serving::shadow::disagreements::Disagreement;

/// The answer of `disagreements`.
#[derive(Serialize)]
struct Disagreements {
    /// Their rollout; `null` if no rollout has shadow traffic.
    rollout: Option<u64>,
    /// Largest difference first.
    disagreements: Vec<Disagreement>,
    /// Features left out of the report.
    redacted: Vec<String>,
}

/// `GET /admin/disagreements`
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

/// `POST /admin/replay-recent`
pub async fn replay_recent(call: Call) -> Answer {
    let Nothing {} = body::parse_or_default(&call.body)?;
    json(&call.ask(|service| service.serving.replay_recent()).await?)
}
