//! In which segments does the canary do harm, and how often is that wrong?
//!
//! ```text
//! hypotheses   m = segments that can be x metrics that act (latency, failures, score), seen or not
//! findings     e-BH on the e-values of this moment: the k largest, k = max { j : e_(j) >= m / (j alpha) }
//! ```
//!
//! A finding implies that the *mean* of all m e-values is at least 1 / alpha. That mean is an e-process if
//! the canary harms nobody, since all of them bet on the same coins tick by tick; so the chance that there
//! is ever any finding is at most alpha then. If it does harm someone, the expected share of false ones
//! among the findings is at most alpha whenever one stops to look (docs/statistics.md).

use serde::Deserialize;
use serde::Serialize;

use super::monitor::Counts;
use super::monitor::Measured;
use super::segment_monitors::SegmentMeasured;
use super::sentences;
use super::sequential::evidence;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::segments::SegmentName;
use crate::stats::e_benjamini_hochberg;
use crate::text::numbers::number;

/// What may be concluded of the segments now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentScan {
    /// The chance that there is ever a finding if the canary harms nobody.
    pub alpha: f64,
    /// How many questions are asked at once.
    pub hypotheses: usize,
    /// Where harm is found, the strongest evidence first.
    pub findings: Vec<SegmentFinding>,
    /// What was seen of each segment that had a request.
    pub segments: Vec<SegmentSeen>,
}

/// Harm in a segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentFinding {
    /// Which.
    pub segment: SegmentName,
    /// In what.
    pub metric: MetricName,
    /// It in a sentence with the numbers.
    pub sentence: String,
}

/// What was seen of one metric in one segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentSeen {
    /// Which segment.
    pub segment: SegmentName,
    /// Which metric.
    pub metric: MetricName,
    /// How much was observed.
    pub samples: Counts,
    /// Canary minus stable in the metric's unit (seconds, a share of requests, a probability).
    pub effect: Option<f64>,
    /// Stable's recent mean, for proportion.
    pub stable_mean: Option<f64>,
    /// The e-value against "no worse than is tolerated" at this moment, as a logarithm to base 10.
    pub log10_e_value: f64,
}

impl SegmentScan {
    /// What these numbers come to; `None` where nothing is declared.
    pub fn new(policy: &JudgePolicy, measured: &[SegmentMeasured]) -> Option<SegmentScan> {
        let metrics: Vec<&Metric> = policy.by_segment().collect();
        let hypotheses = policy.segments.count() * metrics.len();
        if hypotheses == 0 {
            return None;
        }
        let alpha = policy.segment_alpha();
        let asked: Vec<(&SegmentName, &Metric, &Measured)> = measured
            .iter()
            .flat_map(|one| {
                let pairs = metrics.iter().zip(&one.metrics);
                pairs.map(|(metric, measured)| (&one.segment, *metric, measured))
            })
            .collect();
        let mut ln_e_values: Vec<f64> = asked.iter().map(|one| one.2.harm.log_e()).collect();
        // Nothing was bet on those that were not seen yet: E = 1. They count from the beginning, so that
        // one that comes later changes nothing.
        ln_e_values.resize(hypotheses.max(asked.len()), 0.0);
        let rejected = e_benjamini_hochberg(&ln_e_values, alpha).unwrap_or_default();
        let mut found: Vec<_> =
            asked.iter().zip(rejected).filter(|(_, is_found)| *is_found).map(|it| it.0).collect();
        found.sort_by(|left, right| right.2.harm.log_e().total_cmp(&left.2.harm.log_e()));
        // The weakest finding of k needs this, and so any of them has it.
        let enough = ln_e_values.len() as f64 / (found.len().max(1) as f64 * alpha);
        Some(SegmentScan {
            alpha,
            hypotheses,
            findings: found
                .into_iter()
                .map(|(segment, metric, measured)| SegmentFinding {
                    segment: (*segment).clone(),
                    metric: metric.name.clone(),
                    sentence: sentence(policy, segment, metric, measured, hypotheses, enough),
                })
                .collect(),
            segments: asked
                .into_iter()
                .map(|(segment, _, measured)| SegmentSeen {
                    segment: (*segment).clone(),
                    metric: measured.metric.clone(),
                    samples: measured.counts,
                    effect: measured.effect.effect().map(|(effect, _)| effect),
                    stable_mean: measured.stable_mean,
                    log10_e_value: measured.harm.log_e() / std::f64::consts::LN_10,
                })
                .collect(),
        })
    }
}

impl SegmentFinding {
    /// What it is called, whatever the numbers: `region=north failures`.
    pub fn name(&self) -> String {
        format!("{} {}", self.segment, self.metric)
    }
}

/// `segment region=north: failures: canary 21 of 100, stable 9 of 900, +20 points (interval +13 to +27);
/// evidence 10^8.1 to one against no harm (10^2.6 is enough, with 18 questions asked at once)`.
fn sentence(
    policy: &JudgePolicy,
    segment: &SegmentName,
    metric: &Metric,
    measured: &Measured,
    hypotheses: usize,
    enough: f64,
) -> String {
    let tenth = |log10: f64| number((log10 * 10.0).round() / 10.0);
    format!(
        "segment {segment}: {}: {}; evidence 10^{} to 1 against no harm (10^{} is enough, with {hypotheses} \
         questions asked at once)",
        metric.name,
        sentences::observed(metric, &evidence(policy, metric, measured)),
        tenth(measured.harm.log_e() / std::f64::consts::LN_10),
        tenth(enough.log10()),
    )
}

#[cfg(test)]
#[path = "segment_scan_tests.rs"]
mod tests;
