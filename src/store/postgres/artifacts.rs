//! Artifact table.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::PostgresStore;
use crate::store::artifacts::Artifacts;
use crate::store::error::StoreError;

/// How long a model file may be on its way.
const LARGE: Duration = Duration::from_secs(60);

/// How old an artifact is before it is deleted. A younger one may belong to an entry that another process is appending.
const YOUNG: &str = "10 minutes";

impl Artifacts for PostgresStore {
    fn artifact(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let digest = digest.to_owned();
        self.read(move |session| {
            session.patiently(LARGE, |session| {
                let select = "SELECT bytes FROM artifact WHERE digest = $1";
                Ok(session.row(select, &[(&digest, Type::TEXT)])?.map(|row| row.get(0)))
            })
        })
    }

    /// On the connection of the reads: a large file must not delay the renewal of the lease.
    fn save_artifact(&self, digest: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.writer()?;
        let (digest, bytes) = (digest.to_owned(), bytes.to_owned());
        self.read(move |session| {
            session.patiently(LARGE, |session| {
                session.transaction(|session| {
                    // Another process may be saving the same one.
                    session.batch("SET LOCAL lock_timeout = '60s'")?;
                    session.execute(
                        "INSERT INTO artifact (digest, bytes) VALUES ($1, $2)
                         ON CONFLICT (digest) DO UPDATE SET saved_at = clock_timestamp()",
                        &[(&digest, Type::TEXT), (&bytes, Type::BYTEA)],
                    )
                })
            })
        })
    }

    fn retain_artifacts(&self, digests: &[&str]) -> Result<(), StoreError> {
        let kept: Vec<String> = digests.iter().map(|digest| (*digest).to_owned()).collect();
        self.lead(move |session| {
            let delete = format!(
                "DELETE FROM artifact WHERE digest <> ALL ($1)
                    AND saved_at < clock_timestamp() - interval '{YOUNG}'"
            );
            session.execute(&delete, &[(&kept, Type::TEXT_ARRAY)])
        })
    }
}
