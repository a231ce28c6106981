//! The metrics: a row for each, with its picture.

use askama::Template;

use super::forest::Forest;
use super::word::Word;
use super::word::class;
use super::word::word;
use crate::canary::policy::metric::Role;
use crate::service::status::report::Report;
use crate::service::status::report::rows::MetricRow;
use crate::service::status::report::rows::MetricState;
use crate::service::status::report::rows::by_urgency;

/// A row of the metrics.
#[derive(Debug)]
pub(super) struct Row {
    name: String,
    role: &'static str,
    stable: Option<String>,
    canary: Option<String>,
    difference: Option<String>,
    interval: Option<String>,
    forest: Forest,
    state: Word,
    is_off: bool,
    detail: Option<String>,
    /// What its opened row shows, as HTML.
    opened: Option<String>,
}

impl Row {
    fn new(row: &MetricRow) -> Row {
        let (role, _) = row.role.explained(row.required);
        let state = of_state(row.state);
        // The bar says which margin; its name would repeat the head of the column.
        let margin = row.pass_margin.as_deref();
        let margin = margin.map(|it| it.trim_start_matches("accepted ").to_owned());
        let is_bad = row.state == MetricState::Fail;
        let forest = Forest::new(row.numbers.as_ref(), says(row, state), margin, is_bad);
        Row {
            name: row.metric.clone(),
            role,
            stable: row.stable.clone(),
            canary: row.canary.clone(),
            difference: row.difference.as_deref().map(with_minus),
            interval: row.interval.as_deref().map(with_minus),
            forest: if row.is_known() { forest } else { forest.without_estimate() },
            state,
            is_off: row.state == MetricState::Off,
            detail: row.detail.clone(),
            opened: None,
        }
    }
}

/// With minus signs, which are as wide as digits and plus signs, for hyphens before digits.
pub(super) fn with_minus(numbers: &str) -> String {
    numbers.replace('-', "\u{2212}")
}

/// The row as a sentence, for those who do not see its picture.
pub(super) fn says(row: &MetricRow, state: Word) -> String {
    let between = row.interval.as_ref().map(|interval| format!(", interval {interval}"));
    let margin = row.pass_margin.as_ref().map(|margin| format!("; {margin}"));
    match &row.difference {
        Some(difference) => format!(
            "{}: {difference}{}{}; {}",
            row.metric,
            between.unwrap_or_default(),
            margin.unwrap_or_default(),
            state.text
        ),
        None => format!("{}: {}", row.metric, state.text),
    }
}

pub(super) fn of_state(state: MetricState) -> Word {
    let icon = match state {
        MetricState::Pass => "check",
        MetricState::NoHarm => "half",
        MetricState::Fail => "cross",
        MetricState::Shifted => "warn",
        MetricState::Waiting | MetricState::Inconclusive => "wait",
        MetricState::Off => "",
    };
    word(class(state.tone()), icon, state.word())
}

/// The metrics, failing ones first, then guardrails.
#[derive(Debug, Template)]
#[template(path = "metrics.html")]
pub(crate) struct Metrics {
    id: &'static str,
    /// How the ids of its rows begin.
    row_id: &'static str,
    title: &'static str,
    /// What the rows are, and since when or of when.
    basis: String,
    /// Whether the name of a metric opens its row.
    can_open: bool,
    rows: Vec<Row>,
}

impl Metrics {
    /// The metrics of a report, with the opened row of one of them as HTML.
    pub(super) fn new(report: &Report, opened: Option<(&str, String)>) -> Metrics {
        let basis = "canary minus stable, since the rollout began".to_owned();
        let mut metrics = Metrics::of_past(&report.metrics, "metrics", "Metrics", basis);
        if let Some((metric, opened)) = opened
            && let Some(row) = metrics.rows.iter_mut().find(|row| row.name == metric)
        {
            row.opened = Some(opened);
        }
        Metrics { can_open: true, ..metrics }
    }

    /// The metrics of the past, with an id and a title of their own.
    pub(crate) fn of_past(
        rows: &[MetricRow],
        id: &'static str,
        title: &'static str,
        basis: String,
    ) -> Metrics {
        let rows = by_urgency(rows);
        let row_id = if id == "metrics" { "m" } else { id };
        let rows = rows.into_iter().map(Row::new).collect();
        Metrics { id, row_id, title, basis, can_open: false, rows }
    }

    /// The roles of the metrics, each once, and what they mean.
    fn roles(&self) -> Vec<(&'static str, &'static str)> {
        let all = [
            (Role::Guardrail, true),
            (Role::Guardrail, false),
            (Role::Signal, true),
            (Role::Advisory, true),
        ];
        let all = all.into_iter().map(|(role, required)| role.explained(required));
        all.filter(|(role, _)| self.rows.iter().any(|row| row.role == *role)).collect()
    }

    /// Whether there is something to explain below the table.
    fn has_pictures(&self) -> bool {
        self.rows.iter().any(|row| row.forest.is_drawn())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_without_harm_looks_unlike_one_that_passes() {
        let [passes, no_harm] = [MetricState::Pass, MetricState::NoHarm].map(of_state);
        assert_ne!(passes.icon, no_harm.icon);
        assert_eq!(no_harm.text, "no harm found");
    }
}
