//! Who feeds the judge that may be asked at any time? Every second, every look at the health, and every
//! change of weight closes a tick.

use super::Service;
use super::live::Live;
use super::recordings::Recordings;
use crate::canary::Increment;
use crate::canary::JudgePolicy;
use crate::canary::Monitors;
use crate::canary::Samples;
use crate::canary::State;
use crate::canary::judge::WatchEvidence;
use crate::canary::signals::TrackSamples;

/// The judgement of the rollout under way, and up to where it has seen the samples.
#[derive(Default)]
pub(super) struct Watch(Option<Watched>);

struct Watched {
    rollout: u64,
    step: u32,
    policy: JudgePolicy,
    /// The samples of the step that the last tick has seen.
    seen: Samples,
    monitors: Monitors,
}

impl Watch {
    /// The watch over this state, which goes on with what is kept of its judgement, or starts from
    /// what stable did before. The samples seen are those that the judgement knows already.
    pub(super) fn over(
        state: &State,
        kept: Option<Monitors>,
        before: &TrackSamples,
        seen: Samples,
    ) -> Watch {
        Watch(state.rollout.as_ref().map(|rollout| Watched {
            rollout: rollout.id,
            step: rollout.step,
            policy: rollout.policy.judge.clone(),
            seen,
            monitors: kept.unwrap_or_else(|| Monitors::new(&rollout.policy.judge, before)),
        }))
    }

    /// Closes a tick with these samples of the running step and what was recorded since the last, and
    /// gives the judgement after it.
    pub(super) fn tick(
        &mut self,
        live: &Live,
        samples: &Samples,
        recordings: &Recordings,
    ) -> Option<&Monitors> {
        let (Some(watched), Some(lane)) = (&mut self.0, &live.canary) else { return None };
        if (watched.rollout, watched.step) != (lane.rollout, lane.step) {
            return None;
        }
        let mut increment = Increment::between(lane.split.weight(), &watched.seen, samples);
        increment.recorded = recordings.increments();
        // Looking twice at the same samples changes nothing.
        if !increment.is_empty() {
            watched.monitors.tick(&increment);
            watched.seen = samples.clone();
        }
        Some(&watched.monitors)
    }

    /// What may be concluded now.
    pub(super) fn evidence(&self) -> Option<WatchEvidence> {
        let watched = self.0.as_ref()?;
        Some(WatchEvidence::new(&watched.policy, &watched.monitors))
    }

    /// Follows a change of state. The judgement of a rollout goes on from step to step, because each
    /// tick knows its own share; a new rollout starts from what stable did before it.
    pub(super) fn follow(&mut self, state: &State, before: &Live, recordings: &Recordings) {
        let last = before.recorder.observed().first;
        self.tick(before, &last, recordings);
        let kept = match (self.0.take(), &state.rollout) {
            (Some(watched), Some(rollout)) if watched.rollout == rollout.id => {
                if watched.step == rollout.step {
                    self.0 = Some(watched);
                    return;
                }
                Some(watched.monitors)
            }
            (Some(_) | None, _) => None,
        };
        *self = Watch::over(state, kept, &last.stable, Samples::default());
    }
}

impl Service {
    /// What the watch says of these samples, which closes a tick; `None` without a canary.
    pub(super) fn watch_evidence(&self, live: &Live, samples: &Samples) -> Option<WatchEvidence> {
        let mut watch = self.watch.lock();
        watch.tick(live, samples, &self.recordings)?;
        watch.evidence()
    }
}
