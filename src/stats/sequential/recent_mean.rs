//! Recent mean of stable's values, and recent difference of the canary's from it.

use serde::Deserialize;
use serde::Serialize;

use super::recent_spread::DOUBT;
use super::recent_spread::MAX;

/// Stable's recent mean in the unit of its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecentMean {
    count: f64,
    mean: f64,
}

impl RecentMean {
    pub(super) fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then_some(self.mean)
    }

    /// How many values it rests on, at most [`MAX`].
    pub(super) fn count(&self) -> f64 {
        self.count
    }

    pub(super) fn learn(&mut self, stable: &[(f64, u64)]) {
        self.add(stable);
        self.count = self.count.min(MAX);
    }

    fn add(&mut self, values: &[(f64, u64)]) {
        for &(value, count) in values.iter().filter(|(value, _)| value.is_finite()) {
            self.count += count as f64;
            self.mean += (value - self.mean) * (count as f64 / self.count.max(1.0));
        }
    }
}

/// The canary's recent mean difference from stable, in the unit of the values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecentDifference {
    weight: f64,
    sum: f64,
}

impl RecentDifference {
    /// The mean difference, shrunk toward 0 while it rests on few values. For equal tracks its standard error is
    /// largest at a weight of 20, and then a ninth of the values' standard deviation.
    pub(super) fn mean(&self) -> f64 {
        self.sum / (self.weight + DOUBT)
    }

    /// Takes in a tick. Values of one tick are compared with each other alone, so that a change of the load is no
    /// difference. A tick weighs as the inverse variance of its difference, n m / (n + m) values.
    pub(super) fn learn(&mut self, canary: &[(f64, u64)], stable: &[(f64, u64)]) {
        let [canary, stable] = [canary, stable].map(|values| {
            let mut all = RecentMean::default();
            all.add(values);
            all
        });
        if let (Some(of_canary), Some(of_stable)) = (canary.mean(), stable.mean()) {
            let weight = canary.count * stable.count / (canary.count + stable.count);
            self.sum += weight * (of_canary - of_stable);
            self.weight += weight;
        }
        let excess = (self.weight / MAX).max(1.0);
        self.weight /= excess;
        self.sum /= excess;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_that_of_the_finite_values() {
        let mut recent = RecentMean::default();
        recent.learn(&[(f64::NAN, 3), (f64::INFINITY, 1)]);
        assert_eq!(recent.mean(), None);
        recent.learn(&[(0.2, 1), (f64::NAN, 9), (0.5, 2)]);
        assert!((recent.mean().unwrap() - 0.4).abs() < 1e-12);
    }

    #[test]
    fn a_difference_is_taken_within_each_tick_and_begins_at_zero() {
        let mut recent = RecentDifference::default();
        recent.learn(&[(0.9, 1)], &[]);
        assert_eq!(recent.mean(), 0.0);
        recent.learn(&[(0.6, 4)], &[(0.4, 1), (0.5, 3)]);
        // 2 values' worth of a difference of 0.125.
        assert!((recent.mean() - 2.0 * 0.125 / 22.0).abs() < 1e-12, "{recent:?}");
        for tick in 0..10_000 {
            let load = f64::from(tick % 7) / 10.0;
            recent.learn(&[(load + 0.1, 9)], &[(load, 1)]);
        }
        assert!((recent.mean() - 0.1).abs() < 0.003 && recent.weight <= MAX, "{recent:?}");
    }
}
