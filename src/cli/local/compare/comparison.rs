//! What a comparison shows.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::Value as Json;

use super::scored::Failed;
use crate::canary::analysis::two_samples::Decision;
use crate::model::HoldoutReport;
use crate::model::artifact::card::Target;
use crate::stats::PairedDifference;

/// Rows with outcomes that a decision needs, as in `serin analyze`.
pub(super) const MIN_ROWS: usize = 30;

/// Rows that are listed because the models differ most on them.
pub(super) const LISTED: usize = 10;

/// Share of false findings of all segments together.
pub(super) const ALPHA: f64 = 0.05;

/// A comparison of models A and B. A difference is B minus A. All figures are of the rows that both answer.
#[derive(Serialize)]
pub(super) struct Comparison<'m> {
    pub(super) decision: Decision,
    pub(super) reason: String,
    pub(super) data: String,
    pub(super) rows: usize,
    /// Rows that both models answer.
    pub(super) compared: usize,
    /// What the outcomes are of; `None` without outcomes.
    pub(super) target: Option<Target>,
    pub(super) models: [Measured<'m>; 2],
    /// Of the quality; `None` without outcomes.
    pub(super) differences: Option<Differences>,
    pub(super) scores: ScoreDifferences,
    pub(super) flips: Flips,
    pub(super) most_different: Vec<DifferentRow>,
    pub(super) segments: Vec<InSegment>,
}

#[derive(Serialize)]
pub(super) struct Measured<'m> {
    pub(super) path: &'m Path,
    pub(super) kind: &'static str,
    pub(super) digest: String,
    pub(super) threshold: f64,
    pub(super) mean_score: Option<f64>,
    #[serde(flatten)]
    pub(super) failed: Failed,
    #[serde(flatten)]
    pub(super) quality: Option<Quality>,
}

/// On the rows with outcomes that both models answer.
#[derive(Serialize)]
pub(super) struct Quality {
    #[serde(flatten)]
    pub(super) report: HoldoutReport,
    /// The reliability term of the Brier score, corrected for bias; 0 is calibrated.
    pub(super) miscalibration: f64,
}

#[derive(Serialize)]
pub(super) struct Differences {
    pub(super) auc: Option<PairedDifference>,
    pub(super) log_loss: Option<PairedDifference>,
    pub(super) brier: Option<PairedDifference>,
    pub(super) accuracy: Option<PairedDifference>,
    pub(super) miscalibration: Option<PairedDifference>,
}

/// How far the scores are apart.
#[derive(Serialize)]
pub(super) struct ScoreDifferences {
    pub(super) mean_difference: Option<f64>,
    /// Of the sizes of the differences.
    pub(super) median: f64,
    pub(super) p95: f64,
    pub(super) largest: f64,
}

/// Rows with different labels.
#[derive(Serialize)]
pub(super) struct Flips {
    pub(super) rows: usize,
    pub(super) share: f64,
    /// A 95 % interval of the share (Wilson).
    pub(super) interval: Option<(f64, f64)>,
    pub(super) to_positive: usize,
    pub(super) to_negative: usize,
    #[serde(flatten)]
    pub(super) outcomes: Option<FlipOutcomes>,
}

#[derive(Serialize)]
pub(super) struct FlipOutcomes {
    pub(super) to_right: u64,
    pub(super) to_wrong: u64,
    /// McNemar's exact test of the accuracy.
    pub(super) mcnemar_p_value: f64,
}

/// A row that the models answer differently.
#[derive(Serialize)]
pub(super) struct DifferentRow {
    /// Counted from 1, without the header.
    pub(super) row: usize,
    pub(super) scores: [f64; 2],
    pub(super) difference: f64,
    pub(super) labels: [u8; 2],
    pub(super) outcome: Option<bool>,
    /// The values that the models take.
    pub(super) values: BTreeMap<String, Json>,
}

#[derive(Serialize)]
pub(super) struct InSegment {
    pub(super) column: String,
    /// `null`: the rows without a value.
    pub(super) value: Option<String>,
    /// That both models answer.
    pub(super) rows: usize,
    pub(super) flips: usize,
    pub(super) mean_score_difference: Option<f64>,
    /// Of them those with an outcome.
    pub(super) labeled: usize,
    pub(super) log_loss: Option<PairedDifference>,
    /// The p-value of the log-loss, corrected for the number of segments (Holm).
    pub(super) adjusted_p_value: Option<f64>,
    pub(super) verdict: SegmentVerdict,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SegmentVerdict {
    Better,
    Worse,
    NotShown,
    TooFewRows,
}

impl InSegment {
    /// `plan = pro`.
    pub(super) fn name(&self) -> String {
        format!("{} = {}", self.column, self.value.as_deref().unwrap_or("(missing)"))
    }
}
