//! Recorder: each worker writes samples into its own shard, so that workers do not wait for each other.
//! Readers merge the shards.

mod group_counts;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::Serialize;

use self::group_counts::GroupCounts;
use super::keys::seen_keys::KeyUse;
use super::segment_counts::SegmentCounts;
use super::segment_slots::InSegments;
use super::segment_slots::Places;
use super::totals::FallbackReason;
use super::totals::Totals;
use crate::canary::Pairs;
use crate::canary::Samples;
use crate::canary::Track;
use crate::canary::observed::groups::Group;
use crate::canary::observed::groups::GroupIncrement;
use crate::canary::observed::increment::SegmentIncrement;
use crate::canary::observed::outputs::Means;
use crate::canary::observed::pairs::Pair;
use crate::canary::observed::samples::Failure;
use crate::canary::observed::visits::Cell as KeyCell;
use crate::canary::observed::visits::Cells;
use crate::canary::observed::visits::VisitsIncrement;
use crate::canary::policy::segments::SegmentName;

/// The samples of one step of one rollout, and how many of its requests were routed.
pub struct Recorder {
    /// Each is written by one thread, and read by ticks and questions. The lock is rarely contended and costs
    /// 17 ns; an atomic per number would cost more.
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    /// Answers of both versions to the same requests. Written by the shadow thread; `None` before the first.
    pairs: Mutex<Option<Box<Pairs>>>,
    /// Requests that were not shadowed because the queue was full.
    dropped: CachePadded<AtomicU64>,
    /// Requests of the canary that stable answered, by reason. Written for each of them, and by nothing else.
    fallbacks: CachePadded<[AtomicU64; FallbackReason::ALL.len()]>,
    /// Requests without an answer because no inference thread became free.
    overloaded: CachePadded<AtomicU64>,
    /// Samples from before a restart. Never written after the start.
    before: Observed,
    /// Samples of the other replicas in this step, as they reported them. Written once a second, read by questions.
    elsewhere: Mutex<Observed>,
    /// The number of the next request without a key. Shared by all workers, because only one count for all
    /// gives the exact share.
    routed: CachePadded<AtomicU64>,
}

/// The samples of one thread.
#[derive(Default)]
struct Shard {
    first: Samples,
    /// `None` until a key repeats.
    repeated: Option<Box<Samples>>,
    /// By segment, since the last tick; `None` while no request names a segment.
    segments: Option<Box<SegmentCounts>>,
    /// Visits of keys, since they were last taken; `None` while no request has a key.
    visits: Option<Box<Cells>>,
    /// Latencies of first uses in other groups than the default one, since the last tick; `None` while there are none.
    groups: Option<Box<GroupCounts>>,
}

/// The samples of all requests, by whether their key was seen before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// Of first uses of a key and of requests without one: each was randomized by itself.
    pub first: Samples,
    /// Of repeated keys; `None` if none repeated.
    pub repeated: Option<Samples>,
    /// Answers of both versions to the same requests; `None` without a shadow.
    pub pairs: Option<Pairs>,
}

/// What a tick takes.
#[derive(Default)]
pub(crate) struct Taken {
    /// Everything that this process has observed so far.
    pub(crate) observed: Observed,
    /// Latencies since the last tick in other groups than the default one.
    pub(crate) groups: Vec<GroupIncrement>,
}

impl Observed {
    /// All of it.
    pub fn all(&self) -> Samples {
        let mut all = self.first.clone();
        if let Some(repeated) = &self.repeated {
            merge(&mut all, repeated);
        }
        all
    }

    /// Adds what another replica has observed in the same step; whether its parts add up.
    pub(crate) fn merge(&mut self, other: &Observed) -> bool {
        if !other.is_sound() {
            return false;
        }
        merge(&mut self.first, &other.first);
        if let Some(repeated) = &other.repeated {
            merge(self.repeated.get_or_insert_default(), repeated);
        }
        if let Some(pairs) = &other.pairs {
            let merge = self.pairs.get_or_insert_default().merge(pairs);
            debug_assert!(merge.is_ok(), "all pairs have the same layouts");
        }
        true
    }

    /// The number of requests.
    pub fn requests(&self) -> u64 {
        let repeated = self.repeated.as_ref().map_or(0, Samples::requests);
        self.first.requests().saturating_add(repeated)
    }

    /// Whether the parts have the recorder's layouts and add up.
    fn is_sound(&self) -> bool {
        let sound = |samples: &Samples| {
            Samples::default().merge(samples).is_ok()
                && samples.adds_up()
                && samples.has_sound_numbers()
        };
        sound(&self.first)
            && self.repeated.as_ref().is_none_or(sound)
            && self.pairs.as_ref().is_none_or(Pairs::is_sound)
    }
}

/// All shards have the same layouts, and a checkpoint with others is refused, so this merge cannot fail.
fn merge(into: &mut Samples, other: &Samples) {
    let merge = into.merge(other);
    debug_assert!(merge.is_ok(), "shards have the same layouts");
}

impl Recorder {
    /// An empty recorder for this many threads.
    pub fn new(threads: usize) -> Recorder {
        Recorder::made(threads, Observed::default(), 0)
    }

    /// A recorder that continues from a checkpoint; `None` if that has other layouts or does not add up.
    pub fn restored(threads: usize, before: Observed, routed: u64) -> Option<Recorder> {
        before.is_sound().then(|| Recorder::made(threads, before, routed))
    }

    fn made(threads: usize, before: Observed, routed: u64) -> Recorder {
        let shards = (0..threads.max(1)).map(|_| CachePadded::default()).collect();
        let routed = CachePadded::new(AtomicU64::new(routed));
        let (pairs, dropped) = (Mutex::default(), CachePadded::default());
        let (fallbacks, overloaded) = (CachePadded::default(), CachePadded::default());
        let elsewhere = Mutex::default();
        Recorder { shards, pairs, dropped, fallbacks, overloaded, before, elsewhere, routed }
    }

    /// The number of this request, counted from 0.
    pub fn next_request(&self) -> u64 {
        // Only the number matters; nothing else is published with it.
        self.routed.fetch_add(1, Ordering::Relaxed)
    }

    /// How many requests were numbered.
    pub fn routed(&self) -> u64 {
        self.routed.load(Ordering::Relaxed)
    }

    /// Counts an answered request.
    pub fn record(
        &self,
        (track, group): (Track, Group),
        key_use: KeyUse,
        latency_seconds: f64,
        scores: &[f64],
    ) {
        let mut shard = self.shard().lock();
        shard.of_mut(key_use).of_mut(track).record(latency_seconds, scores);
        shard.record_group((track, group), key_use, latency_seconds);
    }

    /// Counts an answered request with outputs of these means.
    pub fn record_means(
        &self,
        (track, group): (Track, Group),
        key_use: KeyUse,
        latency_seconds: f64,
        means: Means<'_>,
    ) {
        let mut shard = self.shard().lock();
        shard.of_mut(key_use).of_mut(track).record_means(latency_seconds, means);
        shard.record_group((track, group), key_use, latency_seconds);
    }

    /// Counts a failed request.
    pub fn record_failure(&self, track: Track, key_use: KeyUse, failure: Failure) {
        self.shard().lock().of_mut(key_use).of_mut(track).record_failure(failure);
    }

    /// Counts an answered request in its segments, unless its key repeats: repeated keys are not judged.
    pub fn record_in(
        &self,
        segments: &InSegments,
        track: Track,
        key_use: KeyUse,
        latency_seconds: f64,
        scores: &[f64],
    ) {
        if !segments.is_empty() && key_use == KeyUse::First {
            let mut shard = self.shard().lock();
            shard.segments.get_or_insert_default().record(segments, track, latency_seconds, scores);
        }
    }

    /// Counts a failed request in its segments, as [`record_in`](Self::record_in).
    pub fn record_failure_in(&self, segments: &InSegments, track: Track, key_use: KeyUse) {
        if !segments.is_empty() && key_use == KeyUse::First {
            let mut shard = self.shard().lock();
            shard.segments.get_or_insert_default().record_failure(segments, track);
        }
    }

    /// The samples by segment since the last call.
    pub fn take_segments(&self, places: &Places) -> BTreeMap<SegmentName, SegmentIncrement> {
        let mut all = SegmentCounts::default();
        for shard in &self.shards {
            let taken = shard.lock().segments.take();
            if let Some(counts) = taken {
                all.add(*counts);
            }
        }
        all.increments(places)
    }

    /// Counts a request in the cell of its key; `None` does nothing.
    pub fn record_visit(&self, track: Track, cell: Option<u8>, count: impl FnOnce(&mut KeyCell)) {
        let Some(cell) = cell else { return };
        let mut shard = self.shard().lock();
        if let Some(cell) = shard.visits.get_or_insert_default().of_mut(track, cell) {
            count(cell);
        }
    }

    /// The visits of stable's and of the canary's keys since the last [`take_visits`](Self::take_visits).
    pub fn waiting_visits(&self) -> [u64; 2] {
        let mut waiting = [0_u64; 2];
        for shard in &self.shards {
            if let Some(visits) = &shard.lock().visits {
                for (sum, track) in waiting.iter_mut().zip([Track::Stable, Track::Canary]) {
                    *sum = sum.saturating_add(visits.visits(track));
                }
            }
        }
        waiting
    }

    /// The visits of keys since the last call.
    pub fn take_visits(&self) -> VisitsIncrement {
        let mut all: Option<Box<Cells>> = None;
        for shard in &self.shards {
            let Some(taken) = shard.lock().visits.take() else { continue };
            match &mut all {
                Some(all) => all.merge(&taken),
                none => *none = Some(taken),
            }
        }
        all.as_deref().map(VisitsIncrement::from).unwrap_or_default()
    }

    /// Counts a pair.
    pub fn record_pair(&self, pair: &Pair<'_>) {
        self.pairs.lock().get_or_insert_default().record(pair);
    }

    /// Counts a request that the canary failed in shadow.
    pub fn record_pair_failure(&self, failure: Failure) {
        self.pairs.lock().get_or_insert_default().record_failure(failure);
    }

    /// Counts a request that was not shadowed because the queue was full.
    pub fn drop_pair(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts a request of the canary that stable has answered.
    pub fn record_fallback(&self, reason: FallbackReason) {
        if let Some(count) = self.fallbacks.get(reason.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a request without an answer because no inference thread became free.
    pub fn record_overload(&self) {
        self.overloaded.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted since this recorder was made, without what was observed before a restart.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            fallbacks_by_reason: self.fallbacks.each_ref().map(|it| it.load(Ordering::Relaxed)),
            overloaded: self.overloaded.load(Ordering::Relaxed),
            ..Totals::default()
        };
        totals.fallbacks = totals.fallbacks_by_reason.iter().sum();
        totals.shadow.dropped = self.dropped();
        if let Some(pairs) = &*self.pairs.lock() {
            totals.count_pairs(pairs);
        }
        for shard in &self.shards {
            let shard = shard.lock();
            for samples in std::iter::once(&shard.first).chain(shard.repeated.as_deref()) {
                totals.stable.count(&samples.stable);
                totals.canary.count(&samples.canary);
            }
        }
        totals
    }

    /// Everything observed so far, by all replicas.
    pub fn observed(&self) -> Observed {
        self.with_others(self.own())
    }

    /// Everything that this process has observed so far.
    pub(crate) fn own(&self) -> Observed {
        self.read(|_| {})
    }

    /// The same with what the other replicas have reported.
    pub(crate) fn with_others(&self, mut own: Observed) -> Observed {
        let elsewhere = self.elsewhere.lock();
        if elsewhere.requests() > 0 || elsewhere.pairs.is_some() {
            own.merge(&elsewhere);
        }
        own
    }

    /// Replaces what the other replicas have observed in this step.
    pub(crate) fn hear(&self, elsewhere: Observed) {
        *self.elsewhere.lock() = elsewhere;
    }

    /// The same for a tick, with the latencies by group since the last call. Both are read at once, so that an answer is
    /// in the same tick of both.
    pub(crate) fn take(&self) -> Taken {
        let mut groups = GroupCounts::default();
        let observed = self.read(|shard| {
            if let Some(counts) = shard.groups.take() {
                groups.add(*counts);
            }
        });
        Taken { observed, groups: groups.increments() }
    }

    fn read(&self, mut also: impl FnMut(&mut Shard)) -> Observed {
        let mut merged = self.before.clone();
        for shard in &self.shards {
            let mut shard = shard.lock();
            also(&mut shard);
            merge(&mut merged.first, &shard.first);
            if let Some(repeated) = &shard.repeated {
                merge(merged.repeated.get_or_insert_default(), repeated);
            }
        }
        if let Some(pairs) = &*self.pairs.lock() {
            let merge = merged.pairs.get_or_insert_default().merge(pairs);
            debug_assert!(merge.is_ok(), "all pairs have the same layouts");
        }
        merged
    }

    fn shard(&self) -> &Mutex<Shard> {
        &self.shards[thread_number() % self.shards.len()]
    }
}

impl Shard {
    fn of_mut(&mut self, key_use: KeyUse) -> &mut Samples {
        match key_use {
            KeyUse::First => &mut self.first,
            KeyUse::Repeated => self.repeated.get_or_insert_default(),
        }
    }

    fn record_group(&mut self, (track, group): (Track, Group), key_use: KeyUse, latency: f64) {
        // What no group has recorded is of the default one.
        if group != Group::default() && key_use == KeyUse::First {
            self.groups.get_or_insert_default().record(group, track, latency);
        }
    }
}

/// A small number of this thread's own, so that threads spread evenly over the shards.
pub(crate) fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    NUMBER.with(Cell::get)
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
