//! Inference: runs a model in isolation from the server.
//!
//! Panics are caught, invalid outputs are refused, and time is limited. A model whose work is small and bounded
//! by the size of the request (a logistic regression) runs on the request's thread. Other models run on four
//! threads of their own, where a hanging prediction can be abandoned. Requests wait for a thread within their
//! deadline; only when predictions hang in all four threads do further ones fail at once.

mod load;

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicIsize;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::Sender;
use std::sync::mpsc::channel;
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use smallvec::smallvec;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::load::Queued;
pub use self::load::ThreadLoad;
use crate::canary::observed::samples::Failure;
use crate::model::Execution;
use crate::model::Features;
use crate::model::Model;
use crate::model::Output;
use crate::model::OutputKind;
use crate::model::Row;
use crate::model::Stop;
use crate::model::Value;
use crate::model::schema::Feature;
use crate::model::schema::FeatureKind;

/// One output for each row. A single one costs no allocation.
pub type Outputs = SmallVec<[Output; 1]>;

/// The scores that the canary compares, one for each row; none for outputs that are not one probability.
pub(crate) fn scores(kind: &OutputKind, outputs: &[Output]) -> SmallVec<[f64; 1]> {
    match kind {
        OutputKind::Probability { .. } => outputs.iter().map(Output::score).collect(),
        OutputKind::Probabilities { .. } | OutputKind::Score => SmallVec::new(),
    }
}

/// The mean over the rows of each number of the outputs.
pub(crate) fn means(outputs: &[Output]) -> SmallVec<[f64; 4]> {
    let mut means = SmallVec::from_elem(0.0, outputs.first().map_or(0, |it| it.numbers().len()));
    for output in outputs {
        means.iter_mut().zip(output.numbers()).for_each(|(sum, number)| *sum += number);
    }
    means.iter_mut().for_each(|sum: &mut f64| *sum /= outputs.len() as f64);
    means
}

/// Why a model gave no output.
#[derive(Clone, Debug, PartialEq)]
pub enum InferenceError {
    /// The model failed.
    Failed {
        /// The kind, for the counts.
        failure: Failure,
        /// The model's message, for the log.
        detail: String,
    },
    /// Other requests kept the threads occupied. The model did not fail, so this counts against neither version.
    Overloaded,
}

impl InferenceError {
    /// A failure of the model.
    pub(crate) fn failed(failure: Failure, detail: impl Into<String>) -> InferenceError {
        InferenceError::Failed { failure, detail: detail.into() }
    }
}

impl fmt::Display for InferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InferenceError::Failed { detail, .. } => f.write_str(detail),
            InferenceError::Overloaded => f.write_str("no inference thread became free in time"),
        }
    }
}

/// A model with the means to run it safely.
pub struct Inference {
    model: Arc<dyn Model>,
    pool: Option<Pool>,
    /// Permits of explanations that run outside of the pool.
    explaining: Arc<Semaphore>,
}

impl Inference {
    /// Prepares to run this model.
    pub fn new(model: Arc<dyn Model>) -> Inference {
        silence_caught_panics();
        let pool = match model.execution() {
            Execution::Inline => None,
            Execution::Pooled => Some(Pool::new(&model, Pool::THREADS)),
        };
        Inference { model, pool, explaining: Inference::explaining() }
    }

    /// Whether the model runs on threads of its own.
    pub fn has_threads(&self) -> bool {
        self.pool.is_some()
    }

    /// How busy its threads are.
    pub fn threads(&self) -> ThreadLoad {
        self.pool.as_ref().map(Pool::load).unwrap_or_default()
    }

    fn explaining() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(EXPLAINING))
    }

    /// The model.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// The model and a permit, for an explanation that may outlive its request; `None` if too many run already.
    pub(crate) async fn explainer(&self) -> Option<(Arc<dyn Model>, OwnedSemaphorePermit)> {
        let permit = timeout(Pool::MAX_WAIT, self.explaining.clone().acquire_owned()).await;
        Some((self.model.clone(), permit.ok()?.ok()?))
    }

    /// The outputs for these rows, if the model runs on this thread; `None` if it runs on its own.
    pub fn at_once(&self, rows: &[Row<'_>]) -> Option<Result<Outputs, InferenceError>> {
        self.pool.is_none().then(|| guarded(&*self.model, rows, None))
    }

    /// The outputs for these rows.
    ///
    /// # Errors
    /// When the model fails in any of the ways of [`Failure`].
    pub async fn run(
        &self,
        rows: &[Row<'_>],
        deadline: Duration,
    ) -> Result<Outputs, InferenceError> {
        match &self.pool {
            None => guarded(&*self.model, rows, None),
            Some(pool) => pool.run(rows, deadline).await,
        }
    }

    /// Warms caches with a row of missing values, or, if the model has no answer for it, with an ordinary one. Blocks,
    /// so it must not run on a thread that drives futures.
    ///
    /// # Errors
    /// When the model fails: it must not be deployed.
    pub fn warm_up(&self, deadline: Duration) -> Result<(), InferenceError> {
        match self.warm_up_with(|_| Value::Missing, deadline) {
            Err(InferenceError::Failed {
                failure: Failure::NotAProbability | Failure::Error,
                ..
            }) => self.warm_up_with(ordinary, deadline),
            outcome => outcome,
        }
    }

    /// Answers an ordinary row without some of the features.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(crate) async fn answer_without(
        &self,
        is_missing: impl Fn(&str) -> bool,
        deadline: Duration,
    ) -> Result<Outputs, InferenceError> {
        let value = |feature: &'_ Feature| match is_missing(&feature.name) {
            true => Value::Missing,
            false => ordinary(&feature.kind).into_owned(),
        };
        let schema = self.model.schema();
        let values = schema.features().iter().map(value).collect();
        let row = schema.row(Features::Ordered(values));
        let row = row.map_err(|cause| InferenceError::failed(Failure::Error, cause.to_string()))?;
        self.run(&[row], deadline).await
    }

    fn warm_up_with(
        &self,
        value: impl Fn(&FeatureKind) -> Value<'_>,
        deadline: Duration,
    ) -> Result<(), InferenceError> {
        let error = |detail: String| InferenceError::failed(Failure::Error, detail);
        let schema = self.model.schema();
        let values = schema.features().iter().map(|feature| value(&feature.kind)).collect();
        let row = schema.row(Features::Ordered(values)).map_err(|e| error(e.to_string()))?;
        let rows = std::slice::from_ref(&row);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|e| error(e.to_string()))?;
        runtime.block_on(async {
            for _ in 0..WARM_UP_RUNS {
                self.run(rows, deadline).await?;
            }
            Ok(())
        })
    }
}

/// A value that training has seen, or 0.
fn ordinary(kind: &FeatureKind) -> Value<'_> {
    match kind {
        FeatureKind::Numeric { mean, .. } => Value::Number(*mean),
        FeatureKind::Number => Value::Number(0.0),
        FeatureKind::Categorical { levels } => match levels.first() {
            Some(level) => Value::Text(level.as_str().into()),
            None => Value::Missing,
        },
    }
}

/// Explanations that a model with its own threads makes at the same time; a further one waits.
const EXPLAINING: usize = 2;

/// Enough to fill caches and branch predictors.
const WARM_UP_RUNS: usize = 50;

/// Runs the model on this thread; a panic becomes a value. `stop` may end it, if it runs on a thread of its own.
fn guarded(
    model: &dyn Model,
    rows: &[Row<'_>],
    stop: Option<&Stop>,
) -> Result<Outputs, InferenceError> {
    let run = || match (rows, stop) {
        (rows, Some(stop)) => model.predict_until(rows, stop).map(Outputs::from_vec),
        ([row], None) => model.predict(row).map(|output| smallvec![output]),
        (rows, None) => model.predict_many(rows).map(Outputs::from_vec),
    };
    GUARDED.set(true);
    // Models are read-only while they predict, so a panic leaves no half-changed state.
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(false);
    let error = |failure, detail: String| Err(InferenceError::failed(failure, detail));
    match outcome {
        Err(panic) => error(Failure::Panic, panic_message(&*panic)),
        Ok(Err(cause)) => error(Failure::Error, cause.to_string()),
        Ok(Ok(outputs)) if outputs.len() != rows.len() => {
            error(Failure::Error, format!("{} answers for {} rows", outputs.len(), rows.len()))
        }
        Ok(Ok(outputs)) => {
            let kind = model.output();
            match outputs.iter().find(|output| !kind.allows(output)) {
                Some(other) => error(
                    Failure::NotAProbability,
                    format!("the answer was {:?}, not {kind}", other.numbers()),
                ),
                None => Ok(outputs),
            }
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("without a message"))
}

thread_local! {
    /// Whether this thread is inside a model, so that its panic is caught and counted.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps caught panics, which are counted, out of the log.
fn silence_caught_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                print(panic);
            }
        }));
    });
}

/// A few threads for one model. They end when it is dropped; hanging ones are abandoned.
struct Pool {
    jobs: Sender<Job>,
    /// One permit for each free thread.
    free: Arc<Semaphore>,
    /// How many threads there are.
    threads: isize,
    /// Predictions that still run although their request has ended. Below zero for the moment between the two steps
    /// of an end that both sides notice.
    abandoned: Arc<AtomicIsize>,
    /// Requests that wait for a thread. Written only when all are taken.
    queued: AtomicUsize,
}

struct Job {
    rows: Vec<Row<'static>>,
    answer: oneshot::Sender<Result<Outputs, InferenceError>>,
    /// Returned when the model has answered.
    thread: OwnedSemaphorePermit,
    /// Set by whichever ends first, the prediction or its request.
    over: Arc<AtomicBool>,
    stop: Arc<Stop>,
    abandoned: Arc<AtomicIsize>,
}

/// Stops a prediction, and counts it as abandoned until it has ended, if its request ends first.
struct Waiting<'a> {
    over: Arc<AtomicBool>,
    stop: Arc<Stop>,
    abandoned: &'a AtomicIsize,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.over.swap(true, Ordering::Relaxed) {
            self.abandoned.fetch_add(1, Ordering::Relaxed);
            self.stop.now();
        }
    }
}

impl Pool {
    /// Predictions that run at the same time.
    const THREADS: usize = 4;
    /// The longest wait for a thread. A longer queue would only make every answer later.
    const MAX_WAIT: Duration = Duration::from_secs(1);

    /// A pool of this many threads, or as many as the system allows.
    fn new(model: &Arc<dyn Model>, threads: usize) -> Pool {
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut started = 0;
        for number in 0..threads {
            let (model, queue) = (model.clone(), queue.clone());
            let thread = std::thread::Builder::new().name(format!("inference-{number}"));
            match thread.spawn(move || Pool::work(&*model, &queue)) {
                Ok(_) => started += 1,
                Err(cause) => tracing::error!(%cause, "an inference thread could not be started"),
            }
        }
        let free = Arc::new(Semaphore::new(started));
        let (abandoned, queued) = (Arc::default(), AtomicUsize::new(0));
        Pool { jobs, free, threads: started.cast_signed(), abandoned, queued }
    }

    fn load(&self) -> ThreadLoad {
        let threads = self.threads.unsigned_abs();
        ThreadLoad {
            threads,
            in_flight: threads.saturating_sub(self.free.available_permits()),
            queued: self.queued.load(Ordering::Relaxed),
            hanging: usize::try_from(self.abandoned.load(Ordering::Relaxed)).unwrap_or(0),
        }
    }

    fn work(model: &dyn Model, queue: &Mutex<Receiver<Job>>) {
        loop {
            let job = queue.lock().recv();
            let Ok(Job { rows, answer, thread, over, stop, abandoned }) = job else { return };
            let outcome = guarded(model, &rows, Some(&stop));
            if over.swap(true, Ordering::Relaxed) {
                abandoned.fetch_sub(1, Ordering::Relaxed);
            }
            drop(thread);
            // Fails if the request has ended meanwhile.
            let _ = answer.send(outcome);
        }
    }

    async fn run(&self, rows: &[Row<'_>], deadline: Duration) -> Result<Outputs, InferenceError> {
        let ended = || InferenceError::failed(Failure::Panic, "the inference thread ended");
        let answered = async {
            // The model keeps at least half of the deadline for itself.
            let thread = self.thread((deadline / 2).min(Pool::MAX_WAIT)).await?;
            // Owned, since a prediction that hangs outlives its request.
            let rows = rows.iter().map(|row| row.clone().into_owned()).collect();
            let (answer, answered) = oneshot::channel();
            let (over, abandoned) = (Arc::<AtomicBool>::default(), self.abandoned.clone());
            let stop = Arc::<Stop>::default();
            let _waiting =
                Waiting { over: over.clone(), stop: stop.clone(), abandoned: &self.abandoned };
            let job = Job { rows, answer, thread, over, stop, abandoned };
            self.jobs.send(job).map_err(|_| ended())?;
            answered.await.unwrap_or_else(|_| Err(ended()))
        };
        let late = |_| Err(InferenceError::failed(Failure::Deadline, "no answer in time"));
        timeout(deadline, answered).await.unwrap_or_else(late)
    }

    /// Waits for a free thread.
    async fn thread(&self, at_most: Duration) -> Result<OwnedSemaphorePermit, InferenceError> {
        if let Ok(thread) = self.free.clone().try_acquire_owned() {
            return Ok(thread);
        }
        let hangs = || self.abandoned.load(Ordering::Relaxed) >= self.threads;
        let waited = if hangs() {
            None
        } else {
            let _queued = Queued::enter(&self.queued);
            timeout(at_most, self.free.clone().acquire_owned()).await.ok()
        };
        match waited {
            Some(Ok(thread)) => Ok(thread),
            Some(Err(_)) | None if hangs() => {
                Err(InferenceError::failed(Failure::Busy, "predictions hang in every thread"))
            }
            Some(Err(_)) | None => Err(InferenceError::Overloaded),
        }
    }
}

#[cfg(test)]
#[path = "inference_tests.rs"]
mod tests;
