//! Where does SQLite keep which labels were taken, and small things that are kept by name?

use rusqlite::Connection;
use rusqlite::params;

use crate::store::StoreError;

/// A label is known by its prediction's fingerprint. What is kept by name is a few bytes, such as a key.
pub(super) const SCHEMA: &str = "
    CREATE TABLE label (
        rollout     INTEGER NOT NULL,
        fingerprint INTEGER NOT NULL,
        PRIMARY KEY (rollout, fingerprint)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE kept (
        name  TEXT PRIMARY KEY,
        bytes BLOB NOT NULL
    ) STRICT;
";

/// Adds these labels to those of a rollout, and forgets those of all others. The caller commits.
pub(super) fn grow(
    connection: &Connection,
    rollout: u64,
    fingerprints: &[u64],
) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM label WHERE rollout <> ?1")?.execute([rollout])?;
    let mut insert = connection.prepare_cached("INSERT OR IGNORE INTO label VALUES (?1, ?2)")?;
    for fingerprint in fingerprints {
        insert.execute(params![rollout, fingerprint.cast_signed()])?;
    }
    Ok(())
}

/// The labels of a rollout, in no order.
pub(super) fn labels(connection: &Connection, rollout: u64) -> Result<Vec<u64>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT fingerprint FROM label WHERE rollout = ?1")?;
    let rows = select.query_map([rollout], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
