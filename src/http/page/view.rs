//! What the page shows of a status, from the same report that the terminal prints.

use askama::Template;

use super::forest::Forest;
use crate::canary::policy::metric::Role;
use crate::service::status::history::HistoryEntry;
use crate::service::status::overview::Status;
use crate::service::status::report::Condition;
use crate::service::status::report::Report;
use crate::service::status::report::rows::MetricRow;
use crate::service::status::report::rows::MetricState;
use crate::service::status::report::words::Times;

/// A state as a word with an icon; the color only repeats them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The class of its color.
    pub(super) color: &'static str,
    /// The id of its icon; empty without one.
    pub(super) icon: &'static str,
    pub(super) text: &'static str,
}

const fn word(color: &'static str, icon: &'static str, text: &'static str) -> Word {
    Word { color, icon, text }
}

/// How the rollout is doing, why, and what happens next.
#[derive(Debug, Template)]
#[template(path = "verdict.html")]
pub(super) struct Verdict {
    pub(super) word: Word,
    headline: String,
    why: Option<String>,
    next: String,
    missing: Option<String>,
    /// Which rollout and step.
    place: Option<String>,
}

impl Verdict {
    pub(super) fn new(status: &Status, report: &Report) -> Verdict {
        let place = status.rollout.as_ref().map(|rollout| {
            let steps = rollout
                .plan
                .as_ref()
                .map(|plan| format!(", step {} of {}", plan.position, plan.plan.steps.len()));
            format!("Rollout {}{}", rollout.id, steps.unwrap_or_default())
        });
        Verdict {
            word: of_condition(report.condition),
            headline: report.headline.clone(),
            why: report.why.clone(),
            next: report.next.clone(),
            missing: report.missing.clone(),
            place,
        }
    }
}

fn of_condition(condition: Condition) -> Word {
    match condition {
        Condition::Stable => word("calm", "check", "No canary"),
        Condition::Promoted => word("calm", "check", "Promoted"),
        Condition::Monitoring => word("calm", "eye", "Promoted"),
        Condition::RolledBack => word("fails", "back", "Rolled back"),
        Condition::NoVerdict => word("holds", "wait", "No verdict"),
        Condition::Reverted => word("fails", "back", "Reverted"),
        Condition::Waiting => word("holds", "wait", "Waiting"),
        Condition::Holding => word("holds", "half", "Holding"),
        Condition::Healthy => word("passes", "check", "Passing"),
        Condition::Warning => word("holds", "warn", "Warning"),
        Condition::Harm => word("fails", "cross", "Harmful"),
        Condition::BreakerOpen => word("fails", "warn", "Breaker open"),
        Condition::Paused => word("calm", "pause", "Paused"),
        Condition::AwaitingApproval => word("calm", "eye", "Awaiting approval"),
    }
}

/// A row of the metrics.
#[derive(Debug)]
pub(super) struct Row {
    name: String,
    role: String,
    stable: Option<String>,
    canary: Option<String>,
    difference: Option<String>,
    interval: Option<String>,
    forest: Forest,
    state: Word,
    is_off: bool,
    detail: Option<String>,
}

impl Row {
    fn new(row: &MetricRow) -> Row {
        let role = match row.role {
            Role::Guardrail => "guardrail",
            Role::Signal => "signal",
            Role::Advisory => "advisory",
        };
        let required = row.required || row.role != Role::Guardrail;
        let state = of_state(row.state);
        // The bar says which margin; its name would repeat the head of the column.
        let margin = row.pass_margin.as_deref();
        let margin = margin.map(|it| it.trim_start_matches("accepted ").to_owned());
        let is_bad = row.state == MetricState::Fail;
        Row {
            name: row.metric.clone(),
            role: if required { role.to_owned() } else { format!("{role}, not required") },
            stable: row.stable.clone(),
            canary: row.canary.clone(),
            difference: row.difference.clone(),
            interval: row.interval.clone(),
            forest: Forest::new(row.numbers.as_ref(), says(row, state), margin, is_bad),
            state,
            is_off: row.state == MetricState::Off,
            detail: row.detail.clone(),
        }
    }
}

/// The row as a sentence, for those who do not see its picture.
fn says(row: &MetricRow, state: Word) -> String {
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

fn of_state(state: MetricState) -> Word {
    match state {
        MetricState::Pass => word("passes", "check", "passes"),
        MetricState::Fail => word("fails", "cross", "fails"),
        MetricState::Shifted => word("holds", "warn", "shifted"),
        MetricState::Waiting => word("holds", "wait", "waiting"),
        MetricState::Inconclusive => word("holds", "wait", "inconclusive"),
        MetricState::NoHarm => word("muted", "check", "no harm"),
        MetricState::Off => word("muted", "", "off"),
    }
}

/// The metrics, failing ones first, then guardrails.
#[derive(Debug, Template)]
#[template(path = "metrics.html")]
pub(super) struct Metrics {
    rows: Vec<Row>,
}

impl Metrics {
    pub(super) fn new(report: &Report) -> Metrics {
        let mut rows: Vec<&MetricRow> = report.metrics.iter().collect();
        let rank = |row: &MetricRow| match (row.state, row.role) {
            (MetricState::Fail, _) => 0,
            (MetricState::Off, _) => 4,
            (_, Role::Guardrail) => 1,
            (_, Role::Signal) => 2,
            (_, Role::Advisory) => 3,
        };
        rows.sort_by_key(|row| rank(row));
        Metrics { rows: rows.into_iter().map(Row::new).collect() }
    }
}

/// What happened, newest first.
#[derive(Debug, Template)]
#[template(path = "timeline.html")]
pub(super) struct Timeline {
    /// Time and sentence.
    entries: Vec<(String, String)>,
}

impl Timeline {
    /// Of these entries, oldest first.
    pub(super) fn new(entries: &[HistoryEntry], times: &Times) -> Timeline {
        let entries = entries.iter().rev();
        let line = |it: &HistoryEntry| (times.time(it.entry.at), it.sentence.clone());
        Timeline { entries: entries.map(line).collect() }
    }
}

/// What else to know.
#[derive(Debug, Template)]
#[template(path = "notes.html")]
pub(super) struct Notes {
    pub(super) notes: Vec<String>,
    pub(super) revision: u64,
}

/// The whole page.
#[derive(Debug, Template)]
#[template(path = "now.html")]
pub(super) struct Now<'a> {
    pub(super) version: &'static str,
    /// The digest in the addresses of the assets.
    pub(super) assets: &'static str,
    /// The parts that change, as HTML.
    pub(super) parts: &'a [String],
}
