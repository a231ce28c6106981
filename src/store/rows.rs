//! What the stores of every kind write into a row: JSON, checksums, and entries of the journal.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::StoreError;
use super::progress::Checkpoint;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::Monitors;

/// What the checksum of a saved state covers in addition to it. The number changes with
/// [`State`](crate::canary::State) and with how events change it, so that a state of another release is not used.
pub(super) const STATE: &str = "state 3";

/// A row of the journal.
#[derive(PartialEq, Eq)]
pub(super) struct Row {
    pub(super) sequence: u64,
    /// RFC 3339, to the nanosecond.
    pub(super) at: String,
    /// JSON.
    pub(super) event: String,
    pub(super) checksum: Vec<u8>,
}

impl Row {
    /// An event as a row.
    pub(super) fn new(sequence: u64, at: Timestamp, event: &Event) -> Result<Row, StoreError> {
        let (at, event) = (at.to_string(), to_json("an event", event)?);
        let checksum = checksum(sequence, &at, &event).to_vec();
        Ok(Row { sequence, at, event, checksum })
    }

    /// The entry in the row.
    pub(super) fn entry(&self) -> Result<Entry, StoreError> {
        let Row { sequence, at, event, .. } = self;
        let damaged = |cause: String| StoreError::Damaged {
            what: format!("journal entry {sequence}"),
            cause,
        };
        if self.checksum != checksum(*sequence, at, event) {
            return Err(damaged("its checksum does not match".to_owned()));
        }
        Ok(Entry {
            sequence: *sequence,
            at: at.parse().map_err(|e: jiff::Error| damaged(e.to_string()))?,
            event: serde_json::from_str(event).map_err(|e| damaged(e.to_string()))?,
        })
    }
}

/// The checksum of a row: databases do not notice a changed byte that is still an event.
pub fn checksum(sequence: u64, at: &str, event: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&sequence.to_le_bytes()).update(at.as_bytes()).update(event.as_bytes());
    let mut checksum = [0; 16];
    hasher.finalize_xof().fill(&mut checksum);
    checksum
}

/// Writes a value; `what` names it in the error.
pub(super) fn to_json<T: Serialize>(what: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|cause| StoreError::Damaged { what: what.to_owned(), cause: cause.to_string() })
}

/// Reads a value; `what` names it in the error.
pub(super) fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|cause| StoreError::Damaged { what: what.to_owned(), cause: cause.to_string() })
}

/// Reads a checkpoint. Samples, keys and labels count even where another version has written the monitors.
pub(super) fn read_checkpoint(text: &str) -> Result<Checkpoint, StoreError> {
    from_json("a checkpoint", text).or_else(|damaged| {
        let (checkpoint, cause) = without_monitors(text).ok_or(damaged)?;
        tracing::warn!(%cause, "the monitors of the newest checkpoint cannot be read; the rest of it is kept");
        Ok(checkpoint)
    })
}

/// A checkpoint without its monitors, and why they cannot be read; `None` if something else cannot.
fn without_monitors(text: &str) -> Option<(Checkpoint, serde_json::Error)> {
    let mut body: Value = serde_json::from_str(text).ok()?;
    let monitors = body.get_mut("monitors")?.take();
    let cause = serde_json::from_value::<Monitors>(monitors).err()?;
    Some((serde_json::from_value(body).ok()?, cause))
}
