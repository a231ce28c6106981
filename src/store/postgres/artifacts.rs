//! Artifact table.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::PostgresStore;
use crate::store::artifacts::Artifacts;
use crate::store::error::StoreError;

/// How long a model file may be on its way.
const LARGE: Duration = Duration::from_secs(60);

/// The same for the database.
const LARGE_STATEMENT: &str = "SET LOCAL statement_timeout = '60s'";

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

    fn save_artifact(&self, digest: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let (digest, bytes) = (digest.to_owned(), bytes.to_owned());
        self.write(move |session| {
            session.batch(LARGE_STATEMENT)?;
            session.patiently(LARGE, |session| {
                session.execute(
                    "INSERT INTO artifact (digest, bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                    &[(&digest, Type::TEXT), (&bytes, Type::BYTEA)],
                )
            })
        })
    }

    fn retain_artifacts(&self, digests: &[&str]) -> Result<(), StoreError> {
        let kept: Vec<String> = digests.iter().map(|digest| (*digest).to_owned()).collect();
        self.write(move |session| {
            let delete = "DELETE FROM artifact WHERE digest <> ALL ($1)";
            session.execute(delete, &[(&kept, Type::TEXT_ARRAY)])
        })
    }
}
