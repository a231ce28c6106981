//! One suite for every store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use self::cluster::Cluster;
use super::postgres::PostgresStore;
use super::sqlite::SqliteStore;
use super::*;
use crate::canary::Chunk;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::Labels;
use crate::canary::LogRecord;
use crate::canary::LoggedTick;
use crate::canary::Monitors;
use crate::canary::Samples;
use crate::canary::Track;
use crate::canary::Version;
use crate::canary::rollout::state::Slowdown;

#[path = "file_tests.rs"]
mod file;

#[path = "postgres_tests.rs"]
mod postgres;

#[path = "fleet_tests.rs"]
mod fleet;

#[path = "../../tests/shared/postgres.rs"]
mod cluster;

const ONLY: ReplicaId = ReplicaId::ONLY;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn slowdown(delay_ms: u32) -> Event {
    Event::SlowdownSet { slowdown: Slowdown { enabled: true, delay_ms } }
}

/// Monitors after this number of ticks.
fn monitors(ticks: u64) -> Monitors {
    let mut monitors = Monitors::new(&Default::default(), &Default::default());
    (0..ticks).for_each(|_| monitors.tick(&Default::default()));
    monitors
}

fn snapshot(ticks: u64) -> LogRecord {
    LogRecord::Snapshot(Box::new(monitors(ticks)))
}

fn tick(number: u64) -> LoggedTick {
    LoggedTick { number, step: 1, at: at(number as i64), increment: vec![number as u8; 300] }
}

fn numbers(store: &dyn Store, rollout: u64, start: u64) -> Vec<u64> {
    let ticks = store.ticks(ONLY, Chunk { rollout, start }).unwrap();
    ticks.iter().map(|tick| tick.number).collect()
}

fn checkpoint(rollout: u64, requests: u64) -> Checkpoint {
    let mut samples = Samples::default();
    for n in 0..requests {
        samples.of_mut(Track::Canary).record(n as f64 * 1e-4, &[0.5]);
    }
    Checkpoint {
        rollout,
        step: 1,
        digest: "d".into(),
        routed: requests * 10,
        samples,
        keys: None,
        monitors: None,
        labels: None,
        new_labels: Vec::new(),
        pairs: None,
        taken: BTreeMap::new(),
    }
}

/// Runs a test on a store in memory, on a file and on a database.
fn on_each(test: impl Fn(&dyn Store)) {
    test(&SqliteStore::default());
    let folder = tempfile::tempdir().unwrap();
    test(&SqliteStore::open(&folder.path().join("serin.db")).unwrap());
    test(&in_database());
}

/// A new store in the database of the tests.
fn in_database() -> PostgresStore {
    PostgresStore::open(&Cluster::shared().fresh_url().parse().unwrap(), steady()).unwrap()
}

/// A clock that goes about as fast as the machine's.
fn steady() -> Steady {
    static PASSED: AtomicU64 = AtomicU64::new(0);
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_millis(10));
                PASSED.fetch_add(10, Ordering::Relaxed);
            }
        });
    });
    Arc::new(|| Duration::from_millis(PASSED.load(Ordering::Relaxed)))
}

/// A journal with these sequences.
struct Gappy(Vec<u64>);

impl Journal for Gappy {
    fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let newer = self.0.iter().filter(|sequence| **sequence > after).take(limit);
        Ok(newer.map(|sequence| entry(*sequence)).collect())
    }
    fn newest_sequence(&self) -> Result<u64, StoreError> {
        Ok(self.0.last().copied().unwrap_or_default())
    }
    fn append(&self, expected: u64, _: Timestamp, _: &Event) -> Result<Entry, StoreError> {
        Err(StoreError::Conflict { expected, actual: expected + 1 })
    }
}

fn entry(sequence: u64) -> Entry {
    Entry { sequence, at: Timestamp::UNIX_EPOCH, event: Event::Resumed { rollout: 1 } }
}

#[test]
fn a_journal_with_a_gap_is_damaged() {
    assert!(Gappy(vec![4, 5]).entries_from(3).all(|entry| entry.is_ok()));
    for (after, sequences, before) in [(3, vec![4, 5, 7, 8], 2), (3, vec![5, 6], 0)] {
        let read: Vec<_> = Gappy(sequences).entries_from(after).collect();
        let (damaged, good) = read.split_last().unwrap();
        assert!(good.len() == before && good.iter().all(|entry| entry.is_ok()));
        let damaged = damaged.as_ref().unwrap_err().to_string();
        assert!(damaged.contains("follows entry") && damaged.contains("backup"), "{damaged}");
    }
}

#[test]
fn a_journal_of_several_pages_is_read_to_its_end() {
    let store = SqliteStore::default();
    for n in 0..2500 {
        store.append(n, at(0), &slowdown(1)).unwrap();
    }
    let sequences = store.entries_from(3).map(|entry| entry.unwrap().sequence);
    assert!(sequences.eq(4..=2500));
}

#[test]
fn delivery_progress_is_kept_by_target() {
    on_each(|store| {
        assert!(store.delivered().unwrap().is_empty());
        store.save_delivered("a", 3).unwrap();
        store.save_delivered("b", 1).unwrap();
        store.save_delivered("a", 4).unwrap();
        let expected = [("a".to_owned(), 4), ("b".to_owned(), 1)];
        assert_eq!(store.delivered().unwrap().into_iter().collect::<Vec<_>>(), expected);
    });
}

#[test]
fn entries_come_back_as_they_were_appended() {
    on_each(|store| {
        assert_eq!(store.newest_sequence().unwrap(), 0);
        for n in 0..5_u32 {
            let entry = store.append(u64::from(n), at(i64::from(n)), &slowdown(n)).unwrap();
            assert_eq!(entry.sequence, u64::from(n) + 1);
        }
        let all = store.entries(0, 100).unwrap();
        assert_eq!(all.len(), 5);
        assert_eq!(all[3].event, slowdown(3));
        assert_eq!(all[3].at, at(3));
        let page = store.entries(2, 2).unwrap();
        assert_eq!(page.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [3, 4]);
        assert!(store.entries(5, 100).unwrap().is_empty());
    });
}

#[test]
fn of_two_writers_who_saw_the_same_journal_one_succeeds() {
    on_each(|store| {
        store.append(0, at(0), &slowdown(1)).unwrap();
        let second = store.append(0, at(0), &slowdown(2));
        assert!(matches!(second, Err(StoreError::Conflict { expected: 0, actual: 1 })));
        let early = store.append(7, at(0), &slowdown(3));
        assert!(matches!(early, Err(StoreError::Conflict { expected: 7, actual: 1 })));
        assert_eq!(store.entries(0, 100).unwrap().len(), 1);
    });
}

#[test]
fn of_many_writers_at_once_exactly_one_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let stores: [Box<dyn Store>; 3] = [
        Box::new(SqliteStore::default()),
        Box::new(SqliteStore::open(&folder.path().join("serin.db")).unwrap()),
        Box::new(in_database()),
    ];
    for store in &stores {
        let won: usize = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..8)
                .map(|n| scope.spawn(move || store.append(0, at(0), &slowdown(n)).is_ok()))
                .collect();
            writers.into_iter().map(|writer| usize::from(writer.join().unwrap())).sum()
        });
        assert_eq!(won, 1);
    }
}

#[test]
fn replicas_do_not_see_each_others_evidence() {
    on_each(|store| {
        let other = ReplicaId(1);
        store.save_checkpoint(ONLY, &checkpoint(1, 5), &[snapshot(0)]).unwrap();
        let new_labels = vec![9];
        let two = Checkpoint { new_labels, ..checkpoint(1, 7) };
        store.save_checkpoint(other, &two, &[snapshot(0), LogRecord::Tick(tick(1))]).unwrap();
        assert_eq!(store.checkpoint(ONLY).unwrap(), Some(checkpoint(1, 5)));
        assert_eq!(store.checkpoint(other).unwrap(), Some(checkpoint(1, 7)));
        let chunk = Chunk { rollout: 1, start: 0 };
        assert_eq!(store.ticks(ONLY, chunk).unwrap(), []);
        assert_eq!(store.ticks(other, chunk).unwrap(), [tick(1)]);
        assert_eq!(
            (store.labels(ONLY, 1).unwrap(), store.labels(other, 1).unwrap()),
            (vec![], vec![9])
        );
        store.forget_chunks(other, &[chunk]).unwrap();
        assert_eq!(store.chunks(ONLY).unwrap(), [chunk]);
        assert_eq!(store.chunks(other).unwrap(), []);
    });
}

#[test]
fn the_newest_checkpoint_is_kept() {
    on_each(|store| {
        assert_eq!(store.checkpoint(ONLY).unwrap(), None);
        store.save_checkpoint(ONLY, &checkpoint(1, 50), &[]).unwrap();
        store.save_checkpoint(ONLY, &checkpoint(2, 3), &[]).unwrap();
        assert_eq!(store.checkpoint(ONLY).unwrap(), Some(checkpoint(2, 3)));
    });
}

#[test]
fn a_tick_log_grows_with_the_checkpoint_and_comes_back_as_it_was() {
    on_each(|store| {
        let save = |rollout, grown: &[LogRecord]| {
            store.save_checkpoint(ONLY, &checkpoint(rollout, 1), grown)
        };
        assert!(matches!(save(7, &[LogRecord::Tick(tick(1))]), Err(StoreError::Damaged { .. })));
        assert_eq!(store.checkpoint(ONLY).unwrap(), None, "either both or none");
        save(7, &[snapshot(0), LogRecord::Tick(tick(1))]).unwrap();
        save(7, &[LogRecord::Tick(tick(2)), snapshot(2), LogRecord::Tick(tick(3))]).unwrap();
        save(7, &[LogRecord::Tick(tick(4))]).unwrap();
        save(8, &[snapshot(0)]).unwrap();
        let chunk = |rollout, start| Chunk { rollout, start };
        assert_eq!(store.chunks(ONLY).unwrap(), [chunk(7, 0), chunk(7, 2), chunk(8, 0)]);
        assert_eq!(store.snapshot(ONLY, chunk(7, 2)).unwrap(), Some(monitors(2)));
        assert_eq!(store.snapshot(ONLY, chunk(7, 1)).unwrap(), None);
        assert_eq!(store.ticks(ONLY, chunk(7, 0)).unwrap(), [tick(1), tick(2)]);
        assert_eq!(store.ticks(ONLY, chunk(7, 2)).unwrap(), [tick(3), tick(4)]);
        assert!(store.ticks(ONLY, chunk(8, 0)).unwrap().is_empty());
        assert_eq!(store.checkpoint(ONLY).unwrap(), Some(checkpoint(8, 1)));
    });
}

#[test]
fn a_snapshot_replaces_everything_after_it() {
    on_each(|store| {
        let grown = [snapshot(0), LogRecord::Tick(tick(1)), LogRecord::Tick(tick(2)), snapshot(2)];
        for rollout in [7, 8] {
            store.save_checkpoint(ONLY, &checkpoint(rollout, 1), &grown).unwrap();
        }
        store
            .save_checkpoint(ONLY, &checkpoint(7, 1), &[snapshot(1), LogRecord::Tick(tick(2))])
            .unwrap();
        assert_eq!((numbers(store, 7, 0), numbers(store, 7, 1)), (vec![1], vec![2]));
        assert_eq!(store.snapshot(ONLY, Chunk { rollout: 7, start: 2 }).unwrap(), None);
        assert_eq!(numbers(store, 8, 0), [1, 2], "other rollouts are not concerned");
        assert_eq!(store.chunks(ONLY).unwrap().len(), 4);
    });
}

#[test]
fn a_deleted_chunk_leaves_the_others() {
    on_each(|store| {
        let grown = [snapshot(0), LogRecord::Tick(tick(1)), snapshot(1), LogRecord::Tick(tick(2))];
        store.save_checkpoint(ONLY, &checkpoint(7, 1), &grown).unwrap();
        let (first, second) = (Chunk { rollout: 7, start: 0 }, Chunk { rollout: 7, start: 1 });
        store.forget_chunks(ONLY, &[first]).unwrap();
        assert_eq!(store.chunks(ONLY).unwrap(), [second]);
        assert!(store.ticks(ONLY, first).unwrap().is_empty());
        assert_eq!(numbers(store, 7, 1), [2]);
    });
}

#[test]
fn artifacts_are_kept_until_they_are_forgotten() {
    let schema = cluster::fresh_schema();
    let url = Cluster::shared().url(&schema).parse().unwrap();
    // The database keeps those that are younger.
    let age = format!("UPDATE {schema}.artifact SET saved_at = saved_at - interval '11 minutes'");
    let stores: [(Box<dyn Store>, Option<&str>); 2] = [
        (Box::new(SqliteStore::default()), None),
        (Box::new(PostgresStore::open(&url, steady()).unwrap()), Some(&age)),
    ];
    for (store, age) in stores {
        store.save_artifact("a", b"one").unwrap();
        store.save_artifact("a", b"one").unwrap();
        store.save_artifact("b", b"two").unwrap();
        age.map(|age| Cluster::shared().sql(age));
        store.retain_artifacts(&["b", "c"]).unwrap();
        assert_eq!(store.artifact("a").unwrap(), None);
        assert_eq!(store.artifact("b").unwrap().as_deref(), Some(b"two".as_slice()));
    }
}

#[test]
fn the_bundled_sqlite_has_the_fix_for_the_write_ahead_log() {
    // Versions before 3.51.3 can corrupt a database whose log is reset at the wrong moment.
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}

#[test]
fn labels_are_kept_with_the_checkpoint_of_their_rollout_alone() {
    on_each(|store| {
        assert!(store.labels(ONLY, 1).unwrap().is_empty());
        let save = |rollout, new_labels| {
            let labels = Some(Labels::default());
            let one = Checkpoint { labels, new_labels, ..checkpoint(rollout, 1) };
            store.save_checkpoint(ONLY, &one, &[snapshot(0)]).unwrap();
            assert_eq!(
                store.checkpoint(ONLY).unwrap(),
                Some(Checkpoint { new_labels: Vec::new(), ..one })
            );
        };
        let kept = |rollout| {
            let mut labels = store.labels(ONLY, rollout).unwrap();
            labels.sort_unstable();
            labels
        };
        save(1, vec![7, u64::MAX]);
        save(1, vec![0, 7]);
        assert_eq!(kept(1), [0, 7, u64::MAX]);
        save(2, vec![9]);
        assert_eq!((kept(1), kept(2)), (vec![], vec![9]));
    });
}

#[test]
fn the_first_secret_of_a_name_is_kept() {
    on_each(|store| {
        assert_eq!(store.secret("key").unwrap(), None);
        store.save_secret("key", &[1, 2]).unwrap();
        store.save_secret("other", &[]).unwrap();
        store.save_secret("key", &[3]).unwrap();
        assert_eq!(store.secret("key").unwrap(), Some(vec![1, 2]));
        assert_eq!(store.secret("other").unwrap(), Some(vec![]));
    });
}
