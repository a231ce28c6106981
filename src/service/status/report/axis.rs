//! The axis on which comparisons are drawn, the same for all metrics: multiples of the accepted margin, worse to the right.

use serde::Serialize;
use utoipa::ToSchema;

use crate::stats::Harm;

/// The axis reaches from minus this to this. It never rescales.
pub const END: f64 = 2.0;

/// A comparison in numbers, in the unit of the metric's values: seconds, a share, or that of what clients report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = MetricNumbers)]
pub struct Numbers {
    /// The mean of stable, its quantile, or its share of failures.
    pub stable: Option<f64>,
    /// Canary minus stable, as far as the values can be: no time is below zero, no share above one.
    pub effect: f64,
    /// The confidence interval of the effect, likewise.
    pub interval: Option<[f64; 2]>,
    /// A difference within this passes.
    pub accepted: f64,
    /// A larger difference fails.
    pub harmful: f64,
    /// In which direction it is worse.
    pub harm: Harm,
}

/// A comparison in multiples of the accepted margin, of the harm margin where nothing is accepted. 0 is stable; worse is
/// positive, whatever the metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multiples {
    /// Canary minus stable; `None` if the samples do not tell.
    pub effect: Option<f64>,
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
            effect: Some(worse(effect)),
            interval,
            accepted: accepted / unit,
            harmful: harmful / unit,
            is_two_sided: harm == Harm::Either,
        })
    }
    /// Where the values of the canary are zero.
    pub fn least(numbers: &Numbers) -> Option<f64> {
        let stable = numbers.stable?;
        Multiples::of(&Numbers { effect: -stable, interval: None, ..*numbers })?.effect
    }

    /// The same of a metric whose difference is not known.
    #[must_use]
    pub fn without_effect(self) -> Multiples {
        Multiples { effect: None, ..self }
    }

    /// Whether the interval leaves the axis on both sides, so that it says nothing. `is_cut`: its better end is the best
    /// that there can be.
    pub fn excludes_nothing(&self, is_cut: bool) -> bool {
        self.interval.is_some_and(|[best, worst]| (best <= -END || is_cut) && worst >= END)
    }
}
