//! What is measured of two models on the same rows.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use anyhow::bail;
use serde_json::Value as Json;

use super::comparison::ALPHA;
use super::comparison::Change;
use super::comparison::Comparison;
use super::comparison::DifferentRow;
use super::comparison::Directions;
use super::comparison::FlipOutcomes;
use super::comparison::Flips;
use super::comparison::InSegment;
use super::comparison::LISTED;
use super::comparison::MIN_ROWS;
use super::comparison::Measured;
use super::comparison::ScoreDifferences;
use super::comparison::SegmentVerdict;
use super::decision::decided;
use super::decision::with_failures;
use super::outcomes::Labeled;
use super::outcomes::Outcome;
use super::quality::Differences;
use super::quality::Known;
use super::quality::Loss;
use super::quality::Quality;
use super::quality::is_right;
use super::scored::Scored;
use super::segments;
use crate::model::Label;
use crate::model::Output;
use crate::model::OutputKind;
use crate::stats::Moments;
use crate::stats::holm;
use crate::stats::mcnemar_exact;
use crate::stats::wilson_interval;

/// The rows of both models.
struct Both<'c, 'm> {
    models: [&'c Scored<'m>; 2],
    /// What both answer.
    kind: &'c OutputKind,
    /// The outcome of each row, if there are any.
    outcomes: &'c [Option<Outcome>],
    /// The rows that both answer.
    rows: Vec<usize>,
}

/// How far two answers are apart.
#[derive(Clone, Copy)]
struct Apart {
    /// Which number of the answers: the one that differs most.
    place: usize,
    scores: [f64; 2],
}

impl Apart {
    fn difference(self) -> f64 {
        self.scores[1] - self.scores[0]
    }
}

impl<'m> Comparison<'m> {
    /// # Errors
    /// When the models answer no row both, or the outcomes show no quality.
    pub(super) fn of(
        data: &Path,
        models: [&Scored<'m>; 2],
        labeled: Option<&Labeled>,
        segments: &[segments::Segment],
    ) -> anyhow::Result<Self> {
        let outcomes = labeled.map_or(&[][..], |labeled| &labeled.of_rows);
        let count = models[0].answers.len();
        let rows: Vec<usize> =
            (0..count).filter(|row| models.iter().all(|model| model.answers(*row))).collect();
        if rows.is_empty() {
            let first = models[1].failed.first.as_deref().unwrap_or_default();
            bail!("no row has an answer of both models ({}, {first})", models[1].path.display());
        }
        let both = Both { models, kind: models[0].kind, outcomes, rows };
        let [a, b] = both.known(&both.rows);
        let quality = |known: &Known<'_>, model: &Scored<'_>| match labeled {
            None => Ok(None),
            Some(_) => known.quality().map(Some).with_context(|| model.path.display().to_string()),
        };
        let qualities = [quality(&a, models[0])?, quality(&b, models[1])?];
        let differences = labeled.map(|_| Differences::of(&a, &b));
        let segments = both.segments(segments);
        let loss = Loss::of(both.kind);
        let found = differences.as_ref().and_then(|differences| differences.get(loss.key()));
        let decided = decided(models, loss, found, a.count(), &segments);
        let (decision, reason) = with_failures(models, decided);
        let [a, b] = qualities;
        Ok(Self {
            decision,
            reason,
            data: data.display().to_string(),
            rows: count,
            compared: both.rows.len(),
            target: labeled.map(|labeled| labeled.target.clone()),
            loss,
            models: [both.measured(0, a), both.measured(1, b)],
            differences,
            scores: both.score_differences(),
            flips: both.flips(),
            most_different: both.most_different(),
            segments,
        })
    }
}

impl<'c, 'm> Both<'c, 'm> {
    fn measured(&self, model: usize, quality: Option<Quality>) -> Measured<'m> {
        let scored = self.models[model];
        let card = scored.model.card();
        let scores =
            self.rows.iter().filter_map(|row| Some(scored.answers[*row].as_ref()?.score()));
        Measured {
            path: scored.path,
            kind: card.kind,
            digest: card.digest.to_string(),
            threshold: scored.kind.threshold(),
            mean_score: if self.has_one_number() {
                scores.collect::<Moments>().mean()
            } else {
                None
            },
            failed: scored.failed.clone(),
            quality,
        }
    }

    fn has_one_number(&self) -> bool {
        self.kind.numbers() == 1
    }

    fn has_labels(&self) -> bool {
        *self.kind != OutputKind::Score
    }

    /// Of these rows those with an outcome.
    fn known(&self, rows: &[usize]) -> [Known<'c>; 2] {
        self.models.map(|model| Known::new(model, self.outcomes, rows.iter().copied()))
    }

    fn outputs(&self, row: usize) -> Option<[&'c Output; 2]> {
        let [a, b] = self.models.map(|model| model.answers.get(row).and_then(Option::as_ref));
        Some([a?, b?])
    }

    /// How far the answers to a row are apart.
    fn apart(&self, row: usize) -> Apart {
        let numbers = self.outputs(row).map(|outputs| outputs.map(Output::numbers));
        let [a, b] = numbers.unwrap_or_default();
        let each = a.iter().zip(b).enumerate();
        let apart = each.map(|(place, (a, b))| Apart { place, scores: [*a, *b] });
        let larger = |one: Apart, other: Apart| {
            let is_larger = other.difference().abs() > one.difference().abs();
            if is_larger { other } else { one }
        };
        apart.reduce(larger).unwrap_or(Apart { place: 0, scores: [f64::NAN; 2] })
    }

    /// The labels of a row; `None` of scores. Each model has a threshold of its own.
    fn labels(&self, row: usize) -> Option<[Label<'c>; 2]> {
        let [a, b] = self.outputs(row)?;
        Some([self.models[0].kind.label(a)?, self.models[1].kind.label(b)?])
    }

    fn is_flip(&self, row: usize) -> bool {
        self.labels(row).is_some_and(|[ours, theirs]| ours != theirs)
    }

    fn score_differences(&self) -> ScoreDifferences {
        let apart = self.rows.iter().map(|row| self.apart(*row).difference());
        let mut sizes: Vec<f64> = apart.clone().map(f64::abs).collect();
        sizes.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * sizes.len() as f64).ceil() as usize;
            sizes.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        ScoreDifferences {
            mean_difference: self.mean_difference(&self.rows),
            median: at(0.5),
            p95: at(0.95),
            largest: at(1.0),
        }
    }

    /// Of the scores; the probabilities of many classes have none.
    fn mean_difference(&self, rows: &[usize]) -> Option<f64> {
        let apart = rows.iter().map(|row| self.apart(*row).difference());
        if self.has_one_number() { apart.collect::<Moments>().mean() } else { None }
    }

    fn flips(&self) -> Option<Flips> {
        if !self.has_labels() {
            return None;
        }
        let count = self.rows.len();
        let flipped: Vec<usize> =
            self.rows.iter().copied().filter(|row| self.is_flip(*row)).collect();
        let right = |model: usize| {
            let is_right = |row: &&usize| {
                let outcome = self.outcomes.get(**row).copied().flatten();
                outcome.zip(self.outputs(**row)).is_some_and(|(outcome, outputs)| {
                    is_right(self.models[model].kind, outputs[model], outcome)
                })
            };
            flipped.iter().filter(is_right).count() as u64
        };
        let (to_wrong, to_right) = (right(0), right(1));
        let mcnemar_p_value = mcnemar_exact(to_right, to_wrong);
        Some(Flips {
            rows: flipped.len(),
            share: flipped.len() as f64 / count.max(1) as f64,
            interval: wilson_interval(flipped.len() as u64, count as u64, 0.95),
            directions: self.directions(&flipped),
            outcomes: (!self.outcomes.is_empty()).then_some(FlipOutcomes {
                to_right,
                to_wrong,
                mcnemar_p_value,
            }),
        })
    }

    fn directions(&self, flipped: &[usize]) -> Directions {
        let mut to_positive = 0;
        let mut changes: BTreeMap<[usize; 2], usize> = BTreeMap::new();
        for row in flipped {
            let Some(outputs) = self.outputs(*row) else { continue };
            let to_one = |[_, to]: [Label<'_>; 2]| to == Label::Binary(1);
            to_positive += usize::from(self.labels(*row).is_some_and(to_one));
            *changes.entry(outputs.map(Output::largest)).or_default() += 1;
        }
        let classes = self.kind.classes();
        if classes.is_empty() {
            return Directions::Two { to_positive, to_negative: flipped.len() - to_positive };
        }
        let name = |place: usize| classes.get(place).cloned().unwrap_or_default();
        let change = |([from, to], rows): ([usize; 2], usize)| Change {
            from: name(from),
            to: name(to),
            rows,
        };
        let mut changes: Vec<Change> = changes.into_iter().map(change).collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.rows));
        Directions::Classes { changes }
    }

    /// The rows with the largest differences, largest first; none if there is no difference.
    fn most_different(&self) -> Vec<DifferentRow> {
        let mut rows: Vec<(usize, Apart)> =
            self.rows.iter().map(|row| (*row, self.apart(*row))).collect();
        rows.retain(|(_, apart)| apart.difference() != 0.0);
        let size = |(_, apart): &(usize, Apart)| apart.difference().abs();
        rows.sort_by(|a, b| size(b).total_cmp(&size(a)));
        rows.truncate(LISTED);
        let row = |(row, apart): (usize, Apart)| DifferentRow {
            row: row + 1,
            class: self.kind.classes().get(apart.place).cloned(),
            scores: apart.scores,
            difference: apart.difference(),
            labels: self.labels(row).map(|labels| labels.map(label)),
            outcome: self.outcome(row),
            values: self.values(row),
        };
        rows.into_iter().map(row).collect()
    }

    fn outcome(&self, row: usize) -> Json {
        match self.outcomes.get(row).copied().flatten() {
            None => Json::Null,
            Some(Outcome::Two(positive)) => positive.into(),
            Some(Outcome::Class(class)) => self.kind.classes().get(class).cloned().into(),
            Some(Outcome::Number(number)) => number.into(),
        }
    }

    fn values(&self, row: usize) -> BTreeMap<String, Json> {
        let columns = self.models.iter().flat_map(|model| &model.columns);
        columns.map(|column| (column.name.clone(), column.value(row).into_json())).collect()
    }

    fn segments(&self, segments: &[segments::Segment]) -> Vec<InSegment> {
        let mut found: Vec<InSegment> = segments.iter().map(|one| self.segment(one)).collect();
        let judged =
            |segment: &InSegment| segment.labeled >= MIN_ROWS && segment.difference().is_some();
        let p_values: Vec<f64> = found
            .iter()
            .filter(|segment| judged(segment))
            .filter_map(|segment| Some(segment.difference()?.p_value))
            .collect();
        let adjusted = holm(&p_values).unwrap_or_default();
        for (segment, p) in found.iter_mut().filter(|segment| judged(segment)).zip(adjusted) {
            segment.adjusted_p_value = Some(p);
            let is_worse = segment.difference().is_some_and(|found| found.difference > 0.0);
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
        let flips = rows.iter().filter(|row| self.is_flip(**row)).count();
        let [a, b] = self.known(&rows);
        let loss = Loss::of(self.kind);
        InSegment {
            column: segment.column.clone(),
            value: segment.value.clone(),
            rows: rows.len(),
            flips: self.has_labels().then_some(flips),
            mean_score_difference: self.mean_difference(&rows),
            labeled: a.count(),
            loss: BTreeMap::from([(loss.key(), loss.difference(&a, &b))]),
            adjusted_p_value: None,
            verdict: SegmentVerdict::TooFewRows,
        }
    }
}

fn label(label: Label<'_>) -> Json {
    match label {
        Label::Binary(label) => label.into(),
        Label::Class(class) => class.into(),
    }
}
