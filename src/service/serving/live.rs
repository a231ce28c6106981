//! Live: the one immutable value that a prediction reads, replaced whole.
//!
//! Each commit that changes what users get installs a new [`Live`]. A request under way keeps the one it
//! began with, recorder included: a late answer cannot contaminate the samples of the next step, and a
//! rollback is one pointer swap.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::circuit_breaker::CircuitBreaker;
use super::faults::Fault;
use super::faults::Injector;
use super::inference::Inference;
use super::inputs::InputSampler;
use super::inputs::Tally;
use super::intake::Intake;
use super::keys::homes::Homes;
use super::keys::seen_keys::KeyUse;
use super::keys::seen_keys::RolloutKeys;
use super::keys::seen_keys::SHADOW_SALT;
use super::keys::visitors::Visitors;
use super::recorder::Recorder;
use super::segment_slots::Places;
use super::shadow::trial::Limits;
use super::shadow::trial::Trial;
use super::shadow::trial::Tried;
use crate::canary::Rollout;
use crate::canary::Split;
use crate::canary::Track;
use crate::canary::Version;
use crate::canary::observed::samples::Failure;
use crate::canary::policy::fault::Segments;
use crate::canary::rollout::state::Slowdown;
use crate::canary::traffic::prediction_id::Attribution;
use crate::model::Card;
use crate::model::Schema;
use crate::model::artifact::comparison;
use crate::text::lists::listed;

/// The versions that answer, and the recorder of their samples.
pub struct Live {
    /// The stable version.
    pub stable: Arc<Loaded>,
    /// The canary, with its share.
    pub canary: Option<CanarySlot>,
    /// The version that was stable before the monitored promotion.
    pub previous: Option<Arc<Loaded>>,
    /// What requests may contain, and what each version gets of them.
    pub intake: Arc<Intake>,
    /// The inputs of requests since the current step began.
    pub(crate) inputs: Arc<InputSampler>,
    /// The samples since the current step began.
    pub recorder: Arc<Recorder>,
    /// The keys that came while there was no canary. Shared by all values, so that a rollout does not forget them.
    pub visitors: Arc<Visitors>,
    /// Which replica judges a key. Shared by all values.
    pub homes: Arc<Homes>,
}

/// A model version that is ready to answer.
pub struct Loaded {
    /// Its name, file and digest.
    pub version: Version,
    /// The means to run it.
    pub inference: Inference,
    /// Its description, if it has one.
    pub card: Option<Card>,
    /// What its trial as the canary has found.
    pub trial: OnceLock<Trial>,
}

impl Loaded {
    /// The library that computes it, in words; `None` if serin does.
    pub fn library(&self) -> Option<String> {
        let import = self.card.as_ref().and_then(Card::imported);
        import.and_then(|import| import.library).map(str::to_owned)
    }
}

impl Loaded {
    /// Features that requests may lack, and without which it has no answer as the canary.
    pub fn fails_without(&self) -> Option<&BTreeSet<String>> {
        self.trial.get().map(|trial| &trial.fails_without)
    }

    /// What a trial of it as the canary finds, where requests may lack these features of stable. Blocks.
    pub(crate) fn tried(
        &self,
        stable: &Loaded,
        may_lack: &BTreeSet<String>,
        limits: Limits<'_>,
    ) -> Trial {
        let [canary, stable] =
            [self, stable].map(|it| Tried { inference: &it.inference, card: it.card.as_ref() });
        Trial::new(canary, stable, may_lack, limits)
    }
}

/// The canary's slot in a [`Live`].
pub struct CanarySlot {
    /// The rollout.
    pub rollout: u64,
    /// Its step.
    pub step: u32,
    /// The canary.
    pub loaded: Arc<Loaded>,
    /// In which features it differs from stable, what the cards of both say against it, and that too few users may
    /// come.
    pub warnings: Vec<String>,
    /// Which requests it gets.
    pub split: Split,
    /// Keys seen in this rollout, shared by its steps.
    pub keys: Arc<RolloutKeys>,
    /// The segments of this rollout. Shared by its steps.
    pub segments: Arc<Places>,
    /// Which of stable's requests it gets in shadow; `None`: none.
    pub shadow: Option<Split>,
    /// The circuit breaker, shared by the steps; `None` if it is off.
    pub breaker: Option<Arc<CircuitBreaker>>,
    /// The injected delay of the slowdown.
    pub delay: Option<Duration>,
    /// The other injected faults.
    pub injector: Option<Injector>,
    /// How long a canary prediction may take, delay included.
    pub deadline: Duration,
    /// Whether the canary gets requests; shared by the steps.
    pub lane: Arc<Lane>,
}

/// The way of requests to the canary. A rollback closes it first, and then waits for earlier commands and for the disk.
#[derive(Default)]
pub struct Lane {
    /// Rollbacks under way. Written by rollbacks, read by each request; relaxed, because a request that slips through
    /// is answered by stable should the canary fail.
    closures: AtomicUsize,
}

/// Keeps the lane closed until it is dropped: a refused rollback opens the lane again.
pub struct Closure(Arc<Lane>);

impl Lane {
    /// Stops all requests to the canary.
    pub fn close(self: &Arc<Lane>) -> Closure {
        self.closures.fetch_add(1, Ordering::Relaxed);
        Closure(self.clone())
    }

    /// Stops all requests to the canary, also those under way that have read this value and are not assigned yet.
    pub fn close_for_good(&self) {
        self.closures.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether no rollback is under way.
    pub fn is_open(&self) -> bool {
        self.closures.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Closure {
    fn drop(&mut self) {
        self.0.closures.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The assignment of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The track that answers.
    pub track: Track,
    /// Whether it is the first request of its key.
    pub key_use: KeyUse,
    /// What its label counts for, if that track answers.
    pub attribution: Attribution,
    /// The cell of its key; `None` without a key, and where nothing is drawn.
    pub cell: Option<u8>,
    /// Its number among those without a key.
    number: Option<u64>,
}

impl CanarySlot {
    /// The slot of a rollout's canary.
    pub fn new(
        rollout: &Rollout,
        loaded: Arc<Loaded>,
        stable: &Loaded,
        slowdown: Slowdown,
        keys: Option<Arc<RolloutKeys>>,
        breaker: Option<Arc<CircuitBreaker>>,
        before: Option<&CanarySlot>,
    ) -> CanarySlot {
        CanarySlot {
            rollout: rollout.id,
            step: rollout.step,
            warnings: before.map_or_else(
                || {
                    feature_notes(&loaded, stable)
                        .into_iter()
                        .chain(card_warnings(&loaded, stable))
                        .collect()
                },
                |canary_slot| canary_slot.warnings.clone(),
            ),
            loaded,
            split: Split::new(rollout.weight(), rollout.salt, rollout.step),
            shadow: (!rollout.shadow().is_zero())
                .then(|| Split::new(rollout.shadow(), rollout.salt ^ SHADOW_SALT, rollout.step)),
            keys: keys.unwrap_or_else(|| Arc::new(RolloutKeys::new(rollout.salt))),
            delay: slowdown.enabled.then(|| Duration::from_millis(u64::from(slowdown.delay_ms))),
            injector: Injector::of(rollout),
            deadline: rollout.policy.canary_deadline,
            segments: before.map_or_else(
                || Arc::new(Places::of(&rollout.policy.judge)),
                |canary_slot| canary_slot.segments.clone(),
            ),
            lane: before.map(|canary_slot| canary_slot.lane.clone()).unwrap_or_default(),
            breaker,
        }
    }

    /// The fault injected into the next request with these segments.
    pub fn fault(&self, segments: Segments<'_>) -> Fault {
        let injected = self.injector.as_ref().map_or(Fault::NONE, |it| it.fault(segments));
        Fault { delay: injected.delay + self.delay.unwrap_or_default(), ..injected }
    }

    /// Whether the breaker admits a request at this time of the steady clock.
    pub fn admits(&self, now: impl FnOnce() -> Duration) -> bool {
        self.breaker.as_ref().is_none_or(|breaker| breaker.admits(now))
    }

    /// Counts an answer of the canary, with its latency per row.
    pub fn answered(&self, latency_seconds: f64) {
        if let Some(breaker) = &self.breaker {
            breaker.answered(latency_seconds);
        }
    }

    /// Counts a failure of the canary at this time of the steady clock.
    pub fn failed(&self, failure: Failure, now: impl FnOnce() -> Duration) {
        if let Some(breaker) = &self.breaker {
            breaker.failed(failure, now);
        }
    }

    /// Counts an answer of stable, with its latency per row.
    pub fn stable_answered(&self, latency_seconds: f64) {
        if let Some(breaker) = &self.breaker {
            breaker.stable_answered(latency_seconds);
        }
    }

    /// Counts a failure of stable.
    pub fn stable_failed(&self) {
        if let Some(breaker) = &self.breaker {
            breaker.stable_failed();
        }
    }

    /// Whether this request is shadowed. Only the first request of a key is, because the others repeat it.
    pub fn shadows(&self, assigned: Assigned, key: Option<&str>, homes: &Homes) -> bool {
        let Some(shadow) = self.shadow.as_ref().filter(|_| self.is_open()) else { return false };
        let picked = match (key, assigned.number) {
            (Some(key), _) => shadow.assign_key(key),
            (None, Some(number)) => shadow.assign(number),
            (None, None) => Track::Stable,
        };
        let is_new = |key| self.keys.shadowed.meet(key, homes).0 == KeyUse::First;
        picked == Track::Canary && key.is_none_or(is_new)
    }

    /// Whether the canary gets requests.
    pub fn is_open(&self) -> bool {
        let is_tripped = self.breaker.as_ref().is_some_and(|it| it.trip_reason().is_some());
        !is_tripped && self.lane.is_open()
    }
}

/// In which features the canary differs from stable, and what it cannot do.
fn feature_notes(canary: &Loaded, stable: &Loaded) -> Vec<String> {
    let fails_without = listed(canary.fails_without().into_iter().flatten().map(String::as_str));
    let not_tried = canary.trial.get().and_then(|trial| trial.not_tried.clone());
    let (canary, stable) = (canary.inference.model(), stable.inference.model());
    let explains = stable.explains().is_some() && canary.explains().is_none();
    let (canary, stable) = (canary.schema(), stable.schema());
    let names = |one: &Schema, other: &Schema| {
        listed(one.not_in(other).map(|feature| feature.name.as_str()))
    };
    let (added, dropped) = (names(canary, stable), names(stable, canary));
    let mut notes = Vec::new();
    if !added.is_empty() {
        notes.push(format!(
            "The canary also takes {added}: requests may send it by name; where they do not, it is missing for the canary."
        ));
    }
    if !dropped.is_empty() {
        notes.push(format!("The canary ignores {dropped}."));
    }
    if !canary.has_order_of(stable) {
        notes.push(
            "Values by position are read in stable's order; once the canary is stable, they are read in its own."
                .to_owned(),
        );
    }
    if !fails_without.is_empty() {
        notes.push(format!(
            "The canary has no answer without {fails_without}: a request that lacks it fails on the canary, and stable \
             is asked instead."
        ));
    }
    notes.extend(not_tried);
    if explains {
        notes.push(
            "Stable explains its answers (explain: true), and the canary cannot: its answers come without explanations, \
             and once it is stable, such requests are refused."
                .to_owned(),
        );
    }
    notes
}

/// What the cards say against the canary. They may list thousands of features, so this is done once per rollout.
fn card_warnings(canary: &Loaded, stable: &Loaded) -> Vec<String> {
    let cards = canary.card.as_ref().zip(stable.card.as_ref());
    cards.map(|(canary, stable)| comparison::warnings(canary, stable)).unwrap_or_default()
}

impl Assigned {
    /// What its inputs count for.
    pub(crate) fn tally(&self) -> Tally {
        match (self.attribution, self.track) {
            (Attribution::Judged, Track::Stable) => Tally::Stable,
            (Attribution::Judged, Track::Canary) => Tally::Canary,
            (Attribution::Reported | Attribution::Excluded, _) => Tally::Traffic,
        }
    }

    /// An assignment to stable whose label counts for neither track.
    fn excluded(key_use: KeyUse) -> Assigned {
        let (track, attribution) = (Track::Stable, Attribution::Excluded);
        Assigned { track, key_use, attribution, cell: None, number: None }
    }
}

impl Live {
    /// In which features the canary differs, what the cards say against it, and that too few users may come; empty
    /// without a canary.
    pub fn warnings(&self) -> &[String] {
        self.canary.as_ref().map_or(&[], |canary_slot| &canary_slot.warnings)
    }

    /// Assigns the next request.
    pub fn assign(&self, key: Option<&str>) -> Assigned {
        let Some(canary_slot) = &self.canary else {
            if let Some(key) = key {
                self.visitors.meet(key);
            }
            return Assigned::excluded(KeyUse::First);
        };
        // Stable answers requests that the split would have given the canary, so they are not comparable.
        if !canary_slot.is_open() {
            return Assigned::excluded(KeyUse::Repeated);
        }
        let (track, key_use, cell, number) = match key {
            // Without randomization nothing is judged, so the key does not count as seen.
            Some(key) if canary_slot.split.weight().is_certain() => {
                (canary_slot.split.assign_key(key), KeyUse::First, None, None)
            }
            Some(key) => {
                let (key_use, cell) = canary_slot.keys.answered.meet(key, &self.homes);
                (canary_slot.split.assign_key(key), key_use, Some(cell), None)
            }
            None => {
                let number = self.recorder.next_request();
                (canary_slot.split.assign(number), KeyUse::First, None, Some(number))
            }
        };
        let attribution = match key_use {
            KeyUse::First => Attribution::Judged,
            KeyUse::Repeated => Attribution::Reported,
        };
        Assigned { track, key_use, attribution, cell, number }
    }
}
