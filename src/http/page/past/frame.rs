//! What is around the content of a page of the past.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::http::page::assets;

/// What is around the content of a page.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Leads to the root of the server.
    pub(super) root: &'static str,
    pub(super) is_list: bool,
    /// Whether everything is in the page, which is written to a file.
    pub(super) is_file: bool,
    /// The time of the page.
    pub(super) written: String,
}

impl Frame {
    pub(super) fn assets(&self) -> &'static str {
        assets::digest()
    }

    pub(super) fn style(&self) -> &'static str {
        assets::STYLE
    }

    pub(super) fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// `27 Nov 2026, 14:07:12 UTC`.
pub(super) fn full(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%-d %b %Y, %H:%M:%S UTC").to_string()
}
