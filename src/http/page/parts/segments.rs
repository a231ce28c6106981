//! Segments: the metrics of segments with the strongest evidence of harm, each with its picture.
//!
//! The pictures have no bar. What decides about a segment is its e-value among those of all segments, and the interval
//! of one segment alone would say more than that.

use askama::Template;

use super::forest::Forest;
use super::word::Word;
use super::word::word;
use crate::service::status::diagnostics::SegmentsStatus;
use crate::service::status::diagnostics::WorstStatus;
use crate::service::status::overview::Status;
use crate::service::status::report::axis::Numbers;
use crate::text::numbers::grouped;
use crate::text::numbers::share;

/// The metrics of segments with the strongest evidence of harm.
#[derive(Debug, Default, Template)]
#[template(path = "segments.html")]
pub(super) struct Segments {
    /// What was found; `None` if no segment is declared.
    heading: Option<String>,
    rows: Vec<Row>,
    /// Each finding with its numbers.
    findings: Vec<String>,
    /// How often a harmless canary gets a finding.
    alpha: String,
    /// How many rows there are, if not all are shown.
    of: Option<usize>,
}

#[derive(Debug, PartialEq)]
struct Row {
    segment: String,
    metric: String,
    canary: String,
    difference: Option<String>,
    forest: Forest,
    state: Word,
    detail: Option<String>,
}

impl Segments {
    pub(super) fn new(status: &Status) -> Segments {
        let health = status.health.as_ref();
        let Some(segments) = health.and_then(|health| health.diagnostics.segments.as_ref()) else {
            return Segments::default();
        };
        let SegmentsStatus { alpha, hypotheses, findings, seen, worst } = segments;
        let found = match findings.len() {
            0 => "no harm found".to_owned(),
            1 => "harm in 1 comparison".to_owned(),
            some => format!("harm in {some} comparisons"),
        };
        let with_data = seen.iter().filter(|one| one.stable.min(one.canary) > 0).count();
        Segments {
            heading: Some(format!("{found}; {with_data} of {hypotheses} comparisons have data")),
            rows: worst.iter().map(Row::new).collect(),
            findings: findings.iter().map(|finding| finding.sentence.clone()).collect(),
            alpha: share(*alpha),
            of: (with_data > worst.len()).then_some(with_data),
        }
    }
}

impl Row {
    fn new(one: &WorstStatus) -> Row {
        let samples = one.stable.min(one.canary);
        let is_known = one.is_found || samples >= one.min_samples;
        let state = match (one.is_found, is_known) {
            (true, _) => word("fails", "cross", "harm"),
            (false, true) => word("muted", "", "no harm found"),
            (false, false) => word("holds", "wait", "waiting"),
        };
        let numbers = one.effect.filter(|_| is_known).map(|effect| Numbers {
            stable: None,
            effect,
            interval: None,
            accepted: one.accepted,
            harmful: one.harmful,
            harm: one.harm,
        });
        let difference = one.difference.clone().filter(|_| is_known);
        let says = match &difference {
            Some(difference) => {
                let (segment, metric) = (&one.segment, &one.metric);
                format!("{segment}, {metric}: {difference}; {}; {}", one.pass_margin, state.text)
            }
            None => format!("{}, {}: {}", one.segment, one.metric, state.text),
        };
        let margin = one.pass_margin.trim_start_matches("accepted ").to_owned();
        Row {
            segment: one.segment.clone(),
            metric: one.metric.clone(),
            canary: grouped(one.canary),
            difference,
            forest: Forest::new(numbers.as_ref(), says, Some(margin), one.is_found),
            state,
            detail: (!is_known).then(|| format!("{samples} of {} samples", one.min_samples)),
        }
    }
}

#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;
