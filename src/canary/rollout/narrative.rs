//! What happened, in one sentence with the numbers: for the log and the history.

use super::event::Event;
use super::post_promotion::failing;
use crate::canary::judge::judgement::Judgement;
use crate::canary::judge::sentences;
use crate::canary::policy::Mode;
use crate::canary::traffic::weight::Weight;

/// What the metrics of labels that have failed say; if none has, the reasons.
fn failed(judgement: &Judgement) -> Vec<String> {
    let said: Vec<String> = failing(judgement).into_iter().map(|(_, sentence)| sentence).collect();
    if said.is_empty() { vec![sentences::why(judgement)] } else { said }
}

/// What is said of a shadow, if there is one.
fn in_shadow(share: Weight) -> String {
    if share.is_zero() { String::new() } else { format!(", and {share} of stable's in shadow") }
}

impl Event {
    /// What happened, for people.
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
                        format!(", by plan: {}", steps.collect::<Vec<_>>().join(", "))
                    }
                };
                let (name, weight) = (&canary.name, policy.weight);
                format!("{name} is the canary with {weight} of the traffic{shadow}{how}{why}")
            }
            Event::TrafficSet { rollout, weight, shadow, .. } => {
                let shadow = in_shadow(*shadow);
                format!("rollout {rollout}: the canary gets {weight} of the traffic{shadow}")
            }
            Event::Advanced { judgement } => {
                let inputs = &judgement.evidence.inputs;
                format!(
                    "rollout {}: step {} is over after {} requests of the canary and {} of stable: {}",
                    judgement.rollout,
                    judgement.step,
                    inputs.canary.requests,
                    inputs.stable.requests,
                    sentences::why(judgement),
                )
            }
            Event::ApprovalAwaited { judgement } => {
                let seen = sentences::why(judgement);
                format!("rollout {} waits for a person to agree: {seen}", judgement.rollout)
            }
            Event::Paused { rollout, reason } => {
                let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                format!("rollout {rollout} is paused{why}")
            }
            Event::Held { judgement, concerns } => {
                let reason = sentences::concerns(judgement, concerns);
                format!("rollout {} is held for a person to decide: {reason}", judgement.rollout)
            }
            Event::Resumed { rollout } => format!("rollout {rollout} goes on"),
            Event::SlowdownSet { slowdown } if slowdown.enabled => {
                format!("the canary is slowed down by {} ms on purpose", slowdown.delay_ms)
            }
            Event::SlowdownSet { .. } => "the canary is not slowed down".to_owned(),
            Event::Injected { rollout, injection } if injection.is_none() => {
                format!("rollout {rollout}: nothing is injected any more")
            }
            Event::Injected { rollout, injection } => {
                format!("rollout {rollout}: injected on purpose: {}", injection.in_words())
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
                    // Its reason is what was judged.
                    Mode::Automatic => (" by serin", None),
                };
                let seen = judgement
                    .map(|judgement| format!("; the judgement was: {}", sentences::why(judgement)))
                    .unwrap_or_default();
                format!("rollout {rollout} is rolled back{how} ({reason}){seen}")
            }
            Event::HarmReported { judgement } => {
                let (rollout, seen) = (judgement.rollout, failed(judgement).join("; "));
                format!(
                    "rollout {rollout}, which was promoted, does harm as late labels show: {seen}"
                )
            }
            Event::Reverted { rollout, reason, by, .. } => {
                let how = match by {
                    Mode::Manual => "",
                    Mode::Automatic => " by serin",
                };
                format!("the promotion of rollout {rollout} is reverted{how} ({reason})")
            }
            Event::MonitoringEnded { rollout } => {
                format!("the watch over the promotion of rollout {rollout} is over")
            }
        }
    }
}
