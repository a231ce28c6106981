//! The tick log of a killed server leads to its saved judgement.

use std::fs;
use std::path::Path;

use serin::canary::judge::tick_log;
use serin::store::EvidenceLog;
use serin::store::Progress;
use serin::store::ReplicaId;
use serin::store::sqlite::SqliteStore;

/// Replays the ticks of the newest checkpoint's log, which must lead to its judgement.
/// Looks at a copy, so that the next server finds the files as the kill has left them.
pub fn replayed_ticks(folder: &Path, at: &str) -> u64 {
    let copy = tempfile::tempdir().unwrap();
    for file in ["serin.db", "serin.db-wal"] {
        // A server that was killed early has neither.
        let _ = fs::copy(folder.join(file), copy.path().join(file));
    }
    let store = SqliteStore::open(&copy.path().join("serin.db")).unwrap();
    let Some(saved) = store.checkpoint(ReplicaId::ONLY).unwrap() else { return 0 };
    let segments = store.chunks(ReplicaId::ONLY).unwrap();
    let newest = segments.into_iter().rfind(|segment| segment.rollout == saved.rollout).unwrap();
    let (base, ticks) = (
        store.snapshot(ReplicaId::ONLY, newest).unwrap().unwrap(),
        store.ticks(ReplicaId::ONLY, newest).unwrap(),
    );
    let end = ticks.last().map_or(newest.start, |tick| tick.number);
    let replayed = tick_log::replay(base, &ticks, end).unwrap();
    let bytes = |monitors| serde_json::to_vec(monitors).unwrap();
    assert!(bytes(&replayed) == bytes(&saved.monitors.unwrap()), "{at}: tick {end} of {newest:?}");
    ticks.len() as u64
}
