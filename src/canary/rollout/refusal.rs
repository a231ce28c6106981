//! Why can an event not happen in a state? In sentences that say what to do instead.

use jiff::Timestamp;
use thiserror::Error;

/// Why an event cannot happen in this state.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum Refusal {
    /// Only one canary at a time.
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
    /// There is nothing to do it to.
    #[error("no canary is active; deploy one first")]
    NoCanary,
    /// The event was meant for another rollout or step than the one under way.
    #[error("rollout {meant} is not the one under way ({running}); look at the status and retry")]
    OtherRollout {
        /// The rollout the event names.
        meant: u64,
        /// The rollout under way.
        running: u64,
    },
    /// The judgement is of an earlier step or of another artifact.
    #[error("the judgement is stale: it is not of the current step and artifact; judge again")]
    StaleJudgement,
    /// The judgement does not pass.
    #[error(
        "the canary does not pass ({}); {}, or override it with force and a reason",
        .why,
        if *.harm_detected { "roll it back" } else { "wait for more evidence, roll it back" }
    )]
    NotPassing {
        /// Whether harm is shown, or evidence is missing.
        harm_detected: bool,
        /// Why.
        why: String,
    },
    /// The rollout is on hold.
    #[error("rollout {rollout} is paused; resume it first, or override it with force and a reason")]
    IsPaused {
        /// Which.
        rollout: u64,
    },
    /// The plan has no further step.
    #[error("rollout {rollout} is at the last step of its plan")]
    LastStep {
        /// Which.
        rollout: u64,
    },
    /// A person decides.
    #[error("rollout {rollout} is by hand; no plan drives it")]
    NotByPlan {
        /// Which.
        rollout: u64,
    },
    /// The plan does not end here.
    #[error(
        "rollout {rollout} is not at the end of its plan, or nobody has agreed to its promotion"
    )]
    NotApproved {
        /// Which.
        rollout: u64,
    },
    /// serin has just taken a canary back.
    #[error(
        "serin took the last canary back; the next rollout by plan may begin at {until}; to begin it now, \
         pass override_quarantine with a reason"
    )]
    CoolingDown {
        /// When it may begin.
        until: Timestamp,
    },
    /// serin may still revert the newest promotion.
    #[error(
        "the promotion of {version} is watched until {until}, and would be reverted if late labels showed \
         harm; revert it, wait, or end the watch with override_quarantine and a reason"
    )]
    UnderWatch {
        /// The promoted version.
        version: String,
        /// When the watch ends.
        until: Timestamp,
    },
    /// No promotion is watched.
    #[error(
        "no promotion is watched, so the version before it is not kept; deploy the one you want instead"
    )]
    NothingToRevert,
    /// This artifact may not come back.
    #[error(
        "artifact {digest} is in quarantine ({reason}); to deploy it all the same, pass \
         override_quarantine with a reason"
    )]
    Quarantined {
        /// The artifact.
        digest: String,
        /// Why it is there.
        reason: String,
    },
    /// An override or a revert must say why.
    #[error("this needs a reason, for the journal; give one line")]
    ReasonMissing,
    /// The first event was there already.
    #[error("the journal has a first event already")]
    AlreadyInitialized,
}
