//! Fault injection into predictions of the canary.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::inference::Outputs;
use crate::canary::Rollout;
use crate::canary::Split;
use crate::canary::Track;
use crate::canary::policy::fault::Injection;
use crate::canary::policy::fault::Segments;
use crate::model::OutputKind;

/// The fault of one prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// The delay.
    pub delay: Duration,
    /// Whether it fails.
    pub fails: bool,
    /// Added to its scores, as far as the kind of output allows.
    pub score_shift: f64,
}

impl Fault {
    /// No fault.
    pub const NONE: Fault = Fault { delay: Duration::ZERO, fails: false, score_shift: 0.0 };

    /// Whether there is no fault.
    pub fn is_none(&self) -> bool {
        *self == Fault::NONE
    }

    /// The outputs with their scores shifted.
    pub fn shifted(&self, kind: &OutputKind, mut outputs: Outputs) -> Outputs {
        if self.score_shift != 0.0 {
            for output in &mut outputs {
                *output = kind.shifted(output.clone(), self.score_shift);
            }
        }
        outputs
    }
}

/// Injects faults into the requests of a canary.
pub struct Injector {
    injection: Injection,
    /// Draws the requests that fail, as the split draws the canary's: exactly the error rate in each stratum.
    errors: Split,
    /// Number of requests so far. Shared by the workers; costs nothing without a fault.
    requests: AtomicU64,
}

impl Injector {
    /// The injector of a rollout; `None` without a fault.
    pub fn of(rollout: &Rollout) -> Option<Injector> {
        let injection = rollout.injection.clone();
        if injection.is_none() {
            return None;
        }
        // Another salt, so that failures are independent of the split.
        let errors = Split::new(injection.error_rate(), !rollout.salt, rollout.step);
        Some(Injector { injection, errors, requests: AtomicU64::new(0) })
    }

    /// The fault of the next request with these segments.
    pub fn fault(&self, segments: Segments<'_>) -> Fault {
        if !self.injection.is_meant(segments) {
            return Fault::NONE;
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        Fault {
            delay: Duration::from_millis(u64::from(self.injection.delay_ms())),
            fails: self.errors.assign(number) == Track::Canary,
            score_shift: self.injection.score_shift(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Output;
    use crate::service::serving::inference::scores;

    fn shifted(fault: Fault, given: &[f64]) -> Vec<f64> {
        let outputs = given.iter().copied().map(Output::of).collect();
        let kind = OutputKind::Probability { threshold: 0.5 };
        scores(&kind, &fault.shifted(&kind, outputs)).to_vec()
    }

    #[test]
    fn a_shifted_score_is_still_a_probability() {
        let fault = Fault { score_shift: 0.25, ..Fault::NONE };
        assert_eq!(shifted(fault, &[0.25, 0.75, 0.9, 1.0]), [0.5, 1.0, 1.0, 1.0]);
        let fault = Fault { score_shift: -0.25, ..Fault::NONE };
        assert_eq!(shifted(fault, &[0.0, 0.1, 0.25, 0.5]), [0.0, 0.0, 0.0, 0.25]);
        // Without a shift no bit changes.
        assert_eq!(shifted(Fault::NONE, &[0.1 + 0.2]), [0.1 + 0.2]);
    }
}
