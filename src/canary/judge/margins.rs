//! Margins of a metric as differences from stable, in the unit of its values.

use super::monitors::measured::Counts;
use super::verdict::Classification;
use super::verdict::MetricEvidence;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::source::MarginKind;
use crate::stats::Harm;
use crate::stats::Margin;

/// The margins of a metric as differences from stable, in the unit of its values.
#[derive(Clone, Copy, Debug)]
pub struct Margins {
    /// A larger difference is harm.
    pub harmful: f64,
    /// A larger difference of scores holds a rollout by plan.
    pub tolerated: f64,
    /// A difference within this counts as none.
    pub accepted: f64,
}

impl Margins {
    /// The margins at stable's present mean, failure rate or spread.
    pub fn new(metric: &Metric, evidence: &MetricEvidence) -> Margins {
        let MetricEvidence { samples, stable_mean, stable_spread, .. } = evidence;
        Margins::at(metric, samples, *stable_mean, *stable_spread)
    }

    /// The margins at these numbers of stable's.
    pub(super) fn at(
        metric: &Metric,
        counts: &Counts,
        mean: Option<f64>,
        spread: Option<f64>,
    ) -> Margins {
        let reference = match metric.source.properties().margin {
            MarginKind::OfMean => mean.unwrap_or(0.0).abs(),
            MarginKind::OfFailureRate => {
                counts.stable_failures as f64 / counts.stable.max(1) as f64
            }
            MarginKind::OfSpread => spread.unwrap_or(0.0),
            MarginKind::Absolute => 0.0,
        };
        let is_of_spread = metric.source.properties().margin == MarginKind::OfSpread;
        let amount = |margin: Margin| match is_of_spread {
            true => margin.of_spread(reference),
            false => margin.relative * reference + margin.absolute,
        };
        Margins {
            harmful: amount(metric.harm_margin()),
            tolerated: amount(metric.tolerated),
            accepted: amount(metric.accepted),
        }
    }

    /// Whether a reader who compares the interval with the margins comes to the same classification. The interval is
    /// that of the mean; the classification rests on e-processes that may be of ranks or clipped values.
    pub fn agree(self, harm: Harm, evidence: &MetricEvidence, [low, high]: [f64; 2]) -> bool {
        let (worst, best) = match harm {
            Harm::Higher => (high, low),
            Harm::Lower => (-low, -high),
            Harm::Either => (high.max(-low), low.max(-high)),
        };
        match evidence.classification {
            _ if evidence.is_shifted => best > self.tolerated,
            Classification::Pass => worst <= self.accepted,
            Classification::Fail => best > self.harmful,
            Classification::Inconclusive | Classification::Insufficient => {
                worst > self.accepted && best <= self.harmful
            }
        }
    }
}
