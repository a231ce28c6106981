//! How a request was answered, for its log line and its span.

use super::evaluation::Evaluation;

/// How a request was answered.
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "some of it is for the export only"))]
pub(super) struct Outcome<'a> {
    pub(super) method: &'static str,
    /// The template of the route; `None` if there is no such route.
    pub(super) route: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) status: u16,
    pub(super) is_server_error: bool,
    pub(super) request_id: Option<&'a str>,
    pub(super) model: &'a str,
    pub(super) evaluation: Option<Evaluation>,
}

/// Who evaluates the flag.
pub(super) const PROVIDER: &str = "serin";
