//! What would the canary have said? Asked in the background, of requests that stable has answered.
//!
//! ```text
//! worker: stable answers ─▶ picked? ─▶ try_send (never waits) ─▶ queue ─▶ shadow thread: the canary,
//!                                       full: counted, dropped                guarded, with its deadline
//! shadow thread ─▶ pairs of the step ─▶ watch;   ─▶ breaker;   ─▶ the worst disagreements
//! ```
//!
//! One thread asks, so a canary in shadow takes one core at most, and one that is slow is asked fewer
//! requests, not later. The thread looks after its queue by itself: a worker that had to wake it would pay
//! for that with its own request's time. A pair belongs to the step in which its request came; one that
//! comes after it is thrown away.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use thiserror::Error;

use super::disagreements::Disagreement;
use super::disagreements::Disagreements;
use super::recent_requests::Kept as KeptRequest;
use super::recent_requests::RecentRequests;
use super::recent_requests::bytes_of;
use crate::canary::Refusal;
use crate::model::Output;
use crate::model::Row;
use crate::model::Schema;
use crate::service::serving::faults::Fault;
use crate::service::serving::inference::Outputs;
use crate::service::serving::live::CanarySlot;
use crate::service::serving::recorder::Recorder;
use crate::service::serving::timed::Fitted;

/// What is kept of requests, and what of them is not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// Features that are left out of whatever is kept.
    pub redact: Vec<String>,
    /// How many of the latest requests are kept; 0: none.
    pub ring: usize,
}

/// The largest ring: with the 32 MiB that `ring.rs` keeps it takes some 64 MiB at most.
pub const MAX_RING: usize = 100_000;

/// Requests that may wait: some hundred milliseconds' worth at full speed.
const QUEUE: usize = 4096;

/// Bytes of requests that may wait.
const MAX_WAITING_BYTES: u64 = 16 << 20;

/// A request in the count of those that wait; below it stand their bytes, of which there are never so many.
const ONE_JOB: u64 = 1 << 40;

/// A feature that there is not.
#[derive(Debug, Error)]
#[error(
    "shadow.redact names {name:?}, which is no feature of the stable model, so nothing would be left out; \
     its features are {features}"
)]
pub struct RedactError {
    name: String,
    features: String,
}

/// Why nothing is asked again.
#[derive(Debug, Error)]
pub enum ReplayRecentError {
    /// There is no canary.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No request is kept.
    #[error("no requests are kept; set capacity under [ring] in serin.toml, and restart")]
    RingIsOff,
}

/// What came of asking the latest requests again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ReplayedRecent {
    /// The rollout whose canary is asked.
    pub rollout: u64,
    /// Requests that are kept.
    pub kept: usize,
    /// Those of them that both versions are now asked, in the background.
    pub queued: usize,
    /// Those that this rollout has been compared by already.
    pub already_compared: usize,
}

/// A request that the canary is to be asked.
pub(crate) struct Job {
    pub(crate) rollout: u64,
    /// The step it belongs to; `None`: any of the rollout.
    pub(crate) step: Option<u32>,
    pub(crate) rows: Rows,
    /// What stable said, and the seconds that it took for a row; `None`: it is asked, too.
    pub(crate) stable: Option<(Outputs, f64)>,
    /// What is done to it on purpose.
    pub(crate) fault: Fault,
    /// What it takes in the queue.
    bytes: u64,
}

pub(crate) enum Rows {
    Own(Vec<Row<'static>>),
    Shared(Arc<Vec<Row<'static>>>),
}

impl Rows {
    pub(crate) fn as_slice(&self) -> &[Row<'static>] {
        match self {
            Rows::Own(rows) => rows,
            Rows::Shared(rows) => rows,
        }
    }
}

/// What waits for the shadow thread, and what is kept of what it found.
pub struct Shadow {
    queue: SyncSender<Job>,
    /// Read by the shadow thread alone.
    waiting: Mutex<Receiver<Job>>,
    /// How many wait, times [`ONE_JOB`], and what they take: one number, so that a worker changes one.
    /// Away from the rest, which predictions read.
    load: CachePadded<AtomicU64>,
    pub(crate) disagreements: Mutex<Disagreements>,
    pub(crate) ring: RecentRequests,
    pub(crate) redact: Vec<String>,
    /// Kept requests that are asked again. Taken when nothing else waits.
    pub(crate) again: Mutex<Vec<KeptRequest>>,
}

impl Shadow {
    /// Nothing waits.
    ///
    /// # Errors
    /// When something is to be redacted that is no feature of this schema: a typing error would keep
    /// what nobody wants kept.
    pub(crate) fn new(kept: &Kept, workers: usize, schema: &Schema) -> Result<Shadow, RedactError> {
        let Kept { redact, ring } = kept;
        let place = |name: &String| {
            let place = schema.features().iter().position(|feature| feature.name == *name);
            place.ok_or_else(|| {
                let names: Vec<&str> =
                    schema.features().iter().map(|feature| feature.name.as_str()).collect();
                RedactError { name: name.clone(), features: names.join(", ") }
            })
        };
        let places: Vec<usize> = redact.iter().map(place).collect::<Result<_, _>>()?;
        let (queue, waiting) = sync_channel(QUEUE);
        Ok(Shadow {
            queue,
            waiting: Mutex::new(waiting),
            load: CachePadded::default(),
            disagreements: Mutex::default(),
            ring: RecentRequests::new(*ring, workers, places),
            redact: redact.clone(),
            again: Mutex::default(),
        })
    }

    /// A rollout has begun, or goes on: what was kept of another one is of no more use.
    pub(crate) fn begin(&self, rollout: u64) {
        self.disagreements.lock().of_rollout(rollout);
    }

    /// Keeps a request, if any are kept. `compared_in`: the rollout that compares it in shadow anyway.
    pub(crate) fn keep(&self, rows: &[Row<'_>], compared_in: Option<u64>) {
        if self.ring.is_on() {
            self.ring.keep(rows, compared_in.unwrap_or(0));
        }
    }

    /// Hands a request over, or counts it as dropped. Never waits.
    pub(crate) fn offer(
        &self,
        canary_slot: &CanarySlot,
        recorder: &Recorder,
        rows: Fitted<'_>,
        (outputs, latency_seconds): (&[Output], f64),
        fault: Fault,
    ) {
        let bytes = bytes_of(&rows) as u64;
        let load = ONE_JOB + bytes;
        // Counted first, so that whoever takes it out finds it counted.
        let before = self.load.fetch_add(load, Ordering::Relaxed);
        if before % ONE_JOB + bytes > MAX_WAITING_BYTES || before / ONE_JOB >= QUEUE as u64 {
            self.load.fetch_sub(load, Ordering::Relaxed);
            recorder.drop_pair();
            return;
        }
        let job = Job {
            rollout: canary_slot.rollout,
            step: Some(canary_slot.step),
            rows: Rows::Own(rows.into_iter().map(Row::into_owned).collect()),
            stable: Some((outputs.into(), latency_seconds)),
            fault,
            bytes,
        };
        if self.queue.try_send(job).is_err() {
            self.load.fetch_sub(load, Ordering::Relaxed);
            recorder.drop_pair();
        }
    }

    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        let fresh = usize::try_from(self.load.load(Ordering::Relaxed) / ONE_JOB).unwrap_or(QUEUE);
        fresh.saturating_add(self.again.lock().len())
    }

    /// Where canary and stable differed most, the largest difference first.
    pub fn disagreements(&self) -> (Option<u64>, Vec<Disagreement>) {
        let kept = self.disagreements.lock();
        (kept.rollout(), kept.all().to_vec())
    }

    /// Features that are left out of whatever is kept.
    pub fn redacted(&self) -> &[String] {
        &self.redact
    }

    /// The next request: those that users have just sent come first.
    pub(crate) fn next(&self) -> Option<Job> {
        if let Ok(job) = self.waiting.lock().try_recv() {
            self.load.fetch_sub(ONE_JOB + job.bytes, Ordering::Relaxed);
            return Some(job);
        }
        let KeptRequest { rows, compared_in: rollout, .. } = self.again.lock().pop()?;
        Some(Job {
            rollout,
            step: None,
            rows: Rows::Shared(rows),
            stable: None,
            fault: Fault::NONE,
            bytes: 0,
        })
    }
}

impl Job {
    /// Whether it is to be asked of this canary now.
    pub(crate) fn is_of(&self, canary_slot: &CanarySlot) -> bool {
        let is_of_step = self.step.is_none_or(|step| step == canary_slot.step);
        self.rollout == canary_slot.rollout && is_of_step && canary_slot.is_open()
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
