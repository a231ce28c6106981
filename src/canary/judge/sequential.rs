//! From the numbers of each metric to a verdict that may be asked for at any time.
//!
//! ```text
//! fail           harm beyond what is tolerated is proven, at the metric's part of alpha
//! insufficient   too few samples on either track
//! pass           the canary is proven to stay within what is accepted, at alpha
//! inconclusive   neither
//!
//! score          100 x weight that passes / weight that passes or fails       (guardrails, signals);
//!                0 if a critical metric fails
//! rollback       a guardrail fails, a critical metric fails, or so much weight has failed that the
//!                score can no longer rise above the rollback score
//! promote        every guardrail passes, no signal lacks samples, and the score is high enough
//! hold           otherwise
//! ```
//!
//! *Proven* means by an e-process, so that looking often costs nothing. That any acting metric fails
//! by chance has probability alpha at most, ever (weighted Bonferroni on the running maxima). Promotion
//! needs no correction: that all guardrails pass by chance is no likelier than that the harmful one does.

use serde::Deserialize;
use serde::Serialize;

use super::judgement::Verdict;
use super::monitor::Counts;
use super::monitor::Measured;
use super::sentences;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::metric::Role;

/// What may be concluded now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SequentialVerdict {
    /// What should become of the canary.
    pub verdict: Verdict,
    /// It in a sentence.
    pub message: String,
    /// The weighted score of what is decided, 0 to 100; `None` while nothing is.
    pub score: Option<f64>,
    /// The chance that a harmless canary ever fails in a metric that acts.
    pub alpha: f64,
    /// How many ticks were looked at.
    pub ticks: u64,
    /// What each metric says.
    pub metrics: Vec<MetricEvidence>,
}

/// What one metric says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricEvidence {
    /// Which.
    pub metric: MetricName,
    /// What its harm leads to.
    pub role: Role,
    /// The conclusion.
    pub classification: Classification,
    /// It in a sentence with the numbers.
    pub sentence: String,
    /// How much was observed.
    pub samples: Counts,
    /// Always-valid p-value against "no worse than is tolerated".
    pub harm_p_value: f64,
    /// Below it the metric fails.
    pub harm_threshold: f64,
    /// Always-valid p-value against "worse than is accepted".
    pub proven_p_value: f64,
    /// Below it the metric may pass.
    pub proven_threshold: f64,
    /// Canary minus stable in the metric's unit (seconds, a share of requests, a probability).
    pub effect: Option<f64>,
    /// Its confidence sequence at 1 - alpha, to draw; the p-values decide.
    pub interval: Option<[f64; 2]>,
    /// Stable's recent mean, for proportion.
    pub stable_mean: Option<f64>,
    /// Of a difference in shadow: the standard deviation of stable's recent values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_spread: Option<f64>,
}

/// What is concluded of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// Proven to stay within what is accepted.
    Pass,
    /// Proven to do harm.
    Fail,
    /// Neither, yet.
    Inconclusive,
    /// Too few samples to say anything good.
    Insufficient,
}

/// The interval that is shown is tightest near so many effective samples.
const TUNED_FOR: f64 = 1000.0;

impl SequentialVerdict {
    /// What these numbers come to under this policy.
    pub fn new(policy: &JudgePolicy, ticks: u64, measured: &[Measured]) -> SequentialVerdict {
        let metrics: Vec<MetricEvidence> = policy
            .metrics
            .iter()
            .zip(measured)
            .map(|(metric, measured)| evidence(policy, metric, measured))
            .collect();
        let tally = Tally::new(policy, &metrics);
        let verdict = tally.verdict(policy);
        let message = sentences::conclusion(verdict, &metrics);
        SequentialVerdict {
            verdict,
            message,
            score: tally.score(),
            alpha: policy.alpha,
            ticks,
            metrics,
        }
    }
}

pub(crate) fn evidence(
    policy: &JudgePolicy,
    metric: &Metric,
    measured: &Measured,
) -> MetricEvidence {
    let harm_threshold = policy.harm_alpha(metric);
    let interval = measured.effect.interval(policy.alpha, TUNED_FOR);
    let enough = measured.counts.stable.min(measured.counts.canary) >= metric.min_samples;
    let classification = if measured.harm.reached(harm_threshold) {
        Classification::Fail
    } else if !enough {
        Classification::Insufficient
    } else if measured.proven.reached(policy.alpha) {
        Classification::Pass
    } else {
        Classification::Inconclusive
    };
    let mut evidence = MetricEvidence {
        metric: metric.name.clone(),
        role: metric.role,
        classification,
        sentence: String::new(),
        samples: measured.counts,
        harm_p_value: measured.harm.always_valid_p(),
        harm_threshold,
        proven_p_value: measured.proven.always_valid_p(),
        proven_threshold: policy.alpha,
        effect: measured.effect.effect().map(|(effect, _)| effect),
        interval: interval.map(|interval| [interval.low, interval.high]),
        stable_mean: measured.stable_mean,
        stable_spread: measured.stable_spread,
    };
    evidence.sentence = sentences::metric(metric, &evidence);
    evidence
}

/// How much weight has come out how, over the metrics that act.
struct Tally {
    passed: f64,
    failed: f64,
    all: f64,
    guardrails_pass: bool,
    guardrail_failed: bool,
    critical_failed: bool,
    lacks_samples: bool,
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
        };
        for (metric, evidence) in policy.metrics.iter().zip(evidence) {
            if !metric.role.acts() {
                continue;
            }
            let is_guardrail = metric.role == Role::Guardrail;
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
        // What the score would be if everything still open passed.
        let at_most = 100.0 * (self.all - self.failed) / self.all.max(f64::MIN_POSITIVE);
        let hopeless = self.failed > 0.0 && at_most <= policy.rollback_score;
        let good = self.score().is_some_and(|score| score >= policy.promote_score);
        if self.guardrail_failed || self.critical_failed || hopeless {
            Verdict::Rollback
        } else if self.guardrails_pass && !self.lacks_samples && good {
            Verdict::Promote
        } else {
            Verdict::Hold
        }
    }
}

#[cfg(test)]
#[path = "sequential_tests.rs"]
pub(crate) mod tests;
