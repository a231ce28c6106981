//! What else to know, a sentence each.

use askama::Template;

/// What else to know.
#[derive(Debug, Template)]
#[template(path = "notes.html")]
pub(super) struct Notes {
    pub(super) notes: Vec<String>,
    pub(super) revision: u64,
}
