//! What survives a restart: the journal, the newest samples of the running step, the evidence log that
//! verdicts are recomputed from, and the artifacts that stable and canary were loaded from.
//!
//! A store keeps; it decides nothing. The journal grows by compare-and-swap on its length, so that
//! of two writers who saw the same state only one succeeds. Calls block: the service makes them
//! away from the threads that answer predictions.

pub mod memory;

pub mod sqlite;

pub(crate) mod location;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

use crate::canary::Chunk;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::Labels;
use crate::canary::LogRecord;
use crate::canary::LoggedTick;
use crate::canary::Monitors;
use crate::canary::Pairs;
use crate::canary::Samples;
use crate::stats::sequential::SeenKeys;

pub use location::Location;
pub use location::LocationError;
pub use location::open;
pub use location::open_to_read;

/// Keeps what must survive a restart.
pub trait Store: Send + Sync {
    /// Up to `limit` journal entries with a sequence above `after`, in order.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// The sequence of the newest journal entry; 0 for an empty journal.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn newest_sequence(&self) -> Result<u64, StoreError>;

    /// Appends an event to a journal whose newest entry is `expected`, and returns once it would
    /// survive a loss of power.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the journal has moved on; nothing is written then.
    fn append(&self, expected: u64, at: Timestamp, event: &Event) -> Result<Entry, StoreError>;

    /// The newest checkpoint, if one was ever saved.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError>;

    /// Replaces the checkpoint, adds to the evidence log of its rollout what came since the last one,
    /// and to the labels that were taken its new ones, forgetting those of other rollouts. Either all of
    /// it is kept or none, so that they never disagree.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn save_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        grown: &[LogRecord],
    ) -> Result<(), StoreError>;

    /// The chunks of all evidence logs, in ascending order.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn chunks(&self) -> Result<Vec<Chunk>, StoreError>;

    /// The monitors that a chunk starts from, if it is kept.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn base(&self, chunk: Chunk) -> Result<Option<Monitors>, StoreError>;

    /// The ticks of a chunk, in order.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn ticks(&self, chunk: Chunk) -> Result<Vec<LoggedTick>, StoreError>;

    /// Forgets chunks.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn forget_chunks(&self, chunks: &[Chunk]) -> Result<(), StoreError>;

    /// How far each target of notifications was told, by its key.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn told(&self) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Keeps that a target was told of the journal up to this entry.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn save_told(&self, target: &str, up_to: u64) -> Result<(), StoreError>;

    /// The fingerprints of the labels that were taken for a rollout, in no order.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn labels(&self, rollout: u64) -> Result<Vec<u64>, StoreError>;

    /// What is kept by this name, if anything.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn kept(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps a few bytes by this name.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// The bytes of an artifact by its digest.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn artifact(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps the bytes of an artifact.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn save_artifact(&self, digest: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Forgets all artifacts but these.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn retain_artifacts(&self, digests: &[&str]) -> Result<(), StoreError>;
}

/// The samples of a step at some moment, with what they belong to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The rollout.
    pub rollout: u64,
    /// The step of it.
    pub step: u32,
    /// The canary's artifact.
    pub digest: String,
    /// How many requests without a key the split has placed.
    pub routed: u64,
    /// What was observed of first visits and of requests without a key.
    pub samples: Samples,
    /// What there is to know of keys; `None` if no request had one.
    pub keys: Option<KeyedSamples>,
    /// What was learned from it, tick by tick: what the evidence log comes to when it is replayed.
    pub monitors: Option<Monitors>,
    /// What the labels of its predictions say; `None` if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    /// The fingerprints of the labels that came since the last save. They are kept beside the checkpoint:
    /// one that is read has none.
    #[serde(skip)]
    pub new_labels: Vec<u64>,
    /// What both versions said to the same requests; `None` if nothing was shadowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<Pairs>,
}

/// What there is to know of keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyedSamples {
    /// The samples of those that came back; `None` if none has.
    pub repeated: Option<Samples>,
    /// Those that were there.
    pub seen: SeenKeys,
    /// Those that were put to the canary in shadow; `None` if none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadowed: Option<SeenKeys>,
}

/// Why a store cannot do what it was asked to.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Someone else has appended in the meantime.
    #[error("the journal has moved on: expected revision {expected}, found {actual}; retry")]
    Conflict {
        /// The revision the writer had seen.
        expected: u64,
        /// The revision there is.
        actual: u64,
    },
    /// Another process has it open.
    #[error(
        "{path} is in use by another serin; stop that one, or give this one its own file with \
         --store sqlite:OTHER.db"
    )]
    InUse {
        /// The database file.
        path: String,
    },
    /// It cannot be opened.
    #[error("cannot open {path}: {cause}; check the path, the permissions and the free space")]
    Open {
        /// The database file.
        path: String,
        /// What the operating system or SQLite said.
        cause: String,
    },
    /// It was written by a newer serin, or is no store at all.
    #[error("{path} is no store this serin can read ({cause}); name another file with --store")]
    Foreign {
        /// The database file.
        path: String,
        /// What was found.
        cause: String,
    },
    /// What is in it cannot be read.
    #[error("the store holds {what} that cannot be read: {cause}; restore a backup")]
    Damaged {
        /// Which part.
        what: String,
        /// Why.
        cause: String,
    },
    /// SQLite refused.
    #[error("the store failed: {0}; check the free space and the permissions of its folder")]
    Sqlite(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(cause: rusqlite::Error) -> StoreError {
        use rusqlite::ErrorCode::DatabaseCorrupt;
        use rusqlite::ErrorCode::NotADatabase;
        match cause.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => {
                let (what, cause) = ("a page".to_owned(), cause.to_string());
                StoreError::Damaged { what, cause }
            }
            Some(_) | None => StoreError::Sqlite(cause),
        }
    }
}

/// That these journal entries follow each other, the first of them this revision.
///
/// # Errors
/// When one is missing.
pub fn check_order(revision: u64, entries: &[Entry]) -> Result<(), StoreError> {
    for (entry, expected) in entries.iter().zip(revision + 1..) {
        if entry.sequence != expected {
            let cause = format!("entry {} stands where entry {expected} ought to", entry.sequence);
            return Err(StoreError::Damaged { what: "a journal".to_owned(), cause });
        }
    }
    Ok(())
}

/// What a store says to a tick that follows nothing.
fn no_base() -> StoreError {
    let (what, cause) = ("an evidence log".to_owned(), "a tick before any base".to_owned());
    StoreError::Damaged { what, cause }
}

#[cfg(test)]
mod tests;
