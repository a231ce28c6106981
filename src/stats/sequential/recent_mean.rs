//! Recent mean of stable's values.

use serde::Deserialize;
use serde::Serialize;

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

    pub(super) fn learn(&mut self, stable: &[(f64, u64)]) {
        for &(value, count) in stable.iter().filter(|(value, _)| value.is_finite()) {
            self.count += count as f64;
            self.mean += (value - self.mean) * (count as f64 / self.count.max(1.0));
        }
        // As RecentSpread: about the last thousand values count.
        self.count = self.count.min(1024.0);
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
}
