//! The axis on which comparisons are drawn, the same for all metrics: multiples of the accepted margin, worse to the right.

use super::rows::Numbers;
use crate::stats::Harm;

/// The axis reaches from minus this to this. It never rescales.
pub const END: f64 = 2.0;

/// A comparison in multiples of the accepted margin, of the harm margin where nothing is accepted. 0 is stable; worse is
/// positive, whatever the metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multiples {
    /// Canary minus stable.
    pub effect: f64,
    /// The confidence interval of the effect.
    pub interval: Option<[f64; 2]>,
    /// A difference within this passes.
    pub accepted: f64,
    /// A larger difference fails.
    pub harmful: f64,
    /// Whether a difference in the other direction is as bad.
    pub is_two_sided: bool,
}

impl Multiples {
    /// These numbers in multiples; `None` if neither margin is positive, which has no multiples.
    pub fn of(numbers: &Numbers) -> Option<Multiples> {
        let Numbers { effect, interval, accepted, harmful, harm, .. } = *numbers;
        let unit = if accepted > 0.0 { accepted } else { harmful };
        if !(unit > 0.0 && unit.is_finite() && effect.is_finite()) {
            return None;
        }
        let worse = |value: f64| if harm == Harm::Lower { -value / unit } else { value / unit };
        let interval = interval.map(|ends| {
            let [one, other] = ends.map(worse);
            [one.min(other), one.max(other)]
        });
        Some(Multiples {
            effect: worse(effect),
            interval,
            accepted: accepted / unit,
            harmful: harmful / unit,
            is_two_sided: harm == Harm::Either,
        })
    }
}
