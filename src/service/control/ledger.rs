//! Ledger: the state that the journal leads to, and what is not in the journal yet.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::canary::Event;
use crate::canary::State;
use crate::service::serving::live::Live;
use crate::service::status::metrics::durations::Durations;

/// Where the service is. Replaced whole, so that questions read it without waiting for a command.
pub(crate) struct Position {
    pub(crate) state: State,
    /// The length of the journal.
    pub(crate) revision: u64,
    /// What predictions read in this state.
    pub(crate) live: Arc<Live>,
}

/// What commands read and write.
pub(crate) struct Ledger {
    position: Arc<Position>,
    /// The same, for questions.
    published: Arc<ArcSwap<Position>>,
    /// A rollback that took effect and is not in the journal yet.
    pub(crate) pending_rollback: Option<PendingRollback>,
    /// Random numbers that salt each rollout's split.
    pub(crate) salts: Salts,
}

impl Ledger {
    pub(crate) fn new(position: Position, salts: Salts) -> Ledger {
        let position = Arc::new(position);
        let published = Arc::new(ArcSwap::new(position.clone()));
        Ledger { position, published, pending_rollback: None, salts }
    }

    /// Where questions find the newest position.
    pub(crate) fn published(&self) -> Arc<ArcSwap<Position>> {
        self.published.clone()
    }

    /// The newest position.
    pub(crate) fn position(&self) -> Arc<Position> {
        self.position.clone()
    }

    /// Moves to another position.
    pub(crate) fn move_to(&mut self, state: State, revision: u64, live: Arc<Live>) {
        self.position = Arc::new(Position { state, revision, live });
        self.published.store(self.position.clone());
    }

    /// The journal has grown by an event whose effect has happened.
    pub(crate) fn has_reached(&mut self, revision: u64) {
        let Position { state, live, .. } = &*self.position;
        self.move_to(state.clone(), revision, live.clone());
    }
}

impl Deref for Ledger {
    type Target = Position;

    fn deref(&self) -> &Position {
        &self.position
    }
}

/// A rollback that took effect and is not in the journal yet.
pub(crate) struct PendingRollback {
    pub(crate) event: Event,
    /// When it happened.
    pub(crate) at: Timestamp,
    /// The state that the journal leads to.
    pub(crate) before: State,
}

/// How the store is doing, for metrics. Written by the ticker and by commits, read without a lock.
#[derive(Default)]
pub(crate) struct StoreHealth {
    /// Saves that failed.
    failures: AtomicU64,
    /// Whether the last one did.
    is_failing: AtomicBool,
    /// Whether a rollback is not in the journal yet.
    pub(crate) is_rollback_pending: AtomicBool,
    /// Whether it is unknown if the newest command is in the journal.
    pub(crate) is_unsure: AtomicBool,
    /// How long saves take.
    pub(crate) durations: Durations,
}

impl StoreHealth {
    /// Takes note of a save.
    pub(crate) fn saved(&self, is_done: bool) {
        self.is_failing.store(!is_done, Ordering::Relaxed);
        if !is_done {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the last save succeeded.
    pub(crate) fn is_up(&self) -> bool {
        !self.is_failing.load(Ordering::Relaxed)
    }

    /// Saves that failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
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
