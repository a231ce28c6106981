//! The verdict: how the rollout is doing, why, and what happens next.

use askama::Template;

use super::word::Word;
use super::word::class;
use super::word::word;
use crate::service::status::overview::Status;
use crate::service::status::report::Condition;
use crate::service::status::report::Report;

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
