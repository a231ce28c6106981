//! `GET /livez`, `GET /readyz`: probes of an orchestrator.

use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::text;
use crate::http::protocols::model::check_ready;

/// Whether the process runs.
pub async fn livez(_: Call) -> Answer {
    text("ok\n")
}

/// Whether the server takes requests.
pub async fn readyz(call: Call) -> Answer {
    check_ready(&call.shared)?;
    text("ok\n")
}
