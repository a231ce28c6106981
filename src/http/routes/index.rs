//! `GET /`: what this server is, and its routes.

use serde_json::json;

use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;

/// Every route with its method.
pub const ROUTES: &[&str] = &[
    "POST /predict",
    "POST /feedback",
    "POST /record",
    "POST /analyze",
    "GET /status",
    "POST /reset",
    "GET /livez",
    "GET /readyz",
    "GET /metrics",
    "GET /v1/models",
    "GET /v1/models/{model}",
    "POST /v1/models/{model}:predict",
    "POST /invocations",
    "GET /ping",
    "GET /health",
    "GET /version",
    "GET /v2",
    "GET /v2/health/live",
    "GET /v2/health/ready",
    "GET /v2/models",
    "GET /v2/models/{model}",
    "GET /v2/models/{model}/ready",
    "POST /v2/models/{model}/infer",
    "GET /v2/models/{model}/versions",
    "GET /v2/models/{model}/versions/{version}",
    "GET /v2/models/{model}/versions/{version}/ready",
    "POST /v2/models/{model}/versions/{version}/infer",
    "POST /v2/repository/index",
    "POST /v2/repository/models/{version}/load",
    "POST /v2/repository/models/{version}/unload",
    "GET /admin/status",
    "GET /admin/check-canary-health",
    "GET /admin/models",
    "GET /admin/history",
    "GET /admin/disagreements",
    "POST /admin/deploy-canary",
    "POST /admin/promote-canary",
    "POST /admin/rollback-canary",
    "POST /admin/revert",
    "POST /admin/pause-canary",
    "POST /admin/resume-canary",
    "POST /admin/set-traffic",
    "POST /admin/inject",
    "POST /admin/toggle-slowdown",
    "POST /admin/replay-recent",
];

/// Lists the routes.
pub async fn index(_: Call) -> Answer {
    json(&json!({ "name": "serin", "version": env!("CARGO_PKG_VERSION"), "routes": ROUTES }))
}
