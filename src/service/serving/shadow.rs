//! What would the canary have said? Asked in the background, of requests that stable has answered.
//!
//! ```text
//! worker: stable answers ─▶ picked? ─▶ try_send (never waits) ─▶ queue ─▶ shadow thread: the canary,
//!                                       full: counted, dropped                guarded, with its deadline
//! shadow thread ─▶ pairs of the step ─▶ watch;   ─▶ tripwire;   ─▶ the worst disagreements
//! ```
//!
//! One thread asks, so a canary in shadow takes one core at most, and one that is slow is asked fewer
//! requests, not later. The thread looks after its queue by itself: a worker that had to wake it would pay
//! for that with its own request's time. A pair belongs to the step in which its request came; one that
//! comes after it is thrown away.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use thiserror::Error;

use super::disagreements::Disagreement;
use super::disagreements::Disagreements;
use super::faults::Fault;
use super::inference::Outputs;
use super::inference::scores;
use super::live::CanarySlot;
use super::live::Live;
use super::predict::Fitted;
use super::recent_requests::Kept as KeptRequest;
use super::recent_requests::RecentRequests;
use super::recorder::Recorder;
use super::timed::per_row;
use super::timed::timed;
use crate::canary::Refusal;
use crate::canary::observed::pairs::Pair;
use crate::model::Output;
use crate::model::Row;
use crate::model::Schema;
use crate::model::Value;
use crate::service::Service;
use crate::service::Settings;

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

/// How long the thread sleeps when nothing waits, while it may come at any moment.
const PAUSE: Duration = Duration::from_millis(2);

/// How long it sleeps while nothing is shadowed.
const IDLE: Duration = Duration::from_millis(50);

/// How long a stop waits for a canary that is being asked.
const PATIENCE: Duration = Duration::from_secs(2);

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
struct Job {
    rollout: u64,
    /// The step it belongs to; `None`: any of the rollout.
    step: Option<u32>,
    rows: Rows,
    /// What stable said, and the seconds that it took for a row; `None`: it is asked, too.
    stable: Option<(Outputs, f64)>,
    /// What is done to it on purpose.
    fault: Fault,
    /// What it takes in the queue.
    bytes: u64,
}

enum Rows {
    Own(Vec<Row<'static>>),
    Shared(Arc<Vec<Row<'static>>>),
}

impl Rows {
    fn as_slice(&self) -> &[Row<'static>] {
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
    disagreements: Mutex<Disagreements>,
    ring: RecentRequests,
    redact: Vec<String>,
    /// Kept requests that are asked again. Taken when nothing else waits.
    again: Mutex<Vec<KeptRequest>>,
}

impl Shadow {
    /// Nothing waits.
    ///
    /// # Errors
    /// When something is to be redacted that is no feature of this schema: a typing error would keep
    /// what nobody wants kept.
    pub(crate) fn new(settings: &Settings, schema: &Schema) -> Result<Shadow, RedactError> {
        let Kept { redact, ring } = &settings.kept;
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
            ring: RecentRequests::new(*ring, settings.workers, places),
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

    /// The next request: those that users have just sent come first.
    fn next(&self) -> Option<Job> {
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

/// About what these rows take.
pub(crate) fn bytes_of(rows: &[Row<'_>]) -> usize {
    let of_row = |row: &Row<'_>| {
        let text = row.values().iter().map(|value| match value {
            Value::Text(text) => text.len(),
            Value::Number(_) | Value::Missing => 0,
        });
        64 + size_of_val(row.values()) + text.sum::<usize>()
    };
    rows.iter().map(of_row).sum()
}

impl Service {
    /// Where canary and stable differed most, the largest difference first.
    pub fn disagreements(&self) -> (Option<u64>, Vec<Disagreement>) {
        let kept = self.shadow.disagreements.lock();
        (kept.rollout(), kept.all().to_vec())
    }

    /// Features that are left out of whatever is kept.
    pub fn redacted(&self) -> &[String] {
        &self.shadow.redact
    }

    /// Has both versions asked the requests that are kept, each once a rollout, in the background.
    ///
    /// # Errors
    /// Without a canary, or when no requests are kept.
    pub fn replay_recent(&self) -> Result<ReplayedRecent, ReplayRecentError> {
        let rollout = self.ledger.lock().state.running()?.id;
        if !self.shadow.ring.is_on() {
            return Err(ReplayRecentError::RingIsOff);
        }
        let mut again = self.shadow.again.lock();
        again.retain(|kept| kept.compared_in == rollout);
        let room = MAX_RING.saturating_sub(again.len());
        let (kept, taken) = self.shadow.ring.take_for(rollout, room);
        let queued = taken.len();
        again.extend(taken);
        drop(again);
        Ok(ReplayedRecent { rollout, kept, queued, already_compared: kept.saturating_sub(queued) })
    }

    /// Asks the canary what waits, until nothing does or until it is told to stop; how many that were.
    pub(crate) fn work_off(&self, runtime: &tokio::runtime::Runtime, stop: &AtomicBool) -> usize {
        runtime.block_on(async {
            let mut asked = 0;
            while !stop.load(Ordering::Relaxed)
                && let Some(job) = self.shadow.next()
            {
                let live = self.live.load();
                if let Some(canary_slot) =
                    live.canary.as_ref().filter(|canary_slot| job.is_of(canary_slot))
                {
                    self.ask(&live, canary_slot, job).await;
                    asked += 1;
                }
            }
            asked
        })
    }

    async fn ask(&self, live: &Live, canary_slot: &CanarySlot, job: Job) {
        let (rows, fault) = (job.rows.as_slice(), job.fault);
        let clock = &*self.clock;
        let (stable, stable_seconds) = match job.stable {
            Some(answer) => answer,
            None => {
                let deadline = self.settings.stable_deadline;
                let (latency, outcome) =
                    timed(&live.stable, clock, Fault::NONE, deadline, rows).await;
                match outcome {
                    Ok(stable) => (stable, per_row(latency, rows)),
                    // There is nothing to compare with.
                    Err(_) => return,
                }
            }
        };
        let (latency, outcome) =
            timed(&canary_slot.loaded, clock, fault, canary_slot.deadline, rows).await;
        let canary = match outcome {
            Ok(canary) => canary,
            Err(error) => {
                live.recorder.record_pair_failure(error.failure);
                if let Some(wire) = &canary_slot.tripwire {
                    wire.failed();
                }
                tracing::debug!(
                    version = canary_slot.loaded.version.name,
                    ?error,
                    "failed in shadow"
                );
                return;
            }
        };
        let pair = Pair {
            stable: &scores(&stable),
            canary: &scores(&canary),
            stable_threshold: live.stable.inference.model().output().threshold(),
            canary_threshold: canary_slot.loaded.inference.model().output().threshold(),
            stable_seconds,
            canary_seconds: per_row(latency, rows),
        };
        live.recorder.record_pair(&pair);
        if let Some(wire) = &canary_slot.tripwire {
            wire.answered_in_shadow();
        }
        let mut worst = self.shadow.disagreements.lock();
        worst.of_rollout(canary_slot.rollout);
        if let Some(place) = worst.is_among_them(&pair) {
            let schema = live.stable.inference.model().schema();
            let at = clock.wall();
            let of = |row| {
                Disagreement::new(
                    at,
                    canary_slot.step,
                    schema,
                    row,
                    &self.shadow.redact,
                    &pair,
                    place,
                )
            };
            worst.keep(rows.get(place).map(of));
        }
    }

    /// Whether something may come at any moment.
    fn is_shadowing(&self) -> bool {
        self.live.load().canary.as_ref().is_some_and(|canary_slot| canary_slot.shadow.is_some())
            || !self.shadow.again.lock().is_empty()
    }
}

impl Job {
    /// Whether it is to be asked of this canary now.
    fn is_of(&self, canary_slot: &CanarySlot) -> bool {
        let is_of_step = self.step.is_none_or(|step| step == canary_slot.step);
        self.rollout == canary_slot.rollout && is_of_step && canary_slot.is_open()
    }
}

/// The thread that asks.
pub struct Shadower {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Shadower {
    /// Begins to ask.
    ///
    /// # Errors
    /// When the operating system gives no thread, or no timer.
    pub fn start(service: Arc<Service>) -> std::io::Result<Shadower> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("shadow".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                service.work_off(&runtime, &stopped);
                let pause = if service.is_shadowing() { PAUSE } else { IDLE };
                std::thread::sleep(pause);
            }
        })?;
        Ok(Shadower { stop, thread })
    }

    /// Ends the thread. What waits is not asked any more; a canary that is being asked and does not answer
    /// is left alone after two seconds.
    ///
    /// # Errors
    /// When it has panicked.
    pub fn stop(self) -> std::io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let step = Duration::from_millis(5);
        let mut left = PATIENCE;
        while !self.thread.is_finished() && !left.is_zero() {
            std::thread::sleep(step);
            left = left.saturating_sub(step);
        }
        if !self.thread.is_finished() {
            tracing::warn!("the canary still answers in shadow; not waiting for it");
            return Ok(());
        }
        self.thread.join().map_err(|_| std::io::Error::other("the shadow thread has panicked"))
    }
}

#[cfg(test)]
#[path = "shadow_tests.rs"]
mod tests;
