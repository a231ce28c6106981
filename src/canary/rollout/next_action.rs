//! Next action of a rollout by plan: what the controller does now.
//!
//! ```text
//! on each evaluation
//!   a trigger fired, or a metric shows harm   roll back and quarantine
//!   the deadline has passed                   hold, or end without a verdict, as the plan says; a hold
//!                                             without a decision within the same time again ends, too
//!   there is a new concern                    hold until resumed
//!   the step is not complete                  wait, with what is missing
//!   the step is complete                      advance
//!   the last step is complete                 promote, after approval if it needs one
//! ```
//!
//! A step is complete when its bake time is over, each track has enough samples *of this step*, no
//! metric that acts has failed (and, before a promotion, some samples of this step were judged), and a person has
//! approved it where the plan requires that. Where no metric is of requests that serin answers, a step needs none. A promotion also needs approval if no answer was compared with stable's
//! or with a label, or if clients send values by position that would mean something else. A shadow with a limit also ends at the limit. Otherwise missing data never passes or fails a step:
//! it waits until the deadline. [`next_action`] only decides.

use std::time::Duration;

use jiff::Timestamp;

use super::cause::Cause;
use super::cause::Missing;
use super::cause::TripReason;
use super::state::Phase;
use super::state::Rollout;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::judgement::Judgement;
use crate::canary::judge::sentences;
use crate::canary::judge::verdict::Concern;
use crate::canary::judge::verdict::Verdict;
use crate::canary::policy::plan::AtDeadline;
use crate::canary::policy::plan::Plan;
use crate::canary::traffic::weight::Weight;
use crate::text::durations::words;

/// What a rollout does now.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Wait; what is missing.
    Wait(Vec<String>),
    /// Go to the next step.
    Advance,
    /// Ask for approval.
    AwaitApproval,
    /// Promote the canary.
    Promote,
    /// Roll back.
    RollBack(Cause),
    /// Pause until a person decides.
    Hold(Cause),
    /// Pause until a person has seen these concerns.
    HoldFor(Vec<Concern>),
}

/// Observations of the step that are not part of the judgement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// Why a trigger fired, if one did.
    pub tripped: Option<TripReason>,
    /// The canary's p99 latency at this step, in seconds, if there are enough samples.
    pub canary_p99_seconds: Option<f64>,
    /// The same of stable.
    pub stable_p99_seconds: Option<f64>,
    /// Shadow requests the canary answered at this step.
    pub shadowed: u64,
    /// The canary's requests at this step whose key was judged before.
    pub canary_repeated: u64,
    /// The same of stable's.
    pub stable_repeated: u64,
    /// Whether requests have values by position, which mean something else once the canary is stable.
    pub positions_change: bool,
    /// The replicas that have not loaded the canary, by name.
    pub not_ready: Vec<String>,
}

/// The next action of a rollout by plan, given the judgement of its current step.
pub fn next_action(
    rollout: &Rollout,
    judgement: &Judgement,
    observed: &Observation,
    now: Timestamp,
) -> Action {
    let plan = &rollout.policy.plan;
    if let Some(cause) = triggered(plan, observed) {
        return Action::RollBack(cause);
    }
    if judgement.verdict == Verdict::Rollback {
        return Action::RollBack(Cause::Harm);
    }
    if let Some(action) = overdue(rollout, now) {
        return action;
    }
    match rollout.phase {
        Phase::Paused => return Action::Wait(vec![paused(rollout)]),
        // A person who is about to approve must see new concerns.
        Phase::AwaitingApproval if !new_concerns(rollout, judgement).is_empty() => {
            return Action::HoldFor(new_concerns(rollout, judgement));
        }
        Phase::AwaitingApproval
            if !rollout.waits_for_answers_alone() || lacks_compared_answers(rollout, judgement) =>
        {
            return Action::Wait(vec![
                "waiting for approval; resume the rollout to continue".to_owned(),
            ]);
        }
        // Enough answers were compared in the meantime.
        Phase::AwaitingApproval | Phase::Running => {}
    }
    let concerns = new_concerns(rollout, judgement);
    if !concerns.is_empty() {
        return Action::HoldFor(concerns);
    }
    let mut missing = step_lacks(rollout, judgement, observed, now);
    let following = rollout.following_step().map(|(_, step)| step);
    // At 100 % there is no stable to compare with, so every guardrail must pass before.
    let must_pass = following.is_none_or(|step| step.weight.basis_points() == Weight::WHOLE);
    if must_pass && judgement.verdict != Verdict::Promote {
        missing.extend(sentences::reasons(judgement, &judgement.reasons));
    }
    if must_pass {
        missing.extend(lacks_evidence(rollout, judgement, observed));
    }
    // A larger share would reach too few replicas, and a promotion would leave them behind.
    let lacks = |name: &String| format!("replica {name} has not loaded the canary");
    missing.extend(observed.not_ready.iter().map(lacks));
    if !missing.is_empty() {
        return Action::Wait(missing);
    }
    let needs_a_person = rollout.plan_needs_approval()
        || (must_pass && lacks_compared_answers(rollout, judgement))
        || (following.is_none() && observed.positions_change);
    if needs_a_person && !rollout.approved {
        return Action::AwaitApproval;
    }
    match following {
        Some(_) => Action::Advance,
        None => Action::Promote,
    }
}

/// Whether a person has to agree to the promotion because too few answers were compared with stable's or with labels.
/// A person who has accepted a shift of the scores has agreed; a plan that has reached its step of 100 % asked before.
pub fn lacks_compared_answers(rollout: &Rollout, judgement: &Judgement) -> bool {
    let sequential = judgement.sequential.as_ref();
    let planned = rollout.policy.plan.steps.get(rollout.position);
    !rollout.accepts_shift()
        && planned.is_none_or(|step| step.weight.basis_points() < Weight::WHOLE)
        && sequential.is_some_and(SequentialEvidence::lacks_compared_answers)
}

/// The action at the deadline. A rollout that is paused and forgotten ends after the same time again, so that
/// none lasts forever.
fn overdue(rollout: &Rollout, now: Timestamp) -> Option<Action> {
    let plan = &rollout.policy.plan;
    let deadline = rollout.deadline_at.filter(|deadline| now >= *deadline)?;
    let missing = match rollout.phase {
        Phase::AwaitingApproval => Missing::Approval,
        Phase::Running | Phase::Paused => Missing::Verdict,
    };
    let cause = |is_forgotten| Cause::Deadline { missing, limit: plan.deadline, is_forgotten };
    let is_forgotten = deadline.saturating_add(plan.deadline).is_ok_and(|end| now >= end);
    match (plan.at_deadline, rollout.phase) {
        (AtDeadline::RollBack, _) => Some(Action::RollBack(cause(false))),
        (AtDeadline::Hold, _) if is_forgotten => Some(Action::RollBack(cause(true))),
        (AtDeadline::Hold, Phase::Running | Phase::AwaitingApproval) => {
            Some(Action::Hold(cause(false)))
        }
        (AtDeadline::Hold, Phase::Paused) => None,
    }
}

/// What a paused rollout waits for.
fn paused(rollout: &Rollout) -> String {
    let plan = &rollout.policy.plan;
    let hold = match plan.at_deadline {
        AtDeadline::Hold => plan.deadline,
        AtDeadline::RollBack => Duration::ZERO,
    };
    let end = rollout.deadline_at.and_then(|deadline| deadline.saturating_add(hold).ok());
    let end = end.map_or_else(String::new, |end| format!(" before {end:.0}, when serin ends it"));
    format!("paused; resume the rollout{end}")
}

/// The concerns that have not paused the rollout yet.
fn new_concerns(rollout: &Rollout, judgement: &Judgement) -> Vec<Concern> {
    let concerns = judgement.sequential.iter().flat_map(SequentialEvidence::concerns);
    concerns.filter(|one| !rollout.concerns.contains(one)).collect()
}

/// The trigger that fired. What ails stable as well is left to the judge.
fn triggered(plan: &Plan, observed: &Observation) -> Option<Cause> {
    if let Some(tripped) = observed.tripped {
        return Some(Cause::Trigger(tripped));
    }
    let (ceiling, p99_seconds) = (plan.triggers.p99_ceiling?, observed.canary_p99_seconds?);
    let is_above = |p99_seconds: f64| p99_seconds > ceiling.as_secs_f64();
    (is_above(p99_seconds) && !observed.stable_p99_seconds.is_some_and(is_above))
        .then_some(Cause::LatencyCeiling { p99_seconds, ceiling })
}

/// What is missing of this step's own evidence: what was proven at a smaller share says little of this one if nothing
/// has been judged since.
fn lacks_evidence(
    rollout: &Rollout,
    judgement: &Judgement,
    observed: &Observation,
) -> Option<String> {
    let least = rollout.policy.health.min_samples.min(rollout.policy.plan.min_samples);
    let inputs = &judgement.evidence.inputs;
    let judged = [
        ("canary", inputs.canary.requests, observed.canary_repeated),
        ("stable", inputs.stable.requests, observed.stable_repeated),
    ];
    let judged =
        judged.map(|(track, seen, repeated)| (track, seen.saturating_sub(repeated), repeated > 0));
    let (track, fewest, have_come_back) =
        judged.into_iter().min_by_key(|(_, judged, _)| *judged)?;
    // Where all visits are judged, those of this step count.
    let measured = judgement.sequential.iter().flat_map(|it| &it.measured);
    let visits = measured.filter_map(|one| one.visits).map(|it| it.at_this_share).max();
    // Without users who come back, the step lacks samples as well, and says so.
    let is_lacking =
        have_come_back && !rollout.weight().is_certain() && fewest.max(visits.unwrap_or(0)) < least;
    is_lacking.then(|| {
        format!(
            "only {fewest} of {least} {track} requests of this step were judged: users who come back count once"
        )
    })
}

/// What is missing to complete the step.
fn step_lacks(
    rollout: &Rollout,
    judgement: &Judgement,
    observed: &Observation,
    now: Timestamp,
) -> Vec<String> {
    let plan = &rollout.policy.plan;
    let mut missing = Vec::new();
    if let Ok(left) = Duration::try_from(rollout.warm_until().duration_since(now))
        && !left.is_zero()
    {
        missing.push(format!("{} of the warm-up left", words(left)));
    }
    if rollout.weight().is_zero() && rollout.shadow().is_zero() {
        missing.push("the canary has no traffic and no shadow traffic; give it some".to_owned());
    }
    if let Some(left) = rollout.bake().map(|bake| bake.saturating_sub(rollout.elapsed(now)))
        && !left.is_zero()
    {
        missing.push(format!("{} of the bake time left", words(left)));
    }
    let inputs = &judgement.evidence.inputs;
    let weight = rollout.weight();
    let judges_requests = rollout.policy.judge.judges_requests();
    // With too little traffic to pair, the plan goes on without pairs.
    if rollout.is_shadow_over(now) {
        let harms =
            judgement.sequential.iter().flat_map(SequentialEvidence::harms).collect::<Vec<_>>();
        missing.extend(sentences::reasons(judgement, &harms));
        return missing;
    }
    let tracks = [
        ("canary", inputs.canary.requests, weight == Weight::ZERO),
        ("stable", inputs.stable.requests, weight.basis_points() == Weight::WHOLE),
    ];
    for (track, seen, is_idle) in tracks {
        if judges_requests && !is_idle && seen < plan.min_samples {
            missing.push(format!("{track} has {seen} of {} samples", plan.min_samples));
        }
    }
    let shadows = judges_requests && !rollout.shadow().is_zero();
    if shadows && observed.shadowed < plan.min_samples {
        missing.push(format!(
            "the canary has {} of {} shadow requests",
            observed.shadowed, plan.min_samples
        ));
    }
    if let Some(sequential) = &judgement.sequential {
        if weight.is_zero() {
            // A canary without users has no recorded values.
            missing.extend(sentences::reasons(judgement, &sequential.harms()));
        } else {
            // A person has seen the concerns, so the steps continue; a promotion needs force.
            missing.extend(sentences::reasons(judgement, &sequential.metric_objections()));
        }
        if shadows {
            missing.extend(sentences::reasons(judgement, &sequential.not_passed_in_shadow()));
        }
    } else if shadows || !weight.is_certain() {
        missing.push("there is no evidence yet".to_owned());
    }
    missing
}

#[cfg(test)]
#[path = "next_action_tests.rs"]
mod tests;
