//! Where is a rollout by plan, and what does it wait for?

use jiff::Timestamp;
use serde::Serialize;

use crate::canary::Rollout;
use crate::canary::policy::Mode;
use crate::canary::policy::plan::AtDeadline;
use crate::canary::policy::plan::PlannedStep;
use crate::canary::rollout::next_action::Action;
use crate::canary::rollout::next_action::reason;

/// Where a rollout by plan is.
#[derive(Clone, Debug, Serialize)]
pub struct PlanStatus {
    /// Which of the steps it is at, counted from 1.
    pub position: usize,
    /// The steps.
    pub steps: Vec<StepStatus>,
    /// When it has taken too long.
    pub deadline_at: Option<Timestamp>,
    /// What happens then.
    pub at_deadline: AtDeadline,
    /// Whether a person has to agree to the promotion.
    pub approval: bool,
    /// What it does now: `wait`, `advance`, `await_approval`, `promote`, `roll_back` or `hold`.
    pub next: &'static str,
    /// What it waits for, or why it does that.
    pub reasons: Vec<String>,
}

/// A step of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct StepStatus {
    /// The canary's share.
    pub percent: f64,
    /// The share of stable's requests that it is asked in shadow.
    pub shadow_percent: f64,
    /// How long it lasts at least; `null` until a person lets it go on.
    pub bake_seconds: Option<f64>,
}

impl PlanStatus {
    pub(crate) fn new(rollout: &Rollout, action: Action) -> Option<PlanStatus> {
        match rollout.mode() {
            Mode::Manual => return None,
            Mode::Automatic => {}
        }
        let plan = &rollout.policy.plan;
        let (next, reasons) = match action {
            Action::Wait(reasons) => ("wait", reasons),
            Action::Advance => ("advance", Vec::new()),
            Action::AwaitApproval => ("await_approval", Vec::new()),
            Action::Promote => ("promote", Vec::new()),
            Action::RollBack(reason) => ("roll_back", vec![reason]),
            Action::Hold(reason) => ("hold", vec![reason]),
            Action::HoldFor(concerns) => ("hold", vec![reason(&concerns)]),
        };
        let step = |step: &PlannedStep| StepStatus {
            percent: step.weight.percent(),
            shadow_percent: step.shadow.percent(),
            bake_seconds: step.bake.map(|bake| bake.as_secs_f64()),
        };
        Some(PlanStatus {
            position: rollout.position + 1,
            steps: plan.steps.iter().map(step).collect(),
            deadline_at: rollout.deadline_at,
            at_deadline: plan.at_deadline,
            approval: plan.approval,
            next,
            reasons,
        })
    }
}
