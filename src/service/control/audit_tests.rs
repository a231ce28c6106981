//! Verdicts recomputed from the store: over steps, restarts, full chunks, and failing disks.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::*;
use crate::canary::Judgement;
use crate::canary::MetricName;
use crate::canary::Track;
use crate::canary::Weight;
use crate::canary::judge::tick_log;
use crate::canary::judge::tick_log::Bounds;
use crate::canary::judge::what_if::Changes;
use crate::service::Service;
use crate::service::clock::Clock;
use crate::service::clock::SystemClock;
use crate::service::control::command::Command;
use crate::service::control::command::Deployment;
use crate::service::control::error::CommandError;
use crate::service::tests::Bench;
use crate::service::tests::answers;
use crate::service::tests::deploy;
use crate::service::tests::deployment;
use crate::service::tests::judged_now;
use crate::service::tests::roll_back;
use crate::store::EvidenceLog;
use crate::store::Progress;
use crate::store::ReplicaId;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;

/// About ten ticks of ten requests per chunk.
const SMALL: Bounds =
    Bounds { chunk_bytes: 700, chunks_per_rollout: 100, chunks: 200, unsaved_bytes: 9000 };

fn set_traffic(service: &Service, percent: f64) -> Result<(), CommandError> {
    let weight = Weight::from_percent(percent).unwrap();
    service.command(Command::SetTraffic { weight, shadow: Weight::ZERO }, None).map(|_| ())
}

fn slow_down(service: &Service) {
    let slow = Command::SetSlowdown { enabled: Some(true), delay_ms: Some(1) };
    service.command(slow, None).unwrap();
}

/// Ten predictions per tick.
fn live_through(service: &Service, ticks: u32) {
    for _ in 0..ticks {
        answers(service, 10);
        service.tick();
    }
}

/// Every judgement of the journal.
fn judgements(service: &Service) -> Vec<Judgement> {
    let entries = service.history(0, 1000).unwrap();
    entries.iter().filter_map(|entry| entry.event.judgement()).cloned().collect()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

fn replay_of(service: &Service, judgement: &Judgement) -> Result<String, ReplayError> {
    let ticks = judgement.sequential.as_ref().unwrap().conclusion.ticks;
    service.control.replayed(judgement.rollout, ticks).map(|sequential| json(&sequential))
}

/// The monitors of the checkpoint equal those that the tick log leads to, from every snapshot.
fn assert_the_state_is_the_log(store: &dyn Store) {
    let saved = store.checkpoint(ReplicaId::ONLY).unwrap().unwrap();
    let monitors = saved.monitors.unwrap();
    let chunks = store.chunks(ReplicaId::ONLY).unwrap();
    let of_this = chunks.iter().filter(|chunk| chunk.rollout == saved.rollout);
    let mut folded = None;
    for chunk in of_this {
        let snapshot = store.snapshot(ReplicaId::ONLY, *chunk).unwrap().unwrap();
        assert!(
            folded.is_none_or(|folded| folded == snapshot),
            "{chunk:?} is not what came before"
        );
        let ticks = store.ticks(ReplicaId::ONLY, *chunk).unwrap();
        let end = ticks.last().map_or(chunk.start, |tick| tick.number);
        folded = Some(tick_log::replay(snapshot, &ticks, end).unwrap());
    }
    assert_eq!(json(&folded.unwrap()), json(&monitors));
}

fn on_sqlite(bench: &Bench, file: &Path) -> (Arc<SqliteStore>, Service) {
    let store = Arc::new(SqliteStore::open(file).unwrap());
    let service = bench.start_on(store.clone(), Arc::new(SystemClock::default()));
    service.control.judge.lock().bounds = SMALL;
    (store, service)
}

#[test]
fn every_journalled_verdict_is_recomputed_to_the_bit_from_the_store() {
    let (bench, folder) = (Bench::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("serin.db");
    let (mut store, mut service) = on_sqlite(&bench, &file);
    answers(&service, 100);
    deploy(&service, "model_v2.bin", 20.0);
    for percent in [50.0, 25.0, 75.0] {
        slow_down(&service);
        live_through(&service, 12);
        service.save_checkpoint().unwrap();
        // Lost, and lost by the log as well.
        live_through(&service, 3);
        drop(service);
        drop(store);
        (store, service) = on_sqlite(&bench, &file);
        assert_the_state_is_the_log(&*store);
        live_through(&service, 5);
        set_traffic(&service, percent).unwrap();
        assert_the_state_is_the_log(&*store);
    }
    answers(&service, 20);
    service.command(roll_back(), None).unwrap();
    let judge = toml::from_str("[[metrics]]\nname = \"revenue\"\nharm = \"lower\"").unwrap();
    let deployment = Deployment { judge, ..deployment("model_v2.bin", 50.0) };
    service.deploy(deployment, None).unwrap();
    for n in 0..20 {
        for track in [Track::Stable, Track::Canary] {
            let record = |value| {
                service.recordings().record(track, MetricName::new("revenue").unwrap(), value, None)
            };
            (0..6).for_each(|m| record(f64::from(n * m) - 30.0).unwrap());
        }
        live_through(&service, 1);
    }
    let reason = Some("a test".to_owned());
    service.command(Command::Promote { force: true, reason }, None).unwrap();

    drop(service);
    drop(store);
    let (store, service) = on_sqlite(&bench, &file);
    let chunks = store.chunks(ReplicaId::ONLY).unwrap();
    assert!(chunks.len() >= 6, "{chunks:?}");
    let judgements = judgements(&service);
    assert_eq!(judgements.len(), 5);
    for judgement in &judgements {
        let sequential = json(judgement.sequential.as_ref().unwrap());
        assert_eq!(replay_of(&service, judgement).unwrap(), sequential);
        assert_eq!(json(&judgement.recomputed()), json(judgement));
    }
    let revenue = &judgements[4].sequential.as_ref().unwrap().conclusion.metrics[5];
    assert!(revenue.samples.canary > 100, "recorded values are in the log: {revenue:?}");
    let ticks = |judgement: &Judgement| judgement.sequential.as_ref().unwrap().conclusion.ticks;
    assert!(ticks(&judgements[3]) > 50 && ticks(&judgements[4]) >= 20);
    let latency = &judgements[3].sequential.as_ref().unwrap().conclusion.metrics[0];
    assert!(latency.harm_p_value.unwrap() < 0.01, "the slow canary was seen: {latency:?}");
}

#[test]
fn a_crash_right_after_a_step_begins_keeps_what_the_steps_before_it_have_shown() {
    let (bench, folder) = (Bench::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("serin.db");
    let (store, service) = on_sqlite(&bench, &file);
    deploy(&service, "model_v2.bin", 20.0);
    slow_down(&service);
    live_through(&service, 10);
    set_traffic(&service, 50.0).unwrap();
    drop(service);
    drop(store);
    let (_store, service) = on_sqlite(&bench, &file);
    let shown = judgements(&service).remove(0).sequential.unwrap();
    let shown = Some(json(&shown.conclusion));
    assert_eq!(service.health().unwrap().sequential.map(|now| json(&now)), shown);
}

#[test]
fn with_concurrent_ticks_and_saves_every_request_is_judged_once() {
    let (bench, folder) = (Bench::new(), tempfile::tempdir().unwrap());
    let (store, service) = on_sqlite(&bench, &folder.path().join("serin.db"));
    // A save that takes as long as all ticks must not overflow the buffer, which starts the log again.
    service.control.judge.lock().bounds.unsaved_bytes = Bounds::default().unsaved_bytes;
    deploy(&service, "model_v2.bin", 50.0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| live_through(&service, 40));
            scope.spawn(|| (0..40).for_each(|_| service.save_checkpoint().unwrap()));
        }
    });
    let judged = judged_now(&service).metrics[0].samples;
    assert_eq!((judged.stable, judged.canary), (600, 600));
    service.save_checkpoint().unwrap();
    assert_the_state_is_the_log(&*store);
}

#[test]
fn the_newest_verdicts_of_a_long_rollout_can_be_recomputed() {
    let (bench, folder) = (Bench::new(), tempfile::tempdir().unwrap());
    let (store, service) = on_sqlite(&bench, &folder.path().join("serin.db"));
    service.control.judge.lock().bounds = Bounds { chunks_per_rollout: 3, ..SMALL };
    deploy(&service, "model_v2.bin", 20.0);
    for percent in [50.0, 25.0, 75.0, 20.0, 50.0, 25.0] {
        live_through(&service, 10);
        set_traffic(&service, percent).unwrap();
    }
    assert_eq!(store.chunks(ReplicaId::ONLY).unwrap().len(), 3);
    assert_the_state_is_the_log(&*store);
    let judgements = judgements(&service);
    let last = judgements.last().unwrap();
    assert_eq!(replay_of(&service, last).unwrap(), json(last.sequential.as_ref().unwrap()));
    let first = replay_of(&service, &judgements[0]);
    assert!(matches!(first, Err(ReplayError::NotKept { rollout: 1, .. })), "{first:?}");
    assert!(matches!(
        service.control.replayed(1, 9999),
        Err(ReplayError::Log(LogError::NotYet { .. }))
    ));
    assert!(matches!(service.control.replayed(2, 0), Err(ReplayError::NoRollout(2))));
}

#[test]
fn the_evidence_of_old_rollouts_is_deleted() {
    let (bench, folder) = (Bench::new(), tempfile::tempdir().unwrap());
    let (store, service) = on_sqlite(&bench, &folder.path().join("serin.db"));
    service.control.judge.lock().bounds = Bounds { chunks: 4, ..Bounds::default() };
    for _ in 0..7 {
        deploy(&service, "model_v2.bin", 50.0);
        live_through(&service, 2);
        service.command(roll_back(), None).unwrap();
    }
    let kept: Vec<u64> =
        store.chunks(ReplicaId::ONLY).unwrap().iter().map(|one| one.rollout).collect();
    assert_eq!(kept, [4, 5, 6, 7]);
    let replayed: Vec<bool> =
        judgements(&service).iter().map(|one| replay_of(&service, one).is_ok()).collect();
    assert_eq!(replayed, [false, false, false, true, true, true, true]);
}

#[test]
fn without_saved_evidence_a_rollback_happens_and_other_events_wait() {
    let bench = Bench::new();
    let service = bench.start_on(bench.store.clone(), Arc::new(SystemClock::default()));
    deploy(&service, "model_v2.bin", 50.0);
    live_through(&service, 3);
    bench.store.keeps_no_evidence.store(true, Ordering::SeqCst);
    assert!(matches!(set_traffic(&service, 20.0), Err(CommandError::Store(_))));
    let reason = Some("a test".to_owned());
    let promote = service.command(Command::Promote { force: true, reason }, None);
    assert!(matches!(promote, Err(CommandError::Store(_))), "{promote:?}");
    assert_eq!(service.status().traffic_percent, 50.0);
    service.command(roll_back(), None).unwrap();
    assert_eq!(service.status().canary, None);
    let judgements = judgements(&service);
    assert_eq!(judgements.len(), 1);
    assert!(replay_of(&service, &judgements[0]).is_err());
}

#[test]
fn after_a_long_failure_of_the_disk_new_verdicts_can_be_recomputed() {
    let bench = Bench::new();
    let service = bench.start_on(bench.store.clone(), Arc::new(SystemClock::default()));
    service.control.judge.lock().bounds = Bounds { unsaved_bytes: 500, ..SMALL };
    deploy(&service, "model_v2.bin", 50.0);
    live_through(&service, 3);
    service.save_checkpoint().unwrap();
    bench.store.keeps_no_evidence.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        live_through(&service, 1);
        service.save_checkpoint().unwrap_err();
    }
    bench.store.keeps_no_evidence.store(false, Ordering::SeqCst);
    assert!(service.control.replayed(1, 3).is_ok());
    set_traffic(&service, 20.0).unwrap();
    let judgement = judgements(&service).remove(0);
    let sequential = judgement.sequential.as_ref().unwrap();
    assert_eq!(sequential.conclusion.ticks, 23);
    assert_eq!(replay_of(&service, &judgement).unwrap(), json(sequential));
    assert!(
        service.control.replayed(1, 10).is_err(),
        "what could not be saved is lost, and said to be"
    );
    let restarted = bench.start_on(bench.store.clone(), Arc::new(SystemClock::default()));
    assert_eq!(restarted.health().unwrap().sequential.unwrap().ticks, 23);
}

#[test]
fn monitors_of_another_algorithm_start_a_new_chunk() {
    let (bench, folder) = (Bench::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("serin.db");
    let (store, service) = on_sqlite(&bench, &file);
    deploy(&service, "model_v2.bin", 50.0);
    live_through(&service, 3);
    set_traffic(&service, 20.0).unwrap();
    let mut saved = store.checkpoint(ReplicaId::ONLY).unwrap().unwrap();
    let mut monitors = serde_json::to_value(saved.monitors.unwrap()).unwrap();
    monitors["algorithm"] = 99.into();
    saved.monitors = Some(serde_json::from_value(monitors).unwrap());
    store.save_checkpoint(ReplicaId::ONLY, &saved, &[]).unwrap();
    drop(service);
    drop(store);
    let (store, service) = on_sqlite(&bench, &file);
    live_through(&service, 3);
    set_traffic(&service, 50.0).unwrap();
    let chunks = store.chunks(ReplicaId::ONLY).unwrap();
    assert_eq!(chunks.iter().map(|one| one.start).collect::<Vec<_>>(), [0, 3]);
    assert_eq!(store.snapshot(ReplicaId::ONLY, chunks[1]).unwrap().unwrap().algorithm(), ALGORITHM);
    for judgement in judgements(&service) {
        let sequential = json(judgement.sequential.as_ref().unwrap());
        assert_eq!(replay_of(&service, &judgement).unwrap(), sequential);
    }
}

/// A clock on which each look takes a second.
#[derive(Default)]
struct SlowClock(AtomicU64);

impl Clock for SlowClock {
    fn steady(&self) -> Duration {
        Duration::from_secs(self.0.fetch_add(1, Ordering::SeqCst))
    }

    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn machine(&self) -> Timestamp {
        self.wall()
    }

    fn set(&self, _: Timestamp) {}
}

#[test]
fn a_replay_that_takes_too_long_ends_and_says_how_far_it_came() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 50.0);
    live_through(&service, 5);
    service.command(roll_back(), None).unwrap();
    let accepted = Changes { accepted: Some(0.2), ..Changes::default() };
    for (recompute, changes) in [(true, Changes::default()), (false, accepted)] {
        let question = Question { which: Which::Latest, recompute, changes };
        let time = Duration::from_secs(3);
        let limit = Limit::new(Arc::new(SlowClock::default()), time, Arc::default());
        let cause = service.past_rollout(&question, &limit).map(drop).unwrap_err().to_string();
        let begin = "the answer takes longer than 3s, the most that a server spends on one question: it came to tick 2 of 5; \
                     serin replay --rollout 1 reads";
        assert!(cause.starts_with(begin), "{cause}");
        let enough = Limit::new(Arc::new(SlowClock::default()), time * 2, Arc::default());
        assert!(service.past_rollout(&question, &enough).is_ok());
        let abandoned = Limit::new(Arc::new(SlowClock::default()), time, Arc::new(true.into()));
        let cause = service.past_rollout(&question, &abandoned).map(drop).unwrap_err();
        assert!(matches!(cause, ReplayError::Abandoned), "{cause}");
    }
}

#[test]
fn both_courses_of_a_what_if_end_at_the_same_tick_although_the_rollout_goes_on() {
    let bench = Bench::new();
    let service = Arc::new(bench.start());
    deploy(&service, "model_v2.bin", 50.0);
    live_through(&service, 5);
    service.save_checkpoint().unwrap();
    let meanwhile = service.clone();
    *bench.store.after_ticks.lock() = Some(Box::new(move || {
        live_through(&meanwhile, 3);
        meanwhile.save_checkpoint().unwrap();
    }));
    let changes = Changes { accepted: Some(0.2), ..Changes::default() };
    let question = Question { which: Which::Latest, recompute: false, changes };
    let found = service.past_rollout(&question, &Limit::default()).unwrap().what_if.unwrap();
    let ends = [found.as_it_was, found.what_if].map(|course| course.unwrap().ticks);
    assert_eq!(ends, [5, 5]);
    assert_eq!(
        service
            .past_rollout(&question, &Limit::default())
            .unwrap()
            .what_if
            .unwrap()
            .what_if
            .unwrap()
            .ticks,
        8
    );
}
