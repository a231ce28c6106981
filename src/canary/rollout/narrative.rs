//! Narrative: each journal event as one sentence, for the log, the history and notifications.

use std::fmt;

use super::cause::Cause;
use super::cause::Missing;
use super::cause::TripReason;
use super::event::Event;
use super::post_promotion::failing;
use super::state::FeatureChange;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::judgement::Judgement;
use crate::canary::judge::sentences;
use crate::canary::judge::verdict::MetricEvidence;
use crate::canary::policy::Mode;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::plan::WINDOW;
use crate::canary::traffic::weight::Weight;
use crate::text::durations::duration;
use crate::text::durations::words;
use crate::text::lists::listed;
use crate::text::numbers::count;
use crate::text::numbers::grouped;

/// The failed metrics of labels that are meant; without any, the reasons of the judgement.
fn failed(judgement: &Judgement, is_meant: impl Fn(&MetricName) -> bool) -> String {
    let meant = failing(judgement).into_iter().filter(|(metric, _)| is_meant(&metric.name));
    let failed: Vec<String> =
        meant.map(|(metric, evidence)| sentences::metric(metric, evidence)).collect();
    if failed.is_empty() { sentences::why(judgement) } else { failed.join("; ") }
}

impl Cause {
    /// The cause in words, with the numbers of the judgement that the event carries.
    pub fn sentence(&self, judgement: Option<&Judgement>) -> String {
        match self {
            Cause::Person(reason) => reason.clone().unwrap_or_else(|| "by hand".to_owned()),
            Cause::Trigger(reason) => reason.to_string(),
            Cause::LatencyCeiling { p99_seconds, ceiling } => format!(
                "the canary's p99 latency is {}, above the ceiling of {}",
                duration(*p99_seconds),
                words(*ceiling),
            ),
            Cause::Harm => judgement.map_or_else(|| "harm was found".to_owned(), sentences::why),
            Cause::LateHarm(metrics) => {
                let seen = judgement
                    .map(|judgement| failed(judgement, |metric| metrics.contains(metric)))
                    .map(|failed| format!(": {failed}"));
                format!("late labels show harm{}", seen.unwrap_or_default())
            }
            Cause::Deadline { missing, limit, is_forgotten } => {
                let missing = match missing {
                    Missing::Approval => "no approval",
                    Missing::Verdict => "no verdict",
                };
                let again = match is_forgotten {
                    true => ", and no decision within the same time again",
                    false => "",
                };
                format!("{missing} within {}{again}", words(*limit))
            }
            Cause::ArtifactLost => {
                "the canary's artifact is neither in the store nor, unchanged, in the models folder, or cannot run there"
                    .to_owned()
            }
        }
    }
}

impl fmt::Display for TripReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            TripReason::Failures { failed, in_a_row } => write!(
                f,
                "a trigger fired: {failed} of the canary's last {WINDOW} requests failed, the newest \
                 {in_a_row} of them in a row",
            ),
            TripReason::SlowAnswers { slow, ceiling } => write!(
                f,
                "a trigger fired: {slow} of the canary's last {WINDOW} answers took longer than {}, the \
                 ceiling of its p99 latency",
                words(ceiling),
            ),
        }
    }
}

/// The shadow share, if there is one.
fn in_shadow(share: Weight) -> String {
    if share.is_zero() {
        String::new()
    } else {
        format!(" and {share} of stable's requests as shadow traffic")
    }
}

/// The features in which a canary differs, if there are any.
fn in_words(change: &FeatureChange) -> String {
    let listed = |names: &[String]| listed(names.iter().map(String::as_str));
    let FeatureChange { added, dropped } = change;
    match (added.is_empty(), dropped.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!("; it also takes {}", listed(added)),
        (true, false) => format!("; it ignores {}", listed(dropped)),
        (false, false) => {
            format!("; it also takes {}, and ignores {}", listed(added), listed(dropped))
        }
    }
}

impl Event {
    /// The event in one sentence, rendered from its numbers.
    pub fn sentence(&self) -> String {
        match self {
            Event::Initialized { stable } => format!("{} is the first stable model", stable.name),
            Event::CanaryDeployed { canary, policy, reason, features, library, .. } => {
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
                let features = in_words(features);
                let library = library.as_ref().map(|library| format!("; {library} computes it"));
                let library = library.unwrap_or_default();
                format!(
                    "{name} is deployed as canary with {weight} of the traffic{shadow}{how}{features}{library}{why}"
                )
            }
            Event::TrafficSet { rollout, weight, shadow, .. } => {
                let shadow = in_shadow(*shadow);
                format!("rollout {rollout}: the canary gets {weight} of the traffic{shadow}")
            }
            Event::Advanced { judgement } => {
                let inputs = &judgement.evidence.inputs;
                let sequential =
                    judgement.sequential.as_ref().filter(|_| inputs.canary.requests == 0);
                if let Some(unfinished) = sequential.and_then(unfinished_shadow) {
                    let Judgement { rollout, step, .. } = &**judgement;
                    return format!("rollout {rollout}: step {step} ended with {unfinished}");
                }
                format!(
                    "rollout {}: step {} completed after {} canary and {} stable requests: {}",
                    judgement.rollout,
                    judgement.step,
                    grouped(inputs.canary.requests),
                    grouped(inputs.stable.requests),
                    sentences::why(judgement),
                )
            }
            Event::ApprovalAwaited { judgement } => {
                let seen = sentences::why_to_promote(judgement);
                format!("rollout {} waits for approval: {seen}", judgement.rollout)
            }
            Event::Paused { rollout, cause: Cause::Person(None) } => {
                format!("rollout {rollout} is paused")
            }
            Event::Paused { rollout, cause } => {
                format!("rollout {rollout} is paused: {}", cause.sentence(None))
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
                let seen = sentences::why_to_promote(judgement);
                format!("rollout {} is promoted{how}{why}: {seen}", judgement.rollout)
            }
            Event::RolledBack { rollout, cause, judgement, by, .. } => {
                let reason = cause.sentence(judgement.as_deref());
                let (how, judgement) = match by {
                    Mode::Manual => ("", judgement.as_ref()),
                    // The cause already states the judgement.
                    Mode::Automatic => (" by serin", None),
                };
                let seen = judgement
                    .map(|judgement| format!("; judgement: {}", sentences::why(judgement)))
                    .unwrap_or_default();
                if let Cause::Deadline { .. } = cause {
                    return format!("rollout {rollout} ended without a verdict ({reason}){seen}");
                }
                format!("rollout {rollout} is rolled back{how} ({reason}){seen}")
            }
            Event::HarmReported { judgement } => {
                let (rollout, seen) = (judgement.rollout, failed(judgement, |_| true));
                format!("late labels show that promoted rollout {rollout} is worse: {seen}")
            }
            Event::Reverted { rollout, cause, judgement, by } => {
                let reason = cause.sentence(judgement.as_deref());
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
/// What a shadow that ended before its guardrails had passed had found; `None` if they had passed.
fn unfinished_shadow(sequential: &SequentialEvidence) -> Option<String> {
    let open: Vec<(&Metric, &MetricEvidence)> = sequential.open_in_shadow().collect();
    let pairs = open.iter().map(|(_, one)| one.samples.canary).max()?;
    if !sequential.has_compared_pairs() {
        return Some(format!(
            "{}, too few to compare; pairs were not checked",
            count(pairs, "pair")
        ));
    }
    let names: Vec<&str> = open.iter().map(|(metric, _)| metric.name.as_str()).collect();
    let (pairs, names) = (count(pairs, "pair"), names.join(", "));
    Some(format!("{pairs}, without harm and without proof in {names}"))
}
