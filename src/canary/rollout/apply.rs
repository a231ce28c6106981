//! State machine of rollouts.
//!
//! ```text
//!            CanaryDeployed            Paused, Held, ApprovalAwaited
//!   idle ───────────────────▶ running ◀──────────────────────────▶ paused, awaiting approval
//!    ▲                          │  ▲            Resumed             │
//!    │                          │  └ TrafficSet, Advanced           └─▶ RolledBack, Promoted ──▶ idle
//!    └──── Promoted, RolledBack ┘
//! ```
//!
//! After a promotion, idle includes monitoring for a while if the policy says so. HarmReported leaves it
//! on; Reverted, MonitoringEnded and CanaryDeployed end it.
//!
//! [`apply`] is the only way from one [`State`] to the next, for live commands and for replay
//! alike. It has no effects: what to do with the samples comes back as a value. Deliberately absent: a
//! clock, a store, a default arm.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::cause::Cause;
use super::event::Event;
use super::refusal::Refusal;
use super::state::Ended;
use super::state::Outcome;
use super::state::Phase;
use super::state::PostPromotion;
use super::state::Quarantined;
use super::state::Rollout;
use super::state::Slowdown;
use super::state::State;
use super::state::Version;
use super::state::between;
use crate::canary::judge::judgement::Judgement;
use crate::canary::judge::sentences;
use crate::canary::judge::verdict::Verdict;
use crate::canary::policy::Mode;
use crate::canary::policy::fault::Injection;
use crate::canary::policy::fault::with_faults;

/// The result of [`apply`].
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// The event changes the state and belongs in the journal.
    Changed {
        /// The state after the event.
        state: Box<State>,
        /// What to do with the samples.
        samples: SamplesEffect,
    },
    /// The state is already as the event says: nothing to journal.
    Unchanged,
}

/// What happens to the samples collected so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplesEffect {
    /// Keep collecting.
    Keep,
    /// Discard them and start from zero.
    StartAnew,
}

/// The state after `event`, or why the event is not possible now.
///
/// # Errors
/// See [`Refusal`].
pub fn apply(state: &State, event: &Event, at: Timestamp) -> Result<Transition, Refusal> {
    match event {
        Event::Initialized { .. } => Err(Refusal::AlreadyInitialized),
        Event::CanaryDeployed {
            canary,
            policy,
            salt,
            reason,
            override_quarantine,
            features,
            library: _,
        } => {
            if let Some(rollout) = &state.rollout {
                let canary = rollout.canary.name.clone();
                return Err(Refusal::CanaryActive { canary, rollout: rollout.id });
            }
            state.check_not_monitored(reason.as_deref(), *override_quarantine, at)?;
            check_quarantine(state, canary, reason.as_deref(), *override_quarantine)?;
            let deadline_at = match policy.mode {
                Mode::Manual => None,
                Mode::Automatic => {
                    check_cool_down(state, reason.as_deref(), *override_quarantine, at)?;
                    at.saturating_add(policy.plan.deadline).ok()
                }
            };
            let mut next = State { post_promotion: None, ..state.clone() };
            next.rollouts += 1;
            next.clients.meet(features);
            next.quarantine.remove(&canary.digest);
            if *override_quarantine && reason.is_some() {
                next.last.iter_mut().for_each(|last| last.cool_down_until = None);
            }
            next.rollout = Some(Rollout {
                id: next.rollouts,
                canary: canary.clone(),
                policy: (**policy).clone(),
                salt: *salt,
                started_at: at,
                step: 1,
                step_started_at: at,
                phase: Phase::Running,
                position: 0,
                approved: false,
                deadline_at,
                concerns: BTreeSet::new(),
                injection: Injection::default(),
                features: features.clone(),
            });
            changed(next, SamplesEffect::StartAnew)
        }
        Event::TrafficSet { rollout, weight, shadow, judgement } => {
            let running = named(state, *rollout)?;
            check_current(running, judgement)?;
            if (running.weight(), running.shadow()) == (*weight, *shadow) {
                return Ok(Transition::Unchanged);
            }
            let mut running = running.clone();
            (running.policy.weight, running.policy.shadow) = (*weight, *shadow);
            running.step += 1;
            running.step_started_at = at;
            changed(with_rollout(state, running), SamplesEffect::StartAnew)
        }
        Event::Advanced { judgement } => {
            let running = named(state, judgement.rollout)?;
            check_current(running, judgement)?;
            check_by_plan(running)?;
            check_running(running)?;
            if running.bake().is_none() && !running.approved {
                return Err(Refusal::NotApproved { rollout: running.id });
            }
            let Some((position, step)) = running.following_step() else {
                return Err(Refusal::LastStep { rollout: running.id });
            };
            let mut next = running.clone();
            (next.policy.weight, next.policy.shadow) = (step.weight, step.shadow);
            (next.position, next.approved, next.phase) = (position, false, Phase::Running);
            next.step += 1;
            next.step_started_at = at;
            changed(with_rollout(state, next), SamplesEffect::StartAnew)
        }
        Event::ApprovalAwaited { judgement } => {
            let running = named(state, judgement.rollout)?;
            check_current(running, judgement)?;
            check_by_plan(running)?;
            match running.phase {
                Phase::Paused => Err(Refusal::IsPaused { rollout: running.id }),
                Phase::Running | Phase::AwaitingApproval => {
                    turn(state, running.id, Phase::AwaitingApproval)
                }
            }
        }
        Event::Held { judgement, concerns } => {
            let running = named(state, judgement.rollout)?;
            check_current(running, judgement)?;
            check_by_plan(running)?;
            let mut next = running.clone();
            next.phase = Phase::Paused;
            next.concerns.extend(concerns.iter().cloned());
            if next == *running {
                return Ok(Transition::Unchanged);
            }
            changed(with_rollout(state, next), SamplesEffect::Keep)
        }
        Event::Paused { rollout, cause: _ } => turn(state, *rollout, Phase::Paused),
        Event::Resumed { rollout } => {
            let running = named(state, *rollout)?;
            let mut next = running.clone();
            next.approved = match running.phase {
                // Ending a pause does not approve a step that waits for approval.
                Phase::Paused => running.approved,
                Phase::AwaitingApproval => true,
                // A step without a bake time can be approved in advance.
                Phase::Running => running.approved || running.bake().is_none(),
            };
            next.phase = Phase::Running;
            if next == *running {
                return Ok(Transition::Unchanged);
            }
            // Resuming an overdue rollout restarts its deadline.
            if running.deadline_at.is_some_and(|deadline| deadline <= at) {
                next.deadline_at = at.saturating_add(running.policy.plan.deadline).ok();
            }
            changed(with_rollout(state, next), SamplesEffect::Keep)
        }
        Event::SlowdownSet { slowdown } => {
            if state.slowdown == *slowdown {
                return Ok(Transition::Unchanged);
            }
            changed(State { slowdown: *slowdown, ..state.clone() }, SamplesEffect::Keep)
        }
        Event::Injected { rollout, injection } => {
            let running = named(state, *rollout)?;
            if running.injection == *injection {
                return Ok(Transition::Unchanged);
            }
            let next = Rollout { injection: injection.clone(), ..running.clone() };
            changed(with_rollout(state, next), SamplesEffect::Keep)
        }
        Event::Promoted { judgement, forced, reason, by } => {
            let running = named(state, judgement.rollout)?;
            check_current(running, judgement)?;
            match by {
                Mode::Manual => {}
                Mode::Automatic => check_end_of_plan(running)?,
            }
            match (forced, reason) {
                (false, _) => check_passing(running, judgement)?,
                (true, Some(_)) => {}
                (true, None) => return Err(Refusal::ReasonMissing),
            }
            let reason = reason.clone().unwrap_or_else(|| sentences::why(judgement));
            let mut next = ended(state, running, Some(judgement), Outcome::Promoted, reason, at);
            next.stable = running.canary.clone();
            next.stable_since = at;
            next.clients.replace(&running.features.dropped, &running.features.added);
            next.post_promotion =
                PostPromotion::of(running, &state.stable, judgement, at).map(Box::new);
            changed(next, SamplesEffect::StartAnew)
        }
        Event::RolledBack { rollout, cause, quarantine, judgement, by } => {
            if state.rollout.is_none() {
                return Ok(Transition::Unchanged);
            }
            let running = named(state, *rollout)?;
            let mut reason = cause.sentence(judgement.as_deref());
            if cause.is_harm() {
                let Slowdown { enabled, delay_ms } = state.slowdown;
                reason.push_str(&with_faults(enabled.then_some(delay_ms), running.injected()));
            }
            let is_overdue = matches!(cause, Cause::Deadline { .. });
            let outcome = if is_overdue { Outcome::NoVerdict } else { Outcome::RolledBack };
            let mut next = ended(state, running, judgement.as_deref(), outcome, reason.clone(), at);
            if *quarantine {
                let version = running.canary.name.clone();
                let quarantined = Quarantined { version, reason };
                next.quarantine.insert(running.canary.digest.clone(), quarantined);
            }
            if *by == Mode::Automatic && cause.is_harm() {
                let until = at.saturating_add(running.policy.plan.cool_down).ok();
                let later = until.max(state.cool_down_until(at));
                next.last.iter_mut().for_each(|last| last.cool_down_until = later);
            }
            changed(next, SamplesEffect::StartAnew)
        }
        Event::HarmReported { judgement } => {
            let promotion = state.monitored(judgement.rollout)?;
            check_current(&promotion.rollout, judgement)?;
            if promotion.is_reported {
                return Ok(Transition::Unchanged);
            }
            let promotion = PostPromotion { is_reported: true, ..promotion.clone() };
            let post_promotion = Some(Box::new(promotion));
            changed(State { post_promotion, ..state.clone() }, SamplesEffect::Keep)
        }
        Event::Reverted { rollout, cause, judgement, by } => {
            let promotion = state.monitored(*rollout)?;
            let reason = cause.sentence(judgement.as_deref());
            let mut next = state.reverted(promotion, &reason, *by, at);
            // With the labels that came since.
            if let Some(judgement) = judgement {
                next.learn(&promotion.rollout, &promotion.previous, judgement);
            }
            changed(next, SamplesEffect::StartAnew)
        }
        Event::MonitoringEnded { rollout } => {
            state.monitored(*rollout)?;
            changed(State { post_promotion: None, ..state.clone() }, SamplesEffect::Keep)
        }
    }
}

fn changed(state: State, samples: SamplesEffect) -> Result<Transition, Refusal> {
    Ok(Transition::Changed { state: Box::new(state), samples })
}

fn named(state: &State, rollout: u64) -> Result<&Rollout, Refusal> {
    let running = state.running()?;
    if running.id != rollout {
        return Err(Refusal::OtherRollout { meant: rollout, running: running.id });
    }
    Ok(running)
}

fn with_rollout(state: &State, rollout: Rollout) -> State {
    State { rollout: Some(rollout), ..state.clone() }
}

fn turn(state: &State, rollout: u64, phase: Phase) -> Result<Transition, Refusal> {
    let running = named(state, rollout)?;
    if running.phase == phase {
        return Ok(Transition::Unchanged);
    }
    changed(with_rollout(state, Rollout { phase, ..running.clone() }), SamplesEffect::Keep)
}

/// The state after the end of a rollout: no canary, and the delay is off.
fn ended(
    state: &State,
    rollout: &Rollout,
    judgement: Option<&Judgement>,
    outcome: Outcome,
    reason: String,
    at: Timestamp,
) -> State {
    let canary = rollout.canary.clone();
    // A manual rollout in between does not end a cool-down.
    let cool_down_until = state.cool_down_until(at);
    let mut next = state.clone();
    if let Some(judgement) = judgement {
        next.learn(rollout, &state.stable, judgement);
    }
    State {
        rollout: None,
        last: Some(Ended { rollout: rollout.id, canary, outcome, at, reason, cool_down_until }),
        slowdown: Slowdown::OFF,
        ..next
    }
}

fn check_quarantine(
    state: &State,
    canary: &Version,
    reason: Option<&str>,
    override_quarantine: bool,
) -> Result<(), Refusal> {
    let Some(quarantined) = state.quarantine.get(&canary.digest) else { return Ok(()) };
    if !override_quarantine {
        let Quarantined { version, reason } = quarantined.clone();
        return Err(Refusal::Quarantined { version, digest: canary.digest.clone(), reason });
    }
    if reason.is_none() {
        return Err(Refusal::ReasonMissing);
    }
    Ok(())
}

fn check_cool_down(
    state: &State,
    reason: Option<&str>,
    is_override: bool,
    at: Timestamp,
) -> Result<(), Refusal> {
    match state.cool_down_until(at) {
        None => Ok(()),
        Some(_) if is_override && reason.is_some() => Ok(()),
        Some(_) if is_override => Err(Refusal::ReasonMissing),
        Some(until) => Err(Refusal::CoolingDown { left: between(at, until) }),
    }
}

fn check_running(running: &Rollout) -> Result<(), Refusal> {
    match running.phase {
        Phase::Running => Ok(()),
        // Enough answers were compared in the meantime.
        Phase::AwaitingApproval if running.waits_for_answers_alone() => Ok(()),
        Phase::Paused | Phase::AwaitingApproval => Err(Refusal::IsPaused { rollout: running.id }),
    }
}

fn check_by_plan(running: &Rollout) -> Result<(), Refusal> {
    match running.mode() {
        Mode::Manual => Err(Refusal::NotByPlan { rollout: running.id }),
        Mode::Automatic => Ok(()),
    }
}

fn check_end_of_plan(running: &Rollout) -> Result<(), Refusal> {
    check_by_plan(running)?;
    let lacks_approval = running.plan_needs_approval() && !running.approved;
    match running.phase {
        Phase::Paused => Err(Refusal::IsPaused { rollout: running.id }),
        Phase::AwaitingApproval | Phase::Running
            if running.following_step().is_some() || lacks_approval =>
        {
            Err(Refusal::NotApproved { rollout: running.id })
        }
        Phase::AwaitingApproval | Phase::Running => Ok(()),
    }
}

fn check_current(running: &Rollout, judgement: &Judgement) -> Result<(), Refusal> {
    let of_this = judgement.rollout == running.id
        && judgement.step == running.step
        && judgement.digest == running.canary.digest;
    if of_this { Ok(()) } else { Err(Refusal::StaleJudgement) }
}

fn check_passing(running: &Rollout, judgement: &Judgement) -> Result<(), Refusal> {
    match running.phase {
        Phase::Paused => return Err(Refusal::IsPaused { rollout: running.id }),
        // Promoting by hand approves.
        Phase::Running | Phase::AwaitingApproval => {}
    }
    match judgement.verdict {
        Verdict::Promote => Ok(()),
        Verdict::Rollback | Verdict::Hold => Err(Refusal::NotPassing {
            waiting_helps: judgement.waiting_helps(),
            why: sentences::why(judgement),
        }),
    }
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
