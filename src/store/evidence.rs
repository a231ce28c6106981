//! Tick log of a store: what each verdict can be recomputed from.

use super::error::StoreError;
use super::replica::ReplicaId;
use crate::canary::Chunk;
use crate::canary::LoggedTick;
use crate::canary::Monitors;

/// The tick logs of all rollouts. They grow with [`Progress`](super::Progress), in the same
/// transaction as the checkpoint, so that both always agree.
pub trait EvidenceLog: Send + Sync {
    /// The chunks of all rollouts, in ascending order.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn chunks(&self, replica: ReplicaId) -> Result<Vec<Chunk>, StoreError>;

    /// The monitors at the start of a chunk; `None` if the store no longer has the chunk.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn snapshot(&self, replica: ReplicaId, chunk: Chunk) -> Result<Option<Monitors>, StoreError>;

    /// The ticks of a chunk, in order.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn ticks(&self, replica: ReplicaId, chunk: Chunk) -> Result<Vec<LoggedTick>, StoreError>;

    /// Deletes chunks.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn forget_chunks(&self, replica: ReplicaId, chunks: &[Chunk]) -> Result<(), StoreError>;
}
