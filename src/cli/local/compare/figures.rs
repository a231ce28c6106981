//! What is measured of two models on the same rows.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use anyhow::bail;
use serde::Serialize;
use serde_json::Value as Json;

use super::scored::Failed;
use super::scored::Labeled;
use super::scored::Scored;
use super::segments;
use crate::canary::analysis::two_samples::Decision;
use crate::model::HoldoutReport;
use crate::model::Value;
use crate::model::artifact::card::Target;
use crate::model::artifact::report::log_loss;
use crate::model::artifact::report::report;
use crate::stats::Moments;
use crate::stats::PairedDifference;
use crate::stats::area_difference;
use crate::stats::brier;
use crate::stats::holm;
use crate::stats::mcnemar_exact;
use crate::stats::miscalibration_parts;
use crate::stats::paired_t;
use crate::stats::wilson_interval;

/// Rows with outcomes that a decision needs, as in `serin analyze`.
pub(super) const MIN_ROWS: usize = 30;

/// Rows that are listed because the models differ most on them.
const LISTED: usize = 10;

/// Share of false findings of all segments together.
const ALPHA: f64 = 0.05;

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
    kind: &'static str,
    digest: String,
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
    values: BTreeMap<String, Json>,
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

/// The rows of both models.
struct Both<'c, 'm> {
    models: [&'c Scored<'m>; 2],
    /// The outcome of each row, if there are any.
    outcomes: &'c [Option<bool>],
    /// The rows that both answer.
    rows: Vec<usize>,
}

impl<'m> Comparison<'m> {
    /// # Errors
    /// When the models answer no row both, or the outcomes are all of one class.
    pub(super) fn of(
        data: &Path,
        models: [&Scored<'m>; 2],
        labeled: Option<&Labeled>,
        segments: &[segments::Segment],
    ) -> anyhow::Result<Self> {
        let outcomes = labeled.map_or(&[][..], |labeled| &labeled.of_rows);
        let count = models[0].scores.len();
        let rows: Vec<usize> =
            (0..count).filter(|row| models.iter().all(|model| model.answers(*row))).collect();
        if rows.is_empty() {
            let first = models[1].failed.first.as_deref().unwrap_or_default();
            bail!("no row has an answer of both models ({}, {first})", models[1].path.display());
        }
        let both = Both { models, outcomes, rows };
        let quality = match labeled {
            None => [None, None],
            Some(_) => [Some(both.quality(0)?), Some(both.quality(1)?)],
        };
        let differences = labeled.map(|_| both.differences(&both.rows));
        let segments = both.segments(segments);
        let labeled_rows = both.labeled(&both.rows).0.len();
        let log_loss = differences.as_ref().and_then(|differences| differences.log_loss);
        let decided = decided(models, log_loss, labeled_rows, &segments);
        let (decision, reason) = with_failures(models, decided);
        let [a, b] = quality;
        Ok(Self {
            decision,
            reason,
            data: data.display().to_string(),
            rows: count,
            compared: both.rows.len(),
            target: labeled.map(|labeled| labeled.target.clone()),
            models: [both.measured(0, a), both.measured(1, b)],
            differences,
            scores: both.score_differences(),
            flips: both.flips(),
            most_different: both.most_different(),
            segments,
        })
    }
}

impl<'m> Both<'_, 'm> {
    fn measured(&self, model: usize, quality: Option<Quality>) -> Measured<'m> {
        let scored = self.models[model];
        let card = scored.model.card();
        Measured {
            path: scored.path,
            kind: card.kind,
            digest: card.digest.to_string(),
            threshold: scored.threshold,
            mean_score: self.rows.iter().map(|row| scored.scores[*row]).collect::<Moments>().mean(),
            failed: scored.failed.clone(),
            quality,
        }
    }

    /// The rows with an outcome, of these.
    fn labeled(&self, rows: &[usize]) -> (Vec<usize>, Vec<bool>) {
        let known = |row: &usize| Some((*row, (*self.outcomes.get(*row)?)?));
        rows.iter().filter_map(known).unzip()
    }

    fn quality(&self, model: usize) -> anyhow::Result<Quality> {
        let scored = self.models[model];
        let (rows, outcomes) = self.labeled(&self.rows);
        let scores: Vec<f64> = rows.iter().map(|row| scored.scores[*row]).collect();
        let report = report(&outcomes, &scores, scored.threshold)
            .context("the rows that both models answer do not contain both classes")?;
        let parts: Moments = miscalibration_parts(&scores, &outcomes).into_iter().collect();
        Ok(Quality { report, miscalibration: parts.mean().unwrap_or_default() })
    }

    fn differences(&self, rows: &[usize]) -> Differences {
        let (rows, outcomes) = self.labeled(rows);
        let scores = self
            .models
            .map(|model| rows.iter().map(|row| model.scores[*row]).collect::<Vec<f64>>());
        let of = |losses: [Vec<f64>; 2]| {
            let [ours, theirs] = losses;
            paired_t(&theirs.iter().zip(ours).map(|(theirs, ours)| theirs - ours).collect())
        };
        let by_row = |loss: fn(f64, bool) -> f64| {
            let losses = |scores: &Vec<f64>| {
                scores.iter().zip(&outcomes).map(|(p, outcome)| loss(*p, *outcome)).collect()
            };
            of([losses(&scores[0]), losses(&scores[1])])
        };
        let right = |model: &Scored<'_>| {
            let pairs = rows.iter().zip(&outcomes);
            pairs
                .map(|(row, outcome)| f64::from(u8::from(is_right(model, *row, *outcome))))
                .collect()
        };
        Differences {
            auc: area_difference(&scores[1], &scores[0], &outcomes),
            log_loss: by_row(|p, outcome| log_loss(outcome, p)),
            brier: by_row(brier),
            accuracy: of(self.models.map(right)),
            miscalibration: of([0, 1].map(|model| miscalibration_parts(&scores[model], &outcomes))),
        }
    }

    fn difference(&self, row: usize) -> f64 {
        self.models[1].scores[row] - self.models[0].scores[row]
    }

    fn is_flip(&self, row: usize) -> bool {
        self.models[0].labels[row] != self.models[1].labels[row]
    }

    fn score_differences(&self) -> ScoreDifferences {
        let differences = self.rows.iter().map(|row| self.difference(*row));
        let mut sizes: Vec<f64> = differences.clone().map(f64::abs).collect();
        sizes.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * sizes.len() as f64).ceil() as usize;
            sizes.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        ScoreDifferences {
            mean_difference: differences.collect::<Moments>().mean(),
            median: at(0.5),
            p95: at(0.95),
            largest: at(1.0),
        }
    }

    fn flips(&self) -> Flips {
        let count = self.rows.len();
        let flipped: Vec<usize> =
            self.rows.iter().copied().filter(|row| self.is_flip(*row)).collect();
        let to_positive = flipped.iter().filter(|row| self.models[1].labels[**row] == 1).count();
        let (rows, outcomes) = self.labeled(&flipped);
        let to_right = rows.iter().zip(&outcomes);
        let to_right =
            to_right.filter(|(row, outcome)| is_right(self.models[1], **row, **outcome)).count();
        let (to_right, to_wrong) = (to_right as u64, (rows.len() - to_right) as u64);
        let outcomes = (!self.outcomes.is_empty()).then(|| FlipOutcomes {
            to_right,
            to_wrong,
            mcnemar_p_value: mcnemar_exact(to_right, to_wrong),
        });
        Flips {
            rows: flipped.len(),
            share: flipped.len() as f64 / count.max(1) as f64,
            interval: wilson_interval(flipped.len() as u64, count as u64, 0.95),
            to_positive,
            to_negative: flipped.len() - to_positive,
            outcomes,
        }
    }

    /// The rows with the largest differences, largest first; none if there is no difference.
    fn most_different(&self) -> Vec<DifferentRow> {
        let mut rows = self.rows.clone();
        rows.retain(|row| self.difference(*row) != 0.0);
        let size = |row: &usize| self.difference(*row).abs();
        rows.sort_by(|a, b| size(b).total_cmp(&size(a)));
        rows.truncate(LISTED);
        let row = |row: usize| DifferentRow {
            row: row + 1,
            scores: self.models.map(|model| model.scores[row]),
            difference: self.difference(row),
            labels: self.models.map(|model| model.labels[row]),
            outcome: self.outcomes.get(row).copied().flatten(),
            values: self.values(row),
        };
        rows.into_iter().map(row).collect()
    }

    fn values(&self, row: usize) -> BTreeMap<String, Json> {
        let columns = self.models.iter().flat_map(|model| &model.columns);
        let value = |value: Value<'_>| match value {
            Value::Number(number) => Json::from(number),
            Value::Text(text) => Json::from(text.into_owned()),
            Value::Missing => Json::Null,
        };
        columns.map(|column| (column.name.clone(), value(column.value(row)))).collect()
    }

    fn segments(&self, segments: &[segments::Segment]) -> Vec<InSegment> {
        let mut found: Vec<InSegment> = segments.iter().map(|one| self.segment(one)).collect();
        let judged =
            |segment: &InSegment| segment.labeled >= MIN_ROWS && segment.log_loss.is_some();
        let p_values: Vec<f64> = found
            .iter()
            .filter(|segment| judged(segment))
            .filter_map(|segment| Some(segment.log_loss?.p_value))
            .collect();
        let adjusted = holm(&p_values).unwrap_or_default();
        for (segment, p) in found.iter_mut().filter(|segment| judged(segment)).zip(adjusted) {
            segment.adjusted_p_value = Some(p);
            let is_worse = segment.log_loss.is_some_and(|found| found.difference > 0.0);
            segment.verdict = match (p < ALPHA, is_worse) {
                (false, _) => SegmentVerdict::NotShown,
                (true, true) => SegmentVerdict::Worse,
                (true, false) => SegmentVerdict::Better,
            };
        }
        found
    }

    fn segment(&self, segment: &segments::Segment) -> InSegment {
        let is_compared = |row: &usize| self.rows.binary_search(row).is_ok();
        let rows: Vec<usize> = segment.rows.iter().copied().filter(is_compared).collect();
        let rows = &rows[..];
        let labeled = self.labeled(rows).0.len();
        InSegment {
            column: segment.column.clone(),
            value: segment.value.clone(),
            rows: rows.len(),
            flips: rows.iter().filter(|row| self.is_flip(**row)).count(),
            mean_score_difference: rows
                .iter()
                .map(|row| self.difference(*row))
                .collect::<Moments>()
                .mean(),
            labeled,
            log_loss: if labeled > 0 { self.differences(rows).log_loss } else { None },
            adjusted_p_value: None,
            verdict: SegmentVerdict::TooFewRows,
        }
    }
}

impl InSegment {
    /// `plan = pro`.
    pub(super) fn name(&self) -> String {
        format!("{} = {}", self.column, self.value.as_deref().unwrap_or("(missing)"))
    }
}

fn is_right(model: &Scored<'_>, row: usize, outcome: bool) -> bool {
    model.labels[row] == u8::from(outcome)
}

/// Which model is better, by the log-loss, which both order and level of the probabilities enter. A segment in which B
/// is worse keeps it from being promoted.
fn decided(
    models: [&Scored<'_>; 2],
    log_loss: Option<PairedDifference>,
    labeled: usize,
    segments: &[InSegment],
) -> (Decision, String) {
    let names = models.map(|model| model.path.display().to_string());
    let worse: Vec<String> = segments
        .iter()
        .filter(|segment| segment.verdict == SegmentVerdict::Worse)
        .map(InSegment::name)
        .collect();
    let but = match &worse[..] {
        [] => String::new(),
        worse => format!(" It is worse where {}.", worse.join(", and where ")),
    };
    let Some(found) = log_loss else {
        let reason = "Without outcomes the scores do not show which model is better; name their column with --target.";
        return (Decision::Wait, reason.to_owned());
    };
    let [low, high] = found.interval;
    if labeled < MIN_ROWS {
        let reason = format!("{labeled} rows with an outcome are too few; use {MIN_ROWS} or more.");
        return (Decision::Wait, reason);
    }
    if found.is_noise() {
        let reason = format!(
            "Within noise: the log-loss of {} minus that of {} is {low:+.5} to {high:+.5} (95 % interval), so these rows \
             do not show which model is better.{but}",
            names[1], names[0]
        );
        return (Decision::Wait, reason);
    }
    if found.difference > 0.0 {
        let reason = format!(
            "{} is worse: its log-loss is higher by {low:.5} to {high:.5} (95 % interval).",
            names[1]
        );
        return (Decision::Rollback, reason);
    }
    let reason = format!(
        "{} is better: its log-loss is lower by {:.5} to {:.5} (95 % interval).{but}",
        names[1], -high, -low
    );
    (if worse.is_empty() { Decision::Promote } else { Decision::Wait }, reason)
}

/// A decision, with the rows that only one model answers. They have no loss, so a B that answers less than A is never
/// better; it is worse if McNemar's exact test shows it.
fn with_failures(models: [&Scored<'_>; 2], decided: (Decision, String)) -> (Decision, String) {
    let (decision, reason) = decided;
    let [a, b] = models;
    let only = |one: &Scored<'_>, other: &Scored<'_>| {
        (0..one.scores.len()).filter(|row| one.answers(*row) && !other.answers(*row)).count() as u64
    };
    let (only_a, only_b) = (only(a, b), only(b, a));
    if only_a == 0 {
        return (decision, reason);
    }
    let failed = format!(
        "{} has no answer for {only_a} of the rows that {} answers.",
        b.path.display(),
        a.path.display()
    );
    if only_a > only_b && mcnemar_exact(only_a, only_b) < ALPHA {
        return (Decision::Rollback, format!("{} is worse: {failed}", b.path.display()));
    }
    let decision = if decision == Decision::Promote { Decision::Wait } else { decision };
    (decision, format!("{failed} In the other rows: {reason}"))
}
