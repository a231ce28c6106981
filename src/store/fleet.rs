//! Fleet of a store: what the processes that share it know of each other.
//!
//! One of them, the leader, judges and decides for all. The others serve, follow the journal, carry out commands, and
//! hand the leader what they have observed, as numbered shares. The leader takes in each share once: a checkpoint names
//! the newest share of each replica that its ticks contain.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::error::StoreError;
use super::replica::ReplicaId;

/// The part of a process in its fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// No other process can open the store. It decides.
    Alone,
    /// It holds the lease and decides for all.
    Leader,
    /// Another process decides, or none at this moment.
    Follower,
}

impl Role {
    /// Whether this process judges and decides.
    pub fn decides(self) -> bool {
        self != Role::Follower
    }
}

/// What a replica has observed between two moments of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The replica.
    pub replica: ReplicaId,
    /// Its number, from 1 on for each replica.
    pub number: u64,
    /// The rollout.
    pub rollout: u64,
    /// The step in which the requests were drawn.
    pub step: u32,
    /// The observations. The store does not read them.
    pub body: Vec<u8>,
}

/// A process of the fleet, or one that has ended and whose samples still count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its id, another one after each start.
    pub id: ReplicaId,
    /// Its host and port, or the name given to it.
    pub name: String,
    /// How long ago it reported, by the database's clock.
    pub silent: Duration,
    /// Whether it has said that it ends.
    pub has_ended: bool,
    /// Whether it holds the lease.
    pub is_leader: bool,
    /// What it reported. The store does not read it.
    pub report: String,
}

/// The processes that share the store. A store that only one process can open has none but this one.
pub trait Fleet: Send + Sync {
    /// The id of this process.
    fn id(&self) -> ReplicaId {
        ReplicaId::ONLY
    }

    /// The part of this process at this moment. Waits for nothing.
    fn role(&self) -> Role {
        Role::Alone
    }

    /// The date by the clock that all processes of the store share; `None` where each goes by its machine's.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn date(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    /// Says that this process has taken note that it follows. After a process has lost the lease, it takes it again only
    /// then: what it has judged before is of no use any more.
    fn stand(&self) {}

    /// Replaces what this process says of itself and adds its shares. A share that is there already stays as it is.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn report(&self, _report: &str, _shares: &[Share]) -> Result<(), StoreError> {
        Ok(())
    }

    /// All replicas, ascending by id.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn replicas(&self) -> Result<Vec<Replica>, StoreError> {
        Ok(Vec::new())
    }

    /// The shares of all replicas above these numbers, ascending by replica and number, at most `limit`.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn shares(
        &self,
        _above: &BTreeMap<ReplicaId, u64>,
        _limit: usize,
    ) -> Result<Vec<Share>, StoreError> {
        Ok(Vec::new())
    }

    /// Deletes replicas that have ended, with their shares.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn forget_replicas(&self, _replicas: &[ReplicaId]) -> Result<(), StoreError> {
        Ok(())
    }

    /// Waits until the journal is longer than `known`, or for this time; returns its length.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn wait_for_entry(&self, known: u64, _patience: Duration) -> Result<u64, StoreError> {
        Ok(known)
    }
}
