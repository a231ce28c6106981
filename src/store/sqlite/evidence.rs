//! Where does SQLite keep the evidence log? In a table of bases and a table of the ticks since each.

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params;

use super::json;
use crate::canary::Chunk;
use crate::canary::LogRecord;
use crate::canary::LoggedTick;
use crate::canary::Monitors;
use crate::store::StoreError;
use crate::store::no_base;

/// Ticks lie in the order in which they came, so that a chunk is read and forgotten in one stretch.
/// Not `WITHOUT ROWID`: that would give each tick of more than 1 kB a page of 4 kB of its own.
pub(super) const SCHEMA: &str = "
    CREATE TABLE evidence_base (
        rollout  INTEGER NOT NULL,
        base     INTEGER NOT NULL,
        monitors TEXT NOT NULL,
        PRIMARY KEY (rollout, base)
    ) STRICT;
    CREATE TABLE evidence_tick (
        rollout   INTEGER NOT NULL,
        base      INTEGER NOT NULL,
        number    INTEGER NOT NULL,
        step      INTEGER NOT NULL,
        at_ms     INTEGER NOT NULL,
        increment BLOB NOT NULL,
        PRIMARY KEY (rollout, base, number)
    ) STRICT;
";

/// Adds these parts to the log of a rollout. The caller commits.
pub(super) fn grow(
    connection: &Connection,
    rollout: u64,
    grown: &[LogRecord],
) -> Result<(), StoreError> {
    let newest = "SELECT max(base) FROM evidence_base WHERE rollout = ?1";
    let mut base: Option<u64> =
        connection.prepare_cached(newest)?.query_row(params![rollout], |row| row.get(0))?;
    for part in grown {
        match part {
            LogRecord::Base(monitors) => {
                let ticks = monitors.ticks();
                for later in [
                    "DELETE FROM evidence_base WHERE rollout = ?1 AND base >= ?2",
                    "DELETE FROM evidence_tick WHERE rollout = ?1 AND base >= ?2",
                    "DELETE FROM evidence_tick WHERE rollout = ?1 AND number > ?2",
                ] {
                    connection.execute(later, params![rollout, ticks])?;
                }
                connection.execute(
                    "INSERT INTO evidence_base (rollout, base, monitors) VALUES (?1, ?2, ?3)",
                    params![rollout, ticks, json("monitors", monitors)?],
                )?;
                base = Some(ticks);
            }
            LogRecord::Tick(tick) => {
                let LoggedTick { number, step, at, increment } = tick;
                let base = base.ok_or_else(no_base)?;
                // A save whose success was not reported is tried again.
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO evidence_tick VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    )?
                    .execute(params![
                        rollout,
                        base,
                        number,
                        step,
                        at.as_millisecond(),
                        increment
                    ])?;
            }
        }
    }
    Ok(())
}

/// Every chunk, in ascending order.
pub(super) fn chunks(connection: &Connection) -> Result<Vec<Chunk>, StoreError> {
    let all = "SELECT rollout, base FROM evidence_base ORDER BY rollout, base";
    let mut statement = connection.prepare_cached(all)?;
    let chunk = |row: &rusqlite::Row<'_>| Ok(Chunk { rollout: row.get(0)?, base: row.get(1)? });
    let chunks = statement.query_map([], chunk)?.collect::<Result<_, _>>()?;
    Ok(chunks)
}

/// The monitors that a chunk starts from.
pub(super) fn base(connection: &Connection, chunk: Chunk) -> Result<Option<Monitors>, StoreError> {
    let Chunk { rollout, base } = chunk;
    let text: Option<String> = connection
        .query_row(
            "SELECT monitors FROM evidence_base WHERE rollout = ?1 AND base = ?2",
            params![rollout, base],
            |row| row.get(0),
        )
        .optional()?;
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(|cause| {
        let what = format!("a base of the evidence log of rollout {rollout}");
        StoreError::Damaged { what, cause: cause.to_string() }
    })
}

/// The ticks of a chunk, in order.
pub(super) fn ticks(connection: &Connection, chunk: Chunk) -> Result<Vec<LoggedTick>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT number, step, at_ms, increment FROM evidence_tick
         WHERE rollout = ?1 AND base = ?2 ORDER BY number",
    )?;
    let rows = statement.query_map(params![chunk.rollout, chunk.base], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    rows.map(|row| {
        let (number, step, at_ms, increment) = row?;
        let at = Timestamp::from_millisecond(at_ms).map_err(|cause| {
            let what = format!("tick {number} of the evidence log of rollout {}", chunk.rollout);
            StoreError::Damaged { what, cause: cause.to_string() }
        })?;
        Ok(LoggedTick { number, step, at, increment })
    })
    .collect()
}

/// Forgets a chunk. The caller commits.
pub(super) fn forget(connection: &Connection, chunk: Chunk) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM evidence_base WHERE rollout = ?1 AND base = ?2",
        "DELETE FROM evidence_tick WHERE rollout = ?1 AND base = ?2",
    ] {
        connection.execute(statement, params![chunk.rollout, chunk.base])?;
    }
    Ok(())
}
