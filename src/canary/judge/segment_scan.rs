//! Segment scan: the segments in which the canary does harm.
//!
//! ```text
//! hypotheses   m = declared segments x metrics that act (latency, failures, score), with data or not
//! findings     e-BH on the current e-values: the k largest, k = max { j : e_(j) >= m / (j alpha) }
//! ```
//!
//! A finding implies that the *mean* of all m e-values is at least 1 / alpha. If the canary harms no
//! segment, that mean is an e-process, because all of them bet on the same assignment tick by tick; the
//! probability of ever having a finding is then at most alpha. If it harms some, the expected share of
//! false findings is at most alpha at any stopping time (docs/statistics.md).

use serde::Deserialize;
use serde::Serialize;

use super::monitors::metric::Counts;
use super::monitors::metric::Measured;
use super::monitors::segments::SegmentMeasured;
use super::verdict::Concern;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::segments::SegmentName;
use crate::stats::e_benjamini_hochberg;

/// The conclusions about all segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentScan {
    /// The probability of ever having a finding if the canary harms no segment.
    pub alpha: f64,
    /// How many hypotheses are tested at once.
    pub hypotheses: usize,
    /// Segments with harm, the strongest evidence first.
    pub findings: Vec<SegmentFinding>,
    /// Every segment that had a request, by metric.
    pub segments: Vec<SegmentSeen>,
}

/// Harm in a segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentFinding {
    /// The segment.
    pub segment: SegmentName,
    /// The metric that shows the harm.
    pub metric: MetricName,
    /// The e-value against "no worse than tolerated" when it was found, as a logarithm to base 10.
    pub log10_e_value: f64,
    /// What the weakest of the findings needs, as a logarithm to base 10.
    pub log10_threshold: f64,
}

/// The observations of one metric in one segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentSeen {
    /// The segment.
    pub segment: SegmentName,
    /// The metric.
    pub metric: MetricName,
    /// How many samples were observed.
    pub samples: Counts,
    /// Canary minus stable in the metric's unit (seconds, a share of requests, a probability).
    pub effect: Option<f64>,
    /// Stable's recent mean, to express the effect as a ratio.
    pub stable_mean: Option<f64>,
    /// The current e-value against "no worse than tolerated", as a logarithm to base 10.
    pub log10_e_value: f64,
}

impl SegmentScan {
    /// Scans these numbers; `None` where no segment is declared.
    pub fn new(policy: &JudgePolicy, measured: &[SegmentMeasured]) -> Option<SegmentScan> {
        let metrics: Vec<&Metric> = policy.by_segment().collect();
        let hypotheses = policy.segments.count() * metrics.len();
        if hypotheses == 0 {
            return None;
        }
        let alpha = policy.segment_alpha();
        let tested: Vec<(&SegmentName, &Measured)> = measured
            .iter()
            .flat_map(|one| {
                let pairs = metrics.iter().zip(&one.metrics);
                pairs.map(|(_, measured)| (&one.segment, measured))
            })
            .collect();
        let mut ln_e_values: Vec<f64> = tested.iter().map(|one| one.1.harm.log_e()).collect();
        // A segment without requests has placed no bet, so E = 1. It counts from the start, so that a
        // segment that appears later changes nothing.
        ln_e_values.resize(hypotheses.max(tested.len()), 0.0);
        let rejected = e_benjamini_hochberg(&ln_e_values, alpha).unwrap_or_default();
        let mut found: Vec<_> =
            tested.iter().zip(rejected).filter(|(_, is_found)| *is_found).map(|it| it.0).collect();
        found.sort_by(|left, right| right.1.harm.log_e().total_cmp(&left.1.harm.log_e()));
        let threshold = ln_e_values.len() as f64 / (found.len().max(1) as f64 * alpha);
        Some(SegmentScan {
            alpha,
            hypotheses,
            findings: found
                .into_iter()
                .map(|(segment, measured)| SegmentFinding {
                    segment: (*segment).clone(),
                    metric: measured.metric.clone(),
                    log10_e_value: log10_e_value(measured),
                    log10_threshold: threshold.log10(),
                })
                .collect(),
            segments: tested
                .into_iter()
                .map(|(segment, measured)| SegmentSeen {
                    segment: segment.clone(),
                    metric: measured.metric.clone(),
                    samples: measured.counts,
                    effect: measured.effect.effect().map(|(effect, _)| effect),
                    stable_mean: measured.stable_mean,
                    log10_e_value: log10_e_value(measured),
                })
                .collect(),
        })
    }
}

impl SegmentFinding {
    /// The finding as something that a person should look at.
    pub fn concern(&self) -> Concern {
        Concern::Segment { segment: self.segment.clone(), metric: self.metric.clone() }
    }
}

fn log10_e_value(measured: &Measured) -> f64 {
    measured.harm.log_e() / std::f64::consts::LN_10
}

#[cfg(test)]
#[path = "segment_scan_tests.rs"]
mod tests;
