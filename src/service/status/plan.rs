//! The plan of a rollout: its position, its next action, and what it waits for.

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::report::words::duration;
use crate::canary::Judgement;
use crate::canary::Rollout;
use crate::canary::judge::sentences;
use crate::canary::policy::Mode;
use crate::canary::policy::plan::Plan;
use crate::canary::policy::plan::PlannedStep;
use crate::canary::rollout::next_action::Action;
use crate::canary::rollout::next_action::lacks_compared_answers;

/// The plan of a rollout.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlanStatus {
    /// The plan as it was deployed.
    #[serde(flatten)]
    pub plan: Plan,
    /// The current step, counted from 1.
    pub position: usize,
    /// The deadline of the whole rollout.
    pub deadline_at: Option<Timestamp>,
    /// When the warm-up ends, before which nothing is judged.
    pub warm_up_until: Timestamp,
    /// Whether no answer was compared with stable's or with a label, so that the promotion needs approval even if the
    /// plan asks for none.
    #[serde(default)]
    pub lacks_compared_answers: bool,
    /// In the answer to a deployment: how long it takes at the traffic before it; left out if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<PlanTime>,
    /// What it does now.
    pub next: NextAction,
    /// What it waits for, or why it does that.
    pub reasons: Vec<String>,
}

/// How long a plan takes at some traffic.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanTime {
    /// Requests a second.
    pub requests_per_second: f64,
    /// The least time: the warm-up, and of each step the bake or the time in which both versions get their samples.
    pub at_least_seconds: f64,
}

/// What a plan does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
        Some(PlanStatus {
            plan: rollout.policy.plan.clone(),
            position: rollout.position + 1,
            deadline_at: rollout.deadline_at,
            warm_up_until: rollout.warm_until(),
            lacks_compared_answers: lacks_compared_answers(rollout, judgement),
            time: None,
            next,
            reasons,
        })
    }

    /// `1 % for 10 min, [5 %] for 10 min, 50 % until resumed`; the current step in brackets.
    pub fn steps_in_words(&self) -> String {
        let step = |(place, step): (usize, &PlannedStep)| {
            let share = match step.shadow.is_zero() {
                true => step.weight.to_string(),
                false => format!("{} (shadow {})", step.weight, step.shadow),
            };
            let share = if place == self.position { format!("[{share}]") } else { share };
            match step.bake {
                _ if let Some(most) = step.at_most => {
                    format!("{share} until enough pairs, at most {}", duration(most.as_secs_f64()))
                }
                Some(bake) => format!("{share} for {}", duration(bake.as_secs_f64())),
                None => format!("{share} until resumed"),
            }
        };
        (1..).zip(&self.plan.steps).map(step).collect::<Vec<_>>().join(", ")
    }
}
