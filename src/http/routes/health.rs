//! `GET /livez`, `GET /readyz`: probes of an orchestrator.

use actix_web::HttpResponse;

use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::problem::Kind;
use crate::http::problem::Problem;

/// Whether the process runs.
pub async fn livez(_: Call) -> Answer {
    ok()
}

/// Whether the server takes requests: until it shuts down, since a stable model is loaded before it
/// listens.
pub async fn readyz(call: Call) -> Answer {
    if call.shared.service.serving.is_ready() {
        return ok();
    }
    let detail = "this server is shutting down; send the request to another one";
    Err(Problem::new(Kind::Draining, detail))
}

fn ok() -> Answer {
    Ok(HttpResponse::Ok().content_type("text/plain").body("ok\n"))
}
