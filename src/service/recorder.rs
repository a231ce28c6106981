//! Where do the workers write what they observe? Each into its own shard, so that no two of them
//! wait for each other; whoever judges merges the shards.

use std::cell::Cell;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use crate::canary::Samples;
use crate::canary::Track;
use crate::canary::signals::Failure;

/// The samples of one step of one rollout, and how many of its requests were routed.
pub struct Recorder {
    /// Written by one thread each while requests run, and read by whoever merges: the lock is
    /// hardly ever contended, and it costs 17 ns where an atomic per number would cost more.
    shards: Box<[CachePadded<Mutex<Samples>>]>,
    /// What was observed before a restart. Never written after the start.
    before: Samples,
    /// Whether a request with a key was among those recorded.
    has_keys: AtomicBool,
    /// The number of the next request without a key. Shared by all workers, because only one
    /// count for all of them gives the exact share.
    routed: CachePadded<AtomicU64>,
}

impl Recorder {
    /// A recorder that has seen nothing, for this many threads.
    pub fn new(threads: usize) -> Recorder {
        Recorder::made(threads, Samples::default(), 0)
    }

    /// A recorder that goes on from a checkpoint; `None` if that was made with other buckets, or
    /// does not add up.
    pub fn restored(threads: usize, before: Samples, routed: u64) -> Option<Recorder> {
        let mergeable = Samples::default().merge(&before).is_ok();
        (mergeable && before.adds_up()).then(|| Recorder::made(threads, before, routed))
    }

    fn made(threads: usize, before: Samples, routed: u64) -> Recorder {
        let shards = (0..threads.max(1)).map(|_| CachePadded::default()).collect();
        let routed = CachePadded::new(AtomicU64::new(routed));
        Recorder { shards, before, has_keys: AtomicBool::new(false), routed }
    }

    /// The number of this request, counted from 0.
    pub fn next_request(&self) -> u64 {
        // Only the number matters; nothing else is published with it.
        self.routed.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes that a request with a key is recorded here.
    pub fn note_key(&self) {
        // Read first: workers that only read do not take the cache line from each other.
        if !self.has_keys() {
            self.has_keys.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a request with a key was among those recorded.
    pub fn has_keys(&self) -> bool {
        self.has_keys.load(Ordering::Relaxed)
    }

    /// How many requests were numbered.
    pub fn routed(&self) -> u64 {
        self.routed.load(Ordering::Relaxed)
    }

    /// Counts an answered request.
    pub fn record(&self, track: Track, latency_seconds: f64, scores: &[f64]) {
        self.shard().lock().of_mut(track).record(latency_seconds, scores);
    }

    /// Counts a failed request.
    pub fn record_failure(&self, track: Track, failure: Failure) {
        self.shard().lock().of_mut(track).record_failure(failure);
    }

    /// Everything observed so far.
    pub fn samples(&self) -> Samples {
        let mut merged = self.before.clone();
        for shard in &self.shards {
            // Every shard was made with the same buckets as `before`, and a checkpoint with other
            // buckets is refused when it is restored, so this merge cannot fail.
            let merge = merged.merge(&shard.lock());
            debug_assert!(merge.is_ok(), "shards have the same buckets");
        }
        merged
    }

    fn shard(&self) -> &Mutex<Samples> {
        &self.shards[thread_number() % self.shards.len()]
    }
}

/// A small number of this thread's own, so that threads spread evenly over the shards.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    NUMBER.with(Cell::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_record_is_all_there() {
        let recorder = Recorder::new(3);
        std::thread::scope(|scope| {
            for thread in 0..8_u32 {
                let recorder = &recorder;
                scope.spawn(move || {
                    for n in 0..1000_u32 {
                        recorder.record(Track::Stable, f64::from(n) * 1e-6, &[0.5]);
                        if n % 10 == thread % 10 {
                            recorder.record_failure(Track::Canary, Failure::Error);
                        }
                        recorder.next_request();
                    }
                });
            }
        });
        let samples = recorder.samples();
        assert_eq!(samples.stable.requests, 8000);
        assert_eq!(samples.stable.latency.count(), 8000);
        assert_eq!(samples.canary.failures.error, 800);
        assert_eq!(recorder.routed(), 8000);
    }

    #[test]
    fn a_restored_recorder_goes_on() {
        let first = Recorder::new(2);
        first.record(Track::Canary, 0.001, &[0.2]);
        first.next_request();
        let second = Recorder::restored(4, first.samples(), first.routed()).unwrap();
        second.record(Track::Canary, 0.003, &[0.4]);
        assert_eq!(second.samples().canary.requests, 2);
        assert_eq!(second.next_request(), 1);
    }
}
