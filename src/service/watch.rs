//! Who feeds the judge that may be asked at any time? Every second, every look at the health, and every
//! change of weight closes a tick. Each tick is written down, and saved with the next checkpoint.

use jiff::Timestamp;

use super::Service;
use super::live::Live;
use super::rate::Rate;
use super::recorder::Observed;
use super::recordings::Recordings;
use crate::canary::Forecast;
use crate::canary::Increment;
use crate::canary::JudgePolicy;
use crate::canary::Logged;
use crate::canary::LoggedTick;
use crate::canary::Monitors;
use crate::canary::Pairs;
use crate::canary::Rollout;
use crate::canary::Samples;
use crate::canary::State;
use crate::canary::evidence_log::Bounds;
use crate::canary::evidence_log::Unsaved;
use crate::canary::forecast::forecast;
use crate::canary::judge::WatchEvidence;

/// The judgement of the rollout under way, and up to where it has seen the samples.
#[derive(Default)]
pub(super) struct Watch {
    watched: Option<Watched>,
    /// How much is kept of what led to the judgement.
    pub(super) bounds: Bounds,
}

struct Watched {
    rollout: u64,
    step: u32,
    policy: JudgePolicy,
    /// What is observed before enters no judgement.
    warm_until: Timestamp,
    /// The samples of the step that the last tick has seen.
    seen: Samples,
    /// The pairs, likewise.
    seen_pairs: Option<Pairs>,
    monitors: Monitors,
    /// The ticks that the store does not have.
    unsaved: Unsaved,
    rate: Rate,
}

/// What is to be saved of a judgement, all of it at once.
pub(super) struct ToSave {
    /// The judgement.
    pub(super) monitors: Monitors,
    /// What led to it since the last save.
    pub(super) grown: Vec<Logged>,
    /// Up to where that is.
    pub(super) so_far: u64,
}

impl Watch {
    /// The watch over a rollout, with these monitors, which have seen these samples of its step.
    pub(super) fn over(
        rollout: &Rollout,
        monitors: Monitors,
        unsaved: Unsaved,
        seen: Observed,
        rate: Rate,
    ) -> Watch {
        let (policy, bounds) = (rollout.policy.judge.clone(), Bounds::default());
        let warm_until = rollout.warm_until();
        let (rollout, step) = (rollout.id, rollout.step);
        let (seen, seen_pairs) = (seen.first, seen.pairs);
        let watched = Watched {
            rollout,
            step,
            policy,
            warm_until,
            seen,
            seen_pairs,
            monitors,
            unsaved,
            rate,
        };
        Watch { watched: Some(watched), bounds }
    }

    /// Closes a tick with these first samples and pairs of the running step and what was recorded since
    /// the last; whether there is a judgement of the step.
    pub(super) fn tick(
        &mut self,
        live: &Live,
        observed: &Observed,
        recordings: &Recordings,
        at: Timestamp,
    ) -> bool {
        let Observed { first: samples, pairs, .. } = observed;
        let (Some(watched), Some(lane)) = (&mut self.watched, &live.canary) else { return false };
        if (watched.rollout, watched.step) != (lane.rollout, lane.step) {
            return false;
        }
        // Whoever looked earlier and comes later brings nothing new.
        let increment = Increment::between(lane.split.weight(), &watched.seen, samples)
            .and_then(|it| it.with_pairs(watched.seen_pairs.as_ref(), pairs.as_ref()));
        let Some(mut increment) = increment else { return true };
        if increment.weight.is_certain() {
            // No coin falls, so what was recorded compares nothing.
            recordings.drop_waiting();
        } else {
            increment.recorded = recordings.increments();
        }
        let Watched { monitors, unsaved, rate, .. } = watched;
        rate.count(increment.stable.requests + increment.canary.requests, at);
        if at < watched.warm_until {
            (watched.seen, watched.seen_pairs) = (samples.clone(), pairs.clone());
            return true;
        }
        // Looking twice at the same samples changes nothing.
        if !increment.is_empty() {
            monitors.tick(&increment);
            let tick = LoggedTick::new(monitors.ticks(), watched.step, at, &increment);
            unsaved.push(tick, monitors, &self.bounds);
            (watched.seen, watched.seen_pairs) = (samples.clone(), pairs.clone());
        }
        true
    }

    /// What may be concluded now.
    fn evidence(&self) -> Option<WatchEvidence> {
        let watched = self.watched.as_ref()?;
        Some(WatchEvidence::new(&watched.policy, &watched.monitors))
    }

    /// What comes, if requests go on as they did of late.
    pub(super) fn forecast(&self, rollout: &Rollout, now: Timestamp) -> Option<Forecast> {
        let watched = self.watched.as_ref().filter(|watched| watched.rollout == rollout.id)?;
        let left = rollout.bake().unwrap_or_default().saturating_sub(rollout.elapsed(now));
        let observed = watched.rate.observed(now);
        let measured = watched.monitors.measured();
        Some(forecast(&watched.policy, &measured, rollout.weight(), observed, left))
    }

    /// What is to be saved.
    pub(super) fn to_save(&self) -> Option<ToSave> {
        let Watched { monitors, unsaved, .. } = self.watched.as_ref()?;
        let (grown, so_far) = unsaved.parts();
        Some(ToSave { monitors: monitors.clone(), grown, so_far })
    }

    /// That far, the log of this rollout is saved.
    pub(super) fn saved(&mut self, rollout: u64, so_far: u64) {
        if let Some(watched) = self.watched.as_mut().filter(|watched| watched.rollout == rollout) {
            watched.unsaved.saved(so_far);
        }
    }

    /// Follows a change of state. The judgement of a rollout goes on from step to step, because each
    /// tick knows its own share; a new rollout starts from what stable did before it.
    pub(super) fn follow(
        &mut self,
        state: &State,
        before: &Live,
        recordings: &Recordings,
        at: Timestamp,
    ) {
        let last = before.recorder.observed();
        self.tick(before, &last, recordings, at);
        let Some(rollout) = &state.rollout else {
            self.watched = None;
            recordings.judge([], 0);
            return;
        };
        match &mut self.watched {
            Some(watched) if watched.rollout == rollout.id => {
                if watched.step != rollout.step {
                    (watched.step, watched.seen) = (rollout.step, Samples::default());
                    watched.seen_pairs = None;
                    recordings.drop_waiting();
                }
            }
            Some(_) | None => {
                // What was recorded of the last canary says nothing about this one.
                recordings.clear();
                recordings.judge(rollout.recorded_metrics(), rollout.salt);
                let monitors = Monitors::new(&rollout.policy.judge, &last.first.stable);
                let (unsaved, bounds) = (Unsaved::beginning(&monitors), self.bounds);
                let (none, rate) = (Observed::default(), Rate::new(at));
                let watch = Watch::over(rollout, monitors, unsaved, none, rate);
                *self = Watch { bounds, ..watch };
            }
        }
    }
}

impl Service {
    /// What the watch says of these samples, which closes a tick; `None` without a canary.
    pub(super) fn watch_evidence(&self, live: &Live, observed: &Observed) -> Option<WatchEvidence> {
        let mut watch = self.watch.lock();
        let is_judged = watch.tick(live, observed, &self.recordings, self.clock.wall());
        if is_judged { watch.evidence() } else { None }
    }
}
