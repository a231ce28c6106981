//! Thread that owns a link. Callers hand it jobs and wait: a thread that drives futures may not call the driver.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use super::link::Link;
use crate::store::error::StoreError;

type Job = Box<dyn FnOnce(&mut Link) + Send>;

/// The thread. It ends, and gives up its lease, when this is dropped.
pub(super) struct LinkThread {
    /// `None` only while it is dropped.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl LinkThread {
    /// Starts it, and waits until its link is there.
    pub(super) fn start(
        name: &str,
        open: impl FnOnce() -> Result<Link, StoreError> + Send + 'static,
    ) -> Result<LinkThread, StoreError> {
        let (jobs, received) = mpsc::channel::<Job>();
        let (opened, is_open) = mpsc::channel();
        let run = move || {
            let mut link = match open() {
                Ok(link) => link,
                Err(cause) => return drop(opened.send(Err(cause))),
            };
            // The caller waits for it.
            let _ = opened.send(Ok(()));
            loop {
                match received.recv_timeout(link.until_turn().max(SHORTEST)) {
                    Ok(job) => {
                        link.turn();
                        // Its caller gets an error, and the lease is kept up.
                        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| job(&mut link)));
                    }
                    Err(RecvTimeoutError::Timeout) => link.turn(),
                    Err(RecvTimeoutError::Disconnected) => return link.release(),
                }
            }
        };
        let started = std::thread::Builder::new().name(format!("store-{name}")).spawn(run);
        let thread = started.map_err(|cause| ended(cause.to_string()))?;
        is_open.recv().map_err(|_| ended("it has panicked".to_owned()))??;
        Ok(LinkThread { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Calls with the link. Every statement has a time limit, so this returns.
    pub(super) fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Link) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = mpsc::channel();
        let job: Job = Box::new(move |link| {
            // The caller waits for it.
            let _ = answer.send(job(link));
        });
        let gone = || ended("it has ended".to_owned());
        self.jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

impl Drop for LinkThread {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// Keeps a link that is due from taking all of a processor.
const SHORTEST: Duration = Duration::from_millis(1);

fn ended(cause: String) -> StoreError {
    StoreError::Unreachable { store: "the thread of the store".to_owned(), cause }
}
