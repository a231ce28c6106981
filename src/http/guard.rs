//! Middleware that protects `/admin`.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceRequest;
use actix_web::dev::ServiceResponse;
use actix_web::middleware::Next;
use actix_web::web::Data;

use super::access::Access;
use super::shared::Shared;

/// Passes an allowed request on, and answers any other with a problem.
///
/// # Errors
/// Those of the handlers behind it.
pub async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let shared = request.app_data::<Data<Shared>>();
    let access = shared.map_or(&Access::Closed, |shared| &shared.settings.access);
    match access.check(request.headers()) {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(problem) => {
            let response = problem.response(request.path());
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}
