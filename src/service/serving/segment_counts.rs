//! Counts by segment since the last tick, for one worker.
//!
//! Only buckets that were hit are kept: histograms of 68 segments would take 7 MB per worker.

use std::collections::BTreeMap;

use crate::canary::Track;
use crate::canary::observed::increment::SegmentIncrement;
use crate::canary::observed::increment::TrackIncrement;
use crate::canary::policy::segments::SegmentName;
use crate::stats::Layout;
use crate::stats::is_recordable;

use super::segment_slots::InSegments;
use super::segment_slots::Places;

/// The counts of one worker, by the place of the segment.
#[derive(Debug, Default)]
pub(crate) struct SegmentCounts(BTreeMap<usize, [Counts; 2]>);

#[derive(Debug, Default)]
struct Counts {
    requests: u64,
    failures: u64,
    /// Counts by bucket.
    latency: BTreeMap<usize, u64>,
    score: BTreeMap<usize, u64>,
}

impl SegmentCounts {
    /// Counts an answered request. Without scores only its latency.
    pub(crate) fn record(
        &mut self,
        segments: &InSegments,
        track: Track,
        latency_seconds: f64,
        scores: &[f64],
    ) {
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        for place in segments.iter() {
            let counts = self.of_mut(place, track);
            counts.requests += 1;
            count(&mut counts.latency, Layout::Seconds, latency_seconds);
            if !scores.is_empty() {
                count(&mut counts.score, Layout::UnitInterval, mean);
            }
        }
    }

    /// Counts a failed request.
    pub(crate) fn record_failure(&mut self, segments: &InSegments, track: Track) {
        for place in segments.iter() {
            let counts = self.of_mut(place, track);
            counts.requests += 1;
            counts.failures += 1;
        }
    }

    /// Adds the counts of another worker.
    pub(crate) fn add(&mut self, other: SegmentCounts) {
        for (place, tracks) in other.0 {
            for (into, from) in self.0.entry(place).or_default().iter_mut().zip(tracks) {
                into.requests = into.requests.saturating_add(from.requests);
                into.failures = into.failures.saturating_add(from.failures);
                for (bucket, count) in from.latency {
                    *into.latency.entry(bucket).or_default() += count;
                }
                for (bucket, count) in from.score {
                    *into.score.entry(bucket).or_default() += count;
                }
            }
        }
    }

    /// The increments for a tick.
    pub(crate) fn increments(self, places: &Places) -> BTreeMap<SegmentName, SegmentIncrement> {
        let increment = |(place, [stable, canary]): (usize, [Counts; 2])| {
            let (stable, canary) = (stable.increment(), canary.increment());
            Some((places.name(place)?, SegmentIncrement { stable, canary }))
        };
        self.0.into_iter().filter_map(increment).collect()
    }

    fn of_mut(&mut self, place: usize, track: Track) -> &mut Counts {
        let [stable, canary] = self.0.entry(place).or_default();
        match track {
            Track::Stable => stable,
            Track::Canary => canary,
        }
    }
}

impl Counts {
    fn increment(self) -> TrackIncrement {
        let values = |layout: Layout, counts: BTreeMap<usize, u64>| {
            counts.into_iter().map(|(bucket, count)| (layout.value(bucket), count)).collect()
        };
        TrackIncrement {
            requests: self.requests,
            failures: self.failures,
            latency: values(Layout::Seconds, self.latency),
            score: values(Layout::UnitInterval, self.score),
        }
    }
}

fn count(counts: &mut BTreeMap<usize, u64>, layout: Layout, value: f64) {
    if is_recordable(value) {
        *counts.entry(layout.bucket(value)).or_default() += 1;
    }
}
