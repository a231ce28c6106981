//! Narrative: each journal event as one sentence, for the log, the history and notifications.

use super::event::Event;
use super::post_promotion::failing;
use crate::canary::judge::judgement::Judgement;
use crate::canary::judge::sentences;
use crate::canary::policy::Mode;
use crate::canary::traffic::weight::Weight;

/// The failed metrics of labels; without any, the reasons of the judgement.
fn failed(judgement: &Judgement) -> Vec<String> {
    let said: Vec<String> = failing(judgement).into_iter().map(|(_, sentence)| sentence).collect();
    if said.is_empty() { vec![sentences::why(judgement)] } else { said }
}

/// The shadow share, if there is one.
fn in_shadow(share: Weight) -> String {
    if share.is_zero() {
        String::new()
    } else {
        format!(" and {share} of stable's requests as shadow traffic")
    }
}

impl Event {
    /// The event in one sentence, rendered from its numbers.
    pub fn sentence(&self) -> String {
        match self {
            Event::Initialized { stable } => format!("{} is the first stable model", stable.name),
            Event::CanaryDeployed { canary, policy, reason, .. } => {
                let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                let shadow = in_shadow(policy.shadow);
                let how = match policy.mode {
                    Mode::Manual => String::new(),
                    Mode::Automatic => {
                        let steps = policy.plan.steps.iter().map(|step| step.weight.to_string());
                        format!(", plan {}", steps.collect::<Vec<_>>().join(", "))
                    }
                };
                let (name, weight) = (&canary.name, policy.weight);
                format!(
                    "{name} is deployed as canary with {weight} of the traffic{shadow}{how}{why}"
                )
            }
            Event::TrafficSet { rollout, weight, shadow, .. } => {
                let shadow = in_shadow(*shadow);
                format!("rollout {rollout}: the canary gets {weight} of the traffic{shadow}")
            }
            Event::Advanced { judgement } => {
                let inputs = &judgement.evidence.inputs;
                format!(
                    "rollout {}: step {} completed after {} canary and {} stable requests: {}",
                    judgement.rollout,
                    judgement.step,
                    inputs.canary.requests,
                    inputs.stable.requests,
                    sentences::why(judgement),
                )
            }
            Event::ApprovalAwaited { judgement } => {
                let seen = sentences::why(judgement);
                format!("rollout {} waits for approval: {seen}", judgement.rollout)
            }
            Event::Paused { rollout, reason } => {
                let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                format!("rollout {rollout} is paused{why}")
            }
            Event::Held { judgement, concerns } => {
                let reason = sentences::concerns(judgement, concerns);
                format!("rollout {} is paused until a person decides: {reason}", judgement.rollout)
            }
            Event::Resumed { rollout } => format!("rollout {rollout} is resumed"),
            Event::SlowdownSet { slowdown } if slowdown.enabled => {
                format!("a delay of {} ms is injected into the canary", slowdown.delay_ms)
            }
            Event::SlowdownSet { .. } => "the injected delay is off".to_owned(),
            Event::Injected { rollout, injection } if injection.is_none() => {
                format!("rollout {rollout}: the injected fault is removed")
            }
            Event::Injected { rollout, injection } => {
                format!("rollout {rollout}: fault injected: {}", injection.in_words())
            }
            Event::Promoted { judgement, forced, reason, by } => {
                let how = match (forced, by) {
                    (true, _) => " by override",
                    (false, Mode::Manual) => "",
                    (false, Mode::Automatic) => " by serin",
                };
                let why = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                let seen = sentences::why(judgement);
                format!("rollout {} is promoted{how}{why}: {seen}", judgement.rollout)
            }
            Event::RolledBack { rollout, reason, judgement, by, .. } => {
                let (how, judgement) = match by {
                    Mode::Manual => ("", judgement.as_ref()),
                    // The reason already states the judgement.
                    Mode::Automatic => (" by serin", None),
                };
                let seen = judgement
                    .map(|judgement| format!("; judgement: {}", sentences::why(judgement)))
                    .unwrap_or_default();
                format!("rollout {rollout} is rolled back{how} ({reason}){seen}")
            }
            Event::HarmReported { judgement } => {
                let (rollout, seen) = (judgement.rollout, failed(judgement).join("; "));
                format!("late labels show that promoted rollout {rollout} is worse: {seen}")
            }
            Event::Reverted { rollout, reason, by, .. } => {
                let how = match by {
                    Mode::Manual => "",
                    Mode::Automatic => " by serin",
                };
                format!("the promotion of rollout {rollout} is reverted{how} ({reason})")
            }
            Event::MonitoringEnded { rollout } => {
                format!("monitoring of promoted rollout {rollout} ended")
            }
        }
    }
}
