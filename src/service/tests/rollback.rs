//! Rollbacks while the disk is full or slow.

use super::*;
use crate::canary::Verdict;
use crate::service::status::overview::RolloutState;

#[test]
fn a_rollback_takes_effect_on_a_full_disk_and_reports_that_it_is_not_journaled() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 100.0);
    assert_eq!(answer(&service).0, "canary");
    bench.store.full.store(true, Ordering::SeqCst);
    let more =
        Command::SetTraffic { weight: Weight::from_percent(50.0).unwrap(), shadow: Weight::ZERO };
    assert!(matches!(service.command(more, None), Err(CommandError::Store(_))));
    assert_eq!(answer(&service).0, "canary", "nothing else happens without the journal");
    let pending_rollback = service.command(roll_back(), None);
    assert!(
        matches!(pending_rollback, Err(CommandError::PendingRollback(_))),
        "{pending_rollback:?}"
    );
    assert_eq!(answers(&service, 20), [("stable", "model_v1".to_owned())]);
    bench.store.full.store(false, Ordering::SeqCst);
    service.command(roll_back(), None).unwrap();
    assert_eq!(bench.start().status().canary, None);
    // The evidence is written, too, although the canary is already gone.
    let Event::RolledBack { judgement, .. } = &service.newest_history(1).unwrap()[0].event else {
        panic!("{:?}", service.newest_history(1));
    };
    assert_eq!(judgement.as_ref().unwrap().evidence.inputs.canary.requests, 2);
}

#[test]
fn a_pending_rollback_is_journaled_before_the_next_command_or_by_retry() {
    for by_itself in [true, false] {
        let bench = Bench::new();
        let service = bench.start();
        deploy(&service, "model_v2.bin", 50.0);
        bench.store.full.store(true, Ordering::SeqCst);
        service.command(roll_back(), None).unwrap_err();
        // A canary that is gone must not be decided on.
        let force = Command::Promote { force: true, reason: Some("urgent".into()) };
        let refused = service.command(force, None);
        assert!(matches!(refused, Err(CommandError::PendingRollback(_))), "{refused:?}");
        assert_eq!(service.status().canary, None);
        service.control.retry_rollback().unwrap_err();
        bench.store.full.store(false, Ordering::SeqCst);
        if by_itself {
            service.control.retry_rollback().unwrap();
            service.control.retry_rollback().unwrap();
        } else {
            deploy(&service, "model_v2.bin", 10.0);
        }
        let history = service.newest_history(10).unwrap();
        let names: Vec<&str> = history.iter().map(|entry| entry.event.name()).collect();
        let deployed = ["initialized", "canary_deployed", "rolled_back", "canary_deployed"];
        assert_eq!(names, deployed[..if by_itself { 3 } else { 4 }]);
        let restarted = bench.start().status();
        assert_eq!(restarted.canary.is_none(), by_itself);
        assert_eq!(restarted.revision, service.status().revision);
    }
}

#[test]
fn users_do_not_wait_for_the_disk_during_a_rollback() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 100.0);
    let slow = bench.store.slow.lock();
    std::thread::scope(|scope| {
        let command = scope.spawn(|| service.command(roll_back(), None));
        // The rollback cannot end before the disk continues, so only the answer can end this loop.
        while answer(&service).0 != "stable" {
            std::thread::yield_now();
        }
        assert!(!command.is_finished());
        drop(slow);
        let status = command.join().unwrap().unwrap();
        assert_eq!(status.canary, None);
    });
}

/// Waits until no request reaches the canary, which must happen while the disk still waits.
fn wait_until_stable_answers(service: &Service) {
    while answer(service).0 != "stable" {
        std::thread::yield_now();
    }
    assert_eq!(answers(service, 20), [("stable", "model_v1".to_owned())]);
}

/// Waits until a command holds the ledger.
fn wait_until_busy(service: &Service) {
    while service.control.ledger.try_lock().is_some() {
        std::thread::yield_now();
    }
}

#[test]
fn a_rollback_waits_for_no_command_that_waits_for_the_disk_and_neither_does_the_status() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 100.0);
    let slow = bench.store.slow.lock();
    std::thread::scope(|scope| {
        let pause = scope.spawn(|| service.command(Command::Pause, None));
        wait_until_busy(&service);
        assert_eq!((answer(&service).0, service.status().revision), ("canary", 2));
        let rollback = scope.spawn(|| service.command(roll_back(), None));
        wait_until_stable_answers(&service);
        let status = service.status();
        assert_eq!(status.revision, 2);
        assert!(status.note.unwrap().contains("a rollback is under way"));
        service.health().unwrap();
        assert!(!pause.is_finished() && !rollback.is_finished());
        drop(slow);
        pause.join().unwrap().unwrap();
        assert_eq!(rollback.join().unwrap().unwrap().canary, None);
    });
}

#[test]
fn a_rollback_that_is_refused_gives_the_canary_its_requests_back() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 100.0);
    let refused = service.command(roll_back(), Some(1));
    assert!(matches!(refused, Err(CommandError::Revision { .. })), "{refused:?}");
    assert_eq!((answer(&service).0, service.status().note), ("canary", None));
}

#[test]
fn a_rollback_by_the_judge_does_not_wait_for_commands_either() {
    let bench = Bench::new();
    let service = bench.start();
    deploy_harmful_by_plan(&service);
    assert_eq!(judged_now(&service).verdict, Verdict::Rollback);
    let slow = bench.store.slow.lock();
    std::thread::scope(|scope| {
        let pause = scope.spawn(|| service.command(Command::Pause, None));
        wait_until_busy(&service);
        let look = scope.spawn(|| service.look());
        while service.status().note.is_none() {
            std::thread::yield_now();
        }
        assert_eq!(answers(&service, 20), [("stable", "model_v1".to_owned())]);
        drop(slow);
        pause.join().unwrap().unwrap();
        look.join().unwrap().unwrap();
    });
    assert_eq!(service.status().canary, None);
}

#[test]
fn a_look_that_waits_for_a_command_judges_no_more_often_than_its_plan_says() {
    let bench = Bench::new();
    let service = bench.start();
    let plan = "warm_up = \"0s\"\nlook = \"1h\"\nsteps = [{ weight = 50, bake = \"1h\" }]";
    let (model_path, plan) = ("model_v2.bin".to_owned(), toml::from_str(plan).unwrap());
    service.deploy(Deployment { model_path, plan, ..Deployment::default() }, None).unwrap();
    answers(&service, 40);
    let before = judged_now(&service).ticks;
    let slow = bench.store.slow.lock();
    std::thread::scope(|scope| {
        let pause = scope.spawn(|| service.command(Command::Pause, None));
        wait_until_busy(&service);
        let look = scope.spawn(|| service.look());
        let ticks = || service.health().unwrap().sequential.unwrap().ticks;
        while ticks() == before {
            answer(&service);
        }
        for _ in 0..20 {
            answer(&service);
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(ticks(), before + 1);
        drop(slow);
        pause.join().unwrap().unwrap();
        look.join().unwrap().unwrap();
    });
}

fn deploy_judged_by_cost(service: &Service, percent: f64) {
    let judge = toml::from_str("[[metrics]]\nname = \"cost\"\nharm = \"higher\"").unwrap();
    let as_usual = deployment("model_v2.bin", percent);
    service.deploy(Deployment { judge, ..as_usual }, None).unwrap();
}

#[test]
fn a_rollback_that_was_journaled_after_all_is_not_journaled_twice() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 50.0);
    bench.store.full.store(true, Ordering::SeqCst);
    service.command(roll_back(), None).unwrap_err();
    bench.store.full.store(false, Ordering::SeqCst);
    // Another writer has changed the weight and then rolled the canary back.
    let other = bench.start();
    let weight = Weight::from_percent(20.0).unwrap();
    other.command(Command::SetTraffic { weight, shadow: Weight::ZERO }, None).unwrap();
    other.command(roll_back(), None).unwrap();
    service.control.retry_rollback().unwrap();
    assert_eq!(service.status().revision, other.status().revision);
    assert_eq!(service.status().last_rollout, other.status().last_rollout);
}

#[test]
fn values_recorded_without_random_assignment_are_not_compared() {
    let (bench, cost) = (Bench::new(), MetricName::new("cost").unwrap());
    let service = bench.start();
    deploy_judged_by_cost(&service, 0.0);
    let record = |track, value, key: &str| {
        service.recordings().record(track, cost.clone(), value, Some(key)).unwrap();
    };
    let seen = || {
        let judged = judged_now(&service);
        let cost = judged.metrics.iter().find(|metric| metric.metric == cost).unwrap();
        (cost.samples.stable, cost.samples.canary, judged.verdict)
    };
    for round in 0..20 {
        answers(&service, 10);
        for user in 0..20 {
            record(Track::Stable, 1.0, &format!("s{round}-{user}"));
            record(Track::Canary, 9.0, &format!("c{round}-{user}"));
        }
        assert_eq!(seen(), (0, 0, Verdict::Hold));
    }
    // Dropped values do not count as seen, so the same users are judged now.
    let weight = Weight::from_percent(50.0).unwrap();
    service.command(Command::SetTraffic { weight, shadow: Weight::ZERO }, None).unwrap();
    answers(&service, 10);
    for user in 0..20 {
        record(Track::Stable, 1.0, &format!("s0-{user}"));
        record(Track::Canary, 1.0, &format!("c0-{user}"));
    }
    assert_eq!(seen(), (20, 20, Verdict::Hold));
}

#[test]
fn metrics_that_are_not_judged_leave_room_for_those_that_are() {
    let (bench, cost) = (Bench::new(), MetricName::new("cost").unwrap());
    let service = bench.start();
    deploy_judged_by_cost(&service, 50.0);
    let record = |name: &str| {
        let name = MetricName::new(name).unwrap();
        service.recordings().record(Track::Stable, name, 1.0, None)
    };
    let stray = (0..1000).find(|n| record(&format!("stray-{n}")).is_err()).unwrap();
    assert!(stray < 1000 && record(cost.as_str()).is_ok());
}

#[test]
fn a_rollback_takes_effect_even_if_the_journal_is_behind() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 100.0);
    bench.store.is_behind.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let pending_rollback = service.command(roll_back(), None);
        assert!(
            matches!(pending_rollback, Err(CommandError::PendingRollback(_))),
            "{pending_rollback:?}"
        );
        assert_eq!(answer(&service).0, "stable");
    }
    bench.store.is_behind.store(false, Ordering::SeqCst);
    service.control.retry_rollback().unwrap();
    let status = service.status();
    assert_eq!((status.state, status.revision), (RolloutState::Idle, 3));
    assert_eq!(bench.start().status().state, RolloutState::Idle);
}
