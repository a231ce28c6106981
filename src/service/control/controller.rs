//! Controller of rollouts by plan: looks, judges, determines the next action, commits it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use super::Control;
use super::error::CommandError;
use super::ledger::Ledger;
use crate::canary::Event;
use crate::canary::Judgement;
use crate::canary::Pairs;
use crate::canary::Rollout;
use crate::canary::Samples;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::Mode;
use crate::canary::policy::plan::MIN_SAMPLES_FOR_P99;
use crate::canary::rollout::next_action::Action;
use crate::canary::rollout::next_action::Observation;
use crate::canary::rollout::next_action::next_action;
use crate::service::serving::live::Closure;
use crate::service::serving::live::Live;
use crate::service::serving::recorder::Observed;
use crate::stats::Summary;
use crate::store::StoreError;

/// How long a look waits for a command before it judges without the ledger for the first time.
const PATIENCE: Duration = Duration::from_millis(20);

/// How often it checks for a rollout by plan.
const IDLE: Duration = Duration::from_secs(1);

impl Control {
    /// Looks at the running rollout or the monitored promotion and takes the next action. Returns it; `None`
    /// without a rollout by plan. Blocks until the event is in the journal.
    ///
    /// # Errors
    /// When the store fails. Only a rollback takes effect then; the next look tries again.
    pub fn look(&self) -> Result<Option<Action>, CommandError> {
        match self.look_once() {
            // Another replica was first, or leads by now. The next look decides in the new state.
            Err(CommandError::Store(
                StoreError::Conflict { .. } | StoreError::NotLeader { .. },
            )) if self.is_shared() => Ok(None),
            other => other,
        }
    }

    fn look_once(&self) -> Result<Option<Action>, CommandError> {
        let (mut closed, mut patience) = (None, PATIENCE);
        let mut ledger = loop {
            // A command may hold the ledger while it waits for the disk. Users must not meet a harmful canary
            // meanwhile, so it is judged as often as without the wait.
            match self.ledger.try_lock_for(patience) {
                Some(ledger) => break ledger,
                None if closed.is_none() => closed = self.close_harmful_lane(),
                None => {}
            }
            patience = self.until_next_look();
        };
        self.flush_pending_rollback(&mut ledger)?;
        if !self.decides() {
            return self.look_as_follower(&mut ledger);
        }
        self.look_after(&mut ledger)?;
        let Some(rollout) = ledger.state.rollout.as_ref().filter(|it| it.mode() == Mode::Automatic)
        else {
            return Ok(None);
        };
        let live = self.serving.live.load_full();
        let (action, judgement) = self.decided(rollout, &live);
        let judgement = Box::new(judgement);
        let (rollout, by) = (rollout.id, Mode::Automatic);
        let event = match &action {
            Action::Wait(_) => return Ok(Some(action)),
            Action::Advance => Event::Advanced { judgement },
            Action::AwaitApproval => Event::ApprovalAwaited { judgement },
            Action::Promote => Event::Promoted { judgement, forced: false, reason: None, by },
            Action::RollBack(cause) => Event::RolledBack {
                rollout,
                cause: cause.clone(),
                quarantine: cause.is_harm(),
                judgement: Some(judgement),
                by,
            },
            Action::HoldFor(concerns) => Event::Held { judgement, concerns: concerns.clone() },
            Action::Hold(cause) => Event::Paused { rollout, cause: cause.clone() },
        };
        self.commit(&mut ledger, &event, None)?;
        Ok(Some(action))
    }

    /// Rolls back a canary whose breaker has tripped here. Everything else the leader decides.
    fn look_as_follower(&self, ledger: &mut Ledger) -> Result<Option<Action>, CommandError> {
        let Some(rollout) = ledger.state.rollout.as_ref() else { return Ok(None) };
        let live = self.serving.live.load_full();
        let breaker = live.canary.as_ref().and_then(|canary_slot| canary_slot.breaker.as_ref());
        let is_tripped = breaker.is_some_and(|breaker| breaker.trip_reason().is_some());
        if !is_tripped || rollout.mode() != Mode::Automatic {
            return Ok(None);
        }
        let (action, judgement) = self.decided(rollout, &live);
        let Action::RollBack(cause) = &action else { return Ok(None) };
        let event = Event::RolledBack {
            rollout: rollout.id,
            cause: cause.clone(),
            quarantine: cause.is_harm(),
            judgement: Some(Box::new(judgement)),
            by: Mode::Automatic,
        };
        self.commit(ledger, &event, None)?;
        Ok(Some(action))
    }

    /// Stops requests to a canary that is to be rolled back. The decision is made under the ledger; if it is
    /// another one by then, dropping the closure reopens the lane.
    fn close_harmful_lane(&self) -> Option<Closure> {
        let position = self.position.load();
        let rollout = position.state.rollout.as_ref()?;
        if rollout.mode() != Mode::Automatic || !self.decides() {
            return None;
        }
        let (action, _) = self.decided(rollout, &position.live);
        let canary_slot = position.live.canary.as_ref()?;
        matches!(action, Action::RollBack(_)).then(|| canary_slot.lane.close())
    }

    /// The next action of the plan, and the judgement it rests on.
    fn decided(&self, rollout: &Rollout, live: &Live) -> (Action, Judgement) {
        let observed = self.closed_tick(live);
        let newest = self.newest_evidence(live);
        let judgement = self.judged(rollout, &observed, newest.map(|it| it.evidence));
        let action = self.next_action(rollout, live, &observed, &judgement);
        (action, judgement)
    }

    /// The next action of the plan.
    pub(crate) fn next_action(
        &self,
        rollout: &Rollout,
        live: &Live,
        observed: &Observed,
        judgement: &Judgement,
    ) -> Action {
        let breaker = live.canary.as_ref().and_then(|canary_slot| canary_slot.breaker.as_ref());
        let samples = observed.all();
        let p99 = |latency: &Summary| {
            latency.quantile(0.99).filter(|_| latency.count() >= MIN_SAMPLES_FOR_P99)
        };
        let repeated = |of: fn(&Samples) -> &TrackSamples| {
            observed.repeated.as_ref().map_or(0, |samples| of(samples).requests)
        };
        let seen = Observation {
            tripped: breaker.and_then(|it| it.trip_reason()),
            canary_p99_seconds: p99(&samples.canary.latency),
            stable_p99_seconds: p99(&samples.stable.latency),
            shadowed: observed.pairs.as_ref().map_or(0, Pairs::asked),
            canary_repeated: repeated(|samples| &samples.canary),
            stable_repeated: repeated(|samples| &samples.stable),
            positions_change: live.intake.latest().by_position > 0,
            not_ready: self.not_ready(&rollout.canary.digest),
        };
        next_action(rollout, judgement, &seen, self.clock.wall())
    }

    /// Looks once and logs a new error; how long until the next look.
    pub(crate) fn drive(&self, trouble: &mut Option<String>) -> Duration {
        let now = trouble_of(|| self.look());
        if let Some(cause) = now.as_ref().filter(|_| now != *trouble) {
            tracing::error!(%cause, "the rollout could not be driven; trying again");
        }
        *trouble = now;
        self.until_next_look()
    }

    /// How long until the next look.
    fn until_next_look(&self) -> Duration {
        self.position.load().state.judged().map_or(IDLE, |rollout| rollout.policy.plan.look)
    }
}

/// The error of a look. A panic is caught, because a canary without a controller is worse than an error in
/// the log.
fn trouble_of<T>(look: impl FnOnce() -> Result<T, CommandError>) -> Option<String> {
    match std::panic::catch_unwind(AssertUnwindSafe(look)) {
        Ok(Ok(_)) => None,
        Ok(Err(cause)) => Some(cause.to_string()),
        Err(_panic) => Some("the look panicked; nothing was decided".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_fails_or_panics_is_logged_and_the_next_one_happens() {
        assert_eq!(trouble_of(|| Ok(())), None);
        assert!(
            trouble_of::<()>(|| panic!("a bug")).is_some_and(|cause| cause.contains("panicked"))
        );
        let failed =
            || Err::<(), _>(crate::store::StoreError::Conflict { expected: 1, actual: 2 }.into());
        assert!(trouble_of(failed).is_some());
    }
}
