//! Settings of the HTTP server.

use std::time::Duration;

use super::access::Access;
use super::reading::headers::RequestHeaders;

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
    /// Whether `/record`, `/feedback` and `/reset` need no token.
    pub open_reports: bool,
    /// Which headers of a prediction are read.
    pub request_headers: RequestHeaders,
}
