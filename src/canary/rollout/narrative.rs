//! What happened, in one sentence with the numbers: for the log and the history.

use super::event::Event;
use super::post_promotion::failing;
use crate::canary::judge::judgement::Judgement;
use crate::canary::policy::Mode;
use crate::canary::traffic::weight::Weight;

/// A duration as people say it: three significant digits and the unit that suits them.
///
/// ```
/// use serin::canary::rollout::narrative::duration;
/// assert_eq!(duration(0.013_048), "13.0 ms");
/// assert_eq!(duration(-2.47e-7), "-247 ns");
/// ```
pub fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds.abs() {
        s if s >= 0.9995 => (seconds, "s"),
        s if s >= 0.999_5e-3 => (seconds * 1e3, "ms"),
        s if s >= 0.999_5e-6 => (seconds * 1e6, "µs"),
        _ => (seconds * 1e9, "ns"),
    };
    let decimals = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    if value == 0.0 { "0 ns".to_owned() } else { format!("{value:.decimals$} {unit}") }
}

/// A probability as people read it.
pub fn probability(p: f64) -> String {
    if p == 0.0 {
        "< 1e-300".to_owned()
    } else if p < 0.0001 {
        format!("{p:.1e}")
    } else {
        format!("{p:.4}")
    }
}

/// A number of any unit as people read it: six significant digits.
///
/// ```
/// use serin::canary::rollout::narrative::number;
/// assert_eq!(number(0.866_666_67), "0.866667");
/// assert_eq!(number(12.5), "12.5");
/// assert_eq!(number(-2.0e9), "-2.000e9");
/// ```
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let digits_before = magnitude.max(1e-4).log10().floor();
    let text = format!("{value:.*}", (5.0 - digits_before) as usize);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// What the metrics of labels that have failed say; if none has, the reasons.
fn failed(judgement: &Judgement) -> Vec<String> {
    let said: Vec<String> = failing(judgement).into_iter().map(|(_, sentence)| sentence).collect();
    if said.is_empty() { judgement.reasons.clone() } else { said }
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
                    judgement.reasons.join("; "),
                )
            }
            Event::ApprovalAwaited { judgement } => {
                let seen = judgement.reasons.join("; ");
                format!("rollout {} waits for a person to agree: {seen}", judgement.rollout)
            }
            Event::Paused { rollout, reason } => {
                let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                format!("rollout {rollout} is paused{why}")
            }
            Event::Held { judgement, reason, .. } => {
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
                let seen = judgement.reasons.join("; ");
                format!("rollout {} is promoted{how}{why}: {seen}", judgement.rollout)
            }
            Event::RolledBack { rollout, reason, judgement, by, .. } => {
                let (how, judgement) = match by {
                    Mode::Manual => ("", judgement.as_ref()),
                    // Its reason is what was judged.
                    Mode::Automatic => (" by serin", None),
                };
                let seen = judgement
                    .map(|judgement| {
                        format!("; the judgement was: {}", judgement.reasons.join("; "))
                    })
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
