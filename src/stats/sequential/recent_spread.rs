//! Recent mean and spread of a function of the observations.

use serde::Deserialize;
use serde::Serialize;

use crate::stats::fixed_horizon::margin::Margin;

/// Counts above this are halved, so that the center follows the load within seconds: its own noise
/// adds 1/512 to the variance of the bet, at most.
pub(super) const MAX: f64 = 1024.0;

/// From this many observations on, the canary's difference outweighs the guess of 0.
pub(super) const DOUBT: f64 = 20.0;

/// Fewer observations of stable say too little.
pub(super) const MIN: f64 = 10.0;

/// Recent mean and spread of a function with values from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecentSpread {
    stable: Sums,
    /// The canary's values minus stable's mean at that time.
    difference: Sums,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sums {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) squares: f64,
}

impl RecentSpread {
    /// The center and the scale for the next tick; `None` while too little is known.
    ///
    /// ```text
    /// c = m_s + (1 - pi) d          d = the canary's mean difference, shrunk toward 0
    /// ```
    ///
    /// This is the center with the least noise when the canary does differ: at 10 % nearly the
    /// canary's own mean, so that stable's nine observations, not the canary's one, carry the
    /// difference. Without a difference it is the common mean.
    pub(super) fn center_and_scale(&self, share: f64) -> Option<(f64, f64)> {
        if self.stable.count < MIN {
            return None;
        }
        let mean = self.stable.sum / self.stable.count;
        let variance = self.stable.squares / self.stable.count - mean * mean;
        let center = (mean + (1.0 - share) * self.difference()).clamp(0.0, 1.0);
        // A function that has not varied yet may vary in about one of this many observations.
        Some((center, variance.max(0.25 / (self.stable.count + 1.0)).sqrt()))
    }

    /// Stable's recent mean; `None` before its first value.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.stable.count > 0.0).then(|| self.stable.sum / self.stable.count)
    }

    /// The canary's mean difference from stable, shrunk toward 0 while it rests on few values.
    fn difference(&self) -> f64 {
        self.difference.sum / (self.difference.count + DOUBT)
    }

    /// Takes in a finished tick.
    pub(super) fn learn(&mut self, canary: &[(f64, u64)], stable: &[(f64, u64)]) {
        // Within the tick, so that a change of the load does not count as a difference.
        let mut tick = Sums::default();
        stable.iter().for_each(|&(v, n)| tick.add(v, n));
        self.stable.merge(&tick);
        let reference = if tick.count >= MIN { tick } else { self.stable };
        if reference.count >= MIN {
            let mean = reference.sum / reference.count;
            let mut difference = Sums::default();
            canary.iter().for_each(|&(u, n)| difference.add(u - mean, n));
            self.difference.merge(&difference);
        }
    }
}

/// The spread of recent values, and margins in units of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spread {
    recent: Sums,
}

/// Fewer values than this say little of their spread.
const MIN_FOR_SPREAD: f64 = 20.0;

/// Counts above this are halved, so that the spread follows the traffic: known to 1 % then.
const MAX_FOR_SPREAD: f64 = 8192.0;

impl Spread {
    pub(super) fn learn(&mut self, values: &[(f64, u64)]) {
        values.iter().filter(|(v, _)| v.is_finite()).for_each(|&(v, n)| self.recent.add(v, n));
        if self.recent.count > MAX_FOR_SPREAD {
            self.recent.scale(0.5 * MAX_FOR_SPREAD / self.recent.count);
        }
    }

    /// The standard deviation; `None` below twenty values.
    pub(super) fn deviation(&self) -> Option<f64> {
        let Sums { count, sum, squares } = self.recent;
        let mean = sum / count;
        (count >= MIN_FOR_SPREAD).then(|| (squares / count - mean * mean).max(0.0).sqrt())
    }

    /// The larger part of a margin; `None` while a relative part has no unit.
    pub(super) fn margin(&self, margin: Margin) -> Option<f64> {
        if margin.relative > 0.0 {
            Some(margin.of_spread(self.deviation()?))
        } else {
            Some(margin.absolute)
        }
    }
}

impl Sums {
    pub(super) fn add(&mut self, x: f64, count: u64) {
        let count = count as f64;
        self.count += count;
        self.sum += x * count;
        self.squares += x * x * count;
    }

    /// Adds the sums of a tick, and halves the counts when they exceed [`MAX`].
    pub(super) fn merge(&mut self, other: &Sums) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
        if self.count > MAX {
            self.scale(if self.count > 2.0 * MAX { 0.5 * MAX / self.count } else { 0.5 });
        }
    }

    pub(super) fn scale(&mut self, factor: f64) {
        self.count *= factor;
        self.sum *= factor;
        self.squares *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_center_lies_between_the_tracks_by_the_share() {
        let mut tracker = RecentSpread::default();
        assert_eq!(tracker.center_and_scale(0.1), None);
        for _ in 0..1000 {
            tracker.learn(&[(0.6, 10)], &[(0.3, 45), (0.5, 45)]);
        }
        let (center, scale) = tracker.center_and_scale(0.1).unwrap();
        assert!((center - 0.58).abs() < 0.01, "{center}");
        assert!((scale - 0.1).abs() < 1e-9, "{scale}");
        let (center, _) = tracker.center_and_scale(0.9).unwrap();
        assert!((center - 0.42).abs() < 0.01, "{center}");
    }

    #[test]
    fn counts_stay_bounded_and_recent_values_count_most() {
        let mut tracker = RecentSpread::default();
        tracker.learn(&[], &[(0.0, u64::MAX)]);
        assert!(tracker.stable.count <= MAX);
        for _ in 0..100 {
            tracker.learn(&[], &[(1.0, 100)]);
        }
        let (center, scale) = tracker.center_and_scale(0.5).unwrap();
        assert!(center > 0.99 && scale > 0.0, "{center} {scale}");
    }
}
