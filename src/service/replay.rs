//! What did the watch say after so many ticks? Recomputed from the store alone.

use thiserror::Error;

use super::Service;
use super::startup::PAGE;
use crate::canary::Event;
use crate::canary::JudgePolicy;
use crate::canary::evidence_log;
use crate::canary::evidence_log::LogError;
use crate::canary::judge::WatchEvidence;
use crate::store::StoreError;

/// Why an old verdict cannot be recomputed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There was none.
    #[error("rollout {0} is not in the journal; name one that is")]
    NoRollout(u64),
    /// So early a tick is no longer kept, or never was.
    #[error(
        "the evidence log of rollout {rollout} does not go back to tick {ticks}; only the newest of it \
         is kept"
    )]
    NotKept {
        /// The rollout.
        rollout: u64,
        /// The tick that was asked for.
        ticks: u64,
    },
    /// The log does not reach that far, or is damaged.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Service {
    /// What the watch said of a rollout after so many ticks, to the bit: from the policy in the journal,
    /// a base and the ticks since. Blocks for up to about a second.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn replayed(&self, rollout: u64, ticks: u64) -> Result<WatchEvidence, ReplayError> {
        let policy = self.policy_of(rollout)?;
        let not_kept = || ReplayError::NotKept { rollout, ticks };
        let segments = self.store.segments()?;
        let segment = segments
            .into_iter()
            .rfind(|segment| segment.rollout == rollout && segment.base <= ticks)
            .ok_or_else(not_kept)?;
        let base = self.store.base(segment)?.ok_or_else(not_kept)?;
        let monitors = evidence_log::replay(base, &self.store.ticks(segment)?, ticks)?;
        Ok(WatchEvidence::new(&policy, &monitors))
    }

    /// What a rollout was deployed with. Rollouts are counted from 1.
    fn policy_of(&self, rollout: u64) -> Result<JudgePolicy, ReplayError> {
        let (mut after, mut rollouts) = (0, 0);
        loop {
            let page = self.store.entries(after, PAGE)?;
            let Some(last) = page.last() else { return Err(ReplayError::NoRollout(rollout)) };
            after = last.sequence;
            for entry in page {
                if let Event::CanaryDeployed { policy, .. } = entry.event {
                    rollouts += 1;
                    if rollouts == rollout {
                        return Ok(policy.judge);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
