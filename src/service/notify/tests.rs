//! Delivery with a scripted target, a manual clock and a failing disk.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::delivery::Delivery;
use super::delivery::Next;
use super::message::Message;
use super::subscriptions::Notifications;
use super::target::GivenTarget;
use super::target::Target;
use super::transport::Reply;
use super::transport::Transport;
use super::*;
use crate::canary::Event;
use crate::canary::Version;
use crate::canary::rollout::journal::replay;
use crate::canary::rollout::state::Slowdown;
use crate::service::clock::Clock;
use crate::service::clock::ManualClock;
use crate::service::control::command::Command;
use crate::service::control::error::CommandError;
use crate::service::tests::Bench;
use crate::service::tests::deploy;
use crate::service::tests::roll_back;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;

/// What a target got, and what it answers next; it takes everything once the list is empty.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<(Vec<serde_json::Value>, VecDeque<Reply>)>>);

impl Transport for Receiver {
    fn send(&self, _: &Target, message: &Message) -> Reply {
        let (got, answers) = &mut *self.0.lock();
        got.push(serde_json::from_str(&message.body).unwrap());
        answers.pop_front().unwrap_or(Reply::Accepted)
    }
}

impl Receiver {
    fn answers(&self, answers: &[Reply]) {
        self.0.lock().1.extend(answers.iter().cloned());
    }

    /// The events it got since it was asked last, with the rollouts they are about.
    fn got(&self) -> Vec<(String, Option<u64>)> {
        let got = std::mem::take(&mut self.0.lock().0);
        let name = |event: &serde_json::Value| {
            (event["data"]["event"].as_str().unwrap().to_owned(), event["data"]["rollout"].as_u64())
        };
        got.iter().map(name).collect()
    }

    fn names(&self) -> Vec<String> {
        self.got().into_iter().map(|(name, _)| name).collect()
    }
}

fn targets(events: &[&str]) -> Vec<Target> {
    let url = "https://example.org/hook".to_owned();
    let events = events.iter().map(|&event| event.to_owned()).collect();
    let given = GivenTarget { url, events, ..GivenTarget::default() };
    Target::all(&[given], "http://127.0.0.1:8000", |_| None).unwrap()
}

/// A delivery of a process that finds the store like this.
fn delivery(
    store: &Arc<dyn Store>,
    clock: &Arc<ManualClock>,
    events: &[&str],
) -> (Delivery, Receiver, Notifications) {
    let notifications =
        Notifications::new(&targets(events), &**store, store.newest_sequence().unwrap());
    let receiver = Receiver::default();
    let one = notifications.subscriptions[0].clone();
    let delivery = Delivery::new(one, store.clone(), clock.clone(), Box::new(receiver.clone()));
    (delivery, receiver, notifications)
}

/// Goes on until it waits or has nothing to do.
fn run(delivery: &mut Delivery) -> Next {
    for _ in 0..1000 {
        match delivery.attempt() {
            Next::Deliver => {}
            other => return other,
        }
    }
    panic!("it never stops");
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()))
}

fn version() -> Version {
    let [name, file, digest] = ["model_v1", "model_v1.bin", "d1"].map(str::to_owned);
    Version { name, file, digest }
}

/// One more entry.
fn append_entry(store: &Arc<dyn Store>, clock: &ManualClock) {
    let newest = store.newest_sequence().unwrap();
    let event = match newest {
        0 => Event::Initialized { stable: version() },
        _ => Event::SlowdownSet { slowdown: Slowdown { enabled: true, delay_ms: 5 } },
    };
    store.append(newest, clock.wall(), &event).unwrap();
}

fn later() -> Reply {
    Reply::Retry { why: "it answered 500".to_owned(), after: None }
}

#[test]
fn every_entry_is_delivered_once_in_order_with_its_rollout() {
    let bench = Bench::new();
    let store: Arc<dyn Store> = bench.store.clone();
    let (mut delivery, receiver, notifications) = delivery(&store, &clock(), &[]);
    let service = bench.start();
    for _ in 0..2 {
        deploy(&service, "model_v2.bin", 10.0);
        service.command(Command::Pause, None).unwrap();
        service.command(roll_back(), None).unwrap();
    }
    assert_eq!(run(&mut delivery), Next::Idle);
    let of = |id| move |name: &str| (name.to_owned(), id);
    let lives = |id| ["canary_deployed", "paused", "rolled_back"].map(of(Some(id)));
    let expected = [[of(None)("initialized")].as_slice(), &lives(1), &lives(2)].concat();
    assert_eq!(receiver.got(), expected);
    assert_eq!(run(&mut delivery), Next::Idle);
    assert!(receiver.got().is_empty());
    let status = notifications.status().remove(0);
    assert_eq!((status.position, status.delivered, status.abandoned), (7, 7, 0));
}

#[test]
fn a_restart_delivers_missed_entries_and_none_twice() {
    let bench = Bench::new();
    let store: Arc<dyn Store> = bench.store.clone();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 10.0);
    // A target that is new hears of what comes, not of what has been.
    let (mut first, receiver, _) = delivery(&store, &clock(), &[]);
    service.command(Command::Pause, None).unwrap();
    run(&mut first);
    assert_eq!(receiver.names(), ["paused"]);
    drop(first);
    service.command(Command::Resume, None).unwrap();
    service.command(roll_back(), None).unwrap();
    let (mut second, receiver, _) = delivery(&store, &clock(), &[]);
    run(&mut second);
    let rollout_1 = |name: &str| (name.to_owned(), Some(1));
    assert_eq!(receiver.got(), [rollout_1("resumed"), rollout_1("rolled_back")]);
}

#[test]
fn a_start_reads_the_journal_from_the_saved_state() {
    let disk = Bench::new().store;
    let (store, clock): (Arc<dyn Store>, _) = (disk.clone(), clock());
    (0..10_000).for_each(|_| append_entry(&store, &clock));
    let state = replay(&store.entries(0, 9_950).unwrap()).unwrap().unwrap();
    store.save_state(9_950, &state).unwrap();
    let (mut delivery, receiver, _) = delivery(&store, &clock, &[]);
    append_entry(&store, &clock);
    disk.entries_read.store(0, Ordering::SeqCst);
    assert_eq!(run(&mut delivery), Next::Idle);
    assert_eq!(receiver.names(), ["slowdown_set"]);
    let read = disk.entries_read.load(Ordering::SeqCst);
    assert!(read < 100, "{read} entries");
}

#[test]
fn retries_back_off_and_keep_the_order() {
    let (store, clock): (Arc<dyn Store>, _) = (Arc::new(SqliteStore::default()), clock());
    let (mut delivery, receiver, notifications) = delivery(&store, &clock, &[]);
    (0..3).for_each(|_| append_entry(&store, &clock));
    receiver.answers(&vec![later(); 12]);
    let mut waited = Vec::new();
    for failures in 1..=12 {
        let Next::Wait(wait) = run(&mut delivery) else { panic!("it should wait") };
        // An earlier call makes no attempt.
        clock.advance(wait / 2);
        assert!(matches!(run(&mut delivery), Next::Wait(_)));
        assert_eq!(receiver.got().len(), 1);
        let status = notifications.status().remove(0);
        assert_eq!((status.failures, status.position), (failures, 0));
        assert_eq!(status.last_error.as_deref(), Some("it answered 500"));
        assert!(status.next_try_at.is_some());
        clock.advance(wait);
        waited.push(wait.as_secs_f64());
    }
    for (n, wait) in waited.iter().enumerate() {
        let most = f64::from(1 << n).min(300.0);
        assert!((most / 2.0..=most).contains(wait), "{waited:?}");
    }
    assert_eq!(run(&mut delivery), Next::Idle);
    assert_eq!(receiver.got().len(), 3);
    let status = notifications.status().remove(0);
    assert_eq!((status.failures, status.delivered, status.position), (0, 3, 3));
    assert_eq!((status.last_error, status.next_try_at), (None, None));
}

#[test]
fn retry_after_is_honored_up_to_the_longest_wait() {
    let (store, clock): (Arc<dyn Store>, _) = (Arc::new(SqliteStore::default()), clock());
    for (asked, given) in [(30, 30), (1_000_000_000, 300)] {
        let (mut delivery, receiver, _) = delivery(&store, &clock, &[]);
        append_entry(&store, &clock);
        let after = Some(Duration::from_secs(asked));
        receiver.answers(&[Reply::Retry { why: "it answered 429".to_owned(), after }]);
        assert_eq!(run(&mut delivery), Next::Wait(Duration::from_secs(given)));
        clock.advance(Duration::from_secs(given));
        assert_eq!(run(&mut delivery), Next::Idle);
    }
}

#[test]
fn an_undeliverable_entry_is_given_up_and_the_next_is_delivered() {
    let (store, clock): (Arc<dyn Store>, _) = (Arc::new(SqliteStore::default()), clock());
    let (mut delivery, receiver, notifications) = delivery(&store, &clock, &[]);
    append_entry(&store, &clock);
    append_entry(&store, &clock);
    receiver.answers(&[Reply::Rejected("it answered 404".to_owned())]);
    assert_eq!(run(&mut delivery), Next::Idle);
    let status = notifications.status().remove(0);
    assert_eq!((status.delivered, status.abandoned, status.position), (1, 1, 2));
    // The same after a day of trying, but nothing is given up untried.
    append_entry(&store, &clock);
    receiver.answers(&[later(), later()]);
    assert!(matches!(run(&mut delivery), Next::Wait(_)));
    clock.advance(delivery::GIVE_UP + Duration::from_secs(1));
    append_entry(&store, &clock);
    assert_eq!(run(&mut delivery), Next::Idle);
    let status = notifications.status().remove(0);
    assert_eq!((status.delivered, status.abandoned, status.position), (2, 2, 4));
    append_entry(&store, &clock);
    clock.advance(2 * delivery::GIVE_UP);
    assert_eq!(run(&mut delivery), Next::Idle);
    assert_eq!(notifications.status().remove(0).delivered, 3);
}

#[test]
fn a_target_gets_only_the_events_it_wants() {
    let bench = Bench::new();
    let store: Arc<dyn Store> = bench.store.clone();
    let service = bench.start();
    let (mut one, receiver, _) = delivery(&store, &clock(), &["rolled_back"]);
    deploy(&service, "model_v2.bin", 10.0);
    service.command(Command::Pause, None).unwrap();
    assert_eq!(run(&mut one), Next::Idle);
    assert!(receiver.got().is_empty());
    // What it did not ask for is not looked at again after a restart.
    assert_eq!(store.delivered().unwrap().values().copied().collect::<Vec<_>>(), [3]);
    service.command(roll_back(), None).unwrap();
    run(&mut one);
    assert_eq!(receiver.got(), [("rolled_back".to_owned(), Some(1))]);
}

#[test]
fn a_pending_rollback_is_delivered_once_it_is_written() {
    let bench = Bench::new();
    let store: Arc<dyn Store> = bench.store.clone();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 50.0);
    let (mut delivery, receiver, _) = delivery(&store, &clock(), &[]);
    bench.store.full(true);
    let pending_rollback = service.command(roll_back(), None);
    assert!(
        matches!(pending_rollback, Err(CommandError::PendingRollback(_))),
        "{pending_rollback:?}"
    );
    assert_eq!(run(&mut delivery), Next::Idle);
    assert!(receiver.got().is_empty(), "it is not in the journal, and a restart would undo it");
    bench.store.full(false);
    service.control.retry_rollback().unwrap();
    service.control.retry_rollback().unwrap();
    run(&mut delivery);
    assert_eq!(receiver.names(), ["rolled_back"]);
    assert_eq!(run(&mut delivery), Next::Idle);
    assert!(receiver.got().is_empty());
}

#[test]
fn a_disk_that_cannot_save_progress_stops_no_delivery() {
    let bench = Bench::new();
    let store: Arc<dyn Store> = bench.store.clone();
    let service = bench.start();
    let (mut one, receiver, _) = delivery(&store, &clock(), &[]);
    deploy(&service, "model_v2.bin", 50.0);
    service.command(roll_back(), None).unwrap();
    bench.store.full(true);
    run(&mut one);
    assert_eq!(receiver.names(), ["canary_deployed", "rolled_back"]);
    bench.store.full(false);
    // At least once: an entry whose delivery was not saved is delivered again.
    let (mut two, receiver, _) = delivery(&store, &clock(), &[]);
    run(&mut two);
    assert_eq!(receiver.names(), ["canary_deployed", "rolled_back"]);
}

#[test]
fn the_rollback_of_a_lost_canary_is_delivered_even_to_a_new_target() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 10.0);
    bench.lose("model_v2.bin", &service);
    let service = bench.start_notifying(targets(&[]));
    assert_eq!(service.status().canary, None);
    let receiver = Receiver::default();
    let one = service.notifications.subscriptions[0].clone();
    let mut delivery = Delivery::new(one, bench.store.clone(), clock(), Box::new(receiver.clone()));
    run(&mut delivery);
    assert_eq!(receiver.got(), [("rolled_back".to_owned(), Some(1))]);
}
