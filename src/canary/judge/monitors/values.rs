//! Values with their counts: sums and functions of them.

use crate::canary::observed::increment::RecordedIncrement;
use crate::stats::sequential::TrackCounts;

impl RecordedIncrement {
    /// The canary's share of the values. The client that recorded them made the assignment, so serin uses
    /// the observed share; that is valid if within a tick each value could have come from either track.
    pub(super) fn share(&self) -> f64 {
        let (stable, canary) = (number(&self.stable) as f64, number(&self.canary) as f64);
        canary / (stable + canary).max(1.0)
    }
}

pub(super) fn doubled(values: &[(f64, u64)]) -> Vec<(f64, u64)> {
    values.iter().map(|(value, count)| (2.0 * value, *count)).collect()
}

pub(super) fn squared(values: &[(f64, u64)]) -> Vec<(f64, u64)> {
    values.iter().map(|(value, count)| (value * value, *count)).collect()
}

pub(super) fn number(values: &[(f64, u64)]) -> u64 {
    values.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
}

/// Requests, and how many of them took longer than this.
pub(super) fn above(values: &[(f64, u64)], seconds: Option<f64>) -> TrackCounts {
    let is_above = |value: f64| seconds.is_some_and(|seconds| value > seconds);
    let slow = values.iter().filter(|(value, _)| is_above(*value));
    TrackCounts {
        requests: number(values),
        failures: slow.fold(0, |sum, (_, count)| sum.saturating_add(*count)),
    }
}
