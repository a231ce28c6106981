//! Distribution: counts of values between fixed bounds, and their sum.
//!
//! What monitoring systems call a histogram. Unlike the histograms of a step it is small enough to be kept for the life
//! of the process.

use crate::stats::Summary;

/// Counts of values between fixed bounds, and their sum.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    bounds: &'static [f64],
    /// One more than the bounds: the last counts what is above all of them. Empty before the first value.
    counts: Vec<u64>,
    sum: f64,
}

/// Bounds of latencies, in seconds. The built-in models answer within microseconds, others within milliseconds, and
/// requests that wait take up to seconds.
pub const LATENCY_SECONDS: &[f64] = &[
    1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Bounds of probabilities.
pub const PROBABILITY: &[f64] = &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// Bounds of scores of any size and sign: powers of ten.
pub const SCORE: &[f64] = &[
    -1e6, -1e5, -1e4, -1e3, -100.0, -10.0, -1.0, -0.1, 0.0, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5,
    1e6,
];

impl Distribution {
    /// Without values.
    pub fn new(bounds: &'static [f64]) -> Distribution {
        Distribution { bounds, ..Distribution::default() }
    }

    /// Adds the values of a summary. Those of the first one set the bounds.
    pub(super) fn count(&mut self, values: &Summary, bounds: &'static [f64]) {
        let Some(mean) = values.mean() else { return };
        if self.counts.is_empty() {
            (self.bounds, self.counts) = (bounds, vec![0; bounds.len() + 1]);
        }
        values.histogram().count_between(self.bounds, &mut self.counts);
        self.sum += mean * values.count() as f64;
    }

    /// Adds another one with the same bounds.
    pub(super) fn add(&mut self, other: &Distribution) {
        if self.counts.is_empty() {
            *self = other.clone();
            return;
        }
        debug_assert!(other.counts.is_empty() || self.bounds == other.bounds, "one kind of values");
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum = sum.saturating_add(*count);
        }
        self.sum += other.sum;
    }

    /// The bounds, ascending.
    pub fn bounds(&self) -> &'static [f64] {
        self.bounds
    }

    /// How many values are up to each bound and above the one before it; last those above all. Empty before the first
    /// value.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The sum of the values.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    pub(super) fn sum_mut(&mut self) -> &mut f64 {
        &mut self.sum
    }

    /// How many values there were.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Layout;

    fn distribution(values: &[f64]) -> Distribution {
        let mut summary = Summary::new(Layout::Seconds);
        values.iter().for_each(|value| summary.record(*value));
        let mut distribution = Distribution::new(LATENCY_SECONDS);
        distribution.count(&summary, LATENCY_SECONDS);
        distribution
    }

    #[test]
    fn counts_and_sums_add_up() {
        let mut both = distribution(&[]);
        both.add(&distribution(&[]));
        assert_eq!((both.total(), both.bounds()), (0, LATENCY_SECONDS));
        both.add(&distribution(&[2e-6, 0.003]));
        both.add(&distribution(&[0.003, 60.0]));
        assert_eq!((both.counts()[1], both.counts()[11], both.total()), (1, 2, 4));
        assert_eq!(both.counts().last(), Some(&1));
        assert!((both.sum() - 60.006002).abs() < 1e-12);
    }

    #[test]
    fn bounds_ascend() {
        for bounds in [LATENCY_SECONDS, PROBABILITY, SCORE] {
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
