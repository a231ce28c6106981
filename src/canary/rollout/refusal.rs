//! Refusals: why an event is not possible in a state, and what to do instead.

use std::time::Duration;

use thiserror::Error;

use crate::text::durations::remaining;
use crate::text::lists::short_digest;

/// Why an event is not possible in this state.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum Refusal {
    /// Only one canary can be active.
    #[error(
        "canary {canary} (rollout {rollout}) is active; promote it or roll it back before \
         deploying another"
    )]
    CanaryActive {
        /// The canary's name.
        canary: String,
        /// Its rollout.
        rollout: u64,
    },
    /// The event needs a canary.
    #[error("no canary is active; deploy one first")]
    NoCanary,
    /// The event names another rollout than the current one.
    #[error("rollout {meant} is not the current rollout ({running}); read the status and retry")]
    OtherRollout {
        /// The rollout the event names.
        meant: u64,
        /// The current rollout.
        running: u64,
    },
    /// The judgement belongs to an earlier step or another artifact.
    #[error("the judgement is stale: the step or the artifact has changed; evaluate again")]
    StaleJudgement,
    /// The canary does not pass.
    #[error(
        "the canary does not pass ({}); {}, or to promote anyway pass \"force\": true and a \"reason\"",
        .why,
        if *.waiting_helps { "wait for more evidence, or roll it back" } else { "roll it back" }
    )]
    NotPassing {
        /// Whether evidence is missing; otherwise harm is shown, or the comparison is not valid.
        waiting_helps: bool,
        /// Why.
        why: String,
    },
    /// The rollout is paused.
    #[error(
        "rollout {rollout} is paused; resume it first, or to promote anyway pass \"force\": true and a \"reason\""
    )]
    IsPaused {
        /// The rollout.
        rollout: u64,
    },
    /// The plan has no further step.
    #[error("rollout {rollout} is at the last step of its plan")]
    LastStep {
        /// The rollout.
        rollout: u64,
    },
    /// The rollout has no plan.
    #[error("rollout {rollout} is manual and has no plan; use set-traffic or promote")]
    NotByPlan {
        /// The rollout.
        rollout: u64,
    },
    /// The plan has further steps, or needs approval.
    #[error("rollout {rollout} has further steps or needs approval; resume it to approve")]
    NotApproved {
        /// The rollout.
        rollout: u64,
    },
    /// serin has just rolled back a canary.
    #[error(
        "cool-down: serin has rolled back a canary, and starts no rollout by plan, whatever the model, for \
         another {}; wait, deploy without a plan, or to start it now pass \"override_quarantine\": true and a \
         \"reason\"",
        remaining(*.left)
    )]
    CoolingDown {
        /// The rest of it.
        left: Duration,
    },
    /// serin would revert the newest promotion if late labels showed harm.
    #[error(
        "the promotion of {version} is monitored for {} more; revert it, wait, or to end the monitoring \
         pass \"override_quarantine\": true and a \"reason\"",
        remaining(*.left)
    )]
    PromotionMonitored {
        /// The promoted version.
        version: String,
        /// The rest of the monitoring.
        left: Duration,
    },
    /// No promotion is being monitored.
    #[error(
        "no promotion is monitored, so the previous version is not kept; deploy the version you want instead"
    )]
    NothingToRevert,
    /// The artifact is quarantined.
    #[error(
        "{version} (digest {}) is in quarantine: {reason}; to deploy it anyway, pass \
         \"override_quarantine\": true and a \"reason\"",
        short_digest(.digest)
    )]
    Quarantined {
        /// The version that it was when it was quarantined.
        version: String,
        /// The artifact.
        digest: String,
        /// Why it was quarantined.
        reason: String,
    },
    /// An override or a revert needs a reason.
    #[error("reason is missing: the journal needs one line that says why")]
    ReasonMissing,
    /// The journal already has its first event.
    #[error("the journal already has its first event")]
    AlreadyInitialized,
}
