//! Progress of a store: checkpoints, and how far notifications were delivered.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use super::error::StoreError;
use super::replica::ReplicaId;
use crate::canary::Labels;
use crate::canary::LogRecord;
use crate::canary::Monitors;
use crate::canary::Pairs;
use crate::canary::Samples;
use crate::stats::sequential::SeenKeys;

/// What a restarted process continues from.
pub trait Progress: Send + Sync {
    /// The newest checkpoint of a replica, without its monitors if they alone cannot be read.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn checkpoint(&self, replica: ReplicaId) -> Result<Option<Checkpoint>, StoreError>;

    /// Replaces the checkpoint of a replica, appends to the tick log of its rollout, and adds the new
    /// labels to those of the rollout; labels of other rollouts are deleted. All of it is saved or none.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn save_checkpoint(
        &self,
        replica: ReplicaId,
        checkpoint: &Checkpoint,
        records: &[LogRecord],
    ) -> Result<(), StoreError>;

    /// The fingerprints of the labels accepted for a rollout, in no order.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn labels(&self, replica: ReplicaId, rollout: u64) -> Result<Vec<u64>, StoreError>;

    /// The newest journal entry delivered to each notification target, by the target's key.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn delivered(&self) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Saves that a target needs no entry up to this one any more.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn save_delivered(&self, target: &str, up_to: u64) -> Result<(), StoreError>;

    /// A secret that serin generated for itself, such as the key of prediction ids.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Saves a secret under a name, unless there is one: where two processes do so at once, the first one's stays. Whoever
    /// saves a secret reads it afterwards.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn save_secret(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;
}

/// The evidence of a step at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The rollout.
    pub rollout: u64,
    /// The step.
    pub step: u32,
    /// The digest of the canary's artifact.
    pub digest: String,
    /// Requests without a key that the split has assigned.
    pub routed: u64,
    /// Samples of first visits and of requests without a key.
    pub samples: Samples,
    /// Samples by key; `None` if no request had a key.
    pub keys: Option<KeyedSamples>,
    /// The monitors after the newest tick; a replay of the tick log gives the same. `None` in a checkpoint that was read
    /// if another version has written them.
    pub monitors: Option<Monitors>,
    /// The labels of its predictions; `None` if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    /// The fingerprints of the labels accepted since the last save. They are stored separately: a
    /// checkpoint that was read has none.
    #[serde(skip)]
    pub new_labels: Vec<u64>,
    /// The answers of both versions to the same requests; `None` without shadow traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<Pairs>,
    /// The number of the newest share of each other replica that the monitors contain.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub taken: BTreeMap<ReplicaId, u64>,
}

/// Evidence of requests with a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyedSamples {
    /// The samples of repeated keys; `None` if no key came back.
    pub repeated: Option<Samples>,
    /// The keys of users that were answered.
    pub seen: SeenBefore,
    /// The keys sent to the canary as shadow traffic; `None` if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadowed: Option<SeenBefore>,
}

/// Seen keys in two sets, because keys age.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenBefore {
    /// The set that grows.
    pub newest: SeenKeys,
    /// The one that was full before it; `None` if none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<SeenKeys>,
}

impl SeenBefore {
    /// Whether no key was seen.
    pub fn is_empty(&self) -> bool {
        self.earlier.is_none() && self.newest.count() == 0
    }
}
