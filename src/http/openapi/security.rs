//! Which routes need the token.

use serde_json::Value;
use serde_json::json;

use super::operations::operations;
use crate::http::access::Access;
use crate::http::settings::Settings;

/// Adds the token to the routes that need it. On a server without one, none does.
pub(super) fn add(document: &mut Value, settings: &Settings) {
    let has_token = matches!(settings.access, Access::Token(_));
    if !has_token && settings.metrics_token.is_none() {
        return;
    }
    document["components"]["securitySchemes"] =
        json!({ "token": { "type": "http", "scheme": "bearer" } });
    for (_, path, operation) in operations(document) {
        let is_closed = match path {
            "/metrics" => settings.metrics_token.is_some(),
            "/verdict" => has_token,
            "/record" | "/feedback" | "/reset" => has_token && !settings.open_reports,
            _ => has_token && (path.starts_with("/admin/") || path.starts_with("/v2/repository/")),
        };
        if is_closed {
            operation["security"] = json!([{ "token": [] }]);
        }
    }
}
