//! Shadow queue: requests that stable has answered and the canary will answer in the background.
//!
//! ```text
//! worker: stable answers ─▶ picked? ─▶ try_send (never waits) ─▶ queue ─▶ shadow thread: the canary,
//!                                       full: counted, dropped                guarded, with its deadline
//! shadow thread ─▶ pairs of the step ─▶ judge;   ─▶ breaker;   ─▶ the worst disagreements
//! ```
//!
//! One thread runs the canary, so a canary in shadow takes at most one core, and a slow one gets fewer requests,
//! not later ones. Only a request that finds the thread asleep wakes it, so a busy queue costs the workers no wakeups,
//! and an idle one costs nothing. A pair belongs to the step of its request; a pair that arrives after the step has
//! ended is dropped.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::atomic::fence;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use thiserror::Error;
use utoipa::ToSchema;

use super::disagreements::Disagreement;
use super::disagreements::Disagreements;
use super::recent_requests::RecentRequest;
use super::recent_requests::RecentRequests;
use super::recent_requests::bytes_of;
use crate::canary::Refusal;
use crate::model::Output;
use crate::model::Row;
use crate::model::Schema;
use crate::service::serving::faults::Fault;
use crate::service::serving::inference::Outputs;
use crate::service::serving::intake::Fitted;
use crate::service::serving::intake::Layout;
use crate::service::serving::live::CanarySlot;
use crate::service::serving::recorder::Recorder;
use crate::service::wakeup::Wakeup;

/// What shadow mode keeps of requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retention {
    /// Features that are never kept.
    pub redact: Vec<String>,
    /// How many recent requests are kept; 0: none.
    pub recent: usize,
}

/// The largest number of recent requests: with the 32 MiB of `recent_requests` it takes at most about 64 MiB.
pub const MAX_RECENT_REQUESTS: usize = 100_000;

/// Requests that may wait: about 100 ms at full speed.
const QUEUE: usize = 4096;

/// Bytes of requests that may wait.
const MAX_WAITING_BYTES: u64 = 16 << 20;

/// One request in `load`. The lower bits count bytes, of which there are always fewer.
const ONE_JOB: u64 = 1 << 40;

/// A feature to redact that does not exist.
#[derive(Debug, Error)]
#[error(
    "shadow.redact: {name:?} is not a feature of the stable model, the canary or a model in the models folder; the \
     stable model has {features}"
)]
pub struct RedactError {
    name: String,
    features: String,
}

/// Why recent requests are not replayed.
#[derive(Debug, Error)]
pub enum ReplayRecentError {
    /// There is no canary.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No requests are kept.
    #[error(
        "no requests are kept; set capacity under [recent_requests] in serin.toml, and restart"
    )]
    NotKept,
}

/// The outcome of a replay of recent requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
pub struct ReplayedRecent {
    /// The rollout of the canary.
    pub rollout: u64,
    /// Number of recent requests.
    pub kept: usize,
    /// Number that both versions now answer in the background.
    pub queued: usize,
    /// Number that this rollout has compared already.
    pub already_compared: usize,
}

/// A request for the canary.
pub(crate) struct Job {
    pub(crate) rollout: u64,
    /// The step it belongs to; `None`: any of the rollout.
    pub(crate) step: Option<u32>,
    pub(crate) rows: Rows,
    /// How they are laid out.
    pub(crate) layout: Arc<Layout>,
    /// Stable's outputs and its seconds per row; `None`: stable answers in the background too.
    pub(crate) stable: Option<(Outputs, f64)>,
    /// The injected fault.
    pub(crate) fault: Fault,
    /// Its size in the queue.
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

/// Requests that wait for the shadow thread, and the disagreements it found.
pub struct Shadow {
    queue: SyncSender<Job>,
    /// Read by the shadow thread alone.
    waiting: Mutex<Receiver<Job>>,
    /// Waiting requests times [`ONE_JOB`] plus their bytes: one number, so that a worker writes once. On its own
    /// cache line.
    load: CachePadded<AtomicU64>,
    /// Whether the shadow thread sleeps or is about to. Set by the thread, cleared by the request that wakes it. On a
    /// cache line that is written once per sleep.
    asleep: CachePadded<AtomicBool>,
    /// Wakes the shadow thread.
    pub(crate) wakeup: Arc<Wakeup>,
    pub(crate) disagreements: Mutex<Disagreements>,
    pub(crate) recent: RecentRequests,
    pub(crate) redact: Vec<String>,
    /// Recent requests to replay. Taken when the queue is empty.
    pub(crate) again: Mutex<Vec<RecentRequest>>,
}

impl Shadow {
    /// An empty queue.
    ///
    /// # Errors
    /// When a feature to redact is unknown: a typing error would keep a value that must be redacted.
    pub(crate) fn new(
        retention: &Retention,
        workers: usize,
        stable: &Schema,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<Shadow, RedactError> {
        let Retention { redact, recent } = retention;
        if let Some(name) = redact.iter().find(|name| !is_known(name)) {
            let features = stable.feature_names().collect::<Vec<&str>>().join(", ");
            return Err(RedactError { name: name.clone(), features });
        }
        let (queue, waiting) = sync_channel(QUEUE);
        Ok(Shadow {
            queue,
            waiting: Mutex::new(waiting),
            load: CachePadded::default(),
            asleep: CachePadded::default(),
            wakeup: Arc::default(),
            disagreements: Mutex::default(),
            recent: RecentRequests::new(*recent, workers),
            redact: redact.clone(),
            again: Mutex::default(),
        })
    }

    /// Begins or continues a rollout: disagreements of another one are forgotten.
    pub(crate) fn begin(&self, rollout: u64) {
        self.disagreements.lock().of_rollout(rollout);
    }

    /// Keeps a request, if recent requests are kept. `compared_in`: the rollout that shadows it anyway.
    pub(crate) fn keep(&self, rows: &[Row<'_>], layout: &Arc<Layout>, compared_in: Option<u64>) {
        if self.recent.is_on() {
            self.recent.keep(rows, layout, compared_in.unwrap_or(0));
        }
    }

    /// Queues a request, or counts it as dropped. Never waits.
    pub(crate) fn offer(
        &self,
        canary_slot: &CanarySlot,
        recorder: &Recorder,
        (rows, layout): (Fitted<'_>, &Arc<Layout>),
        (outputs, latency_seconds): (&[Output], f64),
        fault: Fault,
    ) {
        let bytes = bytes_of(&rows) as u64;
        let load = ONE_JOB + bytes;
        // Counted first, so that the thread that takes it finds it counted.
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
            layout: layout.clone(),
            stable: Some((outputs.into(), latency_seconds)),
            fault,
            bytes,
        };
        if self.queue.try_send(job).is_err() {
            self.load.fetch_sub(load, Ordering::Relaxed);
            recorder.drop_pair();
        } else {
            self.wake();
        }
    }

    /// Wakes the shadow thread if it sleeps.
    fn wake(&self) {
        // The thread sets `asleep` and then looks for requests; this has queued one and then looks at `asleep`. With
        // both fences at least one of them sees the other.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            self.wakeup.wake();
        }
    }

    /// Lets the shadow thread sleep unless requests wait. Returns whether it may.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let may_sleep = self.waiting() == 0;
        if !may_sleep {
            self.stay_awake();
        }
        may_sleep
    }

    /// Requests need not wake the shadow thread.
    pub(crate) fn stay_awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        let fresh = usize::try_from(self.load.load(Ordering::Relaxed) / ONE_JOB).unwrap_or(QUEUE);
        fresh.saturating_add(self.again.lock().len())
    }

    /// The worst disagreements, the largest first.
    pub fn disagreements(&self) -> (Option<u64>, Vec<Disagreement>) {
        let kept = self.disagreements.lock();
        (kept.rollout(), kept.all().to_vec())
    }

    /// Features that are never kept.
    pub fn redacted(&self) -> &[String] {
        &self.redact
    }

    /// The next request; those of users come first.
    pub(crate) fn next(&self) -> Option<Job> {
        if let Ok(job) = self.waiting.lock().try_recv() {
            self.load.fetch_sub(ONE_JOB + job.bytes, Ordering::Relaxed);
            return Some(job);
        }
        let RecentRequest { rows, layout, compared_in: rollout, .. } = self.again.lock().pop()?;
        Some(Job {
            rollout,
            step: None,
            rows: Rows::Shared(rows),
            layout,
            stable: None,
            fault: Fault::NONE,
            bytes: 0,
        })
    }
}

impl Job {
    /// Whether it belongs to this canary.
    pub(crate) fn is_of(&self, canary_slot: &CanarySlot) -> bool {
        let is_of_step = self.step.is_none_or(|step| step == canary_slot.step);
        self.rollout == canary_slot.rollout && is_of_step && canary_slot.is_open()
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
