//! State that all handlers share.

mod replays;

use std::future::Future;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::num::NonZero;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use super::page::viewers::Viewers;
use super::problem::Kind;
use super::problem::Problem;
use super::reading::body_room::BodyRoom;
use super::settings::Settings;
use crate::service::Service;

pub(crate) use replays::Asker;
pub use replays::ReplayQueue;

/// A handle on the state that all handlers share. Each worker has its own, which its requests count references to:
/// workers that counted references to the same one would contend for its cache line.
#[derive(Clone)]
pub struct Shared(Arc<State>);

/// What all handlers share.
pub struct State {
    /// The service.
    pub service: Arc<Service>,
    /// The settings.
    pub settings: Settings,
    /// The address it listens on.
    pub listens: SocketAddr,
    /// Room for the bodies that arrive.
    pub bodies: BodyRoom,
    /// The queue of `/analyze`.
    pub analyses: AnalysisQueue,
    /// The queue of past rollouts that are judged again.
    pub replays: ReplayQueue,
    /// The queue of large predictions.
    pub batches: BatchQueue,
    /// The turn of a scrape: a flood of them takes one core and one thread.
    pub scrapes: Semaphore,
    /// The turn of an OpenAPI document, a page, a row of one, or the list of rollouts, likewise.
    pub documents: Semaphore,
    /// The pages that are open.
    pub(crate) viewers: Viewers,
}

impl Shared {
    /// A handle on this state.
    pub(crate) fn new(state: State) -> Shared {
        Shared(Arc::new(state))
    }
}

impl Deref for Shared {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

/// How long a large prediction may wait for its turn.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Large predictions, of which half as many work as there are workers, so that small ones find a free core.
pub struct BatchQueue {
    turns: Arc<Semaphore>,
    threads: Arc<Semaphore>,
}

/// The turn of a large prediction. It lasts until the prediction waits for a model.
pub struct Turn {
    turn: Option<OwnedSemaphorePermit>,
    /// Kept while it waits for a model, too, because it then still has its thread.
    _thread: OwnedSemaphorePermit,
}

/// Large predictions take at most one in this many of a worker's threads. The others are for commands and reports.
const SHARE: usize = 2;

/// Threads of actix for all workers together.
const THREADS: usize = 512;

impl BatchQueue {
    /// The queue of a server with this many workers.
    pub(crate) fn new(workers: usize) -> BatchQueue {
        // Each worker has its share of the threads, and all large predictions may come to the same worker.
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        BatchQueue {
            turns: Arc::new(Semaphore::new(workers.div_ceil(2).max(1))),
            threads: Arc::new(Semaphore::new((THREADS / cores / SHARE).max(1))),
        }
    }

    /// Waits for the turn of a large prediction.
    pub(crate) async fn turn(&self) -> Result<Turn, Problem> {
        let (threads, turns) = (self.threads.clone(), self.turns.clone());
        let both = async { Some((threads.acquire_owned().await, turns.acquire_owned().await)) };
        match tokio::time::timeout(MAX_WAIT, both).await {
            Ok(Some((Ok(thread), Ok(turn)))) => Ok(Turn { turn: Some(turn), _thread: thread }),
            Ok(_) | Err(_) => Err(Problem::new(
                Kind::Overloaded,
                "the server is overloaded with large requests; try again later",
            )),
        }
    }
}

impl Turn {
    /// Runs this. The turn ends when it waits for the first time. It is not taken again: what follows is measured, so a
    /// wait for another turn would look like a slow model, and it would hold a thread that the next turn may need.
    pub(crate) async fn until_it_waits<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let polled = work.as_mut().poll(context);
            if polled.is_pending() {
                self.turn = None;
            }
            polled
        })
        .await
    }
}

/// How many analyses run at once. One takes some dozens of milliseconds of one core; the limit keeps
/// cores free for predictions and threads free for commands.
const RUNNING_ANALYSES: usize = 2;

/// How many analyses may wait, with their bodies in memory. Further ones are refused at once.
const WAITING_ANALYSES: usize = 32;

/// A bounded queue, so that a flood of analyses cannot starve predictions.
pub struct AnalysisQueue {
    /// What is analyzed, in the plural.
    what: &'static str,
    waiting: Semaphore,
    running: Arc<Semaphore>,
}

impl Default for AnalysisQueue {
    fn default() -> AnalysisQueue {
        AnalysisQueue::new(RUNNING_ANALYSES, WAITING_ANALYSES, "analyses")
    }
}

impl AnalysisQueue {
    /// A queue of which this many run at once, and this many wait.
    fn new(running: usize, waiting: usize, what: &'static str) -> AnalysisQueue {
        let (waiting, running) = (Semaphore::new(waiting), Arc::new(Semaphore::new(running)));
        AnalysisQueue { what, waiting, running }
    }

    /// Waits for a permit to run an analysis.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let full = || {
            let detail = format_args!("the queue of {} is full; try again later", self.what);
            Problem::new(Kind::TooManyAnalyses, detail)
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
            let free = || (queue.turns.available_permits(), queue.threads.available_permits());
            let (turns, threads) = free();
            let mut turn = queue.turn().await.unwrap();
            assert_eq!(turn.until_it_waits(async { free() }).await, (turns - 1, threads - 1));
            let others = turn.until_it_waits(async {
                tokio::task::yield_now().await;
                free()
            });
            assert_eq!(others.await, (turns, threads - 1), "its thread waits with it");
            drop(turn);
            assert_eq!(free(), (turns, threads));
        });
    }

    #[test]
    fn large_predictions_that_wait_leave_threads_to_commands_whichever_worker_they_are_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let queue = BatchQueue::new(2);
            let cores = std::thread::available_parallelism().unwrap().get();
            let mut waiting = Vec::new();
            loop {
                let Ok(mut turn) = queue.turn().await else { break };
                turn.until_it_waits(tokio::task::yield_now()).await;
                waiting.push(turn);
            }
            assert!(waiting.len() < (THREADS / cores).max(2), "{} of them wait", waiting.len());
            waiting.pop();
            assert!(queue.turn().await.is_ok());
        });
    }
}
