//! State that all handlers share.

use std::future::Future;
use std::future::poll_fn;
use std::pin::pin;
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

/// Large predictions, of which half as many work as there are workers, so that small ones find a free core.
pub struct BatchQueue(Arc<Semaphore>);

/// The turn of a large prediction. It lasts while the prediction works, and not while it waits for a model.
pub struct Turn {
    queue: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl BatchQueue {
    /// The queue of a server with this many workers.
    pub(crate) fn new(workers: usize) -> BatchQueue {
        BatchQueue(Arc::new(Semaphore::new(workers.div_ceil(2).max(1))))
    }

    /// Waits for the turn of a large prediction.
    pub(crate) async fn turn(&self) -> Result<Turn, Problem> {
        let queue = self.0.clone();
        let turn = tokio::time::timeout(MAX_WAIT, queue.clone().acquire_owned()).await;
        let permit = turn.ok().and_then(Result::ok).ok_or_else(|| {
            Problem::new(
                Kind::Overloaded,
                "the server is overloaded with large requests; try again later",
            )
        })?;
        Ok(Turn { queue, permit: Some(permit) })
    }
}

impl Turn {
    /// Runs this. The turn ends when it waits for the first time: what it does after that is measured, and a wait for
    /// another turn would look like a slow model.
    pub(crate) async fn until_it_waits<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let polled = work.as_mut().poll(context);
            if polled.is_pending() {
                self.permit = None;
            }
            polled
        })
        .await
    }

    /// Waits for another turn if this one has ended. It comes soon, because all turns are short.
    pub(crate) async fn again(&mut self) {
        if self.permit.is_none() {
            self.permit = self.queue.clone().acquire_owned().await.ok();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prediction_that_waits_gives_up_its_turn() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let queue = BatchQueue::new(2);
            let mut turn = queue.turn().await.unwrap();
            assert_eq!(turn.until_it_waits(async { queue.0.available_permits() }).await, 0);
            let others = turn.until_it_waits(async {
                tokio::task::yield_now().await;
                queue.0.available_permits()
            });
            assert_eq!(others.await, 1);
            turn.again().await;
            turn.again().await;
            assert_eq!(queue.0.available_permits(), 0);
            drop(turn);
            assert_eq!(queue.0.available_permits(), 1);
        });
    }
}
