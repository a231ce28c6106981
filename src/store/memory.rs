//! A store that forgets when the process ends: for tests, demonstrations and benchmarks.

use std::collections::HashMap;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::Checkpoint;
use super::Store;
use super::StoreError;
use crate::canary::Entry;
use crate::canary::Event;

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
    artifacts: HashMap<String, Vec<u8>>,
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

    fn save_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.kept.lock().checkpoint = Some(checkpoint.clone());
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
