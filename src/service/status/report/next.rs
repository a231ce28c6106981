//! What happens next and when, and what it waits for.

use jiff::Timestamp;

use super::condition::Condition;
use super::rows::MetricRow;
use super::rows::MetricState;
use super::words::Times;
use super::words::duration;
use crate::canary::Verdict;
use crate::canary::policy::plan::AtDeadline;
use crate::canary::policy::plan::PlannedStep;
use crate::canary::traffic::weight::Weight;
use crate::service::status::overview::RolloutState;
use crate::service::status::overview::RolloutStatus;
use crate::service::status::overview::Status;
use crate::service::status::plan::NextAction;
use crate::service::status::plan::PlanStatus;
use crate::text::durations::remaining;
use crate::text::lists::list;
use crate::text::numbers::count;

/// What happens next, in a sentence.
pub(super) fn next(status: &Status, condition: Condition, times: &Times) -> String {
    if status.store_lost.is_some() {
        return lost(status);
    }
    match &status.rollout {
        None => idle(status, condition, times),
        Some(rollout) => match &rollout.plan {
            None => by_hand(rollout, condition),
            Some(plan) => by_plan(status, rollout, plan, times),
        },
    }
}

/// What happens while the store is lost. A rollback does not wait for the journal.
fn lost(status: &Status) -> String {
    let is_off = status.store_lost.as_ref().is_some_and(|lost| lost.canary_is_off);
    let meanwhile = match status.rollout {
        Some(_) if is_off => "The canary gets its traffic back then, too.",
        Some(_) => "You can roll back at any time (serin rollback).",
        None => "Until then they are refused.",
    };
    let what = if status.rollout.is_some() { "the rollout goes on" } else { "commands work again" };
    format!("serin tries to save every second; {what} once it can. {meanwhile}")
}

/// The time that the sentence about what happens next names, if it names one.
pub(super) fn next_at(status: &Status, condition: Condition) -> Option<Timestamp> {
    if status.store_lost.is_some() {
        return None;
    }
    let Some(rollout) = &status.rollout else {
        let monitored = status.post_promotion.as_ref();
        return monitored.filter(|_| condition == Condition::Monitoring).map(|it| it.until);
    };
    let plan = rollout.plan.as_ref()?;
    match (status.state, plan.next) {
        (RolloutState::Paused | RolloutState::AwaitingApproval, _) => rolled_back_at(plan),
        (RolloutState::Running | RolloutState::Idle, NextAction::Wait) => end_of_step(rollout),
        (RolloutState::Running | RolloutState::Idle, _) => None,
    }
}

/// When the canary is rolled back without a decision, if it is.
fn rolled_back_at(plan: &PlanStatus) -> Option<Timestamp> {
    plan.deadline_at.filter(|_| plan.plan.at_deadline == AtDeadline::RollBack)
}

/// When the step may end, if its time is not over.
fn end_of_step(rollout: &RolloutStatus) -> Option<Timestamp> {
    rollout.remaining_bake_seconds.filter(|left| *left > 0.0)?;
    let bake = std::time::Duration::try_from_secs_f64(rollout.bake_seconds?).ok()?;
    rollout.step_started_at.checked_add(bake).ok()
}

fn idle(status: &Status, condition: Condition, times: &Times) -> String {
    if let (Condition::Monitoring, Some(promotion)) = (condition, &status.post_promotion) {
        return format!(
            "Late labels are judged until {}. To undo the promotion now: serin revert --reason TEXT.",
            times.time(promotion.until)
        );
    }
    let deploy = "Nothing happens until somebody deploys: serin deploy MODEL.";
    match cool_down(status) {
        Some(until) => {
            let rest = until.duration_since(times.now).try_into().unwrap_or_default();
            format!(
                "{deploy} A deployment by plan is refused for another {} (cool-down).",
                remaining(rest)
            )
        }
        None => deploy.to_owned(),
    }
}

/// The end of the cool-down that holds back the next plan, if it is not over.
pub(super) fn cool_down(status: &Status) -> Option<Timestamp> {
    let until = status.last_rollout.as_ref()?.cool_down_until?;
    (until > status.at).then_some(until)
}

/// What to do by hand while nothing is decided.
pub(crate) const PROMOTE_ONCE_PASSING: &str = "Nothing happens by itself. You decide: promote once it is Passing \
                                               (serin promote), or roll back (serin rollback).";

fn by_hand(rollout: &RolloutStatus, condition: Condition) -> String {
    let decide = |choice| format!("Nothing happens by itself. You decide: {choice}.");
    let choice = match condition {
        Condition::Harm => decide("roll back (serin rollback)"),
        Condition::BreakerOpen => {
            "Its traffic returns once it answers a probe; serin does not roll it back by itself. You decide: roll back \
             (serin rollback)."
                .to_owned()
        }
        Condition::Healthy | Condition::Warning => {
            decide("promote (serin promote), or roll back (serin rollback)")
        }
        Condition::Paused => decide("resume (serin resume), or roll back (serin rollback)"),
        Condition::Stable
        | Condition::Promoted
        | Condition::Monitoring
        | Condition::RolledBack
        | Condition::NoVerdict
        | Condition::Reverted
        | Condition::Waiting
        | Condition::Holding
        | Condition::Frozen
        | Condition::AwaitingApproval => PROMOTE_ONCE_PASSING.to_owned(),
    };
    let is_urgent = matches!(condition, Condition::Harm | Condition::BreakerOpen);
    match (rollout.remaining_bake_seconds, rollout.bake_seconds) {
        (Some(rest), Some(bake)) if rest > 0.0 && !is_urgent => {
            let (bake, rest) = (duration(bake), duration(rest));
            let left = if rest == bake { String::new() } else { format!(", {rest} left") };
            format!("{choice} Intended duration: {bake}{left}.")
        }
        _ => choice,
    }
}

fn by_plan(status: &Status, rollout: &RolloutStatus, plan: &PlanStatus, times: &Times) -> String {
    let at_deadline = rolled_back_at(plan).map_or_else(String::new, |deadline| {
        format!("serin rolls it back at {} if nobody decides. ", times.time(deadline))
    });
    match status.state {
        RolloutState::Paused => {
            return format!(
                "{at_deadline}You decide: resume (serin resume), or roll back (serin rollback)."
            );
        }
        RolloutState::AwaitingApproval => {
            return format!(
                "{at_deadline}You decide: approve (serin resume), or roll back (serin rollback)."
            );
        }
        RolloutState::Running | RolloutState::Idle => {}
    }
    let following = following_step(status, plan);
    let step = match following {
        Some(step) if leads_to_all(step) && plan.lacks_compared_answers => {
            format!("Your approval, then {}", step.weight)
        }
        Some(step) => step.weight.to_string(),
        None if plan.plan.approval || plan.lacks_compared_answers => {
            "Your approval, then promotion".to_owned()
        }
        None => "Promotion".to_owned(),
    };
    match plan.next {
        NextAction::RollBack => "serin rolls it back now.".to_owned(),
        NextAction::Hold => "serin pauses the rollout now, for you to decide.".to_owned(),
        NextAction::Promote => "serin promotes it now.".to_owned(),
        NextAction::AwaitApproval => "serin asks for your approval now.".to_owned(),
        NextAction::Advance => format!("{step} now."),
        NextAction::Wait => {
            let at = match (end_of_step(rollout), rollout.remaining_bake_seconds) {
                (Some(end), _) => format!(" at {} at the earliest", times.time(end)),
                (None, Some(_)) => String::new(),
                (None, None) => ", once you resume the rollout".to_owned(),
            };
            let passes = status.health.as_ref().is_some_and(|it| it.verdict == Verdict::Promote);
            let condition = match following {
                Some(step) if !leads_to_all(step) => "if no guardrail fails",
                Some(_) | None if passes => "if every guardrail still passes",
                Some(_) | None => "once every guardrail passes",
            };
            format!("{step}{at} {condition}; a rollback as soon as harm is found.")
        }
    }
}

/// The next step of the plan; `None` at the last one.
pub(super) fn following_step<'a>(status: &Status, plan: &'a PlanStatus) -> Option<&'a PlannedStep> {
    plan.plan.steps.iter().find(|step| step.weight.percent() > status.traffic_percent)
}

/// Whether the canary gets all requests at this step, so that every guardrail has to pass before it.
pub(super) fn leads_to_all(step: &PlannedStep) -> bool {
    step.weight.basis_points() == Weight::WHOLE
}

/// What the step waits for, in a sentence; `None` if for nothing.
pub(super) fn missing(status: &Status, condition: Condition, rows: &[MetricRow]) -> Option<String> {
    let rollout = status.rollout.as_ref()?;
    let waits = !matches!(condition, Condition::Harm | Condition::Frozen);
    if status.state != RolloutState::Running || !waits {
        return None;
    }
    let mut missing: Vec<String> = Vec::new();
    if let Some(plan) = rollout.plan.as_ref().filter(|_| rollout.judges_requests()) {
        let left = |seen: u64| plan.plan.min_samples.saturating_sub(seen);
        let (canary, stable) = (&status.tracks.canary, &status.tracks.stable);
        let canary = left(canary.requests) * u64::from(status.traffic_percent > 0.0);
        let stable = left(stable.requests) * u64::from(status.traffic_percent < 100.0);
        match (canary, stable) {
            (0, 0) => {}
            (canary, 0) => missing.push(count(canary, "more canary request")),
            (0, stable) => missing.push(count(stable, "more stable request")),
            (canary, stable) => {
                missing.push(format!(
                    "{canary} more canary and {}",
                    count(stable, "more stable request")
                ));
            }
        }
    }
    let lacking = rows.iter().filter(|row| row.is_open() && row.state == MetricState::Waiting);
    // Metrics that lack the same are named together.
    let mut by_detail: Vec<(&str, Vec<String>)> = Vec::new();
    for (metric, detail) in lacking.filter_map(|row| Some((&row.metric, row.detail.as_deref()?))) {
        match by_detail.iter_mut().find(|(known, _)| *known == detail) {
            Some((_, metrics)) => metrics.push(metric.clone()),
            None => by_detail.push((detail, vec![metric.clone()])),
        }
    }
    let lacking = |(detail, metrics): &(&str, Vec<String>)| match detail.strip_suffix(" samples") {
        Some(samples) => format!("samples of {} ({samples})", list(metrics)),
        None => format!("{} ({detail})", list(metrics)),
    };
    missing.extend(by_detail.iter().map(lacking));
    if let (Some(left), Some(bake)) = (rollout.remaining_bake_seconds, rollout.bake_seconds)
        && left > 0.0
        && rollout.plan.is_some()
    {
        let (left, bake) = (duration(left), duration(bake));
        missing.push(match left == bake {
            true => format!("the {bake} of this step"),
            false => format!("{left} of this step's {bake}"),
        });
    }
    (!missing.is_empty()).then(|| format!("Waiting for {}.", missing.join("; ")))
}
