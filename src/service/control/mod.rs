//! The one writer: commands and the controller become events; events are journaled, then take effect.
//!
//! - [`command`], [`error`]: what operators ask for, and why it is refused.
//! - `commit`: apply, append, act, with `ledger`: the state of the journal.
//! - [`controller`], [`post_promotion`]: looks that decide by themselves.
//! - `sequential_judge`, `ticks`, `rate`, [`checkpoint`]: evidence, tick by tick, and how it is saved.
//! - `fleet`: what replicas of one store tell each other.
//! - `questions`: status, health check, history. [`audit`]: verdicts recomputed from the store.
//! - [`startup`], [`registry`]: from a journal and a folder of models to a running service.

pub mod audit;
pub mod checkpoint;
pub mod command;
pub(crate) mod commit;
pub mod controller;
pub mod error;
pub mod fleet;
pub(crate) mod ledger;
pub mod post_promotion;
pub(crate) mod questions;
pub(crate) mod rate;
pub mod registry;
pub(crate) mod sequential_judge;
pub mod startup;
pub(crate) mod ticks;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::clock::Clock;
use super::notify::Notifications;
use super::notify::delivery::Delivery;
use super::reported::Reported;
use super::serving::Serving;
use super::serving::live::Closure;
use super::settings::Settings;
use super::wakeup::Wakeup;
use crate::canary::policy::segments::Segments;
use crate::canary::rollout::outline::Outlines;
use crate::service::status::overview::ReplicaStatus;
use crate::service::status::overview::StoreLost;
use crate::store::Role;
use crate::store::Store;
use ledger::Ledger;
use ledger::Position;
use ledger::StoreHealth;
use registry::Registry;
use sequential_judge::SequentialJudge;

/// The one writer of state.
pub struct Control {
    /// The state that the journal leads to. Written by commands and the controller, one at a time under
    /// this lock; predictions never touch it. Taken first.
    pub(crate) ledger: Mutex<Ledger>,
    /// The newest position of the ledger, for questions. Written under its lock.
    position: Arc<ArcSwap<Position>>,
    /// Evidence of the running rollout. Written by each tick, read by questions. Taken after the ledger and
    /// `saved`, and before the locks of what is reported.
    pub(crate) judge: Mutex<SequentialJudge>,
    /// What the newest checkpoint holds (rollout, step, requests), so that nothing is written twice. Held
    /// while one is written, so that they are written in order. Taken after the ledger.
    saved: Mutex<(u64, u32, u64)>,
    store: Arc<dyn Store>,
    /// The rollouts of the journal as far as it was read. Held while more is read; taken alone.
    outlines: Mutex<Outlines>,
    /// Held while the ticks before the start are read for the histories of metrics. Taken before `judge`.
    reading_ticks: Mutex<()>,
    /// The revision of the state in the store. Written every hundred entries.
    state_saved_at: AtomicU64,
    /// Since when nothing can be saved, for the status. Written once a second, held for an assignment.
    pub(crate) store_lost: Mutex<Option<StoreLost>>,
    /// Keeps the canary without traffic while nothing can be saved, if the settings say so. Written by the ticker.
    canary_off: Mutex<Option<Closure>>,
    /// Whether saves succeed, for metrics.
    store_health: StoreHealth,
    registry: Registry,
    /// The other replicas as they were a second ago. Written by the ticker, held for an assignment.
    replicas: Mutex<Arc<[ReplicaStatus]>>,
    clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    /// On the steady clock.
    started: Duration,
    /// Wakes the controller. Signaled by the circuit breaker and by each commit.
    pub(crate) wakeup: Arc<Wakeup>,
    pub(crate) serving: Arc<Serving>,
    pub(crate) reported: Arc<Reported>,
    /// Signaled by each commit.
    pub(crate) notifications: Arc<Notifications>,
}

impl Control {
    /// The segments that requests may name.
    pub fn declared_segments(&self) -> &Segments {
        &self.settings.policy.judge.segments
    }

    /// What delivers notifications, one for each target.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        Delivery::all(&self.notifications, &self.store, &self.clock)
    }

    /// Lets another process open the store at once. Nothing is saved after it.
    pub(crate) fn release_store(&self) {
        self.store.release();
    }

    /// Whether other processes may use the same store.
    pub(crate) fn is_shared(&self) -> bool {
        self.store.role() != Role::Alone
    }

    /// Whether this process judges and decides, for itself or for its fleet.
    pub(crate) fn decides(&self) -> bool {
        self.judge.lock().role().decides()
    }

    /// The model files.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}
