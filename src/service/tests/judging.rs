//! The sequential judge of a running service: restarts, steps, keys, recorded values.

use super::*;
use crate::service::clock::SystemClock;
use crate::service::status::health::HealthStatus;

#[test]
fn the_sequential_judge_continues_after_a_restart_and_from_step_to_step() {
    let bench = Bench::new();
    // With a stopped clock the slowdown would take no time.
    let start = || bench.start_on(bench.store.clone(), Arc::new(SystemClock::default()));
    let service = start();
    let harm = |service: &Service| {
        let judged = judged_now(service);
        judged.metrics[0].harm_p_value.unwrap_or(1.0)
    };
    answers(&service, 100);
    deploy(&service, "model_v2.bin", 50.0);
    for _ in 0..5 {
        service
            .command(Command::SetSlowdown { enabled: Some(true), delay_ms: Some(1) }, None)
            .unwrap();
        answers(&service, 40);
        harm(&service);
    }
    let found = harm(&service);
    assert!(found < 0.01, "a slowdown of a millisecond has p = {found}");
    service.save_checkpoint().unwrap();
    let before = service.health().unwrap().sequential;
    let restarted = start();
    assert_eq!(restarted.health().unwrap().sequential, before);
    let weight = Weight::from_percent(25.0).unwrap();
    restarted.command(Command::SetTraffic { weight, shadow: Weight::ZERO }, None).unwrap();
    assert_eq!(restarted.status().tracks.canary.requests, 0, "each step starts new samples");
    assert_eq!(restarted.health().unwrap().sequential, before, "and the judgement goes on");
    restarted.command(roll_back(), None).unwrap();
    deploy(&restarted, "model_v2.bin", 50.0);
    assert_eq!(harm(&restarted), 1.0, "a new rollout starts from nothing");
}

#[test]
fn only_the_first_request_of_a_key_is_judged_over_steps_and_restarts() {
    let bench = Bench::new();
    let mut service = bench.start();
    deploy(&service, "model_v2.bin", 50.0);
    let judged = |service: &Service| {
        let latency = judged_now(service).metrics[0].samples;
        latency.stable + latency.canary
    };
    let visit = |service: &Service, users: std::ops::Range<u32>| {
        users.for_each(|n| drop(answer_to(service, Some(&format!("user-{n}")))));
    };
    visit(&service, 0..40);
    assert_eq!(judged(&service), 40);
    service.save_checkpoint().unwrap();
    service = bench.start();
    visit(&service, 0..50);
    assert_eq!(judged(&service), 50);
    let tracks = service.status().tracks;
    assert_eq!(tracks.stable.requests + tracks.canary.requests, 90, "every visit is shown");
    let weight = Weight::from_percent(75.0).unwrap();
    service.command(Command::SetTraffic { weight, shadow: Weight::ZERO }, None).unwrap();
    service.save_checkpoint().unwrap();
    service = bench.start();
    visit(&service, 0..60);
    assert_eq!(judged(&service), 60);
    service.command(roll_back(), None).unwrap();
    deploy(&service, "model_v2.bin", 50.0);
    visit(&service, 0..60);
    assert_eq!(judged(&service), 60, "a new rollout has seen no key");
}

#[test]
fn recorded_values_are_judged_if_the_deployment_says_so() {
    let bench = Bench::new();
    let service = bench.start();
    let revenue = || MetricName::new("revenue").unwrap();
    let judge = toml::from_str(
        "unit = \"request\"\n[[metrics]]\nname = \"revenue\"\nharm = \"lower\"\nrole = \"guardrail\"",
    );
    let deployment = Deployment { judge: judge.unwrap(), ..deployment("model_v2.bin", 10.0) };
    service.deploy(deployment, None).unwrap();
    let earned = |stable: f64, canary: f64| {
        for n in 0..200 {
            let spread = f64::from(n % 10);
            service.recordings().record(Track::Stable, revenue(), stable + spread, None).unwrap();
            if n % 4 == 0 {
                service
                    .recordings()
                    .record(Track::Canary, revenue(), canary + spread, None)
                    .unwrap();
                answer(&service);
            }
            if n % 50 == 0 {
                service.tick();
            }
        }
        judged_now(&service)
    };
    let even = earned(100.0, 100.0);
    assert_ne!(even.verdict, Verdict::Rollback, "{even:?}");
    let less = earned(100.0, 60.0);
    assert_eq!(less.verdict, Verdict::Rollback, "{less:?}");
    let error = service
        .command(Command::Promote { force: false, reason: None }, None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("revenue"), "{error}");
}

#[test]
fn by_hand_the_health_check_counts_a_user_who_comes_back_once() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 50.0);
    let visit = |users: u32, visits: u32| {
        (0..users * visits)
            .for_each(|n| drop(answer_to(&service, Some(&format!("{}", n % users)))));
    };
    visit(10, 20);
    let health = service.health().unwrap();
    let tracks = &health.tracks;
    assert_eq!(tracks.stable.requests + tracks.canary.requests, 200, "every visit is shown");
    assert_eq!(health.status, HealthStatus::InsufficientData);
    let why = "answered requests, needs 20 of each; users who come back count once";
    assert!(health.message.contains(why), "{}", health.message);
    visit(100, 1);
    let health = service.health().unwrap();
    assert!(health.p_value.is_some(), "{}", health.message);
}

#[test]
fn a_key_seen_without_random_assignment_is_judged_once_it_is_assigned() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 0.0);
    let visit = || (0..40).for_each(|n| drop(answer_to(&service, Some(&format!("user-{n}")))));
    visit();
    let weight = Weight::from_percent(50.0).unwrap();
    service.command(Command::SetTraffic { weight, shadow: Weight::ZERO }, None).unwrap();
    let judged = || judged_now(&service).metrics[1].samples;
    let before = judged();
    visit();
    let after = judged();
    assert_eq!(after.stable + after.canary - before.stable - before.canary, 40);
    assert!(after.canary > 0);
}

#[test]
fn values_recorded_at_another_share_are_not_compared_with_later_ones() {
    let bench = Bench::new();
    let service = bench.start();
    let judge = toml::from_str("[[metrics]]\nname = \"cost\"\nharm = \"higher\"").unwrap();
    service.deploy(Deployment { judge, ..deployment("model_v2.bin", 1.0) }, None).unwrap();
    let record = |track: Track, value: f64, times: u32| {
        for _ in 0..times {
            let cost = MetricName::new("cost").unwrap();
            service.recordings().record(track, cost, value, None).unwrap();
        }
    };
    record(Track::Stable, 1.0, 500);
    record(Track::Canary, 1.0, 5);
    let weight = Weight::from_percent(50.0).unwrap();
    service.command(Command::SetTraffic { weight, shadow: Weight::ZERO }, None).unwrap();
    // The load changes with the weight, equally for both tracks.
    record(Track::Stable, 2.0, 20);
    record(Track::Canary, 2.0, 20);
    let cost = judged_now(&service).metrics[5].clone();
    assert_eq!((cost.samples.stable, cost.samples.canary), (20, 20));
}

#[test]
fn a_failure_of_the_sequential_judge_outlives_the_checkpoint() {
    let bench = Bench::new();
    let service = bench.start();
    let judge = toml::from_str(
        "unit = \"request\"\n[[metrics]]\nname = \"cost\"\nharm = \"higher\"\nrole = \"guardrail\"",
    );
    let deployment = Deployment { judge: judge.unwrap(), ..deployment("model_v2.bin", 10.0) };
    service.deploy(deployment, None).unwrap();
    let cost = || MetricName::new("cost").unwrap();
    for n in 0..200 {
        let spread = f64::from(n % 10);
        service.recordings().record(Track::Stable, cost(), 10.0 + spread, None).unwrap();
        service.recordings().record(Track::Canary, cost(), 40.0 + spread, None).unwrap();
        answer(&service);
        if n % 50 == 49 {
            service.tick();
        }
    }
    let said = judged_now;
    let before = said(&service);
    assert_eq!(before.verdict, Verdict::Rollback, "{before:?}");
    service.save_checkpoint().unwrap();
    bench.store.has_lost_its_checkpoint.store(true, Ordering::SeqCst);
    let restarted = bench.start();
    assert_eq!(said(&restarted), before, "the tick log knows");
}

#[test]
fn a_recorded_value_outside_the_distinguishable_range_is_refused() {
    let bench = Bench::new();
    let service = bench.start();
    let record = |value: f64| {
        let cost = MetricName::new("cost").unwrap();
        service.recordings().record(Track::Canary, cost, value, None)
    };
    record(4e12).unwrap();
    let judge = toml::from_str("[[metrics]]\nname = \"cost\"\nharm = \"higher\"").unwrap();
    service.deploy(Deployment { judge, ..deployment("model_v2.bin", 10.0) }, None).unwrap();
    for value in [4e12, -4e12, 1e-12] {
        let error = record(value).unwrap_err().to_string();
        assert!(error.contains("cost") && error.contains("another unit"), "{error}");
    }
    for value in [0.0, 1e12, -1e-9, 7.0] {
        record(value).unwrap();
    }
}

#[test]
fn a_plan_warns_before_it_starts_that_too_few_users_come() {
    let few = |users: u32, new_a_second: u32, steps: &str, says: &str| {
        let bench = Bench::new();
        let service = bench.start();
        let second = |number: u32, new: u32| {
            (0..users).for_each(|n| drop(answer_to(&service, Some(&format!("user-{n}")))));
            (0..new).for_each(|n| drop(answer_to(&service, Some(&format!("new-{number}-{n}")))));
            bench.clock.advance(Duration::from_secs(1));
            service.tick();
        };
        (0..20).for_each(|number| second(number, new_a_second));
        let plan = toml::from_str(&format!("deadline = \"10m\"\nwarm_up = \"0s\"\n{steps}"));
        let model_path = "model_v2.bin".to_owned();
        let by_plan = Deployment { model_path, plan: plan.unwrap(), ..Deployment::default() };
        let deployed = service.deploy(by_plan.clone(), None).unwrap();
        assert_eq!(service.status().warnings, deployed.warnings);
        // The samples of a step are all requests, of users who come back as well.
        let time = deployed.rollout.unwrap().plan.unwrap().time.unwrap();
        assert!(time.requests_per_second >= 0.9 * f64::from(users), "{time:?}");
        // Only the same users come again.
        (0..120).for_each(|number| second(number, 0));
        let message = service.health().unwrap().forecast.unwrap().message;
        assert!(message.starts_with(&format!("no new users are arriving{says}")), "{message}");
        let of_users = |warning: &String| warning.contains("few users");
        let first = deployed.warnings.into_iter().find(of_users);
        service.command(roll_back(), None).unwrap();
        second(0, new_a_second);
        let again = service.deploy(by_plan, None).unwrap().warnings;
        let again = again.into_iter().find(of_users);
        assert_eq!(first.is_some(), again.is_some(), "{again:?}");
        first
    };
    let steps = "steps = [{ weight = 10, bake = \"1m\" }]";
    let too_few = ": too few came to compare their visits at 10 %, which takes about 160 users";
    let warning = few(20, 0, steps, too_few).unwrap();
    assert!(warning.contains("20 came before it, and lately 0 new ones a second"), "{warning}");
    assert!(warning.contains(" within 10m; give the steps a larger share"), "{warning}");
    assert_eq!(few(20, 50, steps, ""), None);
    // Enough for a verdict at 50 %, but 1 % of them may be no user at all.
    let steps = "steps = [{ weight = 1, bake = \"1m\" }, { weight = 50, bake = \"1m\" }]";
    let too_few = ": too few came to compare their visits at 1 %, which takes about 1,600 users";
    let warning = few(60, 0, steps, too_few).unwrap();
    let says = "few users for the step of 1 %: of 60 that came before it about 0.6 will be the canary's, and with a \
                probability of 55.0 % none";
    assert!(warning.starts_with(says), "{warning}");
}

#[test]
fn a_plan_says_how_long_it_takes_at_the_traffic_before_it() {
    let bench = Bench::new();
    let service = bench.start();
    for _ in 0..40 {
        (0..2).for_each(|_| drop(answer_to(&service, None)));
        bench.clock.advance(Duration::from_secs(1));
        service.tick();
    }
    let by_plan = |deadline: &str| {
        let plan = format!(
            "deadline = \"{deadline}\"\nwarm_up = \"0s\"\nmin_samples = 100\nsteps = [{{ weight = 5, bake = \"1m\" }}]"
        );
        let (plan, model_path) = (toml::from_str(&plan).unwrap(), "model_v2.bin".to_owned());
        let status = service.deploy(Deployment { model_path, plan, ..Deployment::default() }, None);
        service.command(roll_back(), None).unwrap();
        status.unwrap()
    };
    let slow = |warning: &&String| warning.starts_with("too little traffic for this plan");
    let status = by_plan("10m");
    let warning = status.warnings.iter().find(slow).unwrap();
    assert!(warning.contains("at 2 requests/s"), "{warning}");
    assert!(warning.contains("at least 17 min to get 100 samples of each version"), "{warning}");
    let time = status.rollout.unwrap().plan.unwrap().time.unwrap();
    // 100 samples at 5 % are 2,000 requests.
    assert!((time.at_least_seconds - 1000.0).abs() < 30.0, "{time:?}");
    assert_eq!(by_plan("1h").warnings.iter().find(slow), None);
}
