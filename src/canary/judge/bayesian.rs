//! Bayesian reading: how likely a metric is worse than tolerated, and the loss to expect of a promotion.
//!
//! Shown next to the evidence; it decides nothing. It depends on the prior, and looking at it again and again keeps no
//! error rate. It takes each request as an observation of its own (docs/statistics.md).

use serde::Deserialize;
use serde::Serialize;

use super::evidence::SequentialEvidence;
use super::margins::Margins;
use super::monitors::measured::Measured;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::source::MarginKind;
use crate::canary::policy::source::MonitorKind;
use crate::stats::Harm;
use crate::stats::posterior::Beta;
use crate::stats::posterior::Normal;
use crate::stats::posterior::Posterior;

/// What is expected of a new version before it has answered: most differ little from stable.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// The standard deviation of the difference of means, as a share of stable's mean.
    pub of_mean: f64,
    /// The standard deviation of the difference of scores, in standard deviations of stable's scores.
    pub of_spread: f64,
    /// The failure rate of either track.
    pub failures: Beta,
}

/// Weak: it is outweighed by some dozens of requests.
///
/// A new version is within 20 % of stable's latency in two of three cases; its scores are within the harmful margin of
/// half a standard deviation as often; 1 % of requests fail, a belief worth 50 requests.
impl Default for Prior {
    fn default() -> Prior {
        Prior { of_mean: 0.2, of_spread: 0.5, failures: Beta { failures: 0.5, answers: 49.5 } }
    }
}

/// The reading of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The metric.
    pub metric: MetricName,
    /// The probability that the canary is worse than stable by more than the margin of harm.
    pub probability_worse: f64,
    /// How much worse than stable it is on average, where being better counts as 0; in the metric's unit.
    pub expected_loss: f64,
    /// The prior.
    pub prior: MetricPrior,
}

/// The prior of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricPrior {
    /// Of the difference, in the metric's unit.
    Normal(Normal),
    /// Of the failure rate of each track.
    Beta(Beta),
}

/// The readings of all metrics that have one: those of split traffic or labels with values on both tracks, and with
/// every request as a draw.
pub fn readings(evidence: &SequentialEvidence, prior: &Prior) -> Vec<Reading> {
    let metrics = evidence.policy.metrics.iter().zip(&evidence.measured);
    metrics.filter_map(|(metric, measured)| reading(metric, measured, prior)).collect()
}

fn reading(metric: &Metric, measured: &Measured, prior: &Prior) -> Option<Reading> {
    let Measured { counts, stable_mean, stable_spread, .. } = measured;
    // Of the class with the largest difference it would overstate; noise that lasts makes requests dependent.
    let is_selected = measured.class.is_some() || !metric.unit.is_request();
    // The effect of a quantile is one of a share.
    let is_quantile = matches!(metric.source.properties().monitor, MonitorKind::Quantile(_));
    if is_selected || is_quantile || metric.source.is_shadow() || counts.fewest() == 0 {
        return None;
    }
    let margin = Margins::at(metric, counts, *stable_mean, *stable_spread).harmful;
    let normal = |std_dev: f64| {
        let prior = Normal { mean: 0.0, std_dev };
        let (effect, standard_error) = measured.effect.effect()?;
        let found = prior.updated(effect, standard_error)?;
        Some((worse(metric.harm, found, margin), MetricPrior::Normal(prior)))
    };
    let (found, prior) = match metric.source.properties().margin {
        MarginKind::OfMean => normal(prior.of_mean * stable_mean.map(f64::abs)?)?,
        MarginKind::OfSpread => normal(prior.of_spread * (*stable_spread)?)?,
        MarginKind::OfFailureRate => {
            let canary = prior.failures.updated(counts.canary_failures, counts.canary);
            let stable = prior.failures.updated(counts.stable_failures, counts.stable);
            (Beta::read(canary, stable, margin)?, MetricPrior::Beta(prior.failures))
        }
        MarginKind::Absolute => return None,
    };
    let Posterior { above_margin, expected_excess } = found;
    let metric = metric.name.clone();
    Some(Reading { metric, probability_worse: above_margin, expected_loss: expected_excess, prior })
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
