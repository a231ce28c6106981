//! The verdict: how the rollout is doing, why, and what happens next.

use askama::Template;

use super::word::Word;
use super::word::class;
use super::word::word;
use crate::canary::rollout::outline::Outline;
use crate::service::status::overview::Status;
use crate::service::status::report::Condition;
use crate::service::status::report::Report;
use crate::service::status::report::words::Brief;
use crate::service::status::report::words::Times;

/// How the rollout is doing, why, and what happens next.
#[derive(Debug, Template)]
#[template(path = "verdict.html")]
pub(crate) struct Verdict {
    pub(super) word: Word,
    headline: String,
    why: Option<Brief>,
    /// What the next sentence is about.
    label: &'static str,
    next: String,
    /// The time that the sentence names; the script counts down to it.
    next_at: Option<String>,
    missing: Option<String>,
    /// Which rollout and step.
    place: Option<String>,
    /// The rollout whose page the place leads to.
    link: Option<u64>,
}

impl Verdict {
    pub(super) fn new(status: &Status, report: &Report, times: &Times) -> Verdict {
        let place = status.rollout.as_ref().map(|rollout| {
            let steps = rollout
                .plan
                .as_ref()
                .map(|plan| format!(", step {} of {}", plan.position, plan.plan.steps.len()));
            format!("Rollout {}{}", rollout.id, steps.unwrap_or_default())
        });
        let last = || status.last_rollout.as_ref().map(|last| last.rollout);
        let link = status.rollout.as_ref().map(|rollout| rollout.id).or_else(last);
        let place = place.or_else(|| Some(format!("Rollout {}", link?)));
        let ended = ended(status, report, times);
        let (headline, why) = match ended {
            Some((headline, why)) => (headline, why.map(|why| Brief::of(&why))),
            // What is so now is shown in full.
            None => {
                let whole = |first: &String| Brief { first: first.clone(), rest: None };
                (report.headline.clone(), report.why.as_ref().map(whole))
            }
        };
        Verdict {
            word: of_condition(report.condition),
            headline: unbroken(&headline),
            why,
            label: "Next",
            next: report.next.clone(),
            next_at: report.next_at.map(|at| format!("{at:.3}")),
            missing: report.missing.clone(),
            place,
            link,
        }
    }

    /// The title of the page.
    pub(super) fn title(&self) -> String {
        format!("{}: {} – serin", self.word.text, self.headline).replace('\u{a0}', " ")
    }

    /// How a rollout ended, or how it is doing.
    pub(crate) fn of_past(report: &Report, outline: &Outline) -> Verdict {
        Verdict {
            word: of_condition(report.condition),
            headline: unbroken(&report.headline),
            why: report.why.as_deref().map(Brief::of),
            label: if outline.outcome.is_some() { "Ended" } else { "Next" },
            next: report.next.clone(),
            next_at: report.next_at.map(|at| format!("{at:.3}")),
            missing: report.missing.clone(),
            place: Some(format!("Rollout {}", outline.id)),
            link: None,
        }
    }
}

/// With numbers that stay together with their percent signs at the end of a line.
fn unbroken(text: &str) -> String {
    text.replace(" %", "\u{a0}%")
}

/// Who gets what without a rollout under way, and why: the line of the terminal in two, because the first is large.
fn ended(status: &Status, report: &Report, times: &Times) -> Option<(String, Option<String>)> {
    let stable = &status.stable.version.name;
    let all = format!("{stable} answers everybody");
    let last = status.last_rollout.as_ref();
    let at = last.map(|last| format!("At {}: {}.", times.time(last.at), last.reason));
    let nothing = last.map(|last| format!("{} gets nothing; {all}", last.canary.name));
    match report.condition {
        Condition::Stable => {
            let since = format!("Stable since {}.", times.time(status.stable.since));
            Some((all, Some(since)))
        }
        Condition::Promoted => Some((all, at)),
        Condition::Monitoring => Some((all, report.why.clone())),
        Condition::RolledBack | Condition::Reverted => Some((nothing?, at)),
        Condition::NoVerdict => Some((nothing?, Some(format!("{} It is not quarantined.", at?)))),
        Condition::Waiting
        | Condition::Holding
        | Condition::Healthy
        | Condition::Warning
        | Condition::Harm
        | Condition::BreakerOpen
        | Condition::Frozen
        | Condition::Paused
        | Condition::AwaitingApproval => None,
    }
}

/// The word for a condition.
pub(crate) fn of_condition(condition: Condition) -> Word {
    let icon = match condition {
        Condition::Stable | Condition::Promoted | Condition::Healthy => "check",
        Condition::Monitoring | Condition::AwaitingApproval => "eye",
        Condition::RolledBack | Condition::Reverted => "back",
        Condition::NoVerdict | Condition::Waiting => "wait",
        Condition::Holding => "half",
        Condition::Warning | Condition::BreakerOpen | Condition::Frozen => "warn",
        Condition::Harm => "cross",
        Condition::Paused => "pause",
    };
    word(class(condition.tone()), icon, condition.word())
}
