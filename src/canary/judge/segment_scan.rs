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
use utoipa::ToSchema;

use super::monitors::measured::Measured;
use super::monitors::segments::SegmentMeasured;
use super::verdict::Concern;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::segments::SegmentName;
use crate::stats::e_benjamini_hochberg;

/// The conclusions about all segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SegmentScan {
    /// The probability of ever having a finding if the canary harms no segment.
    pub alpha: f64,
    /// How many hypotheses are tested at once.
    pub hypotheses: usize,
    /// Segments with harm, the strongest evidence first.
    pub findings: Vec<SegmentFinding>,
}

/// Harm in a segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SegmentFinding {
    /// The segment.
    pub segment: SegmentName,
    /// The metric that shows the harm.
    pub metric: MetricName,
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
            .flat_map(|one| one.metrics.iter().map(|measured| (&one.segment, measured)))
            .collect();
        let mut ln_e_values: Vec<f64> = tested.iter().map(|one| one.1.harm.log_e()).collect();
        // A segment without requests has placed no bet, so E = 1. It counts from the start, so that a
        // segment that appears later changes nothing.
        ln_e_values.resize(hypotheses.max(tested.len()), 0.0);
        let rejected = e_benjamini_hochberg(&ln_e_values, alpha).unwrap_or_default();
        let mut found: Vec<_> =
            tested.into_iter().zip(rejected).filter(|(_, is_found)| *is_found).collect();
        found.sort_by(|(left, _), (right, _)| right.1.harm.log_e().total_cmp(&left.1.harm.log_e()));
        let finding = |((segment, measured), _): ((&SegmentName, &Measured), bool)| {
            SegmentFinding { segment: segment.clone(), metric: measured.metric.clone() }
        };
        let findings = found.into_iter().map(finding).collect();
        Some(SegmentScan { alpha, hypotheses, findings })
    }
}

impl SegmentFinding {
    /// The finding as something that a person should look at.
    pub fn concern(&self) -> Concern {
        Concern::Segment { segment: self.segment.clone(), metric: self.metric.clone() }
    }
}

#[cfg(test)]
#[path = "segment_scan_tests.rs"]
mod tests;
