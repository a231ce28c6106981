//! What is measured of two models on the same rows.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use anyhow::bail;
use serde_json::Value as Json;

use super::comparison::ALPHA;
use super::comparison::Comparison;
use super::comparison::Differences;
use super::comparison::DifferentRow;
use super::comparison::FlipOutcomes;
use super::comparison::Flips;
use super::comparison::InSegment;
use super::comparison::LISTED;
use super::comparison::MIN_ROWS;
use super::comparison::Measured;
use super::comparison::Quality;
use super::comparison::ScoreDifferences;
use super::comparison::SegmentVerdict;
use super::decision::decided;
use super::decision::with_failures;
use super::scored::Labeled;
use super::scored::Scored;
use super::segments;
use crate::model::Value;
use crate::model::artifact::report::log_loss;
use crate::model::artifact::report::report;
use crate::stats::Moments;
use crate::stats::area_difference;
use crate::stats::brier;
use crate::stats::holm;
use crate::stats::mcnemar_exact;
use crate::stats::miscalibration_parts;
use crate::stats::paired_t;
use crate::stats::wilson_interval;

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

fn is_right(model: &Scored<'_>, row: usize, outcome: bool) -> bool {
    model.labels[row] == u8::from(outcome)
}
