//! State that all handlers share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use super::problem::Kind;
use super::problem::Problem;
use super::reading::under_way::BodyRoom;
use super::settings::Settings;
use crate::service::Service;

/// State that all handlers share.
pub struct Shared {
    /// The service.
    pub service: Arc<Service>,
    /// The settings.
    pub settings: Settings,
    /// Room for the bodies that arrive.
    pub bodies: BodyRoom,
    /// The queue of `/analyze`.
    pub analyses: AnalysisQueue,
    /// The queue of large predictions.
    pub batches: BatchQueue,
}

/// How long a large prediction may wait for its turn.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Large predictions, of which half as many run as there are workers, so that small ones find a free core.
pub struct BatchQueue(Arc<Semaphore>);

impl BatchQueue {
    /// The queue of a server with this many workers.
    pub(crate) fn new(workers: usize) -> BatchQueue {
        BatchQueue(Arc::new(Semaphore::new(workers.div_ceil(2).max(1))))
    }

    /// Waits for a permit to run a large prediction.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = tokio::time::timeout(MAX_WAIT, self.0.clone().acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| {
            Problem::new(
                Kind::Overloaded,
                "the server is overloaded with large requests; try again later",
            )
        })
    }
}

/// How many analyses run at once. One takes some dozens of milliseconds of one core; the limit keeps
/// cores free for predictions and threads free for commands.
const RUNNING_ANALYSES: usize = 2;

/// How many analyses may wait, with their bodies in memory. Further ones are refused at once.
const WAITING_ANALYSES: usize = 32;

/// A bounded queue, so that a flood of analyses cannot starve predictions.
pub struct AnalysisQueue {
    waiting: Semaphore,
    running: Arc<Semaphore>,
}

impl Default for AnalysisQueue {
    fn default() -> AnalysisQueue {
        AnalysisQueue {
            waiting: Semaphore::new(WAITING_ANALYSES),
            running: Arc::new(Semaphore::new(RUNNING_ANALYSES)),
        }
    }
}

impl AnalysisQueue {
    /// Waits for a permit to run an analysis.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let full = || {
            Problem::new(Kind::TooManyAnalyses, "the queue of analyses is full; try again later")
        };
        let _place = self.waiting.try_acquire().map_err(|_| full())?;
        self.running.clone().acquire_owned().await.map_err(|_| full())
    }
}
