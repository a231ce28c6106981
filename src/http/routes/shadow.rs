//! Shadow traffic: the largest disagreements, and a replay of recent requests.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Payload;
use serde::Serialize;

use crate::http::answer::ask;
use crate::http::answer::blocking;
use crate::http::answer::json;
use crate::http::answer::respond;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::http::reading::body::ContentType;
use crate::http::reading::body::Nothing;
use crate::http::shared::Shared;
use crate::service::serving::shadow::disagreements::Disagreement;
use crate::service::serving::shadow::queue::ReplayedRecent;

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
pub async fn disagreements(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    ask(
        request,
        shared,
        |service| {
            let (rollout, disagreements) = service.serving.shadow.disagreements();
            Ok(Disagreements {
                rollout,
                disagreements,
                redacted: service.serving.shadow.redacted().to_vec(),
            })
        },
        |_| None,
    )
    .await
}

/// `POST /admin/replay-recent`
pub async fn replay_recent(
    request: HttpRequest,
    payload: Payload,
    shared: Data<Shared>,
) -> HttpResponse {
    let outcome = replayed(&request, payload, shared).await;
    respond(&request, outcome.and_then(|answer| json(&answer, None)))
}

async fn replayed(
    request: &HttpRequest,
    payload: Payload,
    shared: Data<Shared>,
) -> Result<ReplayedRecent, Problem> {
    let bytes = body::read(request, payload, ContentType::Required, &shared.settings).await?;
    let Nothing {} = body::parse_or_default(&bytes)?;
    let service = shared.service.clone();
    blocking(move || Ok(service.serving.replay_recent()?)).await
}
