//! What /predict reads: one immutable value, replaced whole.
//!
//! Every command that changes what users get installs a new [`Live`]. A request that is under way
//! keeps the one it began with, recorder included, so a late answer cannot contaminate the samples
//! of the next step, and a rollback is one pointer swap.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::circuit_breaker::CircuitBreaker;
use super::faults::Fault;
use super::faults::Injector;
use super::inference::Inference;
use super::recorder::Recorder;
use super::seen_keys::KeyUse;
use super::seen_keys::RolloutKeys;
use super::seen_keys::SHADOW_SALT;
use super::segment_slots::Places;
use crate::canary::Rollout;
use crate::canary::Split;
use crate::canary::Track;
use crate::canary::Version;
use crate::canary::observed::samples::Failure;
use crate::canary::policy::fault::Segments;
use crate::canary::rollout::state::Slowdown;
use crate::canary::traffic::prediction_id::Attribution;

/// Who answers now, and where what is observed goes.
pub struct Live {
    /// The trusted version.
    pub stable: Arc<Loaded>,
    /// The version on trial, with its share.
    pub canary: Option<CanarySlot>,
    /// The version that was stable before the promotion that is watched.
    pub previous: Option<Arc<Loaded>>,
    /// The samples since the current step began.
    pub recorder: Arc<Recorder>,
}

/// A model version that is ready to answer.
pub struct Loaded {
    /// Which.
    pub version: Version,
    /// The means to run it.
    pub inference: Inference,
}

/// The canary's canary_slot.
pub struct CanarySlot {
    /// The rollout.
    pub rollout: u64,
    /// The step of it.
    pub step: u32,
    /// The version on trial.
    pub loaded: Arc<Loaded>,
    /// Who goes where.
    pub split: Split,
    /// Which keys were there before, in this rollout. Shared by its steps.
    pub visits: Arc<RolloutKeys>,
    /// Which segments there are. Shared by its steps.
    pub segments: Arc<Places>,
    /// Which of stable's requests it is asked in shadow; `None` if none.
    pub shadow: Option<Split>,
    /// Keeps users from waiting for a canary that fails; `None` if it is off. Shared by the steps.
    pub breaker: Option<Arc<CircuitBreaker>>,
    /// The injected delay of the slowdown.
    pub delay: Option<Duration>,
    /// What else is done to it on purpose.
    pub injector: Option<Injector>,
    /// How long a canary prediction may take, delay included.
    pub deadline: Duration,
    /// Set when the canary is taken back, before the disk is asked: users come first.
    closed: AtomicBool,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// Who answers.
    pub track: Track,
    /// Whether its key was there before.
    pub visit: KeyUse,
    /// What its label would be good for, if whoever is asked answers.
    pub attribution: Attribution,
    /// Its number among those without a key.
    number: Option<u64>,
}

impl CanarySlot {
    /// The canary_slot of a rollout's canary.
    pub fn new(
        rollout: &Rollout,
        loaded: Arc<Loaded>,
        slowdown: Slowdown,
        visits: Option<Arc<RolloutKeys>>,
        breaker: Option<Arc<CircuitBreaker>>,
        before: Option<&CanarySlot>,
    ) -> CanarySlot {
        CanarySlot {
            rollout: rollout.id,
            step: rollout.step,
            loaded,
            split: Split::new(rollout.weight(), rollout.salt, rollout.step),
            shadow: (!rollout.shadow().is_zero())
                .then(|| Split::new(rollout.shadow(), rollout.salt ^ SHADOW_SALT, rollout.step)),
            visits: visits.unwrap_or_else(|| Arc::new(RolloutKeys::new(rollout.salt))),
            delay: slowdown.enabled.then(|| Duration::from_millis(u64::from(slowdown.delay_ms))),
            injector: Injector::of(rollout),
            deadline: rollout.policy.canary_deadline,
            segments: before.map_or_else(
                || Arc::new(Places::of(&rollout.policy.judge)),
                |canary_slot| canary_slot.segments.clone(),
            ),
            closed: AtomicBool::new(false),
            breaker,
        }
    }

    /// What is done on purpose to the next request with these segments.
    pub fn fault(&self, segments: Segments<'_>) -> Fault {
        let injected = self.injector.as_ref().map_or(Fault::NONE, |it| it.fault(segments));
        Fault { delay: injected.delay + self.delay.unwrap_or_default(), ..injected }
    }

    /// Whether a request that is the canary's may go to it at this time of the steady clock.
    pub fn admits(&self, now: impl FnOnce() -> Duration) -> bool {
        self.breaker.as_ref().is_none_or(|breaker| breaker.admits(now))
    }

    /// The canary has answered a request that counts, after so many seconds a row.
    pub fn answered(&self, latency_seconds: f64) {
        if let Some(breaker) = &self.breaker {
            breaker.answered(latency_seconds);
        }
    }

    /// It has failed at one, or was not asked, at this time of the steady clock.
    pub fn failed(&self, failure: Failure, now: impl FnOnce() -> Duration) {
        if let Some(breaker) = &self.breaker {
            breaker.failed(failure, now);
        }
    }

    /// Whether stable's answer to this request is to be compared with the canary's: of a key only the first,
    /// because what follows says the same.
    pub fn shadows(&self, assigned: Assigned, key: Option<&str>) -> bool {
        let Some(shadow) = self.shadow.as_ref().filter(|_| self.is_open()) else { return false };
        let picked = match (key, assigned.number) {
            (Some(key), _) => shadow.assign_key(key),
            (None, Some(number)) => shadow.assign(number),
            (None, None) => Track::Stable,
        };
        let is_new = |key| self.visits.shadowed.visit(key) == KeyUse::First;
        picked == Track::Canary && key.is_none_or(is_new)
    }

    /// From now on the canary gets no request.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whether it gets any.
    pub fn is_open(&self) -> bool {
        // A request that comes a moment too early is the shield's.
        let is_tripped = self.breaker.as_ref().is_some_and(|it| it.trip_reason().is_some());
        !is_tripped && !self.closed.load(Ordering::Relaxed)
    }
}

impl Assigned {
    /// To stable, and its label says nothing of either track.
    fn apart(visit: KeyUse) -> Assigned {
        Assigned { track: Track::Stable, visit, attribution: Attribution::Excluded, number: None }
    }
}

impl Live {
    /// Where the next request goes.
    pub fn assign(&self, key: Option<&str>) -> Assigned {
        let Some(canary_slot) = &self.canary else {
            return Assigned::apart(KeyUse::First);
        };
        // Stable answers what the split would have given the canary, so it is compared with nothing.
        if !canary_slot.is_open() {
            return Assigned::apart(KeyUse::Repeated);
        }
        let (track, visit, number) = match key {
            // Where nothing is left to chance nothing is bet, and the coin of this key is still to fall.
            Some(key) if canary_slot.split.weight().is_certain() => {
                (canary_slot.split.assign_key(key), KeyUse::First, None)
            }
            Some(key) => {
                (canary_slot.split.assign_key(key), canary_slot.visits.answered.visit(key), None)
            }
            None => {
                let number = self.recorder.next_request();
                (canary_slot.split.assign(number), KeyUse::First, Some(number))
            }
        };
        let attribution = match visit {
            KeyUse::First => Attribution::Judged,
            KeyUse::Repeated => Attribution::Reported,
        };
        Assigned { track, visit, attribution, number }
    }
}
