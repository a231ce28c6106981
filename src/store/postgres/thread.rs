//! Thread that owns a connection. Callers hand it jobs and wait: a thread that drives futures may not call the driver.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::store::error::StoreError;

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

/// What such a thread owns.
pub(super) trait Owned: Sized + 'static {
    /// How long until [`turn`](Self::turn) has something to do.
    fn until_turn(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Does what is due, between two jobs.
    fn turn(&mut self) {}

    /// Called at the end of the thread.
    fn end(&mut self) {}
}

/// The thread. It ends when this is dropped.
pub(super) struct OwnerThread<T> {
    /// `None` only while it is dropped.
    jobs: Option<Sender<Job<T>>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Owned> OwnerThread<T> {
    /// Starts it, and waits until what it owns is there.
    pub(super) fn start(
        name: &str,
        open: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<OwnerThread<T>, StoreError> {
        let (jobs, received) = mpsc::channel::<Job<T>>();
        let (opened, is_open) = mpsc::channel();
        let run = move || {
            let mut owned = match open() {
                Ok(owned) => owned,
                Err(cause) => return drop(opened.send(Err(cause))),
            };
            // The caller waits for it.
            let _ = opened.send(Ok(()));
            loop {
                match received.recv_timeout(owned.until_turn().max(SHORTEST)) {
                    Ok(job) => {
                        owned.turn();
                        // Its caller gets an error, and the lease is kept up.
                        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| job(&mut owned)));
                    }
                    Err(RecvTimeoutError::Timeout) => owned.turn(),
                    Err(RecvTimeoutError::Disconnected) => return owned.end(),
                }
            }
        };
        let started = std::thread::Builder::new().name(format!("store-{name}")).spawn(run);
        let thread = started.map_err(|cause| ended(cause.to_string()))?;
        is_open.recv().map_err(|_| ended("it has panicked".to_owned()))??;
        Ok(OwnerThread { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Calls with what it owns. Every statement has a time limit, so this returns.
    pub(super) fn call<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut T) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let (answer, answered) = mpsc::channel();
        let job: Job<T> = Box::new(move |owned| {
            // The caller waits for it.
            let _ = answer.send(job(owned));
        });
        let gone = || ended("it has ended".to_owned());
        self.jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

impl<T> Drop for OwnerThread<T> {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// Keeps an owner that is due from taking all of a processor.
const SHORTEST: Duration = Duration::from_millis(1);

fn ended(cause: String) -> StoreError {
    StoreError::Unreachable { store: "the thread of the store".to_owned(), cause }
}
