//! Commit: apply an event, append it to the journal, act on it. The only way to change state.
//!
//! A rollback is the exception: its canary gets no further request even before the append, and the rollback
//! holds if the append fails. It is then pending, and appended as soon as the store accepts it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::Control;
use super::error::CommandError;
use super::ledger::Ledger;
use super::ledger::PendingRollback;
use super::registry::Candidate;
use super::startup::inputs_of;
use super::startup::intake_of;
use crate::canary::Event;
use crate::canary::Rollout;
use crate::canary::State;
use crate::canary::Version;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::Source;
use crate::canary::rollout::apply::SamplesEffect;
use crate::canary::rollout::apply::Transition;
use crate::canary::rollout::apply::apply;
use crate::canary::rollout::event::EvidenceBefore;
use crate::service::serving::circuit_breaker::CircuitBreaker;
use crate::service::serving::live::CanarySlot;
use crate::service::serving::live::Live;
use crate::service::serving::live::Loaded;
use crate::service::serving::recorder::Recorder;
use crate::store::StoreError;

/// Whether this is a rollback of the rollout that still runs.
fn is_still_to_do(event: &Event, state: &State) -> bool {
    let running = state.rollout.as_ref().map(|rollout| rollout.id);
    event.is_rollback() && event.rollout() == running
}

impl Control {
    /// Appends a rollback that is not in the journal yet.
    ///
    /// # Errors
    /// When the store still fails.
    pub fn retry_rollback(&self) -> Result<(), CommandError> {
        self.flush_pending_rollback(&mut self.ledger.lock())
    }

    pub(crate) fn flush_pending_rollback(&self, ledger: &mut Ledger) -> Result<(), CommandError> {
        let Some(PendingRollback { event, at, before }) = &ledger.pending_rollback else {
            return Ok(());
        };
        match self.store.append(ledger.revision, *at, event) {
            Ok(entry) => {
                ledger.has_reached(entry.sequence);
                self.notifications.wake();
                tracing::info!(revision = ledger.revision, "the rollback is in the journal");
            }
            Err(StoreError::Conflict { .. }) => {
                // It was appended after all, or another process has decided meanwhile. The journal is
                // right and continues from the state before the rollback.
                let (event, before) = (event.clone(), before.clone());
                self.catch_up(ledger, &before)?;
                self.set_pending(ledger, None);
                if is_still_to_do(&event, &ledger.state) {
                    return self.commit(ledger, &event, None);
                }
                tracing::warn!(
                    revision = ledger.revision,
                    "the journal has moved on; following it"
                );
            }
            Err(cause) => return Err(CommandError::PendingRollback(cause)),
        }
        self.set_pending(ledger, None);
        self.forget_artifacts(&ledger.state);
        Ok(())
    }

    /// Follows an entry that was saved although its command has failed.
    pub(crate) fn follow_unsure_entry(&self) -> Result<(), CommandError> {
        if !self.store_health.is_unsure.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut ledger = self.ledger.lock();
        // A pending rollback is appended again, and follows the journal if it is there already.
        if ledger.pending_rollback.is_none() && self.store.newest_sequence()? > ledger.revision {
            let before = ledger.state.clone();
            self.catch_up(&mut ledger, &before)?;
            tracing::info!(
                revision = ledger.revision,
                "the last command is in the journal after all"
            );
        }
        self.store_health.is_unsure.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn set_pending(&self, ledger: &mut Ledger, pending: Option<PendingRollback>) {
        self.store_health.is_rollback_pending.store(pending.is_some(), Ordering::Relaxed);
        ledger.pending_rollback = pending;
    }

    /// Applies, appends and acts.
    pub(crate) fn commit(
        &self,
        ledger: &mut Ledger,
        event: &Event,
        candidate: Option<Candidate>,
    ) -> Result<(), CommandError> {
        let now = self.clock.wall();
        let (state, samples) = match apply(&ledger.state, event, now)? {
            Transition::Unchanged => return Ok(()),
            Transition::Changed { state, samples } => (*state, samples),
        };
        if let (Event::Reverted { .. }, None) = (event, &self.serving.live.load().previous) {
            return Err(CommandError::PreviousLost { version: state.stable.name });
        }
        if let (true, Some(canary_slot)) = (event.is_rollback(), &self.serving.live.load().canary) {
            canary_slot.lane.close_for_good();
        }
        let candidate = candidate.map(|Candidate { version, bytes, loaded }| {
            self.store.save_artifact(&version.digest, &bytes).map(|()| loaded)
        });
        let loaded = candidate.transpose()?;
        self.save_evidence_of(event)?;
        let entry = match self.store.append(ledger.revision, now, event) {
            Ok(entry) => entry,
            Err(conflict @ StoreError::Conflict { .. }) => {
                let revision = ledger.revision;
                let before = ledger.state.clone();
                let followed = self.catch_up(ledger, &before);
                if !is_still_to_do(event, &ledger.state) {
                    followed?;
                    return Err(conflict.into());
                }
                // Following the journal has opened the slot again. If it leads nowhere new, users must not
                // keep meeting the canary.
                return if followed.is_ok() && ledger.revision > revision {
                    self.commit(ledger, event, None)
                } else {
                    Err(self.unjournalled(ledger, event, state, now, conflict))
                };
            }
            Err(other) => return Err(self.unjournalled(ledger, event, state, now, other)),
        };
        self.notifications.wake();
        let live = self.install(&state, samples, loaded.into_iter().collect());
        ledger.move_to(state, entry.sequence, live);
        self.forget_artifacts(&ledger.state);
        tracing::info!(revision = entry.sequence, event = %event.name(), "{}", event.sentence());
        Ok(())
    }

    /// Saves the ticks that an event's judgement rests on before the event itself, so that the judgement can
    /// be recomputed. A rollback happens even if this fails; a promotion or a change of weight waits.
    fn save_evidence_of(&self, event: &Event) -> Result<(), StoreError> {
        match event.evidence_before() {
            EvidenceBefore::NotNeeded => Ok(()),
            EvidenceBefore::Required => self.save_checkpoint(),
            EvidenceBefore::BestEffort => {
                if let Err(cause) = self.save_checkpoint() {
                    tracing::error!(%cause, "the evidence of {} is incomplete", event.name());
                }
                Ok(())
            }
        }
    }

    /// Handles an event that the journal did not accept. Only a rollback takes effect: a full disk must not
    /// keep users on a bad canary.
    fn unjournalled(
        &self,
        ledger: &mut Ledger,
        event: &Event,
        state: State,
        at: Timestamp,
        cause: StoreError,
    ) -> CommandError {
        if let StoreError::Unsure { .. } = cause {
            self.store_health.is_unsure.store(true, Ordering::Relaxed);
        }
        if !event.is_rollback() {
            return cause.into();
        }
        let live = self.install(&state, SamplesEffect::StartAnew, Vec::new());
        let before = ledger.state.clone();
        ledger.move_to(state, ledger.revision, live);
        let event = event.clone();
        self.set_pending(ledger, Some(PendingRollback { event, at, before }));
        tracing::error!(%cause, "the canary gets no traffic, but its rollback is not in the journal");
        CommandError::PendingRollback(cause)
    }

    /// Makes predictions follow the state. Returns what they read from now on.
    pub(super) fn install(
        &self,
        state: &State,
        samples: SamplesEffect,
        candidates: Vec<Arc<Loaded>>,
    ) -> Arc<Live> {
        let old = self.serving.live.load();
        // By name and file as well as by digest, because one artifact may be deployed under two names and
        // each answers under its own.
        let known = |version: &Version| -> Option<Arc<Loaded>> {
            let canary = old.canary.as_ref().map(|canary_slot| &canary_slot.loaded);
            let others = canary.into_iter().chain([&old.stable]).chain(&old.previous);
            let mut loaded = candidates.iter().chain(others);
            loaded.find(|loaded| loaded.version == *version).cloned()
        };
        // A promotion makes the canary stable, a revert the previous version: both are loaded.
        let stable = known(&state.stable).unwrap_or_else(|| old.stable.clone());
        let canary = state.rollout.as_ref().and_then(|rollout| {
            let before =
                old.canary.as_ref().filter(|canary_slot| canary_slot.rollout == rollout.id);
            let keys = before.map(|canary_slot| canary_slot.keys.clone());
            let breaker = before.map_or_else(
                || CircuitBreaker::of(rollout, &self.wakeup),
                |canary_slot| canary_slot.breaker.clone(),
            );
            let canary = known(&rollout.canary)?;
            let (slowdown, now) = (state.slowdown, self.clock.wall());
            let mut slot =
                CanarySlot::new(rollout, canary, &stable, slowdown, keys, breaker, before);
            if before.is_none() {
                let mut judge = self.judge.lock();
                let few_users = judge.few_users(rollout, &old, now);
                slot.warnings.extend(few_users.or_else(|| judge.slow_plan(rollout, now)));
                drop(judge);
                slot.warnings.extend(no_shadow(rollout));
            }
            Some(slot)
        });
        let previous =
            state.post_promotion.as_ref().and_then(|promotion| known(&promotion.previous));
        let recorder = match samples {
            SamplesEffect::Keep => old.recorder.clone(),
            SamplesEffect::StartAnew => Arc::new(Recorder::new(self.settings.workers)),
        };
        self.judge.lock().follow(state, &old, &self.reported, self.clock.wall());
        self.reported.feedback.follow(state.judged());
        if let Some(rollout) = &state.rollout {
            self.serving.shadow.begin(rollout.id);
        }
        let (visitors, homes) = (old.visitors.clone(), old.homes.clone());
        let canary_of = |slot: Option<&CanarySlot>| slot.map(|it| Arc::as_ptr(&it.loaded));
        let is_same = Arc::ptr_eq(&stable, &old.stable)
            && canary_of(canary.as_ref()) == canary_of(old.canary.as_ref());
        let intake = match is_same {
            true => old.intake.clone(),
            false => intake_of(&stable, canary.as_ref(), &state.clients, &self.settings),
        };
        let is_kept = is_same && Arc::ptr_eq(&recorder, &old.recorder);
        let inputs = match is_kept {
            true => old.inputs.clone(),
            false if is_same => Arc::new(old.inputs.begun_anew()),
            false => {
                let rollout = state.rollout.as_ref();
                inputs_of(&intake, &stable, canary.as_ref(), rollout, &self.settings)
            }
        };
        let live = Live { stable, canary, previous, intake, inputs, recorder, visitors, homes };
        let live = self.serving.install(live);
        // The interval of looks may have changed.
        self.wakeup.wake();
        live
    }

    /// Keeps only the artifacts that a restart would need. A failure costs only space.
    fn forget_artifacts(&self, state: &State) {
        if !self.decides() {
            return;
        }
        let canary = state.rollout.iter().map(|rollout| rollout.canary.digest.as_str());
        let previous =
            state.post_promotion.iter().map(|promotion| promotion.previous.digest.as_str());
        let stable = state.stable.digest.as_str();
        let needed: Vec<&str> = canary.chain(previous).chain([stable]).collect();
        if let Err(cause) = self.store.retain_artifacts(&needed) {
            tracing::warn!(%cause, "unused artifacts are still in the store");
        }
    }
}

/// What a plan without a shadow leads to: nothing but labels would show wrong answers whose scores look as usual.
fn no_shadow(rollout: &Rollout) -> Option<String> {
    let policy = &rollout.policy;
    let judges_scores = |metric: &Metric| metric.role.acts() && metric.source == Source::Score;
    let is_unseen = !policy.mode.is_manual()
        && !policy.plan.has_shadow()
        && policy.judge.metrics.iter().any(judges_scores);
    is_unseen.then(|| {
        "The plan has no step in shadow: unless labels are reported, serin asks for your approval before it promotes; \
         begin with a step such as 0%:10m to avoid that."
            .to_owned()
    })
}
