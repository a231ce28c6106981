//! What a comparison shows.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::Value as Json;

use super::outcomes::Of;
use super::quality::Differences;
use super::quality::Loss;
use super::quality::Quality;
use super::scored::Failed;
use crate::canary::analysis::two_samples::Decision;
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
    pub(super) target: Option<Of>,
    /// The figure that decides.
    #[serde(skip)]
    pub(super) loss: Loss,
    pub(super) models: [Measured<'m>; 2],
    /// Of the quality; `None` without outcomes.
    pub(super) differences: Option<Differences>,
    pub(super) scores: ScoreDifferences,
    /// `None` of scores, which have no labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) flips: Option<Flips>,
    pub(super) most_different: Vec<DifferentRow>,
    pub(super) segments: Vec<InSegment>,
}

#[derive(Serialize)]
pub(super) struct Measured<'m> {
    pub(super) path: &'m Path,
    pub(super) kind: &'static str,
    pub(super) digest: String,
    /// Of two classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) threshold: Option<f64>,
    /// `None` of many classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mean_score: Option<f64>,
    #[serde(flatten)]
    pub(super) failed: Failed,
    /// On the rows with outcomes that both models answer.
    #[serde(flatten)]
    pub(super) quality: Option<Quality>,
}

/// How far the answers are apart: in the score or the probability, of many classes in that of the class with the largest
/// difference.
#[derive(Serialize)]
pub(super) struct ScoreDifferences {
    /// `None` of many classes.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    #[serde(flatten)]
    pub(super) directions: Directions,
    #[serde(flatten)]
    pub(super) outcomes: Option<FlipOutcomes>,
}

/// From which label to which.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Directions {
    Two {
        to_positive: usize,
        to_negative: usize,
    },
    /// Most frequent first.
    Classes {
        changes: Vec<Change>,
    },
}

#[derive(Serialize)]
pub(super) struct Change {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) rows: usize,
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
    /// Of many classes the one whose probability differs most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) class: Option<String>,
    pub(super) scores: [f64; 2],
    pub(super) difference: f64,
    /// 1 and 0, or names of classes; `None` of scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) labels: Option<[Json; 2]>,
    /// `null`: the row has none.
    pub(super) outcome: Json,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) flips: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mean_score_difference: Option<f64>,
    /// Of them those with an outcome.
    pub(super) labeled: usize,
    /// Of the figure that decides, by its key.
    #[serde(flatten)]
    pub(super) loss: BTreeMap<&'static str, Option<PairedDifference>>,
    /// The p-value of this figure, corrected for the number of segments (Holm).
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

    /// The difference of the figure that decides.
    pub(super) fn difference(&self) -> Option<PairedDifference> {
        self.loss.values().copied().flatten().next()
    }
}
