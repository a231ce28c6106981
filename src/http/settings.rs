//! Settings of the HTTP server.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::access::Access;
use super::reading::headers::RequestHeaders;
use super::trace::Tracer;
use crate::model::schema::features::Unknown;

/// Settings of the HTTP server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Number of worker threads.
    pub workers: usize,
    /// Maximum number of connections per worker.
    pub connections: usize,
    /// Maximum size of a body, in bytes.
    pub body_limit: usize,
    /// How long a client may take to send its body.
    pub body_deadline: Duration,
    /// How long the server still takes requests at shutdown, while it is not ready.
    pub drain_delay: Duration,
    /// How long open requests may take to finish at shutdown.
    pub drain_deadline: Duration,
    /// Who may use `/admin`.
    pub access: Access,
    /// The hash of the token that `/metrics` requires; `None`: it is open.
    pub metrics_token: Option<blake3::Hash>,
    /// Whether `/record`, `/feedback` and `/reset` need no token.
    pub open_reports: bool,
    /// What happens to unknown fields of a prediction.
    pub unknown_fields: UnknownFields,
    /// Which headers of a prediction are read.
    pub request_headers: RequestHeaders,
    /// The name of the model in protocols that name one. Its versions have names of their own.
    pub model_name: String,
    /// A further route for predictions in the form of KServe v1, if a platform chooses it.
    pub predict_route: Option<String>,
    /// A further route for readiness.
    pub health_route: Option<String>,
    /// Where spans are exported to, if anywhere.
    pub tracer: Option<Tracer>,
}

/// What happens to a prediction with a field or a feature that is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownFields {
    /// It is refused: the name may be misspelled.
    #[default]
    #[serde(alias = "reject")]
    Refuse,
    /// It is answered as if the field were not there.
    Ignore,
}

impl From<UnknownFields> for Unknown {
    fn from(fields: UnknownFields) -> Unknown {
        match fields {
            UnknownFields::Refuse => Unknown::Kept,
            UnknownFields::Ignore => Unknown::Skipped,
        }
    }
}
