//! What can happen: the events of the journal.

use serde::Deserialize;
use serde::Serialize;

use super::state::Slowdown;
use super::state::Version;
use crate::canary::judge::judgement::Judgement;
use crate::canary::policy::Mode;
use crate::canary::policy::Policy;
use crate::canary::policy::fault::Injection;
use crate::canary::traffic::weight::Weight;

/// What happened. Each event of the journal is one of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// serin started for the first time, with this stable version.
    Initialized {
        /// The trusted version.
        stable: Version,
    },
    /// A canary went on trial.
    CanaryDeployed {
        /// The version on trial.
        canary: Version,
        /// Its policy.
        policy: Box<Policy>,
        /// The salt of its split.
        #[serde(with = "super::salt")]
        salt: u128,
        /// Why, if a reason was given.
        reason: Option<String>,
        /// Whether a quarantine was overridden, which takes a reason.
        override_quarantine: bool,
    },
    /// The canary's share changed.
    TrafficSet {
        /// The rollout it is about.
        rollout: u64,
        /// The new share.
        weight: Weight,
        /// The share of stable's requests that the canary is asked in shadow.
        #[serde(default, skip_serializing_if = "Weight::is_zero")]
        shadow: Weight,
        /// What had been seen at the old share.
        judgement: Box<Judgement>,
    },
    /// A rollout by plan took its next step.
    Advanced {
        /// What had been seen at the step before.
        judgement: Box<Judgement>,
    },
    /// A rollout by plan waits for a person.
    ApprovalAwaited {
        /// What had been seen.
        judgement: Box<Judgement>,
    },
    /// The rollout was put on hold.
    Paused {
        /// The rollout it is about.
        rollout: u64,
        /// Why, if serin did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// serin put a rollout by plan on hold, and a person decides.
    Held {
        /// What had been seen.
        judgement: Box<Judgement>,
        /// What a person is to look at, by name; once the rollout is resumed, these hold it no more.
        concerns: Vec<String>,
        /// The same with the numbers.
        reason: String,
    },
    /// The rollout goes on.
    Resumed {
        /// The rollout it is about.
        rollout: u64,
    },
    /// The injected delay was changed.
    SlowdownSet {
        /// On or off, and how long.
        slowdown: Slowdown,
    },
    /// The canary was given a harm on purpose, or was relieved of it.
    Injected {
        /// The rollout it is about.
        rollout: u64,
        /// The harm.
        injection: Injection,
    },
    /// The canary became stable.
    Promoted {
        /// What it was decided on.
        judgement: Box<Judgement>,
        /// Whether a person overrode the judgement, which takes a reason.
        forced: bool,
        /// Why, if a reason was given.
        reason: Option<String>,
        /// Who decided.
        #[serde(default, skip_serializing_if = "Mode::is_manual")]
        by: Mode,
    },
    /// The canary was taken back.
    RolledBack {
        /// The rollout it is about.
        rollout: u64,
        /// Why.
        reason: String,
        /// Whether this artifact may come back only by override.
        quarantine: bool,
        /// What had been seen.
        judgement: Option<Box<Judgement>>,
        /// Who decided.
        #[serde(default, skip_serializing_if = "Mode::is_manual")]
        by: Mode,
    },
    /// Late labels show that the promoted version does harm.
    HarmReported {
        /// What they show.
        judgement: Box<Judgement>,
    },
    /// The version before the newest promotion is stable again.
    Reverted {
        /// The rollout that had been promoted.
        rollout: u64,
        /// Why.
        reason: String,
        /// What the labels showed.
        judgement: Option<Box<Judgement>>,
        /// Who decided.
        #[serde(default, skip_serializing_if = "Mode::is_manual")]
        by: Mode,
    },
    /// The promoted version is watched no longer.
    WatchEnded {
        /// The rollout that had been promoted.
        rollout: u64,
    },
}

impl Event {
    /// What was judged when it happened, if anything was.
    pub fn judgement(&self) -> Option<&Judgement> {
        match self {
            Event::TrafficSet { judgement, .. }
            | Event::Advanced { judgement }
            | Event::ApprovalAwaited { judgement }
            | Event::Held { judgement, .. }
            | Event::Promoted { judgement, .. }
            | Event::HarmReported { judgement } => Some(judgement),
            Event::RolledBack { judgement, .. } | Event::Reverted { judgement, .. } => {
                judgement.as_deref()
            }
            Event::Initialized { .. }
            | Event::CanaryDeployed { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::SlowdownSet { .. }
            | Event::Injected { .. }
            | Event::WatchEnded { .. } => None,
        }
    }
}
