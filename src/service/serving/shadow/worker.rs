//! Shadow worker: runs the canary on waiting requests and records the pairs.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use smallvec::SmallVec;

use super::disagreements::Answer;
use super::disagreements::Disagreement;
use super::queue::Job;
use super::queue::MAX_RECENT_REQUESTS;
use super::queue::ReplayRecentError;
use super::queue::ReplayedRecent;
use crate::canary::Refusal;
use crate::canary::Track;
use crate::canary::observed::pairs::Answers;
use crate::canary::observed::pairs::Pair;
use crate::model::Output;
use crate::model::OutputKind;
use crate::service::serving::Serving;
use crate::service::serving::faults::Fault;
use crate::service::serving::inference::InferenceError;
use crate::service::serving::live::CanarySlot;
use crate::service::serving::live::Live;
use crate::service::serving::live::Loaded;
use crate::service::serving::timed::per_row;
use crate::service::serving::timed::timed;

/// How long the thread sleeps when a request is counted that has not reached the queue yet.
const PAUSE: Duration = Duration::from_millis(2);

/// How long it sleeps at most while nothing waits. The next request wakes it.
const IDLE: Duration = Duration::from_secs(60);

impl Serving {
    /// Replays the recent requests to both versions in the background, each once per rollout.
    ///
    /// # Errors
    /// Without a canary, or when no requests are kept.
    pub fn replay_recent(&self) -> Result<ReplayedRecent, ReplayRecentError> {
        let rollout = self.live.load().canary.as_ref().ok_or(Refusal::NoCanary)?.rollout;
        if !self.shadow.recent.is_on() {
            return Err(ReplayRecentError::NotKept);
        }
        let mut again = self.shadow.again.lock();
        again.retain(|kept| kept.compared_in == rollout);
        let room = MAX_RECENT_REQUESTS.saturating_sub(again.len());
        let (kept, taken) = self.shadow.recent.take_for(rollout, room);
        let queued = taken.len();
        again.extend(taken);
        drop(again);
        self.shadow.wakeup.wake();
        Ok(ReplayedRecent { rollout, kept, queued, already_compared: kept.saturating_sub(queued) })
    }

    /// Sends waiting requests to the canary until none is left or `stop` is set. Returns their number.
    pub(crate) fn work_off(&self, runtime: &tokio::runtime::Runtime, stop: &AtomicBool) -> usize {
        self.shadow.stay_awake();
        runtime.block_on(async {
            let mut compared = 0;
            while !stop.load(Ordering::Relaxed)
                && let Some(job) = self.shadow.next()
            {
                let live = self.live.load();
                if let Some(canary_slot) =
                    live.canary.as_ref().filter(|canary_slot| job.is_of(canary_slot))
                {
                    self.compare(&live, canary_slot, job).await;
                    compared += 1;
                }
            }
            compared
        })
    }

    async fn compare(&self, live: &Live, canary_slot: &CanarySlot, job: Job) {
        let (rows, fault) = (job.rows.as_slice(), job.fault);
        let (clock, layout) = (&*self.clock, &*job.layout);
        let of = |track, loaded: &Loaded| {
            let schema = loaded.inference.model().schema();
            live.intake.of(track, layout, schema, rows)
        };
        let (stable, stable_seconds) = match job.stable {
            Some(answer) => answer,
            None => {
                let deadline = self.stable_deadline;
                let Some(rows) = of(Track::Stable, &live.stable) else {
                    return live.recorder.drop_pair();
                };
                let (latency, outcome) =
                    timed(&live.stable, clock, Fault::NONE, deadline, &rows).await;
                match outcome {
                    Ok(stable) => (stable, per_row(latency, &rows)),
                    // Without stable's answer there is nothing to compare.
                    Err(_) => return,
                }
            }
        };
        let (latency, outcome) = {
            let Some(rows) = of(Track::Canary, &canary_slot.loaded) else {
                return live.recorder.drop_pair();
            };
            timed(&canary_slot.loaded, clock, fault, canary_slot.deadline, &rows).await
        };
        let canary = match outcome {
            Ok(canary) => canary,
            Err(InferenceError::Overloaded) => return live.recorder.drop_pair(),
            Err(InferenceError::Failed { failure, detail }) => {
                live.recorder.record_pair_failure(failure);
                if let Some(breaker) = &canary_slot.breaker {
                    breaker.failed_in_shadow();
                }
                tracing::debug!(
                    version = canary_slot.loaded.version.name,
                    ?failure,
                    detail,
                    "failed in shadow"
                );
                return;
            }
        };
        let kinds =
            [&live.stable, &canary_slot.loaded].map(|loaded| loaded.inference.model().output());
        let numbers = [&stable, &canary].map(|outputs| numbers(outputs));
        let pair = Pair {
            stable: answers(kinds[0], &numbers[0]),
            canary: answers(kinds[1], &numbers[1]),
            stable_seconds,
            canary_seconds: per_row(latency, rows),
        };
        live.recorder.record_pair(&pair);
        if let Some(breaker) = &canary_slot.breaker {
            breaker.answered_in_shadow();
        }
        let mut worst = self.shadow.disagreements.lock();
        worst.of_rollout(canary_slot.rollout);
        if let Some(place) = worst.is_among_them(&pair) {
            let schema = layout.joint.schema();
            let at = clock.wall();
            let of = |row| {
                Disagreement::new(
                    at,
                    canary_slot.step,
                    schema,
                    row,
                    &self.shadow.redact,
                    [(kinds[0], &stable), (kinds[1], &canary)].map(|(kind, outputs)| {
                        outputs.get(place).map(|output| Answer::new(kind, output))
                    }),
                    pair.difference_at(place),
                )
            };
            worst.keep(rows.get(place).map(of));
        }
    }

    /// How long the shadow thread sleeps until its next turn, unless a request wakes it.
    pub(crate) fn shadow_pause(&self) -> Duration {
        if self.shadow.fall_asleep() { IDLE } else { PAUSE }
    }
}

/// The numbers of all rows.
fn numbers(outputs: &[Output]) -> SmallVec<[f64; 4]> {
    outputs.iter().flat_map(|output| output.numbers().iter().copied()).collect()
}

/// The same as answers of their kind.
fn answers<'n>(kind: &OutputKind, numbers: &'n [f64]) -> Answers<'n> {
    match kind {
        OutputKind::Probability { threshold } => {
            Answers::Probability { rows: numbers, threshold: *threshold }
        }
        OutputKind::Probabilities { classes } => {
            Answers::Probabilities { numbers, classes: classes.len() }
        }
        OutputKind::Score => Answers::Score { rows: numbers },
    }
}
