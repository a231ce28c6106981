//! Several processes on one PostgreSQL store: one leader, one journal, and what each leaves for the others.

use std::collections::BTreeSet;

use super::cluster::Cluster;
use super::cluster::fresh_schema;
use super::postgres::Proxy;
use super::postgres::opened;
use super::postgres::sql;
use super::postgres::until;
use super::postgres::within;
use super::*;
use crate::canary::State;
use crate::store::postgres::PostgresStore;

/// A clock that stands still until it is set. A process with this clock does not renew its lease, as one that is halted.
#[derive(Clone, Default)]
struct StandingClock(Arc<AtomicU64>);

impl StandingClock {
    fn set(&self, millisecond: u64) {
        self.0.store(millisecond, Ordering::SeqCst);
    }

    fn steady(&self) -> Steady {
        let clock = self.clone();
        Arc::new(move || Duration::from_millis(clock.0.load(Ordering::SeqCst)))
    }
}

/// The leader of a schema, which is halted, and the process that has taken over from it.
fn taken_over(schema: &str) -> (PostgresStore, PostgresStore) {
    let url = Cluster::shared().url(schema);
    let clock = StandingClock::default();
    let sleeper = PostgresStore::open(&url.parse().unwrap(), clock.steady()).unwrap();
    sleeper.append(0, at(0), &slowdown(1)).unwrap();
    assert_eq!(sleeper.role(), Role::Leader);
    sql(schema, "UPDATE lease SET expires_at = clock_timestamp()");
    let next = opened(&url);
    assert_eq!((sleeper.role(), next.role()), (Role::Leader, Role::Leader), "it still sleeps");
    (sleeper, next)
}

/// A call that only the leader may make.
type LeadersCall = fn(&dyn Store) -> Result<(), StoreError>;

const LEADERS_CALLS: [LeadersCall; 6] = [
    |store| store.save_checkpoint(ONLY, &checkpoint(1, 1), &[snapshot(0)]),
    |store| store.save_state(1, &state()),
    |store| store.forget_chunks(ONLY, &[Chunk { rollout: 1, start: 0 }]),
    |store| store.retain_artifacts(&[]),
    |store| store.save_delivered("t", 1),
    |store| store.forget_replicas(&[store.id()]),
];

fn state() -> State {
    let stable = Version { name: "v1".into(), file: "v1.bin".into(), digest: "d".into() };
    let entry = Entry { sequence: 1, at: at(0), event: Event::Initialized { stable } };
    crate::canary::rollout::journal::follow(None, &entry).unwrap()
}

#[track_caller]
fn assert_not_leader<T: std::fmt::Debug>(called: Result<T, StoreError>) {
    let error = called.unwrap_err();
    assert!(matches!(error, StoreError::NotLeader { holder: Some(_) }), "{error}");
    let (text, process) = (error.to_string(), format!("process {}", std::process::id()));
    assert!(text.contains("another serin decides now") && text.contains(&process), "{text}");
    assert!(text.contains("send the command again"), "{text}");
}

#[test]
fn of_two_processes_one_is_the_leader_and_both_append() {
    let schema = fresh_schema();
    let url = Cluster::shared().url(&schema);
    let first = opened(&url);
    let second = PostgresStore::open_as("two".to_owned(), &url.parse().unwrap(), steady()).unwrap();
    assert_eq!((first.role(), second.role()), (Role::Leader, Role::Follower));
    assert!(first.id() != second.id() && first.id() != ONLY && first.id().0 <= i64::MAX as u64);
    for call in LEADERS_CALLS {
        call(&first).unwrap();
        assert_not_leader(call(&second));
    }
    first.append(0, at(0), &slowdown(1)).unwrap();
    second.append(1, at(0), &slowdown(2)).unwrap();
    let late = first.append(1, at(0), &slowdown(3)).unwrap_err();
    assert!(matches!(late, StoreError::Conflict { expected: 1, actual: 2 }), "{late}");
    let epochs =
        "SELECT string_agg(coalesce(epoch::text, '-'), ',' ORDER BY sequence) FROM journal";
    assert_eq!(sql(&schema, epochs), "1,-");
    second.save_artifact("a", b"one").unwrap();
    second.settle().unwrap();
    let names = "SELECT string_agg(DISTINCT application_name, ',') FROM pg_stat_activity
                 WHERE application_name LIKE 'serin/two/%'";
    assert_eq!(Cluster::shared().sql(names), "serin/two/reader,serin/two/writer");

    first.report("one", &[]).unwrap();
    second.report("two", &[]).unwrap();
    let of = |store: &PostgresStore| {
        second.replicas().unwrap().into_iter().find(|it| it.id == store.id()).unwrap()
    };
    assert!(of(&first).is_leader && !of(&second).is_leader);
    first.release();
    let released = steady()();
    assert_eq!(first.role(), Role::Follower);
    until("the hand-over", || second.role() == Role::Leader);
    let took = steady()() - released;
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(of(&first).has_ended && !of(&first).is_leader);
    assert!(!of(&second).has_ended && of(&second).is_leader && of(&second).name == "two");
    assert!(first.append(2, at(0), &slowdown(4)).is_err(), "nothing is written after the release");
    second.append(2, at(0), &slowdown(4)).unwrap();
    assert_eq!(sql(&schema, epochs), "1,-,2");
    for call in LEADERS_CALLS {
        call(&second).unwrap();
    }
}

#[test]
fn a_process_that_is_cut_off_loses_the_lease_before_another_one_has_it() {
    let (proxy, schema) = (Proxy::start(), fresh_schema());
    let first = opened(&proxy.url(&schema));
    let second = opened(&Cluster::shared().url(&schema));
    first.append(0, at(0), &slowdown(1)).unwrap();
    proxy.lose(|it| &it.all, true);
    let cut = steady()();
    until("the hand-over", || {
        // In this order: the first one never gets it back.
        let (was_second, was_first) = (second.role(), first.role());
        assert!(was_second != Role::Leader || was_first != Role::Leader, "two leaders");
        was_second == Role::Leader
    });
    let took = steady()() - cut;
    assert!(took < Duration::from_secs(14), "{took:?}");
    assert!(first.append(1, at(0), &slowdown(2)).is_err());
    second.append(1, at(0), &slowdown(3)).unwrap();
    proxy.lose(|it| &it.all, false);
    until("the new connection", || first.settle().is_ok());
    assert_eq!((first.role(), second.role()), (Role::Follower, Role::Leader));
    assert_not_leader(first.save_delivered("t", 1));
    first.append(2, at(0), &slowdown(4)).unwrap();
    // And back, once it has taken note.
    first.stand();
    drop(second);
    until("the return", || first.role() == Role::Leader);
    first.save_delivered("t", 1).unwrap();
}

#[test]
fn a_process_that_wakes_after_its_lease_has_ended_is_no_leader_at_once() {
    let clock = StandingClock::default();
    let url = Cluster::shared().fresh_url();
    let store = PostgresStore::open(&url.parse().unwrap(), clock.steady()).unwrap();
    clock.set(8_900);
    assert_eq!(store.role(), Role::Leader);
    clock.set(9_000);
    assert_eq!(store.role(), Role::Follower);
    // Its thread asks the database, where the lease is still its own.
    until("the renewal", || store.role() == Role::Leader);
}

#[test]
fn nothing_that_a_halted_leader_writes_touches_a_row() {
    let schema = fresh_schema();
    let (sleeper, next) = taken_over(&schema);
    next.save_artifact("a", b"one").unwrap();
    sql(&schema, "UPDATE artifact SET saved_at = saved_at - interval '11 minutes'");
    assert_not_leader(sleeper.append(1, at(0), &slowdown(2)));
    assert_eq!((sleeper.role(), next.newest_sequence().unwrap()), (Role::Follower, 1));
    // It goes on as a follower.
    assert_not_leader(sleeper.retain_artifacts(&[]));
    assert_eq!(next.artifact("a").unwrap().as_deref(), Some(b"one".as_slice()));
    sleeper.append(1, at(0), &slowdown(2)).unwrap();
    sleeper.settle().unwrap();
    for call in LEADERS_CALLS {
        let schema = fresh_schema();
        let (sleeper, next) = taken_over(&schema);
        assert_not_leader(call(&sleeper));
        assert_eq!((sleeper.role(), next.role()), (Role::Follower, Role::Leader));
        assert_eq!((next.checkpoint(ONLY).unwrap(), next.state().unwrap()), (None, None));
        assert!(next.delivered().unwrap().is_empty());
    }
}

#[test]
fn a_lease_that_is_held_is_neither_locked_nor_written_by_followers() {
    let schema = fresh_schema();
    let url = Cluster::shared().url(&schema);
    let clock = StandingClock::default();
    let _leader = PostgresStore::open(&url.parse().unwrap(), clock.steady()).unwrap();
    let row = "SELECT xmin::text || ' ' || xmax::text FROM lease";
    let before = sql(&schema, row);
    let follower = opened(&url);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!((sql(&schema, row), follower.role()), (before, Role::Follower));
}

#[test]
fn of_two_processes_that_append_at_the_same_time_one_succeeds() {
    const EACH: u32 = 200;
    let url = Cluster::shared().fresh_url();
    let stores = [opened(&url), opened(&url)];
    let conflicts: usize = std::thread::scope(|scope| {
        let appended = |store: &PostgresStore, first: u32| {
            let (mut conflicts, mut known) = (0, 0);
            for n in first..first + EACH {
                while let Err(error) = store.append(known, at(0), &slowdown(n)) {
                    let StoreError::Conflict { actual, .. } = error else { panic!("{error}") };
                    (conflicts, known) = (conflicts + 1, actual);
                }
                known += 1;
            }
            conflicts
        };
        let threads = [(&stores[0], 0), (&stores[1], EACH)]
            .map(|(store, first)| scope.spawn(move || appended(store, first)));
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(conflicts > 0);
    let entries: Vec<_> = stores[0].entries_from(0).map(Result::unwrap).collect();
    assert_eq!(entries.len(), 2 * EACH as usize);
    let delays: BTreeSet<u32> = entries
        .iter()
        .map(|entry| match entry.event {
            Event::SlowdownSet { slowdown } => slowdown.delay_ms,
            _ => panic!("{entry:?}"),
        })
        .collect();
    assert!(delays.into_iter().eq(0..2 * EACH));
    // What the page shows has what the other one appended.
    for store in &stores {
        assert_eq!(store.newest_entries(9).unwrap(), entries[entries.len() - 9..]);
    }
}

#[test]
fn an_entry_of_another_process_is_heard_of_at_once() {
    let schema = fresh_schema();
    let url = Cluster::shared().url(&schema);
    let stores = [opened(&url), opened(&url)];
    let second = Duration::from_secs(1);
    let began = steady()();
    assert_eq!(stores[1].wait_for_entry(0, second).unwrap(), 0);
    // The clock of the tests is slow on a busy machine.
    assert!(steady()() - began >= second / 2, "for this time");
    for n in 0..6 {
        let (writer, waiter) = (&stores[n as usize % 2], &stores[(n as usize + 1) % 2]);
        let woken = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let newest = waiter.wait_for_entry(n, Duration::from_secs(20)).unwrap();
                (newest, steady()())
            });
            std::thread::sleep(Duration::from_millis(200));
            writer.append(n, at(0), &slowdown(1)).unwrap();
            let appended = steady()();
            let (newest, woken) = waiting.join().unwrap();
            assert_eq!(newest, n + 1);
            woken.saturating_sub(appended)
        });
        assert!(woken < second, "{woken:?}");
        // Also for the one that appended, and for one that comes later.
        for store in &stores {
            assert_eq!(
                within(5, || store.wait_for_entry(n, Duration::from_secs(20))).unwrap(),
                n + 1
            );
        }
    }
}

#[test]
fn an_entry_that_is_appended_while_nothing_listens_is_not_missed() {
    let schema = fresh_schema();
    let url = Cluster::shared().url(&schema);
    let name = format!("waiter-{schema}");
    let waiter = PostgresStore::open_as(name.clone(), &url.parse().unwrap(), steady()).unwrap();
    assert_eq!(waiter.wait_for_entry(0, Duration::ZERO).unwrap(), 0);
    let end = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE application_name = 'serin/{name}/listener'"
    );
    let insert = "INSERT INTO journal VALUES (1, '', 0, '', '')";
    // Before a call.
    assert_eq!(Cluster::shared().sql(&end), "1");
    sql(&schema, insert);
    assert_eq!(waiter.wait_for_entry(0, Duration::from_secs(20)).unwrap(), 1);
    // During one.
    let newest = std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| within(5, || waiter.wait_for_entry(1, Duration::from_secs(20))));
        std::thread::sleep(Duration::from_millis(300));
        let both = insert.replace("(1,", "(2,");
        Cluster::shared().sql(&format!("SET search_path = {schema}; {both}; {end}"));
        waiting.join().unwrap().unwrap()
    });
    assert_eq!(newest, 2);
}

#[test]
fn a_database_that_is_gone_is_an_error_after_a_short_wait() {
    let (proxy, schema) = (Proxy::start(), fresh_schema());
    let store = opened(&proxy.url(&schema));
    store.wait_for_entry(0, Duration::ZERO).unwrap();
    proxy.lose(|it| &it.all, true);
    let began = steady()();
    let mut calls = 0;
    while steady()() - began < Duration::from_secs(2) {
        let error = store.wait_for_entry(0, Duration::from_secs(20));
        assert!(matches!(error, Err(StoreError::Unreachable { .. })), "{error:?}");
        calls += 1;
    }
    assert!((1..=9).contains(&calls), "{calls}");
    proxy.lose(|it| &it.all, false);
    sql(&schema, "INSERT INTO journal VALUES (1, '', 0, '', '')");
    until("the new connection", || store.wait_for_entry(0, Duration::from_secs(1)).is_ok());
}

#[test]
fn behind_a_pooler_that_lets_no_notification_through_the_journal_is_read_again_and_again() {
    let (proxy, schema) = (Proxy::start(), fresh_schema());
    proxy.lose(|it| &it.notifications, true);
    let waiter = opened(&proxy.url(&schema));
    let writer = opened(&Cluster::shared().url(&schema));
    assert_eq!(waiter.wait_for_entry(0, Duration::from_millis(10)).unwrap(), 0);
    std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| within(5, || waiter.wait_for_entry(0, Duration::from_secs(20))));
        std::thread::sleep(Duration::from_millis(300));
        writer.append(0, at(0), &slowdown(1)).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap(), 1);
    });
}

fn share(replica: ReplicaId, number: u64, body: &[u8]) -> Share {
    Share { replica, number, rollout: 7, step: 2, body: body.to_vec() }
}

#[test]
fn shares_are_stored_once_and_deleted_by_the_checkpoint_that_has_them() {
    let url = Cluster::shared().fresh_url();
    let (leader, follower) = (opened(&url), opened(&url));
    let (a, b) = (leader.id().min(follower.id()), leader.id().max(follower.id()));
    let all = [share(a, 1, b"a1"), share(a, 2, b"a2"), share(b, 1, b"b1")];
    follower.report("{}", &[all[2].clone(), all[1].clone()]).unwrap();
    // A report whose success was not heard of is sent again, with what came since.
    follower.report("{\"n\":2}", &[share(a, 2, b"other"), all[0].clone()]).unwrap();
    assert_eq!(leader.shares(&BTreeMap::new(), 9).unwrap(), all);
    assert_eq!(leader.shares(&BTreeMap::from([(a, 1)]), 9).unwrap(), all[1..]);
    let above = BTreeMap::from([(a, 2), (b, 1), (ReplicaId(1), 5)]);
    assert_eq!(leader.shares(&above, 9).unwrap(), []);
    assert_eq!(leader.shares(&BTreeMap::new(), 2).unwrap(), all[..2]);

    let taken = BTreeMap::from([(a, 1), (b, 1)]);
    let with_shares = Checkpoint { taken, ..checkpoint(7, 3) };
    assert!(follower.save_checkpoint(ONLY, &with_shares, &[]).is_err());
    assert_eq!(leader.shares(&BTreeMap::new(), 9).unwrap(), all);
    leader.save_checkpoint(ONLY, &with_shares, &[]).unwrap();
    assert_eq!(leader.shares(&BTreeMap::new(), 9).unwrap(), all[1..2]);
    assert_eq!(leader.checkpoint(ONLY).unwrap(), Some(with_shares));

    let replicas = leader.replicas().unwrap();
    assert_eq!(replicas.len(), 1);
    assert_eq!((replicas[0].id, replicas[0].report.as_str()), (follower.id(), "{\"n\":2}"));
    assert!(replicas[0].silent < Duration::from_secs(5) && !replicas[0].has_ended);
    leader.forget_replicas(&[a, b]).unwrap();
    assert!(leader.replicas().unwrap().is_empty());
    assert!(leader.shares(&BTreeMap::new(), 9).unwrap().is_empty());
}

#[test]
fn of_two_processes_that_save_a_secret_at_the_same_time_both_read_the_same() {
    let url = Cluster::shared().fresh_url();
    let stores = [opened(&url), opened(&url)];
    for round in 0..10 {
        let name = format!("key {round}");
        let read = std::thread::scope(|scope| {
            let threads = [(&stores[0], 1), (&stores[1], 2)].map(|(store, byte)| {
                let name = &name;
                scope.spawn(move || {
                    store.save_secret(name, &[byte]).unwrap();
                    store.secret(name).unwrap().unwrap()
                })
            });
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(read[0], read[1]);
    }
}

#[test]
fn an_artifact_is_not_deleted_within_ten_minutes_after_it_was_saved() {
    let schema = fresh_schema();
    let url = Cluster::shared().url(&schema);
    let (leader, follower) = (opened(&url), opened(&url));
    for digest in ["old", "again", "new"] {
        follower.save_artifact(digest, b"bytes").unwrap();
    }
    sql(
        &schema,
        "UPDATE artifact SET saved_at = saved_at - interval '601 s' WHERE digest <> 'new'",
    );
    follower.save_artifact("again", b"bytes").unwrap();
    leader.retain_artifacts(&[]).unwrap();
    let is_there = |digest: &str| leader.artifact(digest).unwrap().is_some();
    assert_eq!(["old", "again", "new"].map(is_there), [false, true, true]);
}
