//! Journal events and their properties.
//!
//! To add an event: a variant and its row in `Event::properties` here, its transition in `apply`, its
//! sentence in `narrative`, and cases in `testdata`.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::cause::Cause;
use super::state::FeatureChange;
use super::state::Slowdown;
use super::state::Version;
use crate::canary::judge::judgement::Judgement;
use crate::canary::judge::verdict::Concern;
use crate::canary::policy::Mode;
use crate::canary::policy::Policy;
use crate::canary::policy::fault::Injection;
use crate::canary::traffic::weight::Weight;

/// A journal event. Past tense: it was decided, and [`apply`](super::apply::apply) says what it changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// serin started for the first time, with this stable version.
    Initialized {
        /// The stable version.
        stable: Version,
    },
    /// A canary was deployed; a rollout began.
    CanaryDeployed {
        /// The canary version.
        canary: Version,
        /// Its policy.
        policy: Box<Policy>,
        /// The salt of its traffic split.
        #[serde(with = "super::salt")]
        #[schema(value_type = String)]
        salt: u128,
        /// The reason, if one was given.
        reason: Option<String>,
        /// Whether a quarantine was overridden. An override needs a reason.
        override_quarantine: bool,
        /// The features in which it differs from stable.
        #[serde(default, skip_serializing_if = "FeatureChange::is_none")]
        features: FeatureChange,
        /// The library that computes it, such as `ONNX Runtime 1.32.0`; none if serin does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        library: Option<String>,
    },
    /// A person changed the canary's share of traffic.
    TrafficSet {
        /// The rollout.
        rollout: u64,
        /// The new share.
        weight: Weight,
        /// The share of stable's requests that the canary gets as shadow traffic.
        shadow: Weight,
        /// The judgement at the old share.
        judgement: Box<Judgement>,
    },
    /// A rollout by plan moved to its next step.
    Advanced {
        /// The judgement of the completed step.
        judgement: Box<Judgement>,
    },
    /// A rollout by plan waits for approval.
    ApprovalAwaited {
        /// The judgement at that time.
        judgement: Box<Judgement>,
    },
    /// The rollout was paused, by a person or at its deadline.
    Paused {
        /// The rollout.
        rollout: u64,
        /// Why it was paused.
        cause: Cause,
    },
    /// serin paused a rollout by plan because of new concerns; a person decides.
    Held {
        /// The judgement at that time.
        judgement: Box<Judgement>,
        /// The concerns. After the rollout is resumed, these do not pause it again.
        concerns: Vec<Concern>,
    },
    /// The rollout was resumed, or its step was approved.
    Resumed {
        /// The rollout.
        rollout: u64,
    },
    /// The injected delay was switched on or off.
    SlowdownSet {
        /// The new setting.
        slowdown: Slowdown,
    },
    /// A fault was injected into the canary, or removed.
    Injected {
        /// The rollout.
        rollout: u64,
        /// The fault.
        injection: Injection,
    },
    /// The canary became stable.
    Promoted {
        /// The judgement it rests on.
        judgement: Box<Judgement>,
        /// Whether a person overrode the judgement. An override needs a reason.
        forced: bool,
        /// The reason, if one was given.
        reason: Option<String>,
        /// Who decided.
        by: Mode,
    },
    /// The canary was rolled back.
    RolledBack {
        /// The rollout.
        rollout: u64,
        /// The cause.
        cause: Cause,
        /// Whether its artifact is quarantined: deployed again only by override.
        quarantine: bool,
        /// The judgement at that time, if there was one.
        judgement: Option<Box<Judgement>>,
        /// Who decided.
        by: Mode,
    },
    /// Late labels show that the promoted version is worse.
    HarmReported {
        /// The judgement of the labels.
        judgement: Box<Judgement>,
    },
    /// The newest promotion was undone: the previous version is stable again.
    Reverted {
        /// The promoted rollout.
        rollout: u64,
        /// The cause.
        cause: Cause,
        /// The judgement of the labels.
        judgement: Option<Box<Judgement>>,
        /// Who decided.
        by: Mode,
    },
    /// Post-promotion monitoring ended without a revert.
    MonitoringEnded {
        /// The promoted rollout.
        rollout: u64,
    },
}

/// What the rest of serin needs to know of an event, whatever its fields.
struct Properties<'a> {
    name: &'static str,
    rollout: Option<u64>,
    judgement: Option<&'a Judgement>,
    evidence: EvidenceBefore,
}

/// Whether the evidence so far must be saved before an event is written, so that the verdict can be
/// recomputed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceBefore {
    /// The event rests on no evidence.
    NotNeeded,
    /// The event fails if the evidence cannot be saved: it can wait until the disk works again.
    Required,
    /// serin tries to save it, but the event happens in any case.
    BestEffort,
}

impl Event {
    /// The names of all events, in the order of the variants.
    pub const NAMES: [&'static str; 15] = [
        "initialized",
        "canary_deployed",
        "traffic_set",
        "advanced",
        "approval_awaited",
        "paused",
        "held",
        "resumed",
        "slowdown_set",
        "injected",
        "promoted",
        "rolled_back",
        "harm_reported",
        "reverted",
        "monitoring_ended",
    ];

    fn properties(&self) -> Properties<'_> {
        use EvidenceBefore::BestEffort;
        use EvidenceBefore::NotNeeded;
        use EvidenceBefore::Required;
        let (name, rollout, judgement, evidence) = match self {
            Event::Initialized { .. } => ("initialized", None, None, NotNeeded),
            Event::CanaryDeployed { .. } => ("canary_deployed", None, None, NotNeeded),
            Event::TrafficSet { rollout, judgement, .. } => {
                ("traffic_set", Some(*rollout), Some(&**judgement), Required)
            }
            Event::Advanced { judgement } => judged("advanced", judgement),
            Event::ApprovalAwaited { judgement } => judged("approval_awaited", judgement),
            Event::Paused { rollout, .. } => ("paused", Some(*rollout), None, NotNeeded),
            Event::Held { judgement, .. } => judged("held", judgement),
            Event::Resumed { rollout } => ("resumed", Some(*rollout), None, NotNeeded),
            Event::SlowdownSet { .. } => ("slowdown_set", None, None, NotNeeded),
            Event::Injected { rollout, .. } => ("injected", Some(*rollout), None, NotNeeded),
            Event::Promoted { judgement, .. } => judged("promoted", judgement),
            Event::RolledBack { rollout, judgement, .. } => {
                ("rolled_back", Some(*rollout), judgement.as_deref(), BestEffort)
            }
            Event::HarmReported { judgement } => judged("harm_reported", judgement),
            Event::Reverted { rollout, judgement, .. } => {
                ("reverted", Some(*rollout), judgement.as_deref(), BestEffort)
            }
            Event::MonitoringEnded { rollout } => {
                ("monitoring_ended", Some(*rollout), None, BestEffort)
            }
        };
        Properties { name, rollout, judgement, evidence }
    }

    /// The event's name, as the journal writes it.
    pub fn name(&self) -> &'static str {
        self.properties().name
    }

    /// The rollout the event names; `None` of a deployment, whose rollout gets the next number, and of
    /// events that concern no rollout.
    pub fn rollout(&self) -> Option<u64> {
        self.properties().rollout
    }

    /// The judgement the event carries.
    pub fn judgement(&self) -> Option<&Judgement> {
        self.properties().judgement
    }

    /// What becomes of the unsaved evidence before the event is written.
    pub fn evidence_before(&self) -> EvidenceBefore {
        self.properties().evidence
    }

    /// Whether the event starts a rollout.
    pub fn starts_rollout(&self) -> bool {
        matches!(self, Event::CanaryDeployed { .. })
    }

    /// Whether the event takes the canary's traffic away. It does so at once, even if the journal cannot
    /// be written.
    pub fn is_rollback(&self) -> bool {
        matches!(self, Event::RolledBack { .. })
    }

    /// Whether the event's judgement rests on the labels of a promoted version alone.
    pub fn is_post_promotion(&self) -> bool {
        matches!(self, Event::HarmReported { .. } | Event::Reverted { .. })
    }
}

/// The properties of an event that is decided on a judgement and can wait for its evidence.
fn judged<'a>(
    name: &'static str,
    judgement: &'a Judgement,
) -> (&'static str, Option<u64>, Option<&'a Judgement>, EvidenceBefore) {
    (name, Some(judgement.rollout), Some(judgement), EvidenceBefore::Required)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The journal's names come from serde; its message for an unknown one lists them all.
    #[test]
    fn the_names_are_those_that_the_journal_writes() {
        let unknown = serde_json::from_str::<Event>(r#"{"event":"?"}"#).unwrap_err().to_string();
        let names: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
        assert_eq!(names, Event::NAMES);
    }
}
