//! What protects `/admin`, reports, metrics and the verdict.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceRequest;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::HeaderMap;
use actix_web::middleware::Next;

use super::access::log_refused;
use super::answer::refused;
use super::answer::shared_of;
use super::problem::Problem;
use super::settings::Settings;

/// Protects `/admin`: passes an allowed request on, and answers any other with a problem.
///
/// # Errors
/// Those of the handlers behind it.
pub async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let shared = shared_of(request.request())?;
    let Err(problem) = shared.settings.access.check(request.headers()) else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let (request, payload) = request.into_parts();
    log_refused(shared.service.serving.clock.steady(), &request, &problem);
    let response = problem.response(request.path());
    let response = refused(&request, payload, &shared, response).await;
    Ok(ServiceResponse::new(request, response).map_into_right_body())
}

/// Protects `/record`, `/feedback` and `/reset`.
///
/// # Errors
/// When the request lacks the token.
pub fn report(settings: &Settings, headers: &HeaderMap) -> Result<(), Problem> {
    match settings.open_reports {
        true => Ok(()),
        false => settings.access.check_report(headers),
    }
}

/// Protects `/metrics`.
///
/// # Errors
/// As [`report`].
pub fn metrics(settings: &Settings, headers: &HeaderMap) -> Result<(), Problem> {
    settings.access.check_metrics(headers, settings.metrics_token.as_ref())
}

/// Protects `/verdict`.
///
/// # Errors
/// As [`report`].
pub fn gate(settings: &Settings, headers: &HeaderMap) -> Result<(), Problem> {
    settings.access.check_gate(headers, None, settings.metrics_token.as_ref())
}
