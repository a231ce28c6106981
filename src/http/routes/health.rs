//! `GET /livez`, `GET /readyz`: probes of an orchestrator.

use actix_web::HttpResponse;

use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::protocols::model::check_ready;

/// Whether the process runs.
pub async fn livez(_: Call) -> Answer {
    ok()
}

/// Whether the server takes requests.
pub async fn readyz(call: Call) -> Answer {
    check_ready(&call.shared)?;
    ok()
}

fn ok() -> Answer {
    Ok(HttpResponse::Ok().content_type("text/plain").body("ok\n"))
}
