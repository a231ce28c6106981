//! The running server without HTTP: who answers, what is observed, and the one writer of state.
//!
//! - [`clock`]: what time it is.
//! - [`inference`]: running a model so that nothing it does can hurt the server.
//! - [`recorder`]: where workers write what they observe.
//! - [`visits`]: which keys were there before.
//! - [`segments`]: which segments a request is in, and `segment_counts`: what was observed in each.
//! - [`live`]: what a prediction reads.
//! - [`predict`]: one prediction.
//! - [`breaker`]: when a canary is asked no more.
//! - [`injector`]: what is done to a canary on purpose.
//! - [`registry`]: the models folder.
//! - [`command`]: one admin command, from request to journal to effect.
//! - [`post_promotion`]: who looks after a promotion.
//! - [`startup`]: from a journal to a running service.
//! - [`notify`]: who is told what happens.
//! - [`status`], [`plan_status`], [`checklist`] and [`beside`]: what is going on, for people and programs.
//! - [`checkpoint`]: evidence that survives a restart.
//! - [`replay`]: what the watch has said, recomputed from that.
//! - [`shadow`]: what the canary would say, asked in the background.
//! - [`disagreements`]: where it differs most from stable.
//! - `ring`: the latest requests, kept to be asked again.
//! - [`shadow_status`]: what there is to say of all that.
//! - `watch`: who feeds the judge that may be asked at any time, and `rate`: how many requests come.
//! - [`recordings`]: numbers that were measured elsewhere.
//! - `pending`: those of them that wait for the judge.
//! - [`feedback`]: what became of predictions, and [`quality`]: what that says of the models.
//! - [`analysis`]: two samples compared, with the bootstrap's random numbers.

pub mod clock;
pub mod control;
pub mod reported;
pub mod serving;
pub mod status;

pub mod notify;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::canary::FeedbackPolicy;
use crate::canary::Policy;
use crate::canary::State;
use crate::canary::Track;
use crate::canary::policy::segments::Segments;
use crate::store::Store;
use clock::Clock;
use control::command::Salts;
use control::commit::PendingRollback;
use control::registry::Registry;
use control::sequential_judge::Watch;
use notify::Notifications;
use notify::target::Target;
use reported::feedback::Feedback;
use reported::recordings::Recordings;
use serving::live::Live;
use serving::predict::PredictError;
use serving::predict::Prediction;
use serving::predict::Request;
use serving::shadow::Kept;
use serving::shadow::Shadow;
use serving::tripwire::Alarm;

pub use control::audit::ReplayError;
pub use control::command::Command;
pub use control::command::CommandError;
pub use control::command::Deployment;
pub use control::startup::StartError;

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
    /// Who is told of what the journal takes. Rung by whoever has written to it.
    notifications: Arc<Notifications>,
    /// What became of predictions. Written by whoever sends labels.
    feedback: Feedback,
    /// What waits to be asked of the canary in shadow, and what was kept of the answers. Predictions hand
    /// requests over and never wait.
    shadow: Shadow,
    /// Set once, when the server stops taking new work.
    draining: AtomicBool,
}

/// The state and the journal's length.
pub(crate) struct Ledger {
    state: State,
    revision: u64,
    /// A rollback that took effect and is not in the journal yet.
    pending_rollback: Option<PendingRollback>,
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
    /// Who is told what happens.
    pub notify: Vec<Target>,
    /// Whether a canary may be harmed on purpose.
    pub allow_injection: bool,
    /// Whether labels are taken, and for how long.
    pub feedback: FeedbackPolicy,
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
        serving::predict::predict(live, &*self.clock, deadline, &self.shadow, request).await
    }

    /// The segments that requests may name.
    pub fn declared_segments(&self) -> &Segments {
        &self.settings.policy.judge.segments
    }

    /// Answers a tester's prediction request from this track, if it is there. Nothing is counted.
    ///
    /// # Errors
    /// See [`predict::predict_on`].
    pub async fn predict_on(
        &self,
        track: Track,
        request: Request<'_>,
    ) -> Result<Prediction, PredictError> {
        let (live, deadline) = (self.live.load(), self.settings.stable_deadline);
        serving::predict::predict_on(track, live, &*self.clock, deadline, request).await
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
