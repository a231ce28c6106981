//! Which harm does this request of the canary's meet on purpose?

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

/// What is done to one prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// How much longer it takes.
    pub delay: Duration,
    /// Whether it fails.
    pub fails: bool,
    /// Added to its scores, as far as the kind of output allows.
    pub score_shift: f64,
}

impl Fault {
    /// Nothing is done to it.
    pub const NONE: Fault = Fault { delay: Duration::ZERO, fails: false, score_shift: 0.0 };

    /// Whether nothing is.
    pub fn is_none(&self) -> bool {
        *self == Fault::NONE
    }

    /// The outputs with their scores shifted.
    pub fn shifted(&self, kind: OutputKind, mut outputs: Outputs) -> Outputs {
        if self.score_shift != 0.0 {
            for output in &mut outputs {
                *output = kind.shifted(*output, self.score_shift);
            }
        }
        outputs
    }
}

/// Harms the requests of a canary.
pub struct Injector {
    injection: Injection,
    /// Which requests fail, drawn as requests are drawn for the canary: of every stratum exactly the
    /// rate, at places that nobody can guess.
    errors: Split,
    /// The requests that could have failed so far. Shared by the workers, which only a canary that is
    /// being harmed has to bear.
    asked: AtomicU64,
}

impl Injector {
    /// That of a rollout; `None` if nothing is injected.
    pub fn of(rollout: &Rollout) -> Option<Injector> {
        let injection = rollout.injection.clone();
        if injection.is_none() {
            return None;
        }
        // Another salt, so that who fails has nothing to do with who was drawn.
        let errors = Split::new(injection.error_rate(), !rollout.salt, rollout.step);
        Some(Injector { injection, errors, asked: AtomicU64::new(0) })
    }

    /// What happens to the next request with these segments.
    pub fn fault(&self, segments: Segments<'_>) -> Fault {
        if !self.injection.is_meant(segments) {
            return Fault::NONE;
        }
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
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
        scores(&fault.shifted(kind, outputs)).to_vec()
    }

    #[test]
    fn a_shifted_score_is_still_a_probability() {
        let fault = Fault { score_shift: 0.25, ..Fault::NONE };
        assert_eq!(shifted(fault, &[0.25, 0.75, 0.9, 1.0]), [0.5, 1.0, 1.0, 1.0]);
        let fault = Fault { score_shift: -0.25, ..Fault::NONE };
        assert_eq!(shifted(fault, &[0.0, 0.1, 0.25, 0.5]), [0.0, 0.0, 0.0, 0.25]);
        // Not a bit of what nobody touches changes.
        assert_eq!(shifted(Fault::NONE, &[0.1 + 0.2]), [0.1 + 0.2]);
    }
}
