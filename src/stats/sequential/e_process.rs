//! E-process: the evidence now, and its maximum.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

/// An e-process: the logarithm of its value now, and the largest so far.
///
/// ```text
/// p = min(1, exp(-max log E))                        reached(alpha):  max log E >= ln(1 / alpha)
/// ```
///
/// The maximum is what Ville's inequality bounds, so a threshold once reached stays reached. For
/// many comparisons at once use the current value instead (see
/// [`e_benjamini_hochberg`](crate::stats::fixed_horizon::multiplicity::e_benjamini_hochberg)).
///
/// ```
/// use serin::stats::sequential::EProcess;
///
/// let mut evidence = EProcess::default();
/// evidence.observe(40_f64.ln());
/// evidence.observe(0.5_f64.ln());
/// assert!((evidence.always_valid_p() - 1.0 / 40.0).abs() < 1e-15);
/// assert!(evidence.reached(0.05) && !evidence.reached(0.01));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EProcess {
    log_e: f64,
    largest: f64,
}

impl EProcess {
    /// Takes the e-value of the next tick, as a logarithm. NaN is ignored.
    pub fn observe(&mut self, log_e: f64) {
        if !log_e.is_nan() {
            self.log_e = log_e.clamp(-f64::MAX, f64::MAX);
            self.largest = self.largest.max(self.log_e);
        }
    }

    /// ln E now.
    pub fn log_e(&self) -> f64 {
        self.log_e
    }

    /// The one of two with less evidence so far: what refutes that either null hypothesis holds.
    pub fn weaker(self, other: Self) -> Self {
        if other.largest < self.largest { other } else { self }
    }

    /// The largest ln E so far; at least 0, since every e-process starts at E = 1.
    pub fn largest(&self) -> f64 {
        self.largest
    }

    /// The probability, under the null hypothesis, of evidence this strong at any time.
    pub fn always_valid_p(&self) -> f64 {
        (-self.largest).exp().min(1.0)
    }

    /// Whether the evidence now, not only at its largest, rejects at level `alpha`.
    pub fn is_above(&self, alpha: f64) -> bool {
        alpha > 0.0 && self.log_e >= -alpha.ln()
    }

    /// Whether the null hypothesis is rejected at level `alpha`, for good.
    ///
    /// Never for an `alpha` of 0 or less.
    pub fn reached(&self, alpha: f64) -> bool {
        alpha > 0.0 && self.largest >= -alpha.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_once_reached_stays_reached() {
        let mut running = EProcess::default();
        assert_eq!((running.always_valid_p(), running.reached(0.05)), (1.0, false));
        for log_e in [-3.0, 3.1, f64::NAN, -8.0] {
            running.observe(log_e);
        }
        assert_eq!((running.log_e(), running.largest()), (-8.0, 3.1));
        assert!(running.reached(0.05) && !running.reached(0.01));
        assert!(!running.reached(0.0) && !running.reached(f64::NAN));
    }

    #[test]
    fn infinite_evidence_stays_a_number_that_json_can_hold() {
        let mut running = EProcess::default();
        running.observe(f64::INFINITY);
        let text = serde_json::to_string(&running).unwrap();
        assert_eq!(serde_json::from_str::<EProcess>(&text).unwrap(), running);
        assert_eq!(running.always_valid_p(), 0.0);
    }
}
