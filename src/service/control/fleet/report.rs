//! What a replica says of itself: how far it follows the journal, and its samples of the current step.

use serde::Deserialize;
use serde::Serialize;

use crate::service::serving::live::Live;
use crate::service::serving::recorder::Observed;
use crate::store::Replica;

/// The report of a replica. Fields that another version of serin adds are ignored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The newest journal entry that it follows.
    pub(crate) revision: u64,
    /// The rollout and step of its samples; `None` without a canary.
    pub(crate) step: Option<(u64, u32)>,
    /// The digest of the canary that it has loaded.
    pub(crate) canary: Option<String>,
    /// Its samples since the step began.
    pub(crate) samples: Observed,
}

impl Report {
    pub(crate) fn new(live: &Live, revision: u64) -> Report {
        Report {
            revision,
            step: step_of(live),
            canary: live.canary.as_ref().map(|slot| slot.loaded.version.digest.clone()),
            samples: live.recorder.own(),
        }
    }

    /// An unreadable report counts as an empty one.
    pub(crate) fn of(replica: &Replica) -> Report {
        serde_json::from_str(&replica.report).unwrap_or_else(|cause| {
            tracing::warn!(replica = replica.name, %cause, "the report of a replica cannot be read");
            Report::default()
        })
    }

    /// As text; empty if a number cannot be written.
    pub(crate) fn written(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The rollout and step that are served.
pub(crate) fn step_of(live: &Live) -> Option<(u64, u32)> {
    live.canary.as_ref().map(|slot| (slot.rollout, slot.step))
}
