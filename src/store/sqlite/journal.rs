//! Journal table.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::TransactionBehavior;
use rusqlite::params;

use super::connection::SqliteStore;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::State;
use crate::store::error::StoreError;
use crate::store::journal::Journal;
use crate::store::rows::Row;
use crate::store::rows::STATE;
use crate::store::rows::checksum;
use crate::store::rows::to_json;

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
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
        rows.map(|row| {
            let (sequence, at, event, checksum): (u64, String, String, Vec<u8>) = row?;
            Row { sequence, at, event, checksum }.entry()
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
        let Row { sequence, at: text_at, event: text, checksum } =
            Row::new(expected + 1, at, event)?;
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let actual = newest_sequence(&transaction)?;
        if actual != expected {
            return Err(StoreError::Conflict { expected, actual });
        }
        transaction.execute(
            "INSERT INTO journal (sequence, at, event, checksum) VALUES (?1, ?2, ?3, ?4)",
            params![sequence, text_at, text, checksum],
        )?;
        transaction.commit()?;
        self.has_grown.store(true, Ordering::Relaxed);
        Ok(Entry { sequence, at, event: event.clone() })
    }
}

fn newest_sequence(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(sequence), 0) FROM journal", [], |row| row.get(0))
}
