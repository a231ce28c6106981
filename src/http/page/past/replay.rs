//! Verdicts computed again: as they were given, and with other margins.

use askama::Template;

use super::policy::margin;
use crate::canary::Metric;
use crate::canary::Verdict;
use crate::canary::judge::what_if::Changes;
use crate::canary::judge::what_if::Course;
use crate::canary::judge::what_if::Moment;
use crate::http::page::parts::word::Word;
use crate::http::page::parts::word::word;
use crate::http::query::Fields;
use crate::service::status::past::Outcome;
use crate::service::status::past::PastRollout;
use crate::service::status::past::Recomputed;
use crate::service::status::past::StoredTicks;
use crate::service::status::past::WhatIf;
use crate::service::status::past::in_words;
use crate::service::status::report::words::Times;
use crate::text::numbers::count;
use crate::text::numbers::number;

/// Verdicts computed again, and a form that asks for it.
#[derive(Debug, Template)]
#[template(path = "replay.html")]
pub(super) struct Replay {
    id: u64,
    /// What the store no longer has.
    missing: Option<String>,
    recomputed: Option<Table>,
    what_if: Option<Found>,
    /// What is wrong with the fields of the form.
    refused: Option<String>,
    has_form: bool,
    /// Whether other margins can be tried.
    can_try: bool,
    metrics: Vec<MetricNow>,
    chosen: String,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Table {
    summary: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    entry: u64,
    time: String,
    event: &'static str,
    verdict: &'static str,
    ticks: String,
    word: Word,
    detail: Option<String>,
}

#[derive(Debug)]
struct Found {
    /// What was changed.
    changed: String,
    message: String,
    rows: Vec<CourseRow>,
    /// The same in a terminal.
    command: String,
}

#[derive(Debug)]
struct CourseRow {
    name: &'static str,
    cells: [(String, String); 3],
}

/// A metric with its margins as they are, which the empty fields show once it is chosen.
#[derive(Debug)]
struct MetricNow {
    name: String,
    tolerated: String,
    accepted: String,
}

impl MetricNow {
    fn new(metric: &Metric) -> MetricNow {
        MetricNow {
            name: metric.name.to_string(),
            tolerated: margin(metric, metric.tolerated),
            accepted: margin(metric, metric.accepted),
        }
    }
}

#[derive(Debug)]
struct Field {
    label: &'static str,
    name: &'static str,
    value: String,
    /// What it is now.
    hint: String,
}

impl Replay {
    /// The part of a rollout, asked with these fields for these changes.
    pub(super) fn new(
        past: &PastRollout,
        fields: &Fields,
        changes: Changes,
        refused: Option<String>,
        is_file: bool,
        times: &Times,
    ) -> Replay {
        let judge = &past.policy.judge;
        let is_known = |name: &&str| judge.metrics.iter().any(|it| it.name.as_str() == *name);
        let first = judge.metrics.first().map_or("latency", |metric| metric.name.as_str());
        let chosen = [fields.text("metric"), Some("latency")];
        let chosen = chosen.into_iter().flatten().find(is_known).unwrap_or(first);
        let field = |label, name, hint: String| {
            let value = fields.text(name).unwrap_or_default().to_owned();
            Field { label, name, value, hint }
        };
        let metrics: Vec<MetricNow> = judge.metrics.iter().map(MetricNow::new).collect();
        let now = metrics.iter().find(|metric| metric.name == chosen);
        let [tolerated, accepted] =
            now.map(|now| [now.tolerated.clone(), now.accepted.clone()]).unwrap_or_default();
        let samples = judge.metrics.iter().map(|metric| metric.min_samples).max().unwrap_or(0);
        Replay {
            id: past.outline.id,
            missing: past.stored_ticks.sentence(),
            recomputed: past.recomputed.as_ref().map(|all| Table::new(all, times)),
            what_if: past.what_if.as_ref().map(|found| Found::new(found, &changes, past, times)),
            refused,
            has_form: !is_file && past.stored_ticks != StoredTicks::None,
            can_try: past.stored_ticks == StoredTicks::All,
            metrics,
            chosen: chosen.to_owned(),
            fields: vec![
                field("Tolerated, %", "tolerated", tolerated),
                field("Accepted, %", "accepted", accepted),
                field("False rollback", "alpha", number(judge.alpha)),
                field("Samples", "min_samples", samples.to_string()),
            ],
        }
    }
}

impl Replay {
    /// Whether there is nothing to show, as in a file that nothing was asked of.
    pub(super) fn is_empty(&self) -> bool {
        let is_said = self.missing.is_some() || self.refused.is_some();
        let is_asked = self.recomputed.is_some() || self.what_if.is_some();
        !(self.has_form || is_said || is_asked)
    }
}

impl Table {
    fn new(all: &[Recomputed], times: &Times) -> Table {
        let row = |one: &Recomputed| Row {
            entry: one.sequence,
            time: times.time(one.at),
            event: one.event,
            verdict: one.verdict.word(),
            ticks: one.ticks.map_or_else(|| "–".to_owned(), |ticks| ticks.to_string()),
            word: match one.outcome {
                Outcome::Equal => word("passes", "check", "equal"),
                Outcome::Differs => word("fails", "cross", "different"),
                Outcome::NotKept => word("muted", "", "not stored"),
                Outcome::OtherVersion => word("holds", "warn", "other version"),
            },
            detail: one.detail.clone(),
        };
        Table { summary: format!("{}.", in_words(all)), rows: all.iter().map(row).collect() }
    }
}

impl Found {
    fn new(found: &WhatIf, changes: &Changes, past: &PastRollout, times: &Times) -> Found {
        let courses = [("As it was", &found.as_it_was), ("What if", &found.what_if)];
        let rows = courses.into_iter().filter_map(|(name, course)| {
            Some(CourseRow { name, cells: cells(course.as_ref()?, times) })
        });
        Found {
            changed: format!("With {}:", changed(changes)),
            message: found.message.clone(),
            rows: rows.collect(),
            command: command(past.outline.id, changes),
        }
    }
}

fn cells(course: &Course, times: &Times) -> [(String, String); 3] {
    let first = |moment: &Option<Moment>| match moment {
        None => ("never".to_owned(), String::new()),
        Some(moment) => {
            let at =
                moment.at.map_or_else(|| "before the first tick".to_owned(), |at| times.time(at));
            let requests = count(moment.canary_requests, "canary request");
            (at, format!("step {}, after {requests}", moment.step))
        }
    };
    let end = match course.end.verdict {
        Verdict::Promote => "pass",
        Verdict::Rollback => "rollback",
        Verdict::Hold => "no verdict",
    };
    let ticks = count(course.ticks, "tick");
    [first(&course.rollback), first(&course.promote), (end.to_owned(), format!("after {ticks}"))]
}

/// The changes in words.
fn changed(changes: &Changes) -> String {
    let metric = changes.metric.as_deref().unwrap_or("latency");
    let percent = |share: f64| number(share * 100.0);
    let margins = [("tolerated", changes.tolerated), ("accepted", changes.accepted)];
    let margins = margins
        .into_iter()
        .filter_map(|(name, share)| Some(format!("{} % of {metric} {name}", percent(share?))));
    let alpha =
        changes.alpha.map(|alpha| format!("a false rollback in {} % of the cases", percent(alpha)));
    let samples = changes.min_samples.map(|samples| format!("{samples} samples of each metric"));
    margins.chain(alpha).chain(samples).collect::<Vec<_>>().join(", ")
}

/// The command that asks the same of the store.
fn command(rollout: u64, changes: &Changes) -> String {
    let percent = |share: f64| format!("{}%", number(share * 100.0));
    let flags = [
        ("metric", changes.metric.clone()),
        ("tolerated", changes.tolerated.map(percent)),
        ("accepted", changes.accepted.map(percent)),
        ("alpha", changes.alpha.map(|alpha| alpha.to_string())),
        ("min-samples", changes.min_samples.map(|samples| samples.to_string())),
    ];
    let flags = flags.into_iter().filter_map(|(flag, value)| Some(format!(" --{flag} {}", value?)));
    format!("serin replay --rollout {rollout}{}", flags.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_said_in_words_and_as_a_command() {
        let changes = Changes {
            metric: Some("latency_p99".to_owned()),
            accepted: Some(0.1),
            alpha: Some(0.05),
            ..Changes::default()
        };
        let expected = "10 % of latency_p99 accepted, a false rollback in 5 % of the cases";
        assert_eq!(changed(&changes), expected);
        let expected = "serin replay --rollout 3 --metric latency_p99 --accepted 10% --alpha 0.05";
        assert_eq!(command(3, &changes), expected);
    }
}
