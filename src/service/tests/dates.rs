//! The machine's date jumps: no wait is skipped, and none lasts longer than it was meant to.

use super::*;
use crate::service::status::overview::RolloutStatus;

const HOUR_MS: i64 = 3_600_000;

pub(super) fn deploy_by_plan(service: &Service) {
    let plan = "warm_up = \"10s\"\ndeadline = \"5h\"\nsteps = [{ weight = 50, bake = \"1h\" }]";
    let (model_path, plan) = ("model_v2.bin".to_owned(), toml::from_str(plan).unwrap());
    service.deploy(Deployment { model_path, plan, ..Deployment::default() }, None).unwrap();
}

fn rollout(service: &Service) -> RolloutStatus {
    service.status().rollout.unwrap()
}

#[test]
fn a_jump_of_the_date_changes_no_duration_of_a_rollout() {
    for jump in [-20_000 * 24, -2, 2, 25] {
        let bench = Bench::new();
        let service = bench.start();
        deploy_by_plan(&service);
        bench.clock.advance(Duration::from_secs(20));
        bench.clock.move_machine(jump * HOUR_MS);
        answers(&service, 40);
        service.tick();
        service.control.follow_date();
        assert!(matches!(service.look(), Ok(Some(Action::Wait(_)))), "{jump} h");
        assert_eq!(rollout(&service).remaining_bake_seconds, Some(3580.0), "{jump} h");
        let reasons = rollout(&service).plan.unwrap().reasons.join("\n");
        assert!(!reasons.contains("warm-up"), "{jump} h: {reasons}");
        assert!(service.status().tracks.canary.requests > 0);
        assert!(judged_now(&service).ticks > 0, "{jump} h: nothing is judged");
    }
}

#[test]
fn a_restart_with_an_earlier_date_prolongs_no_wait() {
    let bench = Bench::new();
    let service = bench.start();
    deploy_by_plan(&service);
    drop(service);
    bench.clock.move_machine(-2 * HOUR_MS);
    bench.clock.set(bench.clock.machine());
    let restarted = bench.start();
    assert_eq!(rollout(&restarted).remaining_bake_seconds, Some(3600.0));
    bench.clock.advance(Duration::from_secs(11));
    let reasons = rollout(&restarted).plan.unwrap().reasons.join("\n");
    assert!(!reasons.contains("warm-up"), "{reasons}");
}

#[test]
fn the_date_follows_the_machine_while_nothing_waits() {
    let bench = Bench::new();
    let service = bench.start();
    let before = bench.clock.wall();
    bench.clock.move_machine(2 * HOUR_MS);
    assert_eq!(service.status().at, before);
    service.control.follow_date();
    assert_eq!(service.status().at.duration_since(before).as_secs(), 7200);
}

#[test]
fn a_date_that_is_set_back_begins_no_cool_down_again() {
    let bench = Bench::new();
    let service = bench.start();
    deploy_harmful_by_plan(&service);
    assert!(matches!(service.look(), Ok(Some(Action::RollBack(_)))));
    let cools = || service.status().last_rollout.unwrap().cool_down_until.is_some();
    assert!(cools());
    bench.clock.advance(Duration::from_secs(3601));
    assert!(!cools());
    bench.clock.move_machine(-2 * HOUR_MS);
    service.control.follow_date();
    assert!(!cools());
}
