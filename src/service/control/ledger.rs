//! Ledger: the state that the journal leads to, and what is not in the journal yet.

use jiff::Timestamp;
use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::canary::Event;
use crate::canary::State;

/// What commands read and write.
pub(crate) struct Ledger {
    pub(crate) state: State,
    /// The length of the journal.
    pub(crate) revision: u64,
    /// A rollback that took effect and is not in the journal yet.
    pub(crate) pending_rollback: Option<PendingRollback>,
    /// Random numbers that salt each rollout's split.
    pub(crate) salts: Salts,
}

/// A rollback that took effect and is not in the journal yet.
pub(crate) struct PendingRollback {
    pub(crate) event: Event,
    /// When it happened.
    pub(crate) at: Timestamp,
    /// The state that the journal leads to.
    pub(crate) before: State,
}

/// Salts of splits.
pub(crate) struct Salts(StdRng);

impl Salts {
    pub(crate) fn new(seed: Option<u64>, rollouts: u64) -> Salts {
        Salts(match seed {
            // Continues where the last run stopped, so that a restart repeats no salt.
            Some(seed) => StdRng::seed_from_u64(seed ^ rollouts.rotate_left(32)),
            None => StdRng::from_rng(&mut rand::rng()),
        })
    }

    pub(crate) fn next(&mut self) -> u128 {
        self.0.random()
    }
}
