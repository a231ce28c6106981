//! Totals since the start of the process: unlike the samples of a step, they never fall.

use serde::Deserialize;
use serde::Serialize;

use crate::canary::observed::samples::Failures;

/// Counts since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Requests of stable.
    pub stable: TrackTotals,
    /// Requests of the canaries.
    pub canary: TrackTotals,
    /// Requests of the canaries that stable answered.
    pub fallbacks: u64,
}

/// Counts of one track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackTotals {
    /// Requests assigned to the track.
    pub requests: u64,
    /// Failed requests, by kind.
    pub failures: Failures,
}

impl Totals {
    /// Adds others.
    pub(crate) fn add(&mut self, other: &Totals) {
        for (into, from) in [(&mut self.stable, &other.stable), (&mut self.canary, &other.canary)] {
            into.requests = into.requests.saturating_add(from.requests);
            into.failures.merge(&from.failures);
        }
        self.fallbacks = self.fallbacks.saturating_add(other.fallbacks);
    }
}
