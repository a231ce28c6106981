//! Questions read the newest evidence and write nothing.

use super::*;
use crate::service::serving::totals::FallbackReason;
use crate::service::status::overview::StoreLost;
use crate::service::status::report::Condition;
use crate::service::status::report::Report;
use crate::service::status::report::words::Times;

/// Ticks and bytes of everything that the store keeps as evidence.
fn tick_log(bench: &Bench) -> (usize, usize) {
    let chunks = bench.store.chunks(ReplicaId::ONLY).unwrap();
    let ticks: Vec<LoggedTick> = chunks
        .into_iter()
        .flat_map(|chunk| bench.store.ticks(ReplicaId::ONLY, chunk).unwrap())
        .collect();
    (ticks.len(), ticks.iter().map(|tick| tick.increment.len()).sum())
}

#[test]
fn questions_leave_no_trace_in_the_tick_log() {
    let [asked, unasked] = [10, 0].map(|pages| {
        let bench = Bench::new();
        let service = bench.start();
        deploy(&service, "model_v2.bin", 50.0);
        for _second in 0..5 {
            for _tenth in 0..10 {
                answers(&service, 3);
                (0..pages).for_each(|_| drop((service.status(), service.health().unwrap())));
            }
            bench.clock.advance(Duration::from_secs(1));
            service.save_checkpoint().unwrap();
        }
        let health = service.health().unwrap();
        assert_eq!(health.as_of, Some(bench.clock.wall()));
        assert_eq!(health.sequential.unwrap().ticks, 5);
        tick_log(&bench)
    });
    assert_eq!(asked, unasked);
    assert_eq!(asked.0, 5);
}

#[test]
fn totals_never_fall_when_steps_and_rollouts_change() {
    let bench = Bench::new();
    let service = bench.start();
    answers(&service, 10);
    deploy(&service, "model_v2.bin", 50.0);
    answers(&service, 20);
    let live = service.serving.live.load_full();
    let weight = Weight::from_percent(25.0).unwrap();
    service.command(Command::SetTraffic { weight, shadow: Weight::ZERO }, None).unwrap();
    // A request that is still under way writes to the recorder of its step.
    live.recorder.record_fallback(FallbackReason::Overloaded);
    answers(&service, 20);
    service.command(roll_back(), None).unwrap();
    live.recorder.record_fallback(FallbackReason::Overloaded);
    drop(live);
    answers(&service, 5);
    let status = service.status();
    assert_eq!(status.tracks.stable.requests, 5);
    let totals = status.totals;
    assert_eq!((totals.stable.requests, totals.canary.requests), (40, 15));
    assert_eq!(totals.fallbacks, 2);
    assert_eq!(service.serving.totals(), totals);
}

#[test]
fn a_question_counts_the_newest_samples_and_closes_no_tick() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 50.0);
    let deployed = bench.clock.wall();
    bench.clock.advance(Duration::from_secs(1));
    answers(&service, 40);
    let health = service.health().unwrap();
    assert_eq!((health.tracks.stable.requests, health.tracks.canary.requests), (20, 20));
    assert_eq!((health.as_of, health.sequential.unwrap().ticks), (Some(deployed), 0));
    service.tick();
    let health = service.health().unwrap();
    assert_eq!((health.as_of, health.sequential.unwrap().ticks), (Some(bench.clock.wall()), 1));
}

#[test]
fn the_answer_to_a_command_says_what_the_status_says_besides() {
    let bench = Bench::new();
    let service = bench.start();
    let trouble = "the file is gone".to_owned();
    let (since, cause) = (bench.clock.wall(), trouble.clone());
    *service.control.store_lost.lock() = Some(StoreLost { since, cause, canary_is_off: false });
    let deployed = deploy(&service, "model_v2.bin", 10.0);
    let paused = service.command(Command::Pause, None).unwrap();
    assert_eq!((deployed.note, paused.note), (Some(trouble.clone()), Some(trouble)));
}

#[test]
fn a_canary_may_get_no_traffic_while_its_store_is_lost_for_long() {
    let bench = Bench::new();
    let service = bench.start_turning_off(Duration::from_secs(60));
    deploy(&service, "model_v2.bin", 50.0);
    let second = |seconds: u64| {
        bench.clock.advance(Duration::from_secs(seconds));
        let _ = service.control.save_or_log();
        let status = service.status();
        let report = Report::new(&status, &Times::utc(status.at));
        let canary = (0..20).filter(|_| answer(&service).0 == "canary").count();
        (report.why.unwrap_or_default() + &report.next, status.note, canary)
    };
    bench.store.full(true);
    assert_eq!(second(1).2, 10);
    assert_eq!(second(59).2, 10);
    let (said, note, canary) = second(1);
    assert_eq!(canary, 0);
    assert!(said.contains("Predictions go on without the canary"), "{said}");
    assert!(said.contains("The canary gets its traffic back then"), "{said}");
    assert!(note.unwrap().contains("disk is full"), "no rollback is under way");
    assert_eq!((second(1).2, second(600).2), (0, 0), "until the store is back");
    bench.store.full(false);
    let (said, _, canary) = second(1);
    assert_eq!((canary, said.contains("Nothing can be saved")), (10, false), "{said}");
    second(1);
    let judged = judged_now(&service).metrics[0].samples;
    assert_eq!((judged.stable, judged.canary), (40, 40), "not the twenty of stable alone");
}

#[test]
fn a_rollout_is_frozen_while_its_store_is_lost() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 10.0);
    let report = || {
        let status = service.status();
        (Report::new(&status, &Times::utc(status.at)), status.store_lost)
    };
    assert_ne!(report().0.condition, Condition::Frozen);
    bench.store.full(true);
    let since = bench.clock.wall();
    for _ in 0..2 {
        answers(&service, 20);
        service.control.save_or_log().unwrap_err();
        bench.clock.advance(Duration::from_secs(1));
    }
    let (frozen, lost) = report();
    assert_eq!((frozen.condition, lost.unwrap().since), (Condition::Frozen, since));
    let why = frozen.why.unwrap();
    let goes_on = "Predictions go on with 10 % for the canary; the rollout waits; the only command accepted is a rollback.";
    assert!(why.contains("disk is full") && why.ends_with(goes_on), "{why}");
    assert!(frozen.next.contains("roll back at any time (serin rollback)"), "{}", frozen.next);
    assert!(frozen.notes.iter().all(|note| !note.contains("disk is full")), "{:?}", frozen.notes);
    service.command(Command::Pause, None).unwrap_err();
    // A rollback does not wait for the store.
    service.command(roll_back(), None).unwrap_err();
    let (ended, lost) = report();
    assert_eq!((ended.condition, lost.is_some()), (Condition::RolledBack, true));
    assert!(
        ended.next.contains("commands work again once it can. Until then they are refused"),
        "{}",
        ended.next
    );
    assert!(ended.notes.iter().any(|note| note.contains("disk is full")), "{:?}", ended.notes);
    bench.store.full(false);
    service.control.save_or_log().unwrap();
    assert_eq!(report().1, None);
}
