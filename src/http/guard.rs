//! Middleware that protects `/admin`, reports, metrics and the verdict.

use actix_web::Error;
use actix_web::HttpRequest;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceRequest;
use actix_web::dev::ServiceResponse;
use actix_web::error::ErrorInternalServerError;
use actix_web::http::header::HeaderMap;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::web::Payload;

use super::answer::last_if_draining;
use super::answer::last_unless;
use super::problem::Problem;
use super::reading::body;
use super::settings::Settings;
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
    guarded(request, next, |settings, headers| settings.access.check(headers)).await
}

/// Protects `/record`, `/feedback` and `/reset` likewise.
///
/// # Errors
/// Those of the handlers behind it.
pub async fn guard_report<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    guarded(request, next, |settings, headers| match settings.open_reports {
        true => Ok(()),
        false => settings.access.check_report(headers),
    })
    .await
}

/// Protects `/metrics` likewise.
///
/// # Errors
/// Those of the handlers behind it.
pub async fn guard_metrics<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let check = |settings: &Settings, headers: &HeaderMap| {
        settings.access.check_metrics(headers, settings.metrics_token.as_ref())
    };
    guarded(request, next, check).await
}

/// Protects `/verdict` likewise.
///
/// # Errors
/// Those of the handlers behind it.
pub async fn guard_gate<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let check = |settings: &Settings, headers: &HeaderMap| {
        settings.access.check_gate(headers, None, settings.metrics_token.as_ref())
    };
    guarded(request, next, check).await
}

/// Wrong tokens are logged, but cannot fill the log.
static REFUSED: LogLimit = LogLimit::new();

/// Logs that a request was refused.
pub(super) fn log_refused(shared: &Shared, request: &HttpRequest, problem: &Problem) {
    if let Some(count) = REFUSED.due(shared.service.serving.clock.steady()) {
        let peer = request.peer_addr().map(|peer| peer.to_string());
        let (path, peer) = (request.path(), peer.as_deref());
        tracing::warn!(count, path, peer, "refused: {problem}");
    }
}

async fn guarded<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
    check: fn(&Settings, &HeaderMap) -> Result<(), Problem>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let Some(shared) = request.app_data::<Data<Shared>>().cloned() else {
        return Err(ErrorInternalServerError("no settings"));
    };
    let Err(problem) = check(&shared.settings, request.headers()) else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    log_refused(&shared, request.request(), &problem);
    let response = problem.response(request.path());
    let is_read = match request.extract::<Payload>().await {
        Ok(payload) => body::discard(request.request(), payload, &shared).await,
        Err(_) => false,
    };
    let response = last_if_draining(last_unless(is_read, response), &shared);
    Ok(request.into_response(response).map_into_right_body())
}
