//! The answer of `/admin/history`.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::Entry;

/// Journal entries in order.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// The entries.
    pub entries: Vec<HistoryEntry>,
}

/// A journal entry and its sentence.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
    /// What happened, with the numbers.
    pub sentence: String,
}

impl History {
    /// These entries with their sentences.
    pub fn new(entries: Vec<Entry>) -> History {
        History { entries: entries.into_iter().map(HistoryEntry::from).collect() }
    }
}

impl From<Entry> for HistoryEntry {
    fn from(entry: Entry) -> HistoryEntry {
        HistoryEntry { sentence: entry.event.sentence(), entry }
    }
}
