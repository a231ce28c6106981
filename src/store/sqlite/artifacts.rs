//! Artifact table.

use rusqlite::OptionalExtension;
use rusqlite::params;

use super::connection::SqliteStore;
use crate::store::artifacts::Artifacts;
use crate::store::error::StoreError;
use crate::store::rows::to_json;

impl Artifacts for SqliteStore {
    fn artifact(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .connection
            .lock()
            .query_row("SELECT bytes FROM artifact WHERE digest = ?1", params![digest], |row| {
                row.get(0)
            })
            .optional()?)
    }

    fn save_artifact(&self, digest: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.connection.lock().execute(
            "INSERT INTO artifact (digest, bytes) VALUES (?1, ?2) ON CONFLICT (digest) DO NOTHING",
            params![digest, bytes],
        )?;
        Ok(())
    }

    fn retain_artifacts(&self, digests: &[&str]) -> Result<(), StoreError> {
        let kept = to_json("a list of digests", &digests)?;
        self.connection.lock().execute(
            "DELETE FROM artifact WHERE digest NOT IN (SELECT value FROM json_each(?1))",
            params![kept],
        )?;
        Ok(())
    }
}
