//! `GET /livez`, `GET /readyz`: probes of an orchestrator.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::http::problem::Problem;
use crate::http::shared::Shared;

/// Whether the process runs.
pub async fn livez() -> HttpResponse {
    ok()
}

/// Whether the server takes requests: until it shuts down, since a stable model is loaded before it
/// listens.
pub async fn readyz(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    if shared.service.serving.is_ready() {
        ok()
    } else {
        Problem::draining().response(request.path())
    }
}

fn ok() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}
