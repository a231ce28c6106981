//! Tables of checkpoints, labels, deliveries and secrets.

use std::collections::BTreeMap;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::TransactionBehavior;
use rusqlite::params;

use super::connection::SqliteStore;
use super::evidence::append;
use crate::canary::LogRecord;
use crate::store::error::StoreError;
use crate::store::fleet::Fleet;
use crate::store::progress::Checkpoint;
use crate::store::progress::Progress;
use crate::store::replica::ReplicaId;
use crate::store::rows::read_checkpoint;
use crate::store::rows::to_json;

/// Only one process can open the file.
impl Fleet for SqliteStore {}

impl Progress for SqliteStore {
    fn checkpoint(&self, replica: ReplicaId) -> Result<Option<Checkpoint>, StoreError> {
        let select = "SELECT body FROM checkpoint WHERE replica = ?1";
        let text: Option<String> =
            self.connection.lock().query_row(select, [replica.0], |row| row.get(0)).optional()?;
        text.map(|text| read_checkpoint(&text)).transpose()
    }

    fn save_checkpoint(
        &self,
        replica: ReplicaId,
        checkpoint: &Checkpoint,
        records: &[LogRecord],
    ) -> Result<(), StoreError> {
        self.check_file()?;
        let text = to_json("a checkpoint", checkpoint)?;
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT OR REPLACE INTO checkpoint (replica, body) VALUES (?1, ?2)",
            params![replica.0, text],
        )?;
        append(&transaction, replica, checkpoint.rollout, records)?;
        add_labels(&transaction, replica, checkpoint.rollout, &checkpoint.new_labels)?;
        transaction.commit()?;
        Ok(())
    }

    fn labels(&self, replica: ReplicaId, rollout: u64) -> Result<Vec<u64>, StoreError> {
        let connection = self.connection.lock();
        let mut select = connection
            .prepare_cached("SELECT fingerprint FROM label WHERE replica = ?1 AND rollout = ?2")?;
        let rows = select
            .query_map([replica.0, rollout], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn delivered(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let connection = self.connection.lock();
        let mut select = connection.prepare_cached("SELECT target, up_to FROM delivered")?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn save_delivered(&self, target: &str, up_to: u64) -> Result<(), StoreError> {
        self.connection
            .lock()
            .prepare_cached("INSERT OR REPLACE INTO delivered (target, up_to) VALUES (?1, ?2)")?
            .execute(params![target, up_to])?;
        Ok(())
    }

    fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let select = "SELECT bytes FROM secret WHERE name = ?1";
        Ok(self.connection.lock().query_row(select, [name], |row| row.get(0)).optional()?)
    }

    fn save_secret(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.connection.lock().execute(
            "INSERT OR IGNORE INTO secret (name, bytes) VALUES (?1, ?2)",
            params![name, bytes],
        )?;
        Ok(())
    }
}

/// Adds labels to those of a rollout, and deletes those of all others. The caller commits.
fn add_labels(
    connection: &Connection,
    replica: ReplicaId,
    rollout: u64,
    fingerprints: &[u64],
) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM label WHERE replica = ?1 AND rollout <> ?2")?
        .execute([replica.0, rollout])?;
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO label VALUES (?1, ?2, ?3)")?;
    for fingerprint in fingerprints {
        insert.execute(params![replica.0, rollout, fingerprint.cast_signed()])?;
    }
    Ok(())
}
