//! The timeline: what happened, newest first.

use askama::Template;

use crate::service::status::history::HistoryEntry;
use crate::service::status::report::words::Times;

/// What happened, newest first.
#[derive(Debug, Template)]
#[template(path = "timeline.html")]
pub(crate) struct Timeline {
    /// Time and sentence.
    entries: Vec<(String, String)>,
}

impl Timeline {
    /// Of these entries, oldest first.
    pub(crate) fn new(entries: &[HistoryEntry], times: &Times) -> Timeline {
        let entries = entries.iter().rev();
        let line = |it: &HistoryEntry| (times.time(it.entry.at), it.sentence.clone());
        Timeline { entries: entries.map(line).collect() }
    }
}
