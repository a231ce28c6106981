//! Inference: runs a model in isolation from the server.
//!
//! Panics are caught, invalid outputs are refused, and time is limited. A model with small, bounded work (a
//! logistic regression) runs on the request's thread. Other models run on four threads of their own, where a
//! hanging prediction can be abandoned; when all four hang, further predictions fail at once.

use std::any::Any;
use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::Once;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::TrySendError;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use smallvec::smallvec;
use tokio::sync::oneshot;

use crate::canary::observed::samples::Failure;
use crate::model::Execution;
use crate::model::Features;
use crate::model::Model;
use crate::model::Output;
use crate::model::Row;
use crate::model::Value;

/// One output for each row. A single one costs no allocation.
pub type Outputs = SmallVec<[Output; 1]>;

/// The scores that the canary compares, one for each row.
pub(crate) fn scores(outputs: &[Output]) -> SmallVec<[f64; 1]> {
    outputs.iter().map(|output| output.score()).collect()
}

/// A failed prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct InferenceError {
    /// The kind, for the counts.
    pub failure: Failure,
    /// The model's message, for the log.
    pub detail: String,
}

/// A model with the means to run it safely.
pub struct Inference {
    model: Arc<dyn Model>,
    pool: Option<Pool>,
}

impl Inference {
    /// Prepares to run this model.
    pub fn new(model: Arc<dyn Model>) -> Inference {
        silence_caught_panics();
        let pool = match model.execution() {
            Execution::Inline => None,
            Execution::Pooled => Some(Pool::new(&model)),
        };
        Inference { model, pool }
    }

    /// The model.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// The outputs for these rows, if the model runs on this thread; `None` if it runs on its own.
    pub fn at_once(&self, rows: &[Row<'_>]) -> Option<Result<Outputs, InferenceError>> {
        self.pool.is_none().then(|| guarded(&*self.model, rows))
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
            None => guarded(&*self.model, rows),
            Some(pool) => pool.run(rows, deadline).await,
        }
    }

    /// Warms caches with a row of missing values. Blocks, so it must not run on a thread that drives futures.
    ///
    /// # Errors
    /// When the model fails: it must not be deployed.
    pub fn warm_up(&self, deadline: Duration) -> Result<(), InferenceError> {
        let error = |detail: String| InferenceError { failure: Failure::Error, detail };
        let schema = self.model.schema();
        let values = schema.features().iter().map(|_| Value::Missing).collect();
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

/// Enough to fill caches and branch predictors.
const WARM_UP_RUNS: usize = 50;

/// Runs the model on this thread; a panic becomes a value.
fn guarded(model: &dyn Model, rows: &[Row<'_>]) -> Result<Outputs, InferenceError> {
    let run = || match rows {
        [row] => model.predict(row).map(|output| smallvec![output]),
        rows => model.predict_many(rows).map(Outputs::from_vec),
    };
    GUARDED.set(true);
    // Models are read-only while they predict, so a panic leaves no half-changed state.
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(false);
    let error = |failure, detail| Err(InferenceError { failure, detail });
    match outcome {
        Err(panic) => error(Failure::Panic, panic_message(&*panic)),
        Ok(Err(cause)) => error(Failure::Error, cause.to_string()),
        Ok(Ok(outputs)) if outputs.len() != rows.len() => {
            error(Failure::Error, format!("{} answers for {} rows", outputs.len(), rows.len()))
        }
        Ok(Ok(outputs)) => {
            let kind = model.output();
            match outputs.iter().find(|output| !kind.allows(**output)) {
                Some(other) => {
                    error(Failure::NotAProbability, format!("the answer was {}", other.score()))
                }
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
    jobs: SyncSender<Job>,
}

struct Job {
    rows: Vec<Row<'static>>,
    answer: oneshot::Sender<Result<Outputs, InferenceError>>,
}

impl Pool {
    /// Predictions that run at the same time.
    const THREADS: usize = 4;
    /// Predictions that may wait for a thread.
    const QUEUE: usize = 64;

    fn new(model: &Arc<dyn Model>) -> Pool {
        let (jobs, queue) = sync_channel(Pool::QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..Pool::THREADS {
            let (model, queue) = (model.clone(), queue.clone());
            let thread = std::thread::Builder::new().name(format!("inference-{number}"));
            if let Err(cause) = thread.spawn(move || Pool::work(&*model, &queue)) {
                tracing::error!(%cause, "an inference thread could not be started");
            }
        }
        Pool { jobs }
    }

    fn work(model: &dyn Model, queue: &Mutex<Receiver<Job>>) {
        loop {
            let job = queue.lock().recv();
            let Ok(job) = job else { return };
            // Skips abandoned requests.
            if !job.answer.is_closed() {
                // Fails if the request was abandoned meanwhile.
                let _ = job.answer.send(guarded(model, &job.rows));
            }
        }
    }

    async fn run(&self, rows: &[Row<'_>], deadline: Duration) -> Result<Outputs, InferenceError> {
        let (answer, answered) = oneshot::channel();
        let rows = rows.iter().map(|row| row.clone().into_owned()).collect();
        let failed =
            |failure: Failure, detail: &str| InferenceError { failure, detail: detail.to_owned() };
        self.jobs.try_send(Job { rows, answer }).map_err(|refused| match refused {
            TrySendError::Full(_) => failed(Failure::Busy, "all inference threads are busy"),
            TrySendError::Disconnected(_) => failed(Failure::Busy, "no inference thread is left"),
        })?;
        match tokio::time::timeout(deadline, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(failed(Failure::Panic, "the inference thread ended")),
            Err(_) => Err(failed(Failure::Deadline, "no answer in time")),
        }
    }
}
