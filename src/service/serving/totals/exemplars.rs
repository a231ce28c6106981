//! Exemplars: for each track and bucket of latency the newest prediction that a trace has recorded.
//!
//! Only requests that carry a sampled trace come here, so the lock costs other predictions nothing.

use jiff::Timestamp;
use parking_lot::Mutex;

use super::distribution::LATENCY_SECONDS;
use crate::canary::Track;

/// A prediction that can be looked up among the traces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// Its trace.
    pub trace_id: u128,
    /// Its latency, divided by its rows.
    pub latency_seconds: f64,
    /// When it was answered.
    pub at: Timestamp,
}

/// The newest exemplar of each bucket; the last bucket is that of latencies above all bounds.
pub type ByBucket = [Option<Exemplar>; LATENCY_SECONDS.len() + 1];

/// The exemplars of both tracks.
#[derive(Debug, Default)]
pub struct Exemplars {
    stable: Mutex<ByBucket>,
    canary: Mutex<ByBucket>,
}

impl Exemplars {
    /// Keeps one in place of the one before it in its bucket.
    pub fn keep(&self, track: Track, exemplar: Exemplar) {
        let bucket = LATENCY_SECONDS.partition_point(|bound| *bound < exemplar.latency_seconds);
        if let Some(kept) = self.of(track).lock().get_mut(bucket) {
            *kept = Some(exemplar);
        }
    }

    /// Those of a track.
    pub fn kept(&self, track: Track) -> ByBucket {
        *self.of(track).lock()
    }

    fn of(&self, track: Track) -> &Mutex<ByBucket> {
        match track {
            Track::Stable => &self.stable,
            Track::Canary => &self.canary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_bucket_is_kept() {
        let exemplars = Exemplars::default();
        let keep = |track, trace_id, latency_seconds| {
            let at = Timestamp::UNIX_EPOCH;
            exemplars.keep(track, Exemplar { trace_id, latency_seconds, at });
        };
        keep(Track::Stable, 1, 2e-6);
        keep(Track::Stable, 2, 2.5e-6);
        keep(Track::Stable, 3, 60.0);
        keep(Track::Canary, 4, 0.0);
        let ids = |track| {
            let kept = exemplars.kept(track);
            let at = kept.iter().enumerate();
            at.filter_map(|(place, one)| Some((place, (*one)?.trace_id))).collect::<Vec<_>>()
        };
        assert_eq!(ids(Track::Stable), [(1, 2), (LATENCY_SECONDS.len(), 3)]);
        assert_eq!(ids(Track::Canary), [(0, 4)]);
    }
}
