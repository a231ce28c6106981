//! A store that forgets when the process ends: for tests, demonstrations and benchmarks.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::Checkpoint;
use super::Store;
use super::StoreError;
use super::no_base;
use crate::canary::Chunk;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::LogRecord;
use crate::canary::LoggedTick;
use crate::canary::Monitors;

/// Keeps everything in memory.
#[derive(Default)]
pub struct MemoryStore {
    /// Written by commands and the checkpoint, both rare: one lock for all of it.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: Vec<Entry>,
    checkpoint: Option<Checkpoint>,
    evidence: BTreeMap<Chunk, (Monitors, Vec<LoggedTick>)>,
    told: BTreeMap<String, u64>,
    artifacts: HashMap<String, Vec<u8>>,
    /// Of one rollout.
    labels: (u64, HashSet<u64>),
    by_name: HashMap<String, Vec<u8>>,
}

impl Store for MemoryStore {
    fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let kept = self.kept.lock();
        Ok(kept.entries.iter().filter(|e| e.sequence > after).take(limit).cloned().collect())
    }

    fn newest_sequence(&self) -> Result<u64, StoreError> {
        Ok(self.kept.lock().entries.len() as u64)
    }

    fn append(&self, expected: u64, at: Timestamp, event: &Event) -> Result<Entry, StoreError> {
        let mut kept = self.kept.lock();
        let actual = kept.entries.len() as u64;
        if actual != expected {
            return Err(StoreError::Conflict { expected, actual });
        }
        let entry = Entry { sequence: expected + 1, at, event: event.clone() };
        kept.entries.push(entry.clone());
        Ok(entry)
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        Ok(self.kept.lock().checkpoint.clone())
    }

    fn save_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        grown: &[LogRecord],
    ) -> Result<(), StoreError> {
        let kept = &mut *self.kept.lock();
        let rollout = checkpoint.rollout;
        let of_this = Chunk { rollout, base: 0 }..=Chunk { rollout, base: u64::MAX };
        // Looked at before anything is changed, so that either all of it is kept or nothing.
        let mut bases = kept.evidence.range(of_this.clone());
        if bases.next().is_none() && matches!(grown.first(), Some(LogRecord::Tick(_))) {
            return Err(no_base());
        }
        for part in grown {
            match part {
                LogRecord::Base(monitors) => {
                    let base = monitors.ticks();
                    kept.evidence.retain(|chunk, _| chunk.rollout != rollout || chunk.base < base);
                    for (_, (_, ticks)) in kept.evidence.range_mut(of_this.clone()) {
                        ticks.retain(|tick| tick.number <= base);
                    }
                    let chunk = Chunk { rollout, base };
                    kept.evidence.insert(chunk, ((**monitors).clone(), Vec::new()));
                }
                LogRecord::Tick(tick) => {
                    let newest = kept.evidence.range_mut(of_this.clone()).next_back();
                    let (_, (_, ticks)) = newest.ok_or_else(no_base)?;
                    ticks.push(tick.clone());
                }
            }
        }
        if kept.labels.0 != rollout {
            kept.labels = (rollout, HashSet::new());
        }
        kept.labels.1.extend(&checkpoint.new_labels);
        kept.checkpoint = Some(Checkpoint { new_labels: Vec::new(), ..checkpoint.clone() });
        Ok(())
    }

    fn chunks(&self) -> Result<Vec<Chunk>, StoreError> {
        Ok(self.kept.lock().evidence.keys().copied().collect())
    }

    fn base(&self, chunk: Chunk) -> Result<Option<Monitors>, StoreError> {
        Ok(self.kept.lock().evidence.get(&chunk).map(|(base, _)| base.clone()))
    }

    fn ticks(&self, chunk: Chunk) -> Result<Vec<LoggedTick>, StoreError> {
        let kept = self.kept.lock();
        Ok(kept.evidence.get(&chunk).map(|(_, ticks)| ticks.clone()).unwrap_or_default())
    }

    fn forget_chunks(&self, chunks: &[Chunk]) -> Result<(), StoreError> {
        self.kept.lock().evidence.retain(|chunk, _| !chunks.contains(chunk));
        Ok(())
    }

    fn told(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        Ok(self.kept.lock().told.clone())
    }

    fn save_told(&self, target: &str, up_to: u64) -> Result<(), StoreError> {
        self.kept.lock().told.insert(target.to_owned(), up_to);
        Ok(())
    }

    fn labels(&self, rollout: u64) -> Result<Vec<u64>, StoreError> {
        let (of, labels) = &self.kept.lock().labels;
        Ok(if *of == rollout { labels.iter().copied().collect() } else { Vec::new() })
    }

    fn kept(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.kept.lock().by_name.get(name).cloned())
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.kept.lock().by_name.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn artifact(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.kept.lock().artifacts.get(digest).cloned())
    }

    fn save_artifact(&self, digest: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.kept.lock().artifacts.insert(digest.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn retain_artifacts(&self, digests: &[&str]) -> Result<(), StoreError> {
        self.kept.lock().artifacts.retain(|digest, _| digests.contains(&digest.as_str()));
        Ok(())
    }
}
