//! The checklist: what the next step waits for, and what the promotion, each with how far it is.

use serde::Serialize;
use utoipa::ToSchema;

use super::condition::Condition;
use super::next::following_step;
use super::next::leads_to_all;
use super::rows::MetricRow;
use super::rows::MetricState;
use super::words::duration;
use crate::canary::policy::metric::Role;
use crate::service::serving::circuit_breaker::BreakerState;
use crate::service::status::overview::RolloutState;
use crate::service::status::overview::RolloutStatus;
use crate::service::status::overview::Status;
use crate::service::status::plan::PlanStatus;
use crate::text::lists::list;
use crate::text::numbers::grouped;

/// What a step of the rollout or its promotion waits for.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Checklist {
    /// What it is for: `For the next step, 25 %`.
    pub title: String,
    /// What has to be so.
    pub items: Vec<Check>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Check {
    /// What has to be so.
    pub text: String,
    /// Whether it is.
    pub state: CheckState,
    /// How far it is, in words: `1,204 of 1,500`.
    pub progress: Option<String>,
    /// The same as a share, at most 1.
    pub share: Option<f64>,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// It does.
    Done,
    /// Not yet.
    Open,
    /// The evidence is against it.
    Refused,
}

impl Check {
    fn new(text: impl Into<String>, state: CheckState, progress: Option<String>) -> Check {
        Check { text: text.into(), state, progress, share: None }
    }

    fn counted(text: &str, seen: u64, needed: u64) -> Check {
        let is_done = seen >= needed;
        Check {
            progress: Some(match is_done {
                true => grouped(seen),
                false => format!("{} of {}", grouped(seen), grouped(needed)),
            }),
            share: Some(if is_done { 1.0 } else { seen as f64 / needed as f64 }),
            ..Check::new(text, state(is_done), None)
        }
    }
}

fn state(is_done: bool) -> CheckState {
    if is_done { CheckState::Done } else { CheckState::Open }
}

/// The checklists of a rollout; none without one, or once it fails.
pub(super) fn checklists(
    status: &Status,
    condition: Condition,
    rows: &[MetricRow],
) -> Vec<Checklist> {
    let Some(rollout) = status.rollout.as_ref().filter(|_| condition != Condition::Harm) else {
        return Vec::new();
    };
    let Some(plan) = &rollout.plan else {
        let mut items =
            samples(status, rollout, status.health.as_ref().map_or(0, |it| it.min_samples));
        items.extend(metrics(rows));
        items.extend(breaker(status));
        return vec![Checklist { title: "For a promotion".to_owned(), items }];
    };
    let mut now = samples(status, rollout, plan.plan.min_samples);
    now.extend(time(rollout));
    let following = following_step(status, plan);
    match following.filter(|step| !leads_to_all(step)) {
        Some(step) => {
            now.push(unharmed(rows));
            let mut later: Vec<Check> = metrics(rows);
            later.push(steps(status, plan));
            later.extend(approval(status, plan));
            vec![
                Checklist { title: format!("For the next step, {}", step.weight), items: now },
                Checklist { title: "For the promotion".to_owned(), items: later },
            ]
        }
        None => {
            now.extend(metrics(rows));
            now.extend(approval(status, plan));
            vec![Checklist { title: "For the promotion".to_owned(), items: now }]
        }
    }
}

/// The requests that each version with traffic needs.
fn samples(status: &Status, rollout: &RolloutStatus, needed: u64) -> Vec<Check> {
    if !rollout.judges_requests() || needed == 0 {
        return Vec::new();
    }
    let (share, tracks) = (status.traffic_percent, &status.tracks);
    let canary = (share > 0.0)
        .then(|| Check::counted("Canary requests at this step", tracks.canary.requests, needed));
    let stable = (share < 100.0)
        .then(|| Check::counted("Stable requests at this step", tracks.stable.requests, needed));
    canary.into_iter().chain(stable).collect()
}

/// That requests reach the canary, if its circuit breaker keeps them from it.
fn breaker(status: &Status) -> Option<Check> {
    let breaker = status.breaker.as_ref()?;
    (breaker.state != BreakerState::Closed)
        .then(|| Check::new("The circuit breaker is closed", CheckState::Refused, None))
}

/// The time that the step lasts at least.
fn time(rollout: &RolloutStatus) -> Option<Check> {
    let Some(bake) = rollout.bake_seconds else {
        return Some(Check::new("A person resumes the rollout", CheckState::Open, None));
    };
    let left = rollout.remaining_bake_seconds.unwrap_or_default();
    (bake > 0.0).then(|| Check {
        progress: Some(format!("{} of {}", duration(bake - left), duration(bake))),
        share: Some(1.0 - left / bake),
        ..Check::new("Time at this step", state(left <= 0.0), None)
    })
}

/// That no guardrail fails.
fn unharmed(rows: &[MetricRow]) -> Check {
    let failing =
        rows.iter().filter(|row| row.role == Role::Guardrail && row.state == MetricState::Fail);
    let failing: Vec<String> = failing.map(|row| row.metric.clone()).collect();
    match failing.is_empty() {
        true => Check::new("No guardrail fails", CheckState::Done, None),
        false => Check::new(
            format!("No guardrail fails, but {} does", list(&failing)),
            CheckState::Refused,
            None,
        ),
    }
}

/// The guardrails that the promotion waits for: one by one, then those that it no longer waits for.
fn metrics(rows: &[MetricRow]) -> Vec<Check> {
    let required = || rows.iter().filter(|row| row.role == Role::Guardrail && row.required);
    let open = required().filter_map(|row| {
        let state = match row.state {
            MetricState::Pass | MetricState::NoHarm => return None,
            MetricState::Fail | MetricState::Shifted => CheckState::Refused,
            MetricState::Waiting | MetricState::Inconclusive | MetricState::Off => CheckState::Open,
        };
        Some(Check::new(format!("{} passes", row.metric), state, row.detail.clone()))
    });
    let in_state = |state: MetricState| -> Vec<String> {
        required().filter(|row| row.state == state).map(|row| row.metric.clone()).collect()
    };
    let passing = in_state(MetricState::Pass);
    let verb = if passing.len() == 1 { "passes" } else { "pass" };
    let passing = (!passing.is_empty()).then(|| format!("{} {verb}", list(&passing)));
    let harmless = in_state(MetricState::NoHarm);
    let harmless = (!harmless.is_empty()).then(|| format!("No harm found in {}", list(&harmless)));
    let done = passing.into_iter().chain(harmless);
    open.chain(done.map(|text| Check::new(text, CheckState::Done, None))).collect()
}

/// The steps up to the promotion.
fn steps(status: &Status, plan: &PlanStatus) -> Check {
    let later =
        plan.plan.steps.iter().filter(|step| step.weight.percent() > status.traffic_percent);
    let later: Vec<String> = later.map(|step| step.weight.to_string()).collect();
    let word = if later.len() == 1 { "The step" } else { "The steps" };
    Check::new(format!("{word} {}", list(&later)), CheckState::Open, None)
}

/// The approval of the promotion.
fn approval(status: &Status, plan: &PlanStatus) -> Option<Check> {
    let asked = status.state == RolloutState::AwaitingApproval;
    let because =
        if plan.plan.approval { None } else { Some("no answers were compared".to_owned()) };
    (asked || plan.plan.approval || plan.lacks_compared_answers)
        .then(|| Check::new("Your approval", CheckState::Open, because))
}
