//! Thresholds of the health check.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::stats::Margin;

/// The thresholds of both tests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HealthPolicy {
    /// Significance level of each test. Default 0.05.
    pub alpha: f64,
    /// Latency samples that each track needs before it is judged. Default 20.
    pub min_samples: u64,
    /// A slowdown up to this share of stable's mean latency is tolerated. Default 0.05.
    pub relative_margin: f64,
    /// The promotion of a canary whose failure rate exceeds stable's by more than this waits for more evidence.
    /// Where stable has no traffic to compare with, this is the accepted rate itself. Default 0.01.
    pub failure_margin: f64,
    /// A slowdown up to this is tolerated as well, in seconds. Default 0.0001: users do not notice 0.1 ms, and two
    /// logistic regressions differ by 40 ns.
    pub absolute_margin_seconds: f64,
    /// A shift of the scores beyond the larger of this many standard deviations of stable's scores and this amount is
    /// harm; `None`: scores are not judged. Default 0.5 and 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gross_shift: Option<Margin>,
}

/// A shift of the scores beyond this is another model. A retrained one moves by less than a tenth of a standard
/// deviation.
pub const GROSS_SHIFT: Margin = Margin { relative: 0.5, absolute: 0.1 };

impl Default for HealthPolicy {
    fn default() -> HealthPolicy {
        HealthPolicy {
            alpha: 0.05,
            min_samples: 20,
            relative_margin: 0.05,
            failure_margin: 0.01,
            absolute_margin_seconds: 0.0001,
            gross_shift: Some(GROSS_SHIFT),
        }
    }
}

impl HealthPolicy {
    /// The tolerated mean slowdown at this mean of stable, in seconds: the larger of both margins.
    pub fn margin_seconds(&self, stable_mean_seconds: f64) -> f64 {
        (self.relative_margin * stable_mean_seconds).max(self.absolute_margin_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_margin_applies() {
        let health = HealthPolicy::default();
        assert_eq!(health.margin_seconds(0.000_000_050), 0.0001);
        assert_eq!(health.margin_seconds(0.125), 0.05 * 0.125);
    }
}
