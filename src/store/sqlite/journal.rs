//! Journal table.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::TransactionBehavior;
use rusqlite::params;

use super::connection::SqliteStore;
use super::json::to_json;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::State;
use crate::store::error::StoreError;
use crate::store::journal::Journal;

/// What the checksum of a saved state covers in addition to it. The number changes with [`State`] and with how events
/// change it, so that a state of another release is not used.
const STATE: &str = "state 3";

impl Journal for SqliteStore {
    fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached(
            "SELECT sequence, at, event, checksum FROM journal
             WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        )?;
        // SQLite's integers have a sign. No journal is so long that this makes a difference.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![after, limit], |row| {
            let (sequence, at, event) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok((sequence, at, event, row.get::<_, Vec<u8>>(3)?))
        })?;
        rows.map(|row| {
            let (sequence, at, event, sum): (u64, String, String, Vec<u8>) = row?;
            let damaged = |cause: String| StoreError::Damaged {
                what: format!("journal entry {sequence}"),
                cause,
            };
            if sum != checksum(sequence, &at, &event) {
                return Err(damaged("its checksum does not match".to_owned()));
            }
            Ok(Entry {
                sequence,
                at: at.parse().map_err(|e: jiff::Error| damaged(e.to_string()))?,
                event: serde_json::from_str(&event).map_err(|e| damaged(e.to_string()))?,
            })
        })
        .collect()
    }

    fn newest_sequence(&self) -> Result<u64, StoreError> {
        Ok(newest_sequence(&self.connection.lock())?)
    }

    fn state(&self) -> Result<Option<(u64, State)>, StoreError> {
        let select = "SELECT revision, body, checksum FROM state WHERE id = 1";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let found: Option<(u64, String, Vec<u8>)> =
            self.connection.lock().query_row(select, [], row).optional()?;
        let found = found.filter(|(revision, body, sum)| *sum == checksum(*revision, STATE, body));
        Ok(found
            .and_then(|(revision, body, _)| Some((revision, serde_json::from_str(&body).ok()?))))
    }

    fn save_state(&self, revision: u64, state: &State) -> Result<(), StoreError> {
        self.check_file()?;
        let body = to_json("a state", state)?;
        let checksum = checksum(revision, STATE, &body);
        self.connection.lock().execute(
            "INSERT OR REPLACE INTO state (id, revision, body, checksum) VALUES (1, ?1, ?2, ?3)",
            params![revision, body, checksum],
        )?;
        Ok(())
    }

    fn settle(&self) -> Result<(), StoreError> {
        SqliteStore::settle(self)
    }

    fn bytes(&self) -> Option<u64> {
        SqliteStore::bytes(self)
    }

    fn append(&self, expected: u64, at: Timestamp, event: &Event) -> Result<Entry, StoreError> {
        self.check_file()?;
        let text = to_json("an event", event)?;
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let actual = newest_sequence(&transaction)?;
        if actual != expected {
            return Err(StoreError::Conflict { expected, actual });
        }
        let sequence = expected + 1;
        transaction.execute(
            "INSERT INTO journal (sequence, at, event, checksum) VALUES (?1, ?2, ?3, ?4)",
            params![sequence, at.to_string(), text, checksum(sequence, &at.to_string(), &text)],
        )?;
        transaction.commit()?;
        self.has_grown.store(true, Ordering::Relaxed);
        Ok(Entry { sequence, at, event: event.clone() })
    }
}

/// The checksum of a row: SQLite does not notice a changed byte that is still an event.
pub fn checksum(sequence: u64, at: &str, event: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&sequence.to_le_bytes()).update(at.as_bytes()).update(event.as_bytes());
    let mut checksum = [0; 16];
    hasher.finalize_xof().fill(&mut checksum);
    checksum
}

fn newest_sequence(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(sequence), 0) FROM journal", [], |row| row.get(0))
}
