//! Replica: one serin process of a deployment.

use serde::Deserialize;
use serde::Serialize;

/// Which process collected some evidence. SQLite and memory stores have exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplicaId(pub u64);

impl ReplicaId {
    /// The process of a store that only one process can open.
    pub const ONLY: ReplicaId = ReplicaId(0);
}

/// The name of this machine.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
