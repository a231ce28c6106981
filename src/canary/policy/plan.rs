//! What does a rollout do by itself, and when? Its steps, what each waits for, and what ends it.
//!
//! ```text
//! each look    a trigger fired, or harm is shown           roll back, quarantine
//!              the deadline has passed                     hold, or roll back; what is held and forgotten
//!                                                          is rolled back after as long again
//!              a person should look at something           hold, until resumed
//!              the step is not over                        wait, and say for what
//!              the step is over, there is another          advance
//!              the last step is over, all is proven        promote, after a person's approval if the plan
//!                                                          asks for one
//! ```
//!
//! A step is over when its bake is, each track has enough samples *of this step*, no metric that acts
//! has failed, and a person has agreed where the plan waits for one. Too little data is neither good nor
//! bad: it waits, and the deadline ends it. [`next`] decides and does nothing.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::canary::judge::evidence::Concern;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::evidence::brief;
use crate::canary::judge::judgement::Judgement;
use crate::canary::judge::judgement::Verdict;
use crate::canary::rollout::state::Phase;
use crate::canary::rollout::state::Rollout;
use crate::canary::traffic::weight::Weight;

/// What a rollout does by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The canary's shares, in order; never empty, and they rise. Only the first may be 0, and then it
    /// shadows.
    pub steps: Vec<PlannedStep>,
    /// What is observed for so long after the deployment enters no judgement: caches fill.
    pub warm_up: Duration,
    /// Samples that each track needs at each step before the next. A track whose share is 0 % or whose
    /// partner's is 100 % needs none.
    pub min_samples: u64,
    /// How often the evidence is looked at.
    pub look: Duration,
    /// How long the whole may take.
    pub deadline: Duration,
    /// What happens then.
    pub at_deadline: AtDeadline,
    /// Whether a person has to agree before the promotion.
    pub approval: bool,
    /// How long after a rollback by serin the next rollout by plan may begin.
    pub cool_down: Duration,
    /// What takes the canary back at once, between two looks.
    pub triggers: Triggers,
}

/// One share and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedStep {
    /// The canary's share.
    pub weight: Weight,
    /// The share of stable's requests that the canary is asked in shadow.
    #[serde(default, skip_serializing_if = "Weight::is_zero")]
    pub shadow: Weight,
    /// How long it lasts at least; `None` until a person resumes the rollout.
    pub bake: Option<Duration>,
}

/// What becomes of a rollout that takes too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtDeadline {
    /// It is paused, and a person decides; if none does within as long again, it is rolled back.
    Hold,
    /// It is rolled back.
    #[default]
    RollBack,
}

/// What takes the canary back without waiting for a look. Absolute, so that nothing need be known of
/// stable; harm that is less drastic is for the judge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Triggers {
    /// So many failures of the canary's in a row; 0 turns it off.
    pub consecutive_failures: u32,
    /// So many failures among the canary's last [`WINDOW`] requests; 0 turns it off.
    pub failures_in_window: u32,
    /// A p99 latency of the canary's above this, from [`FEWEST_FOR_P99`] samples of the step on, checked at
    /// each look; and [`MAX_ABOVE_CEILING`] of its last [`WINDOW`] answers above this, between two looks.
    pub p99_ceiling: Option<Duration>,
}

/// How many of the canary's last requests the trigger looks back on.
pub const WINDOW: u32 = 64;

/// So many of the canary's last [`WINDOW`] answers above the ceiling of its p99 take it back. If exactly 1 % of
/// them are, each on its own, 64 have 8 or more with a chance of 2.7e-7.
pub const MAX_ABOVE_CEILING: u32 = 8;

/// A p99 of fewer samples is their largest.
pub const FEWEST_FOR_P99: u64 = 200;

/// The longest plan: nobody watches more steps, and a typing error shows.
pub const MAX_STEPS: usize = 50;

impl Default for Triggers {
    fn default() -> Triggers {
        Triggers { consecutive_failures: 10, failures_in_window: WINDOW / 2, p99_ceiling: None }
    }
}

/// Plans that have a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// 1, 5, 10, 25, 50 % over seven hours, and a person agrees to the promotion.
    Careful,
    /// 1, 5, 25, 50 % over an hour.
    #[default]
    Standard,
    /// 10, 50 % over ten minutes.
    Fast,
}

impl Template {
    /// All of them, in the order of their care.
    pub const ALL: [Template; 3] = [Template::Careful, Template::Standard, Template::Fast];

    /// The word in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Template::Careful => "careful",
            Template::Standard => "standard",
            Template::Fast => "fast",
        }
    }

    /// The plan it stands for.
    pub fn plan(self) -> Plan {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let steps = |steps: &[(u16, u64)]| -> Vec<PlannedStep> {
            let step = |&(percent, bake): &(u16, u64)| {
                let weight = Weight::from_basis_points(100 * percent)?;
                Some(PlannedStep { weight, shadow: Weight::ZERO, bake: Some(minutes(bake)) })
            };
            steps.iter().filter_map(step).collect()
        };
        let standard = Plan {
            steps: steps(&[(1, 10), (5, 10), (25, 20), (50, 20)]),
            warm_up: Duration::from_secs(5),
            min_samples: 100,
            look: Duration::from_secs(1),
            deadline: minutes(24 * 60),
            at_deadline: AtDeadline::RollBack,
            approval: false,
            cool_down: minutes(10),
            triggers: Triggers::default(),
        };
        match self {
            Template::Standard => standard,
            Template::Careful => Plan {
                steps: steps(&[(1, 60), (5, 60), (10, 60), (25, 120), (50, 120)]),
                min_samples: 1000,
                deadline: minutes(72 * 60),
                approval: true,
                cool_down: minutes(60),
                ..standard
            },
            Template::Fast => Plan {
                steps: steps(&[(10, 5), (50, 5)]),
                min_samples: 50,
                deadline: minutes(60),
                cool_down: minutes(1),
                ..standard
            },
        }
    }
}

impl Default for Plan {
    fn default() -> Plan {
        Template::default().plan()
    }
}

/// What a rollout does now.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Nothing, for these reasons.
    Wait(Vec<String>),
    /// The next step.
    Advance,
    /// Ask a person.
    AwaitApproval,
    /// Make the canary stable.
    Promote,
    /// Take it back: why.
    RollBack(String),
    /// Leave it to a person: why.
    Hold(String),
    /// Show a person these: harm in a segment, requests that were lost.
    HoldFor(Vec<Concern>),
}

/// What the judge does not say but the plan wants to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// Why a trigger has fired, if one has.
    pub tripped: Option<String>,
    /// The canary's p99 latency at this step, in seconds, if there are enough samples.
    pub canary_p99_seconds: Option<f64>,
    /// Requests that the canary was asked in shadow at this step.
    pub shadowed: u64,
}

/// What a rollout by plan does now. The judgement is of the step under way.
pub fn next(
    rollout: &Rollout,
    judgement: &Judgement,
    observed: &Observation,
    now: Timestamp,
) -> Action {
    let plan = &rollout.policy.plan;
    if let Some(reason) = drastic(plan, observed) {
        return Action::RollBack(reason);
    }
    if judgement.verdict == Verdict::Rollback {
        return Action::RollBack(judgement.reasons.join("; "));
    }
    if let Some(action) = overdue(rollout, now) {
        return action;
    }
    match rollout.phase {
        Phase::Paused => return Action::Wait(vec![paused(rollout)]),
        // Whatever is new, whoever is about to agree should see it.
        Phase::AwaitingApproval if !new_concerns(rollout, judgement).is_empty() => {
            return Action::HoldFor(new_concerns(rollout, judgement));
        }
        Phase::AwaitingApproval => {
            return Action::Wait(vec!["waiting for a person; resume it to go on".to_owned()]);
        }
        Phase::Running => {}
    }
    let concerns = new_concerns(rollout, judgement);
    if !concerns.is_empty() {
        return Action::HoldFor(concerns);
    }
    let mut missing = step_lacks(rollout, judgement, observed, now);
    let following = rollout.following_step().map(|(_, step)| step);
    // At 100 % there is no stable to compare with: all must be proven before.
    let must_be_proven = following.is_none_or(|step| step.weight.basis_points() == Weight::WHOLE);
    if must_be_proven && judgement.verdict != Verdict::Promote {
        missing.extend(judgement.reasons.iter().cloned());
    }
    if !missing.is_empty() {
        return Action::Wait(missing);
    }
    let needs_a_person = rollout.bake().is_none() || (following.is_none() && plan.approval);
    match following {
        _ if needs_a_person && !rollout.approved => Action::AwaitApproval,
        Some(_) => Action::Advance,
        None => Action::Promote,
    }
}

/// What becomes of a rollout that takes too long. Nothing lasts for ever: what is held and forgotten goes.
fn overdue(rollout: &Rollout, now: Timestamp) -> Option<Action> {
    let plan = &rollout.policy.plan;
    let deadline = rollout.deadline_at.filter(|deadline| now >= *deadline)?;
    let lacking = match rollout.phase {
        Phase::AwaitingApproval => "nobody agreed to go on",
        Phase::Running | Phase::Paused => "no verdict",
    };
    let reason = format!("{lacking} within {}", words(plan.deadline));
    let is_forgotten = deadline.saturating_add(plan.deadline).is_ok_and(|end| now >= end);
    match (plan.at_deadline, rollout.phase) {
        (AtDeadline::RollBack, _) => Some(Action::RollBack(reason)),
        (AtDeadline::Hold, _) if is_forgotten => {
            let reason = format!("{reason}, and nobody decided within as long again");
            Some(Action::RollBack(reason))
        }
        (AtDeadline::Hold, Phase::Running | Phase::AwaitingApproval) => Some(Action::Hold(reason)),
        (AtDeadline::Hold, Phase::Paused) => None,
    }
}

/// What becomes of a pause.
fn paused(rollout: &Rollout) -> String {
    let plan = &rollout.policy.plan;
    let hold = match plan.at_deadline {
        AtDeadline::Hold => plan.deadline,
        AtDeadline::RollBack => Duration::ZERO,
    };
    let end = rollout.deadline_at.and_then(|deadline| deadline.saturating_add(hold).ok());
    let end = end.map_or_else(String::new, |end| format!(" before {end:.0}, or it is rolled back"));
    format!("paused; resume it to go on{end}")
}

/// Why it is held, in a sentence.
pub fn reason(concerns: &[Concern]) -> String {
    brief(concerns.iter().map(|one| one.sentence.clone())).join("; ")
}

/// What a person should look at and has not been shown.
fn new_concerns(rollout: &Rollout, judgement: &Judgement) -> Vec<Concern> {
    let concerns = judgement.watch.iter().flat_map(SequentialEvidence::concerns);
    concerns.filter(|one| !rollout.concerns.contains(&one.name)).collect()
}

fn drastic(plan: &Plan, observed: &Observation) -> Option<String> {
    if let Some(tripped) = &observed.tripped {
        return Some(tripped.clone());
    }
    let (ceiling, p99) = (plan.triggers.p99_ceiling?, observed.canary_p99_seconds?);
    (p99 > ceiling.as_secs_f64()).then(|| {
        format!(
            "the canary's p99 latency is {}, above the ceiling of {}",
            crate::canary::rollout::narrative::duration(p99),
            words(ceiling),
        )
    })
}

/// What this step still waits for.
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
        missing.push(format!("the warm-up lasts {} more, and nothing is judged", words(left)));
    }
    if rollout.weight().is_zero() && rollout.shadow().is_zero() {
        missing.push("the canary has neither users nor a shadow; give it traffic".to_owned());
    }
    if let Some(left) = rollout.bake().map(|bake| bake.saturating_sub(rollout.elapsed(now)))
        && !left.is_zero()
    {
        missing.push(format!("the step bakes {} more", words(left)));
    }
    let inputs = &judgement.evidence.inputs;
    let weight = rollout.weight();
    let tracks = [
        ("canary", inputs.canary.requests, weight == Weight::ZERO),
        ("stable", inputs.stable.requests, weight.basis_points() == Weight::WHOLE),
    ];
    for (track, seen, is_idle) in tracks {
        if !is_idle && seen < plan.min_samples {
            missing.push(format!(
                "{track} has {seen} of the {} samples this step needs",
                plan.min_samples
            ));
        }
    }
    let shadows = !rollout.shadow().is_zero();
    if shadows && observed.shadowed < plan.min_samples {
        missing.push(format!(
            "the canary was asked {} of the {} requests in shadow that this step needs",
            observed.shadowed, plan.min_samples
        ));
    }
    if let Some(watch) = &judgement.watch {
        if weight.is_zero() {
            // Nothing is recorded of a canary that answers nobody.
            missing.extend(watch.harms());
        } else {
            // What a person should look at, one has: the ramp goes on, and the promotion takes force.
            missing.extend(watch.metric_objections());
        }
        if shadows {
            missing.extend(watch.not_passed_in_shadow());
        }
    } else if shadows || !weight.is_certain() {
        missing.push("nothing is judged; the evidence is missing".to_owned());
    }
    missing
}

/// A duration in the words of the configuration, to the second where it is longer than one.
pub(crate) fn words(duration: Duration) -> String {
    let duration = if duration.as_secs() >= 1 && duration.subsec_nanos() > 0 {
        Duration::from_secs(duration.as_secs() + 1)
    } else {
        duration
    };
    jiff::SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{duration:?}"), |signed| format!("{signed:#}"))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
