//! Store in memory, lost when the process ends: for tests, demos and benchmarks.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::artifacts::Artifacts;
use super::error::StoreError;
use super::evidence::EvidenceLog;
use super::evidence::no_snapshot;
use super::journal::Journal;
use super::progress::Checkpoint;
use super::progress::Progress;
use super::replica::ReplicaId;
use crate::canary::Chunk;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::LogRecord;
use crate::canary::LoggedTick;
use crate::canary::Monitors;

/// Stores everything in memory.
#[derive(Default)]
pub struct MemoryStore {
    /// Written by commands and checkpoints, both rare: one lock for everything.
    contents: Mutex<Contents>,
}

#[derive(Default)]
struct Contents {
    entries: Vec<Entry>,
    artifacts: HashMap<String, Vec<u8>>,
    delivered: BTreeMap<String, u64>,
    secrets: HashMap<String, Vec<u8>>,
    replicas: HashMap<ReplicaId, Replica>,
}

#[derive(Default)]
struct Replica {
    checkpoint: Option<Checkpoint>,
    evidence: BTreeMap<Chunk, (Monitors, Vec<LoggedTick>)>,
    /// The labels of one rollout.
    labels: (u64, HashSet<u64>),
}

impl MemoryStore {
    /// Reads what a replica has saved.
    fn of<T: Default>(&self, replica: ReplicaId, read: impl FnOnce(&Replica) -> T) -> T {
        self.contents.lock().replicas.get(&replica).map(read).unwrap_or_default()
    }
}

impl Journal for MemoryStore {
    fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let contents = self.contents.lock();
        let newer = contents.entries.iter().filter(|entry| entry.sequence > after);
        Ok(newer.take(limit).cloned().collect())
    }

    fn newest_sequence(&self) -> Result<u64, StoreError> {
        Ok(self.contents.lock().entries.len() as u64)
    }

    fn append(&self, expected: u64, at: Timestamp, event: &Event) -> Result<Entry, StoreError> {
        let mut contents = self.contents.lock();
        let actual = contents.entries.len() as u64;
        if actual != expected {
            return Err(StoreError::Conflict { expected, actual });
        }
        let entry = Entry { sequence: expected + 1, at, event: event.clone() };
        contents.entries.push(entry.clone());
        Ok(entry)
    }
}

impl EvidenceLog for MemoryStore {
    fn chunks(&self, replica: ReplicaId) -> Result<Vec<Chunk>, StoreError> {
        Ok(self.of(replica, |saved| saved.evidence.keys().copied().collect()))
    }

    fn snapshot(&self, replica: ReplicaId, chunk: Chunk) -> Result<Option<Monitors>, StoreError> {
        Ok(self.of(replica, |saved| saved.evidence.get(&chunk).map(|(start, _)| start.clone())))
    }

    fn ticks(&self, replica: ReplicaId, chunk: Chunk) -> Result<Vec<LoggedTick>, StoreError> {
        let ticks = |saved: &Replica| saved.evidence.get(&chunk).map(|(_, ticks)| ticks.clone());
        Ok(self.of(replica, ticks).unwrap_or_default())
    }

    fn forget_chunks(&self, replica: ReplicaId, chunks: &[Chunk]) -> Result<(), StoreError> {
        if let Some(saved) = self.contents.lock().replicas.get_mut(&replica) {
            saved.evidence.retain(|chunk, _| !chunks.contains(chunk));
        }
        Ok(())
    }
}

impl Artifacts for MemoryStore {
    fn artifact(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.contents.lock().artifacts.get(digest).cloned())
    }

    fn save_artifact(&self, digest: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.contents.lock().artifacts.insert(digest.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn retain_artifacts(&self, digests: &[&str]) -> Result<(), StoreError> {
        self.contents.lock().artifacts.retain(|digest, _| digests.contains(&digest.as_str()));
        Ok(())
    }
}

impl Progress for MemoryStore {
    fn checkpoint(&self, replica: ReplicaId) -> Result<Option<Checkpoint>, StoreError> {
        Ok(self.of(replica, |saved| saved.checkpoint.clone()))
    }

    fn save_checkpoint(
        &self,
        replica: ReplicaId,
        checkpoint: &Checkpoint,
        records: &[LogRecord],
    ) -> Result<(), StoreError> {
        let contents = &mut *self.contents.lock();
        let saved = contents.replicas.entry(replica).or_default();
        let rollout = checkpoint.rollout;
        let of_rollout = Chunk { rollout, base: 0 }..=Chunk { rollout, base: u64::MAX };
        // Checked before anything changes, so that all of it is saved or none.
        let is_new = saved.evidence.range(of_rollout.clone()).next().is_none();
        if is_new && matches!(records.first(), Some(LogRecord::Tick(_))) {
            return Err(no_snapshot());
        }
        for record in records {
            match record {
                LogRecord::Base(monitors) => {
                    let base = monitors.ticks();
                    saved.evidence.retain(|chunk, _| chunk.rollout != rollout || chunk.base < base);
                    for (_, (_, ticks)) in saved.evidence.range_mut(of_rollout.clone()) {
                        ticks.retain(|tick| tick.number <= base);
                    }
                    let chunk = Chunk { rollout, base };
                    saved.evidence.insert(chunk, ((**monitors).clone(), Vec::new()));
                }
                LogRecord::Tick(tick) => {
                    let newest = saved.evidence.range_mut(of_rollout.clone()).next_back();
                    let (_, (_, ticks)) = newest.ok_or_else(no_snapshot)?;
                    ticks.push(tick.clone());
                }
            }
        }
        if saved.labels.0 != rollout {
            saved.labels = (rollout, HashSet::new());
        }
        saved.labels.1.extend(&checkpoint.new_labels);
        saved.checkpoint = Some(Checkpoint { new_labels: Vec::new(), ..checkpoint.clone() });
        Ok(())
    }

    fn labels(&self, replica: ReplicaId, rollout: u64) -> Result<Vec<u64>, StoreError> {
        let labels = |saved: &Replica| {
            let (of, labels) = &saved.labels;
            labels.iter().copied().filter(|_| *of == rollout).collect()
        };
        Ok(self.of(replica, labels))
    }

    fn delivered(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        Ok(self.contents.lock().delivered.clone())
    }

    fn save_delivered(&self, target: &str, up_to: u64) -> Result<(), StoreError> {
        self.contents.lock().delivered.insert(target.to_owned(), up_to);
        Ok(())
    }

    fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.contents.lock().secrets.get(name).cloned())
    }

    fn save_secret(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.contents.lock().secrets.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }
}
