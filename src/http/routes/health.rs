//! `GET /livez`, `GET /readyz`: probes of an orchestrator.

use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::text;
use crate::http::protocols::model::check_ready;

/// Whether the process runs.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "operations",
    operation_id = "livez",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")),
)]
pub async fn livez(_: Call) -> Answer {
    text("ok\n")
}

/// Whether the server takes requests.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    operation_id = "readyz",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")),
)]
pub async fn readyz(call: Call) -> Answer {
    check_ready(&call.shared)?;
    // Without its store it serves on. If it left, all replicas of a database would leave at once.
    match call.shared.service.control.store_lost.lock().is_some() {
        true => text("degraded: nothing can be saved, see /admin/status\n"),
        false => text("ok\n"),
    }
}
