//! Thresholds of the health check.

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

/// When the health check raises an alert: the thresholds of the two tests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthPolicy {
    /// Significance level of each test. Default 0.05.
    pub alpha: f64,
    /// Latency samples that each track must have before it is judged. Default 20.
    pub min_samples: u64,
    /// A slowdown below this share of stable's mean latency is no harm. Default 0.05.
    pub relative_margin: f64,
    /// A canary may fail this share of its requests more often than stable before its promotion
    /// waits for more evidence; and, where stable has no traffic to compare with, this share of
    /// them at all. Default 0.01.
    pub failure_margin: f64,
    /// A slowdown below this is no harm either, in seconds. Default 0.0001: nobody feels 0.1 ms,
    /// and two logistic regressions do differ by 40 ns.
    pub absolute_margin_seconds: f64,
}

impl Default for HealthPolicy {
    fn default() -> HealthPolicy {
        HealthPolicy {
            alpha: 0.05,
            min_samples: 20,
            relative_margin: 0.05,
            failure_margin: 0.01,
            absolute_margin_seconds: 0.0001,
        }
    }
}

impl HealthPolicy {
    /// The mean slowdown that is allowed, in seconds, given stable's mean: the larger margin.
    pub fn margin_seconds(&self, stable_mean_seconds: f64) -> f64 {
        (self.relative_margin * stable_mean_seconds).max(self.absolute_margin_seconds)
    }

    /// The same thresholds, checked.
    ///
    /// # Errors
    /// Names the first field that is out of its range.
    pub fn checked(self) -> Result<HealthPolicy, PolicyError> {
        let out = |field, value: f64, allowed| Err(PolicyError { field, value, allowed });
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            return out("alpha", self.alpha, "more than 0 and less than 1");
        }
        if self.min_samples < 2 {
            return out("min_samples", self.min_samples as f64, "2 or more (a variance needs two)");
        }
        if !(self.relative_margin >= 0.0 && self.relative_margin.is_finite()) {
            return out("relative_margin", self.relative_margin, "0 or more");
        }
        if !(self.failure_margin > 0.0 && self.failure_margin < 1.0) {
            // No number of requests proves two rates equal.
            return out("failure_margin", self.failure_margin, "more than 0 and less than 1");
        }
        if !(self.absolute_margin_seconds >= 0.0 && self.absolute_margin_seconds.is_finite()) {
            return out("absolute_margin", self.absolute_margin_seconds, "0 or more");
        }
        Ok(self)
    }
}

/// A threshold outside its range.
#[derive(Debug, Error, PartialEq)]
#[error("{field} = {value} is out of range; give {allowed}")]
pub struct PolicyError {
    /// The setting.
    pub field: &'static str,
    /// What was given.
    pub value: f64,
    /// What is allowed.
    pub allowed: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_margin_counts() {
        let health = HealthPolicy::default();
        assert_eq!(health.margin_seconds(0.000_000_050), 0.0001);
        assert_eq!(health.margin_seconds(0.125), 0.05 * 0.125);
    }

    #[test]
    fn thresholds_out_of_range_are_named() {
        let good = HealthPolicy::default();
        for (bad, field) in [
            (HealthPolicy { alpha: 0.0, ..good }, "alpha"),
            (HealthPolicy { alpha: 1.0, ..good }, "alpha"),
            (HealthPolicy { alpha: f64::NAN, ..good }, "alpha"),
            (HealthPolicy { min_samples: 1, ..good }, "min_samples"),
            (HealthPolicy { relative_margin: -0.1, ..good }, "relative_margin"),
            (HealthPolicy { failure_margin: 1.0, ..good }, "failure_margin"),
            (HealthPolicy { failure_margin: 0.0, ..good }, "failure_margin"),
            (HealthPolicy { absolute_margin_seconds: f64::INFINITY, ..good }, "absolute_margin"),
        ] {
            assert_eq!(bad.checked().unwrap_err().field, field);
        }
    }
}
