//! All rollouts in a table.

use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::frame::Frame;
use super::frame::full;
use crate::canary::rollout::outline::Outline;
use crate::canary::rollout::state::Outcome;
use crate::http::page::parts::verdict::of_condition;
use crate::http::page::parts::word::Word;
use crate::http::page::parts::word::word;
use crate::service::status::past::Counts;
use crate::service::status::past::Rollouts;
use crate::service::status::report::Condition;
use crate::service::status::report::words::Brief;
use crate::service::status::report::words::duration;
use crate::text::numbers::grouped;

/// The page.
#[derive(Debug, Template)]
#[template(path = "rollouts.html")]
pub(super) struct RolloutsPage {
    frame: Frame,
    summary: String,
    rows: Vec<Row>,
    /// The rollout before which further ones begin.
    older: Option<u64>,
    note: Option<&'static str>,
}

#[derive(Debug)]
struct Row {
    id: u64,
    began: String,
    model: String,
    word: Word,
    reached: f64,
    requests: String,
    lasted: String,
    reason: Brief,
}

impl RolloutsPage {
    /// The page at this time.
    pub(super) fn new(found: Rollouts, now: Timestamp) -> RolloutsPage {
        let last = found.rollouts.last().map(|last| last.id);
        let present = found.condition.map(of_condition);
        let rows = found.rollouts.iter().map(|outline| Row::new(outline, present, now));
        RolloutsPage {
            frame: Frame { root: "", is_list: true, is_file: false, written: full(now) },
            summary: summary(&found),
            rows: rows.collect(),
            older: last.filter(|last| *last > 1),
            note: found.in_memory.then_some(
                "The store is in memory: these rollouts are forgotten when the server stops. Start it with --store \
                 sqlite:serin.db to keep them.",
            ),
        }
    }
}

impl Row {
    fn new(outline: &Outline, present: Option<Word>, now: Timestamp) -> Row {
        let lasted = outline.ended_at.unwrap_or(now).duration_since(outline.started_at);
        let lasted = duration(lasted.as_secs_f64());
        Row {
            id: outline.id,
            began: day_and_time(outline.started_at, now),
            model: outline.canary.name.clone(),
            word: of_outcome(outline.outcome, present),
            reached: outline.reached(),
            requests: requests(outline),
            lasted: match outline.ended_at {
                Some(_) => lasted,
                None => format!("{lasted} so far"),
            },
            reason: Brief::of(outline.reason.as_deref().unwrap_or_default()),
        }
    }
}

/// The canary requests in words.
pub(super) fn requests(outline: &Outline) -> String {
    let least = if outline.more_requests { "at least " } else { "" };
    format!("{least}{}", grouped(outline.canary_requests))
}

fn of_outcome(outcome: Option<Outcome>, present: Option<Word>) -> Word {
    match outcome {
        Some(Outcome::Promoted) => of_condition(Condition::Promoted),
        Some(Outcome::RolledBack) => of_condition(Condition::RolledBack),
        Some(Outcome::NoVerdict) => of_condition(Condition::NoVerdict),
        Some(Outcome::Reverted) => of_condition(Condition::Reverted),
        None => present.unwrap_or(word("holds", "half", "Under way")),
    }
}

/// `12 Nov, 08:02`, with the year if it is another one.
fn day_and_time(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (at.to_zoned(TimeZone::UTC), now.to_zoned(TimeZone::UTC));
    let format = if at.year() == now.year() { "%-d %b, %H:%M" } else { "%-d %b %Y, %H:%M" };
    at.strftime(format).to_string()
}

/// How many there were, and how they ended.
fn summary(found: &Rollouts) -> String {
    let Some(since) = found.since else {
        return "There has been no rollout yet. serin deploy MODEL starts one.".to_owned();
    };
    let Counts { promoted, rolled_back, no_verdict, reverted, under_way } = found.counts;
    let parts = [
        (promoted, "promoted"),
        (rolled_back, "rolled back"),
        (reverted, "reverted"),
        (no_verdict, "without a verdict"),
        (under_way, "under way"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> =
        parts.map(|(count, how)| format!("{} {how}", grouped(*count))).collect();
    let since = since.to_zoned(TimeZone::UTC).strftime("%-d %B %Y");
    format!("{} since {since}: {}.", grouped(found.total), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_year_is_named() {
        let now: Timestamp = "2026-11-27T14:00:00Z".parse().unwrap();
        assert_eq!(day_and_time("2026-11-12T08:02:59Z".parse().unwrap(), now), "12 Nov, 08:02");
        assert_eq!(day_and_time("2025-01-02T08:02:59Z".parse().unwrap(), now), "2 Jan 2025, 08:02");
    }

    #[test]
    fn an_outcome_looks_as_in_the_verdict() {
        let promoted = of_outcome(Some(Outcome::Promoted), None);
        assert_eq!((promoted.text, promoted.color, promoted.icon), ("Promoted", "passes", "check"));
        assert_eq!(promoted, of_condition(Condition::Promoted));
        let back = of_outcome(Some(Outcome::RolledBack), None);
        assert_eq!((back.text, back.color), ("Rolled back", "fails"));
    }

    #[test]
    fn the_summary_names_what_occurs() {
        let mut found = Rollouts {
            total: 1205,
            counts: Counts { promoted: 1200, under_way: 1, reverted: 4, ..Counts::default() },
            since: "2026-11-02T08:02:59Z".parse().ok(),
            condition: None,
            in_memory: false,
            rollouts: Vec::new(),
        };
        let expected = "1,205 since 2 November 2026: 1,200 promoted, 4 reverted, 1 under way.";
        assert_eq!(summary(&found), expected);
        found.since = None;
        assert!(summary(&found).contains("no rollout yet"));
    }
}
