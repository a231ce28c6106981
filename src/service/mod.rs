//! The running server without HTTP: who answers, what is observed, and the one writer of state.
//!
//! - [`clock`]: what time it is.
//! - [`inference`]: running a model so that nothing it does can hurt the server.
//! - [`recorder`]: where workers write what they observe.
//! - [`visits`]: which keys were there before.
//! - [`live`]: what a prediction reads.
//! - [`predict`]: one prediction.
//! - [`registry`]: the models folder.
//! - [`command`]: one admin command, from request to journal to effect.
//! - [`startup`]: from a journal to a running service.
//! - [`status`]: what is going on, for people and programs.
//! - [`checkpoint`]: evidence that survives a restart.
//! - [`replay`]: what the watch has said, recomputed from that.
//! - [`shadow`]: what the canary would say, asked in the background.
//! - [`disagreements`]: where it differs most from stable.
//! - `ring`: the latest requests, kept to be asked again.
//! - [`shadow_status`]: what there is to say of all that.
//! - `watch`: who feeds the judge that may be asked at any time, and `rate`: how many requests come.
//! - [`recordings`]: numbers that were measured elsewhere.
//! - `pending`: those of them that wait for the judge.
//! - [`analysis`]: two samples compared, with the bootstrap's random numbers.

pub mod clock;

pub mod inference;

pub mod recorder;

pub mod live;

pub mod predict;

pub mod registry;

pub mod command;

mod effect;

pub mod startup;

pub mod status;

pub mod checkpoint;

pub mod pilot;

pub mod tripwire;

pub mod shadow;

pub mod disagreements;

mod ring;

pub mod shadow_status;

mod watch;

mod rate;

pub mod replay;

pub mod recordings;

mod pending;

pub mod visits;

pub mod analysis;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::canary::Policy;
use crate::canary::State;
use crate::store::Store;
use clock::Clock;
use command::Salts;
use effect::Unkept;
use live::Live;
use predict::PredictError;
use predict::Prediction;
use predict::Request;
use recordings::Recordings;
use registry::Registry;
use shadow::Kept;
use shadow::Shadow;
use tripwire::Alarm;
use watch::Watch;

pub use command::Command;
pub use command::CommandError;
pub use command::Deployment;
pub use replay::ReplayError;
pub use startup::StartError;

/// A serin without its HTTP server.
pub struct Service {
    /// What predictions read. Written only by a command, and by nobody else.
    live: ArcSwap<Live>,
    /// What commands read and write: the state that the journal leads to, and how far that is.
    /// The lock makes commands take turns; predictions never touch it.
    ledger: Mutex<Ledger>,
    /// The judgement that may be looked at all the time. Written by every tick; predictions never
    /// touch it. Taken after the ledger and `saved`, and before the locks of the recordings.
    watch: Mutex<Watch>,
    /// What the newest checkpoint holds (rollout, step, requests), so that nothing is written twice.
    /// Held while one is written, so that they are written in order. Taken after the ledger.
    saved: Mutex<(u64, u32, u64)>,
    store: Arc<dyn Store>,
    registry: Registry,
    clock: Arc<dyn Clock>,
    settings: Settings,
    started: Duration,
    /// Wakes whoever drives rollouts by plan.
    alarm: Arc<Alarm>,
    /// What was measured elsewhere. Written by whoever records, emptied with each deployment; predictions
    /// never touch it. Its locks are taken last.
    recordings: Recordings,
    /// What waits to be asked of the canary in shadow, and what was kept of the answers. Predictions hand
    /// requests over and never wait.
    shadow: Shadow,
    /// Set once, when the server stops taking new work.
    draining: AtomicBool,
}

/// The state and the journal's length.
struct Ledger {
    state: State,
    revision: u64,
    /// A rollback that took effect and is not in the journal yet.
    unkept: Option<Unkept>,
    /// The random numbers that salt each rollout's split.
    salts: Salts,
}

/// What a service needs to be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How rollouts are run unless a deploy request says otherwise.
    pub policy: Policy,
    /// How many threads answer predictions.
    pub workers: usize,
    /// Makes every salt, and with it every split, repeatable. `None`: from the operating system.
    pub seed: Option<u64>,
    /// How long stable may take.
    pub stable_deadline: Duration,
    /// The model that is stable at the very first start.
    pub stable: String,
    /// What is kept of requests.
    pub kept: Kept,
}

impl Service {
    /// Answers a prediction request.
    ///
    /// # Errors
    /// See [`predict::predict`].
    pub async fn predict(&self, request: Request<'_>) -> Result<Prediction, PredictError> {
        let live = self.live.load();
        let deadline = self.settings.stable_deadline;
        predict::predict(live, &*self.clock, deadline, &self.shadow, request).await
    }

    /// The model files there are.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The numbers that were measured elsewhere, for the rollout under way or for none.
    pub fn recordings(&self) -> &Recordings {
        &self.recordings
    }

    /// Says that no new work should come: readiness turns off.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Whether new work is welcome.
    pub fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests;
