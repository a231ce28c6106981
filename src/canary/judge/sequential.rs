//! Sequential judge: the verdict on all metrics, valid however often it is read.
//!
//! ```text
//! fail           harm beyond the tolerated margin is shown, at the metric's part of alpha; of scores a
//!                difference beyond the harmful margin
//! insufficient   too few samples on either track, or none of them compared yet; of a signal in the tail, not proven and
//!                too few samples to say that it cannot be
//! pass           non-inferiority within the accepted margin is shown, at alpha
//! inconclusive   neither
//!
//! score          100 x weight that passes / weight that passes or fails       (guardrails, signals);
//!                0 if a critical metric fails
//! rollback       a guardrail fails, a critical metric fails, or the failed weight is so large that the
//!                score can no longer rise above the rollback score
//! promote        every required guardrail passes, no signal lacks samples, and the score is high enough
//! hold           otherwise
//! ```
//!
//! *Shown* means by an e-process, so looking often costs nothing. The probability that any acting metric
//! ever fails by chance is at most alpha (weighted Bonferroni on the running maxima). Promotion needs no
//! correction: all guardrails passing by chance is no more likely than the harmful one passing by chance.

pub mod metric_history;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::margins::Margins;
use super::monitors::measured::Measured;
use super::verdict::Classification;
use super::verdict::MetricEvidence;
use super::verdict::Verdict;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::Role;
use crate::canary::policy::source::MonitorKind;

/// The conclusion of the sequential judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SequentialVerdict {
    /// What should happen to the canary.
    pub verdict: Verdict,
    /// The weighted score of the metrics with a conclusion, 0 to 100; `None` before the first.
    pub score: Option<f64>,
    /// The probability that a harmless canary ever fails a metric that acts.
    pub alpha: f64,
    /// Ticks seen.
    pub ticks: u64,
    /// The evidence of each metric, in the order of the policy.
    pub metrics: Vec<MetricEvidence>,
}

/// The displayed interval is tightest near this many effective samples.
const TUNED_FOR: f64 = 1000.0;

impl SequentialVerdict {
    /// Judges these numbers under this policy.
    pub fn new(policy: &JudgePolicy, ticks: u64, measured: &[Measured]) -> SequentialVerdict {
        let metrics: Vec<MetricEvidence> = policy
            .metrics
            .iter()
            .zip(measured)
            .map(|(metric, measured)| evidence(policy, metric, measured))
            .collect();
        let tally = Tally::new(policy, &metrics);
        let verdict = tally.verdict(policy);
        SequentialVerdict { verdict, score: tally.score(), alpha: policy.alpha, ticks, metrics }
    }
}

pub(crate) fn evidence(
    policy: &JudgePolicy,
    metric: &Metric,
    measured: &Measured,
) -> MetricEvidence {
    let harm_threshold = policy.harm_alpha(metric);
    // The interval of a quantile would be that of a share.
    let is_quantile = matches!(metric.source.properties().monitor, MonitorKind::Quantile(_));
    let interval = measured.effect.interval(policy.alpha, TUNED_FOR).filter(|_| !is_quantile);
    let mean_effect = measured.effect.effect().map(|(effect, _)| effect);
    let effect = if is_quantile { measured.quantile_effect } else { mean_effect };
    let enough = measured.has_enough(metric);
    let is_harm = measured.harm.reached(harm_threshold) && (metric.required || enough);
    let classification = if is_harm {
        Classification::Fail
    } else if !enough {
        Classification::Insufficient
    } else if measured.proven.reached(policy.alpha) {
        Classification::Pass
    } else if measured.awaits(metric).is_some() {
        Classification::Insufficient
    } else {
        Classification::Inconclusive
    };
    let is_suspected = match classification {
        Classification::Inconclusive | Classification::Insufficient => {
            measured.by_request.is_some_and(|it| it.is_above(harm_threshold))
        }
        Classification::Pass | Classification::Fail => false,
    };
    let is_compared = measured.counts.fewest() > 0;
    let is_failing = classification == Classification::Fail;
    let shift = measured.shift.filter(|_| metric.holds() && !is_failing);
    let is_shifted = shift.is_some_and(|shift| shift.reached(policy.shift_alpha(metric)));
    let by_visits = measured.last_look.filter(|look| {
        let [harm, shift, proof] = look.decided;
        match classification {
            _ if is_shifted => shift,
            Classification::Fail => harm,
            Classification::Pass => proof,
            Classification::Inconclusive | Classification::Insufficient => false,
        }
    });
    let is_awaited = enough && classification == Classification::Insufficient;
    let mut evidence = MetricEvidence {
        metric: metric.name.clone(),
        role: metric.role,
        classification,
        samples: measured.counts,
        harm_p_value: is_compared.then(|| measured.harm.always_valid_p()),
        harm_threshold,
        proven_p_value: (is_compared && !is_failing).then(|| measured.proven.always_valid_p()),
        proven_threshold: policy.alpha,
        effect: effect.filter(|_| is_compared),
        is_suspected,
        awaited_samples: measured.awaits(metric).filter(|_| is_awaited),
        span_seconds: measured.span_seconds,
        is_shifted,
        interval: interval.map(|interval| [interval.low, interval.high]).filter(|_| is_compared),
        stable_mean: measured.stable_mean,
        stable_spread: measured.stable_spread,
        canary_spread: measured.canary_spread,
        distance: measured.distance,
        class: measured.class.clone(),
        by_visits,
    };
    let margins = Margins::new(metric, &evidence);
    evidence.interval = evidence
        .effect
        .zip(evidence.interval)
        .and_then(|(effect, interval)| margins.interval(metric.harm, &evidence, effect, interval));
    evidence
}

/// The weights of the metrics that act, by their classification.
struct Tally {
    passed: f64,
    failed: f64,
    all: f64,
    guardrails_pass: bool,
    guardrail_failed: bool,
    critical_failed: bool,
    lacks_samples: bool,
    /// Whether single requests show harm that spans of time have neither shown nor disproven.
    is_suspected: bool,
}

impl Tally {
    fn new(policy: &JudgePolicy, evidence: &[MetricEvidence]) -> Tally {
        let mut tally = Tally {
            passed: 0.0,
            failed: 0.0,
            all: 0.0,
            guardrails_pass: evidence.len() == policy.metrics.len(),
            guardrail_failed: false,
            critical_failed: false,
            lacks_samples: false,
            is_suspected: false,
        };
        for (metric, evidence) in policy.metrics.iter().zip(evidence) {
            if !metric.role.acts() {
                continue;
            }
            let is_guardrail = metric.role == Role::Guardrail;
            tally.is_suspected |= evidence.is_suspected;
            if !metric.required
                && matches!(
                    evidence.classification,
                    Classification::Insufficient | Classification::Inconclusive
                )
            {
                continue;
            }
            tally.all += metric.weight;
            tally.guardrails_pass &=
                !is_guardrail || evidence.classification == Classification::Pass;
            match evidence.classification {
                Classification::Pass => tally.passed += metric.weight,
                Classification::Fail => {
                    tally.failed += metric.weight;
                    tally.guardrail_failed |= is_guardrail;
                    tally.critical_failed |= metric.critical;
                }
                Classification::Inconclusive => {}
                Classification::Insufficient => tally.lacks_samples = true,
            }
        }
        tally
    }

    fn score(&self) -> Option<f64> {
        if self.critical_failed {
            return Some(0.0);
        }
        let decided = self.passed + self.failed;
        (decided > 0.0).then(|| 100.0 * self.passed / decided)
    }

    fn verdict(&self, policy: &JudgePolicy) -> Verdict {
        // The score if every undecided metric passed.
        let at_most = 100.0 * (self.all - self.failed) / self.all.max(f64::MIN_POSITIVE);
        let hopeless = self.failed > 0.0 && at_most <= policy.rollback_score;
        let good = self.score().is_some_and(|score| score >= policy.promote_score);
        if self.guardrail_failed || self.critical_failed || hopeless {
            Verdict::Rollback
        } else if self.guardrails_pass && !self.lacks_samples && !self.is_suspected && good {
            Verdict::Promote
        } else {
            Verdict::Hold
        }
    }
}

#[cfg(test)]
#[path = "sequential_tests.rs"]
pub(crate) mod tests;
