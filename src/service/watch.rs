//! Who feeds the judgement that may be looked at all the time? Every second, every look at the
//! health, and every change of weight closes a tick.

use super::Service;
use super::live::Live;
use crate::canary::Samples;
use crate::canary::State;
use crate::canary::always_valid::AlwaysValid;
use crate::canary::always_valid::Sequential;
use crate::canary::signals::TrackSamples;

/// The judgement of the rollout under way, and up to where it has seen the samples.
#[derive(Default)]
pub(super) struct Watch(Option<Watched>);

struct Watched {
    rollout: u64,
    step: u32,
    /// The samples of the step that the last tick has seen.
    seen: Samples,
    sequential: Sequential,
}

impl Watch {
    /// The watch over this state, which goes on with what is kept of its judgement, or starts from
    /// what stable did before. The samples seen are those that the judgement knows already.
    pub(super) fn over(
        state: &State,
        kept: Option<Sequential>,
        before: &TrackSamples,
        seen: Samples,
    ) -> Watch {
        Watch(state.rollout.as_ref().map(|rollout| Watched {
            rollout: rollout.id,
            step: rollout.step,
            seen,
            sequential: kept.unwrap_or_else(|| Sequential::new(&rollout.policy.health, before)),
        }))
    }

    /// Closes a tick with these samples of the running step, and gives the judgement after it.
    pub(super) fn tick(&mut self, live: &Live, samples: &Samples) -> Option<&Sequential> {
        let (Some(watched), Some(lane)) = (&mut self.0, &live.canary) else { return None };
        if (watched.rollout, watched.step) != (lane.rollout, lane.step) {
            return None;
        }
        // Looking twice at the same samples changes nothing.
        if samples.requests() == watched.seen.requests() {
            return Some(&watched.sequential);
        }
        if live.recorder.has_keys() {
            watched.sequential.note_keys();
        }
        watched.sequential.tick(lane.split.weight().share(), &watched.seen, samples);
        watched.seen = samples.clone();
        Some(&watched.sequential)
    }

    /// Follows a change of state. The judgement of a rollout goes on from step to step, because each
    /// tick knows its own share; a new rollout starts from what stable did before it.
    pub(super) fn follow(&mut self, state: &State, before: &Live) {
        let last = before.recorder.samples();
        self.tick(before, &last);
        let kept = match (self.0.take(), &state.rollout) {
            (Some(watched), Some(rollout)) if watched.rollout == rollout.id => {
                if watched.step == rollout.step {
                    self.0 = Some(watched);
                    return;
                }
                Some(watched.sequential)
            }
            (Some(_) | None, _) => None,
        };
        *self = Watch::over(state, kept, &last.stable, Samples::default());
    }
}

impl Service {
    /// The always-valid judgement of these samples, which closes a tick; `None` without a canary.
    pub(super) fn always_valid(&self, live: &Live, samples: &Samples) -> Option<AlwaysValid> {
        let alpha = self.settings.policy.health.alpha;
        Some(self.watch.lock().tick(live, samples)?.conclude(alpha))
    }
}
