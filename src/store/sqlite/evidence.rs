//! Evidence tables: a snapshot per chunk, and the ticks since.

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::Row;
use rusqlite::params;

use super::connection::SqliteStore;
use crate::canary::Chunk;
use crate::canary::LogRecord;
use crate::canary::LoggedTick;
use crate::canary::Monitors;
use crate::store::error::StoreError;
use crate::store::evidence::EvidenceLog;
use crate::store::replica::ReplicaId;
use crate::store::rows::from_json;
use crate::store::rows::to_json;

impl EvidenceLog for SqliteStore {
    fn chunks(&self, replica: ReplicaId) -> Result<Vec<Chunk>, StoreError> {
        let connection = self.connection.lock();
        let mut select = connection.prepare_cached(
            "SELECT rollout, start FROM evidence_snapshot WHERE replica = ?1 ORDER BY rollout, start",
        )?;
        let chunk = |row: &Row<'_>| Ok(Chunk { rollout: row.get(0)?, start: row.get(1)? });
        Ok(select.query_map([replica.0], chunk)?.collect::<rusqlite::Result<_>>()?)
    }

    fn snapshot(&self, replica: ReplicaId, chunk: Chunk) -> Result<Option<Monitors>, StoreError> {
        let select = "SELECT monitors FROM evidence_snapshot
                      WHERE replica = ?1 AND rollout = ?2 AND start = ?3";
        let key = [replica.0, chunk.rollout, chunk.start];
        let text: Option<String> =
            self.connection.lock().query_row(select, key, |row| row.get(0)).optional()?;
        let what = format!("a snapshot of the tick log of rollout {}", chunk.rollout);
        text.map(|text| from_json(&what, &text)).transpose()
    }

    fn ticks(&self, replica: ReplicaId, chunk: Chunk) -> Result<Vec<LoggedTick>, StoreError> {
        let connection = self.connection.lock();
        let mut select = connection.prepare_cached(
            "SELECT number, step, at_ms, increment FROM evidence_tick
             WHERE replica = ?1 AND rollout = ?2 AND start = ?3 ORDER BY number",
        )?;
        let rows = select.query_map([replica.0, chunk.rollout, chunk.start], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
        rows.map(|row| {
            let (number, step, at_ms, increment) = row?;
            let at = Timestamp::from_millisecond(at_ms).map_err(|cause| {
                let what = format!("tick {number} of the tick log of rollout {}", chunk.rollout);
                StoreError::Damaged { what, cause: cause.to_string() }
            })?;
            Ok(LoggedTick { number, step, at, increment })
        })
        .collect()
    }

    fn forget_chunks(&self, replica: ReplicaId, chunks: &[Chunk]) -> Result<(), StoreError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction()?;
        for table in ["evidence_snapshot", "evidence_tick"] {
            let mut delete = transaction.prepare_cached(&format!(
                "DELETE FROM {table} WHERE replica = ?1 AND rollout = ?2 AND start = ?3"
            ))?;
            for chunk in chunks {
                delete.execute([replica.0, chunk.rollout, chunk.start])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// Appends to the log of a rollout. A snapshot replaces everything that the log has from its tick on.
/// The caller commits.
pub(super) fn append(
    connection: &Connection,
    replica: ReplicaId,
    rollout: u64,
    records: &[LogRecord],
) -> Result<(), StoreError> {
    let newest = "SELECT max(start) FROM evidence_snapshot WHERE replica = ?1 AND rollout = ?2";
    let mut start: Option<u64> =
        connection.prepare_cached(newest)?.query_row([replica.0, rollout], |row| row.get(0))?;
    for record in records {
        match record {
            LogRecord::Snapshot(monitors) => {
                let ticks = monitors.ticks();
                for later in [
                    "evidence_snapshot WHERE start >= ?3",
                    "evidence_tick WHERE start >= ?3",
                    "evidence_tick WHERE number > ?3",
                ] {
                    connection.execute(
                        &format!("DELETE FROM {later} AND replica = ?1 AND rollout = ?2"),
                        [replica.0, rollout, ticks],
                    )?;
                }
                connection.execute(
                    "INSERT INTO evidence_snapshot VALUES (?1, ?2, ?3, ?4)",
                    params![replica.0, rollout, ticks, to_json("monitors", monitors)?],
                )?;
                start = Some(ticks);
            }
            LogRecord::Tick(LoggedTick { number, step, at, increment }) => {
                let start = start.ok_or_else(|| StoreError::Damaged {
                    what: "a tick log".to_owned(),
                    cause: "a tick without a snapshot".to_owned(),
                })?;
                let at_ms = at.as_millisecond();
                // A save whose success was not reported is tried again.
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO evidence_tick VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![replica.0, rollout, start, number, step, at_ms, increment])?;
            }
        }
    }
    Ok(())
}
