//! Bayesian reading: how likely a metric is worse than tolerated, and the loss to expect of a promotion.
//!
//! Shown next to the evidence; it decides nothing. It depends on the prior (see [`prior`]), and looking at
//! it again and again keeps no error rate. It takes each request as an observation of its own (docs/statistics.md).

pub mod prior;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use self::prior::EarlierEffects;
use self::prior::Learned;
use self::prior::is_read;
use self::prior::scale;
use super::evidence::SequentialEvidence;
use super::margins::Margins;
use super::monitors::measured::Measured;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::source::MarginKind;
use crate::stats::Harm;
use crate::stats::posterior::Beta;
use crate::stats::posterior::Normal;
use crate::stats::posterior::Posterior;

/// The reading of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reading {
    /// The metric.
    pub metric: MetricName,
    /// The probability that the canary is worse than stable by more than the margin of harm.
    pub probability_worse: f64,
    /// How much worse than stable it is on average, where being better counts as 0; in the metric's unit.
    pub expected_loss: f64,
    /// The prior.
    pub prior: MetricPrior,
    /// How many earlier rollouts of this store it is from; 0: the default prior.
    #[serde(default)]
    pub prior_rollouts: u64,
}

/// The prior of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricPrior {
    /// Of the difference, in the metric's unit.
    Normal(Normal),
    /// Of the failure rate of each track.
    Beta(Beta),
}

/// The readings of all metrics that have one: those of split traffic or labels with values on both tracks, and with
/// every request as a draw.
pub fn readings(evidence: &SequentialEvidence, earlier: &EarlierEffects) -> Vec<Reading> {
    let metrics = evidence.policy.metrics.iter().zip(&evidence.measured);
    metrics.filter_map(|(metric, measured)| reading(metric, measured, earlier)).collect()
}

fn reading(metric: &Metric, measured: &Measured, earlier: &EarlierEffects) -> Option<Reading> {
    if !is_read(metric, measured) {
        return None;
    }
    let Measured { counts, stable_mean, stable_spread, .. } = measured;
    let margin = Margins::at(metric, counts, *stable_mean, *stable_spread).harmful;
    let normal = |learned: Learned<f64>| {
        let std_dev = learned.prior * scale(metric, measured)?;
        let prior = Normal { mean: 0.0, std_dev };
        let (effect, standard_error) = measured.effect.effect()?;
        let found = prior.updated(effect, standard_error)?;
        Some((worse(metric.harm, found, margin), MetricPrior::Normal(prior), learned.rollouts))
    };
    let (found, prior, prior_rollouts) = match metric.source.properties().margin {
        MarginKind::OfMean => normal(earlier.of_mean(&metric.name))?,
        MarginKind::OfSpread => normal(earlier.of_spread(&metric.name))?,
        MarginKind::OfFailureRate => {
            let Learned { prior, rollouts } = earlier.failures(&metric.name);
            let canary = prior.updated(counts.canary_failures, counts.canary);
            let stable = prior.updated(counts.stable_failures, counts.stable);
            (Beta::read(canary, stable, margin)?, MetricPrior::Beta(prior), rollouts)
        }
        MarginKind::Absolute => return None,
    };
    Some(Reading {
        metric: metric.name.clone(),
        probability_worse: found.above_margin,
        expected_loss: found.expected_excess,
        prior,
        prior_rollouts,
    })
}

/// The posterior of harm in this direction.
fn worse(harm: Harm, effect: Normal, margin: f64) -> Posterior {
    let (higher, lower) = (effect.read(margin), effect.negated().read(margin));
    match harm {
        Harm::Higher => higher,
        Harm::Lower => lower,
        Harm::Either => Posterior {
            above_margin: (higher.above_margin + lower.above_margin).min(1.0),
            expected_excess: higher.expected_excess + lower.expected_excess,
        },
    }
}

#[cfg(test)]
#[path = "bayesian_tests.rs"]
mod tests;
