//! Artifacts of a store: the model files that stable and canary were loaded from.

use super::error::StoreError;

/// Model artifacts by digest, so that a restart does not depend on the models folder.
pub trait Artifacts: Send + Sync {
    /// The bytes of an artifact.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn artifact(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Saves an artifact.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn save_artifact(&self, digest: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Deletes all artifacts except these, and except those that another process may have saved for an entry that it
    /// has not appended yet.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn retain_artifacts(&self, digests: &[&str]) -> Result<(), StoreError>;
}
