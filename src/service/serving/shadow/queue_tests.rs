//! Shadowed requests are compared once, in the right step, and within bounds.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::canary::Track;
use crate::canary::Weight;
use crate::model::Dataset;
use crate::model::Features;
use crate::model::TrainingOptions;
use crate::model::Value;
use crate::model::dataset::DatasetOptions;
use crate::model::train;
use crate::service::Service;
use crate::service::clock::SystemClock;
use crate::service::control::command::Command;
use crate::service::control::command::Deployment;
use crate::service::control::startup::StartError;
use crate::service::serving::predict::Request;
use crate::service::tests::Bench;

fn weight(percent: f64) -> Weight {
    Weight::from_percent(percent).unwrap()
}

fn shadowing(file: &str, percent: f64) -> Deployment {
    let shadow = Some(weight(percent));
    Deployment { model_path: file.to_owned(), shadow, ..Deployment::default() }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn work_off(service: &Service) -> usize {
    service.serving.work_off(&runtime(), &AtomicBool::new(false))
}

/// Sends this customer with another tenure each time. Returns how many the canary answered.
fn send(service: &Service, requests: u32, key: impl Fn(u32) -> Option<String>) -> u32 {
    let runtime = runtime();
    let by_canary = |n: u32| {
        let tenure = f64::from(n.wrapping_mul(2_654_435_761) % 1000) / 100.0;
        let row = [tenure, 1.2, 0.8, 0.3, 1.1].map(Value::Number).to_vec();
        let request = Request {
            rows: vec![Features::Ordered(row)],
            key: key(n).map(Into::into),
            segments: Vec::new(),
            covariate: None,
        };
        let answer = runtime.block_on(service.predict(request)).unwrap();
        u32::from(answer.track == Track::Canary)
    };
    (0..requests).map(by_canary).sum()
}

fn without_key(_: u32) -> Option<String> {
    None
}

#[test]
fn a_shadow_answers_no_user_and_gets_its_share() {
    for (percent, expected) in [(100.0, 400), (25.0, 100), (0.5, 2)] {
        let bench = Bench::new();
        let service = bench.start_on(bench.store.clone(), Arc::new(SystemClock::default()));
        let status = service.deploy(shadowing("model_v2.bin", percent), None).unwrap();
        assert_eq!(status.traffic_percent, 0.0);
        assert_eq!(send(&service, 400, without_key), 0);
        assert_eq!(work_off(&service), expected, "{percent} %");
        let shadow = service.status().shadow.unwrap();
        assert_eq!((shadow.pairs, shadow.waiting, shadow.dropped), (expected as u64, 0, 0));
        assert!(shadow.judged && shadow.agreement_rate.unwrap() > 0.8, "{}", shadow.message);
    }
}

#[test]
fn a_request_wakes_a_thread_that_sleeps_whatever_else_is_counted() {
    let bench = Bench::new();
    let service = bench.start_on(bench.store.clone(), Arc::new(SystemClock::default()));
    service.deploy(shadowing("model_v2.bin", 100.0), None).unwrap();
    let shadow = &service.serving.shadow;
    let signals = || shadow.wakeup.signals();
    for sleeps in 1..=3 {
        assert!(service.serving.shadow_pause() > std::time::Duration::from_secs(1));
        // Another request is counted, and will be refused before it is queued.
        shadow.load.fetch_add(ONE_JOB, Ordering::Relaxed);
        send(&service, 3, without_key);
        assert_eq!(signals(), sleeps, "one signal wakes it");
        assert!(service.serving.shadow_pause() < std::time::Duration::from_secs(1));
        shadow.load.fetch_sub(ONE_JOB, Ordering::Relaxed);
        assert_eq!(work_off(&service), 3);
        send(&service, 3, without_key);
        assert_eq!(signals(), sleeps, "it is awake");
        assert_eq!(work_off(&service), 3);
    }
}

#[test]
fn with_traffic_only_requests_that_stable_answered_are_shadowed() {
    let bench = Bench::new();
    let service = bench.start_on(bench.store.clone(), Arc::new(SystemClock::default()));
    let with_users = Deployment { weight: Some(weight(25.0)), ..shadowing("model_v2.bin", 100.0) };
    service.deploy(with_users, None).unwrap();
    assert_eq!(send(&service, 400, without_key), 100);
    assert_eq!(work_off(&service), 300);
    assert_eq!(service.status().tracks.stable.requests, 300);
}

#[test]
fn a_key_is_compared_once() {
    let bench = Bench::new();
    let service = bench.start_on(bench.store.clone(), Arc::new(SystemClock::default()));
    service.deploy(shadowing("model_v2.bin", 100.0), None).unwrap();
    let customers = |n| Some(format!("customer-{}", n % 10));
    send(&service, 300, customers);
    assert_eq!(work_off(&service), 10);
    // Not after a step without a shadow either, nor after a restart.
    for shadow in [Weight::ZERO, weight(100.0)] {
        service.command(Command::SetTraffic { weight: Weight::ZERO, shadow }, None).unwrap();
        send(&service, 300, customers);
        assert_eq!(work_off(&service), 0);
    }
    send(&service, 1, |_| Some("another customer".to_owned()));
    assert_eq!(work_off(&service), 1);
    service.save_checkpoint().unwrap();
    drop(service);
    let restarted = bench.start_on(bench.store.clone(), Arc::new(SystemClock::default()));
    send(&restarted, 300, customers);
    assert_eq!(work_off(&restarted), 0);
}

#[test]
fn a_pair_of_an_earlier_step_or_a_removed_canary_is_dropped() {
    let bench = Bench::new();
    let service = bench.start_on(bench.store.clone(), Arc::new(SystemClock::default()));
    service.deploy(shadowing("model_v2.bin", 100.0), None).unwrap();
    send(&service, 50, without_key);
    let next = Command::SetTraffic { weight: Weight::ZERO, shadow: weight(50.0) };
    service.command(next, None).unwrap();
    assert_eq!(work_off(&service), 0);
    assert_eq!(service.status().shadow.unwrap().pairs, 0);
    send(&service, 50, without_key);
    service.command(Command::RollBack { reason: None, quarantine: false }, None).unwrap();
    assert_eq!(work_off(&service), 0);
    assert!(service.status().shadow.is_none());
}

#[test]
fn the_queue_is_bounded_and_dropped_requests_are_counted() {
    let bench = Bench::new();
    let service = bench.start_on(bench.store.clone(), Arc::new(SystemClock::default()));
    service.deploy(shadowing("model_v2.bin", 100.0), None).unwrap();
    send(&service, 5000, without_key);
    let shadow = service.status().shadow.unwrap();
    assert_eq!((shadow.waiting, shadow.dropped), (QUEUE, 5000 - QUEUE as u64));
    assert_eq!(work_off(&service), QUEUE);
    // Large requests are bounded by what they take.
    let row = || Features::Ordered([0.5, 1.2, 0.8, 0.3, 1.1].map(Value::Number).to_vec());
    for _ in 0..20 {
        let request = Request {
            rows: (0..10_000).map(|_| row()).collect(),
            key: None,
            segments: Vec::new(),
            covariate: None,
        };
        runtime().block_on(service.predict(request)).unwrap();
    }
    let waiting = service.serving.shadow.load.load(Ordering::Relaxed) % ONE_JOB;
    assert!((MAX_WAITING_BYTES / 2..=MAX_WAITING_BYTES).contains(&waiting), "{waiting}");
    assert!(work_off(&service) < 20);
    assert_eq!(service.serving.shadow.load.load(Ordering::Relaxed), 0);
}

#[test]
fn pairs_and_their_monitors_survive_a_restart_and_replay_to_the_bit() {
    let bench = Bench::new();
    let clock = Arc::new(SystemClock::default());
    let service = bench.start_on(bench.store.clone(), clock.clone());
    service.deploy(shadowing("model_v2.bin", 100.0), None).unwrap();
    for _ in 0..5 {
        send(&service, 40, without_key);
        work_off(&service);
        service.tick();
    }
    service.save_checkpoint().unwrap();
    let before = service.status();
    drop(service);
    let restarted = bench.start_on(bench.store.clone(), clock);
    let after = restarted.status();
    let json =
        |status: &crate::service::status::Status| serde_json::to_string(&status.shadow).unwrap();
    assert_eq!(json(&before), json(&after));
    let judged = |status: &crate::service::status::Status| {
        status.health.as_ref().unwrap().sequential.clone().unwrap()
    };
    assert_eq!(judged(&before), judged(&after));
    assert_eq!(judged(&after).metrics[5].samples.canary, 200);
    let replayed = restarted.control.replayed(1, judged(&after).ticks).unwrap();
    assert_eq!(replayed.conclusion, judged(&after));
    send(&restarted, 10, without_key);
    work_off(&restarted);
    restarted.tick();
    assert_eq!(restarted.status().shadow.unwrap().pairs, 210);
    assert_eq!(judged(&restarted.status()).metrics[5].samples.canary, 210);
}

#[test]
fn disagreements_are_kept_without_redacted_features_until_the_next_deployment() {
    let bench = Bench::new();
    let retention = Retention { redact: vec!["late_payment_share".to_owned()], recent: 0 };
    let service = bench.start_keeping(retention).unwrap();
    service.deploy(shadowing("model_v2.bin", 100.0), None).unwrap();
    send(&service, 500, without_key);
    work_off(&service);
    let (rollout, worst) = service.serving.shadow.disagreements();
    assert_eq!((rollout, worst.len()), (Some(1), 10));
    let sizes: Vec<f64> = worst.iter().map(|one| one.difference.abs()).collect();
    assert!(sizes.is_sorted_by(|one, other| one >= other), "{sizes:?}");
    assert_eq!(sizes[0], service.status().shadow.unwrap().largest_difference.abs());
    let names: Vec<&str> = worst[0].features.keys().map(String::as_str).collect();
    assert_eq!(names, ["charge_ratio", "support_calls", "tenure_years", "usage_ratio"]);
    // The same customer over and over is one of them.
    send(&service, 500, without_key);
    work_off(&service);
    assert_eq!(service.serving.shadow.disagreements().1[0].count, 2);
    service.command(Command::RollBack { reason: None, quarantine: false }, None).unwrap();
    assert_eq!(service.serving.shadow.disagreements().1.len(), 10);
    service.deploy(shadowing("model_v1.bin", 100.0), None).unwrap();
    assert_eq!(service.serving.shadow.disagreements().1, []);
}

#[test]
fn an_unknown_feature_to_redact_stops_the_start() {
    let bench = Bench::new();
    let retention = Retention { redact: vec!["late_payments".to_owned()], recent: 0 };
    let Err(error) = bench.start_keeping(retention) else { panic!("it has started") };
    assert!(matches!(error, StartError::Redact(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("\"late_payments\"") && text.contains("late_payment_share"), "{text}");
}

#[test]
fn recent_requests_are_replayed_once_per_rollout() {
    let bench = Bench::new();
    let off = bench.start_on(bench.store.clone(), Arc::new(SystemClock::default()));
    assert!(matches!(off.serving.replay_recent(), Err(ReplayRecentError::Refused(_))));
    off.deploy(shadowing("model_v2.bin", 100.0), None).unwrap();
    assert!(matches!(off.serving.replay_recent(), Err(ReplayRecentError::NotKept)));
    drop(off);

    let bench = Bench::new();
    let retention = Retention { redact: vec!["late_payment_share".to_owned()], recent: 200 };
    let service = bench.start_keeping(retention).unwrap();
    // One thread fills one of two workers' parts.
    send(&service, 300, without_key);
    service.deploy(shadowing("model_v2.bin", 50.0), None).unwrap();
    let replayed = service.serving.replay_recent().unwrap();
    assert_eq!((replayed.kept, replayed.queued, replayed.already_compared), (100, 100, 0));
    assert_eq!(work_off(&service), 100);
    let shadow = service.status().shadow.unwrap();
    assert_eq!(shadow.pairs, 100);
    assert!(shadow.stable.mean_ms.is_some() && shadow.canary.mean_ms.is_some());
    let again = service.serving.replay_recent().unwrap();
    assert_eq!((again.queued, again.already_compared), (0, 100));
    // Half of these are compared as they come, and not a second time.
    send(&service, 40, without_key);
    assert_eq!(work_off(&service), 20);
    assert_eq!(service.serving.replay_recent().unwrap().queued, 20);
    assert_eq!(work_off(&service), 20);
    assert_eq!(service.status().shadow.unwrap().pairs, 140);
}

#[test]
fn a_rollout_deployed_without_a_shadow_shows_pairs_but_does_not_judge_them() {
    let bench = Bench::new();
    let service = bench.start_on(bench.store.clone(), Arc::new(SystemClock::default()));
    let deployment = Deployment { model_path: "model_v2.bin".to_owned(), ..Deployment::default() };
    service.deploy(deployment, None).unwrap();
    let shadow = Command::SetTraffic { weight: Weight::ZERO, shadow: weight(100.0) };
    service.command(shadow, None).unwrap();
    send(&service, 100, without_key);
    assert_eq!(work_off(&service), 100);
    let status = service.status();
    let shadow = status.shadow.unwrap();
    assert_eq!((shadow.pairs, shadow.judged), (100, false));
    assert!(
        shadow.message.contains("not judged, because the rollout was deployed without a shadow"),
        "{}",
        shadow.message
    );
    assert_eq!(status.health.unwrap().sequential.unwrap().metrics.len(), 5);
}

/// A model of these columns, trained on the same rows whatever their order.
fn trained(names: &[&str]) -> Vec<u8> {
    let mut text = format!("{},left\n", names.join(","));
    for row in 0..300_u32 {
        let value = |name: &str| {
            let place = name.len() as u32;
            f64::from((row * 31 + place * 17) * (place + 3) % 101) / 101.0
        };
        names.iter().for_each(|name| text += &format!("{},", value(name)));
        text += if value("a") + 2.0 * value("bb") > 1.2 { "yes\n" } else { "no\n" };
    }
    let options = DatasetOptions { target: "left".into(), ..DatasetOptions::default() };
    let data = Dataset::from_reader(Cursor::new(text), "rows".to_owned(), &options).unwrap();
    train(&data, &TrainingOptions::default()).unwrap().to_bytes().to_vec()
}

#[test]
fn requests_that_were_kept_for_versions_of_another_order_are_replayed_by_name() {
    let bench = Bench::new();
    let names = ["a", "bb", "ccc"];
    std::fs::write(bench.path("model_v1.bin"), trained(&names)).unwrap();
    std::fs::write(bench.path("model_v2.bin"), trained(&["ccc", "bb", "a"])).unwrap();
    let retention = Retention { redact: vec!["ccc".to_owned()], recent: 200 };
    let service = bench.start_keeping(retention).unwrap();
    let runtime = runtime();
    let send = |number: u32| {
        let row = [number % 7, number % 5, number % 3].map(|it| Value::Number(f64::from(it) / 7.0));
        let row = names.into_iter().map(Into::into).zip(row).collect();
        let rows = vec![Features::Named(row)];
        let request = Request { rows, key: None, segments: Vec::new(), covariate: None };
        runtime.block_on(service.predict(request)).unwrap();
    };
    (0..50).for_each(send);
    for (canary, promotes) in [("model_v2.bin", true), ("model_v1.bin", false)] {
        service.deploy(shadowing(canary, 100.0), None).unwrap();
        (0..50).for_each(send);
        service.serving.replay_recent().unwrap();
        let compared = work_off(&service);
        assert!(compared >= 100, "{compared}");
        let shadow = service.status().shadow.unwrap();
        assert_eq!((shadow.pairs, shadow.failures), (compared as u64, 0));
        assert!(shadow.largest_difference.abs() < 1e-6, "{}", shadow.largest_difference);
        if promotes {
            let reason = Some("tested".to_owned());
            service.command(Command::Promote { force: true, reason }, None).unwrap();
        }
    }
    let status = service.status();
    assert_eq!((&*status.stable.version.name, status.features), ("model_v2", None));
}
