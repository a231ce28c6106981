//! How busy the threads of a model are.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// How busy the threads of a model are. All zero for one that runs on the threads of its requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadLoad {
    /// Threads.
    pub threads: usize,
    /// Predictions that run, those included whose request has ended.
    pub in_flight: usize,
    /// Requests that wait for a thread.
    pub queued: usize,
    /// Predictions that still run although their request has ended.
    pub hanging: usize,
}

/// A request that waits for a thread, until it has one or gives up.
pub(super) struct Queued<'a>(&'a AtomicUsize);

impl Queued<'_> {
    pub(super) fn enter(queued: &AtomicUsize) -> Queued<'_> {
        queued.fetch_add(1, Ordering::Relaxed);
        Queued(queued)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
