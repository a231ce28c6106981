//! Where does SQLite keep how far each target of notifications was told?

use std::collections::BTreeMap;

use rusqlite::Connection;
use rusqlite::params;

use crate::store::StoreError;

/// A target is known by a digest of its address, which may be a secret.
pub(super) const SCHEMA: &str = "
    CREATE TABLE told (
        target TEXT PRIMARY KEY,
        up_to  INTEGER NOT NULL
    ) STRICT;
";

/// All of them.
pub(super) fn all(connection: &Connection) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT target, up_to FROM told")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Keeps one of them.
pub(super) fn save(connection: &Connection, target: &str, up_to: u64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO told (target, up_to) VALUES (?1, ?2)
             ON CONFLICT (target) DO UPDATE SET up_to = excluded.up_to",
        )?
        .execute(params![target, up_to])?;
    Ok(())
}
