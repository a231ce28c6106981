//! Middleware that protects `/admin` and reports.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceRequest;
use actix_web::dev::ServiceResponse;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::web::Payload;

use super::access::Access;
use super::answer::last_if_draining;
use super::problem::Problem;
use super::reading::body;
use super::shared::Shared;
use crate::service::log_limit::LogLimit;

/// Protects `/admin`: passes an allowed request on, and answers any other with a problem.
///
/// # Errors
/// Those of the handlers behind it.
pub async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let shared = shared(&request);
    let access = shared.as_ref().map_or(&Access::Closed, |shared| &shared.settings.access);
    let checked = access.check(request.headers());
    answered(request, shared, checked, next).await
}

/// Protects `/record`, `/feedback` and `/reset` likewise.
///
/// # Errors
/// Those of the handlers behind it.
pub async fn guard_report<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let shared = shared(&request);
    let checked = match &shared {
        Some(shared) if !shared.settings.open_reports => {
            shared.settings.access.check_report(request.headers())
        }
        Some(_) | None => Ok(()),
    };
    answered(request, shared, checked, next).await
}

fn shared(request: &ServiceRequest) -> Option<Data<Shared>> {
    request.app_data::<Data<Shared>>().cloned()
}

/// Wrong tokens are logged, but cannot fill the log.
static REFUSED: LogLimit = LogLimit::new();

async fn answered<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    shared: Option<Data<Shared>>,
    checked: Result<(), Problem>,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let Err(problem) = checked else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let mut response = problem.response(request.path());
    if let Some(shared) = shared {
        if let Some(count) = REFUSED.due(shared.service.serving.clock.steady()) {
            let (path, peer) = (request.path(), request.peer_addr());
            tracing::warn!(count, path, ?peer, "refused: {problem}");
        }
        if let Ok(payload) = request.extract::<Payload>().await {
            body::discard(request.request(), payload, &shared).await;
        }
        response = last_if_draining(response, &shared);
    }
    Ok(request.into_response(response).map_into_right_body())
}
