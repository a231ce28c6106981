//! The store: everything that survives a restart.
//!
//! - [`Journal`]: all events, appended by compare-and-swap, so that of two writers only one succeeds.
//! - [`EvidenceLog`]: the ticks that each verdict can be recomputed from.
//! - [`Artifacts`]: the model files of stable and canary.
//! - [`Progress`]: checkpoints of the current step, and how far notifications were delivered.
//! - [`Fleet`]: what the processes that share a store know of each other.
//!
//! A [`Store`] is all five. `sqlite` implements it in a file or in memory, `postgres` in a database. Checkpoints and evidence are keyed
//! by replica. A store decides nothing, and its calls block: the service makes them off the threads that
//! answer predictions.

mod artifacts;
mod error;
mod evidence;
mod fleet;
mod journal;
mod location;
pub mod postgres;
mod progress;
mod replica;
mod rows;
pub mod sqlite;

use std::sync::Arc;
use std::time::Duration;

pub use artifacts::Artifacts;
pub use error::StoreError;
pub use evidence::EvidenceLog;
pub use fleet::Fleet;
pub use fleet::Replica;
pub use fleet::Role;
pub use fleet::Share;
pub use journal::Entries;
pub use journal::Journal;
pub use location::Location;
pub use location::LocationError;
pub use location::open;
pub use location::open_as;
pub use location::open_to_read;
pub use progress::Checkpoint;
pub use progress::KeyedSamples;
pub use progress::Progress;
pub use progress::SeenBefore;
pub use replica::ReplicaId;
pub use replica::host;
pub use rows::checksum;

/// A steady clock: the time since some moment. A store reads no clock of its own.
pub type Steady = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A complete store.
pub trait Store: Journal + EvidenceLog + Artifacts + Progress + Fleet {}

impl<T: Journal + EvidenceLog + Artifacts + Progress + Fleet> Store for T {}

#[cfg(test)]
mod tests;
