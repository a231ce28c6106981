//! A row to send.

use serde_json::Value as Json;

/// What a request asks for.
pub(super) struct Row {
    /// Values by name.
    pub(super) features: Json,
    /// What really happened, as `/feedback` takes it.
    pub(super) outcome: Option<Json>,
}
