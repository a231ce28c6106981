//! The plan of a rollout: its position, its next action, and what it waits for.

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::report::words::duration;
use crate::canary::Judgement;
use crate::canary::Rollout;
use crate::canary::judge::sentences;
use crate::canary::policy::Mode;
use crate::canary::policy::plan::AtDeadline;
use crate::canary::policy::plan::PlannedStep;
use crate::canary::rollout::next_action::Action;

/// The plan of a rollout.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanStatus {
    /// The current step, counted from 1.
    pub position: usize,
    /// The steps.
    pub steps: Vec<StepStatus>,
    /// The deadline of the whole rollout.
    pub deadline_at: Option<Timestamp>,
    /// Requests that each track needs at each step.
    pub min_samples: u64,
    /// When the warm-up ends, before which nothing is judged.
    pub warm_up_until: Timestamp,
    /// What happens at the deadline.
    pub at_deadline: AtDeadline,
    /// Whether the promotion needs approval.
    pub approval: bool,
    /// What it does now.
    pub next: NextAction,
    /// What it waits for, or why it does that.
    pub reasons: Vec<String>,
}

/// What a plan does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NextAction {
    /// Waits.
    Wait,
    /// Takes the next step.
    Advance,
    /// Asks for approval.
    AwaitApproval,
    /// Promotes the canary.
    Promote,
    /// Rolls the canary back.
    RollBack,
    /// Leaves the decision to a person.
    Hold,
}

/// A step of a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepStatus {
    /// The canary's share of traffic.
    pub percent: f64,
    /// The share of stable's requests that it answers in shadow.
    pub shadow_percent: f64,
    /// Its minimum duration; `null` if it lasts until a person resumes the rollout.
    pub bake_seconds: Option<f64>,
}

impl PlanStatus {
    /// The plan of this rollout and its next action; `None` if a person decides.
    pub(crate) fn new(
        rollout: &Rollout,
        judgement: &Judgement,
        action: &Action,
    ) -> Option<PlanStatus> {
        match rollout.mode() {
            Mode::Manual => return None,
            Mode::Automatic => {}
        }
        let plan = &rollout.policy.plan;
        let (next, reasons) = match action {
            Action::Wait(reasons) => (NextAction::Wait, reasons.clone()),
            Action::Advance => (NextAction::Advance, Vec::new()),
            Action::AwaitApproval => (NextAction::AwaitApproval, Vec::new()),
            Action::Promote => (NextAction::Promote, Vec::new()),
            Action::RollBack(cause) => {
                (NextAction::RollBack, vec![cause.sentence(Some(judgement))])
            }
            Action::Hold(cause) => (NextAction::Hold, vec![cause.sentence(Some(judgement))]),
            Action::HoldFor(concerns) => {
                (NextAction::Hold, vec![sentences::concerns(judgement, concerns)])
            }
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
            min_samples: plan.min_samples,
            warm_up_until: rollout.warm_until(),
            at_deadline: plan.at_deadline,
            approval: plan.approval,
            next,
            reasons,
        })
    }

    /// `1 % for 10 min, [5 %] for 10 min, 50 % until resumed`; the current step in brackets.
    pub fn steps_in_words(&self) -> String {
        let step = |(place, step): (usize, &StepStatus)| {
            let share = match step.shadow_percent > 0.0 {
                true => format!("{} % (shadow {} %)", step.percent, step.shadow_percent),
                false => format!("{} %", step.percent),
            };
            let share = if place == self.position { format!("[{share}]") } else { share };
            match step.bake_seconds {
                Some(seconds) => format!("{share} for {}", duration(seconds)),
                None => format!("{share} until resumed"),
            }
        };
        (1..).zip(&self.steps).map(step).collect::<Vec<_>>().join(", ")
    }
}
