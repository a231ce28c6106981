//! A fleet: one judgement of what all replicas observe, no matter which one leads or ends.

use super::dates::deploy_by_plan;
use super::labels::predicted;
use super::metrics::value;
use super::replicas::Members;
use super::replicas::second;
use super::*;
use crate::canary::Increment;
use crate::canary::Monitors;
use crate::canary::judge::tick_log;
use crate::service::clock::ManualClock;
use crate::service::control::fleet::copying::copy;
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::Duration;

/// The requests in the ticks of the store.
fn judged(members: &Members) -> u64 {
    let store = &*members.bench.store;
    let ticks = store
        .chunks(ReplicaId::ONLY)
        .unwrap()
        .into_iter()
        .flat_map(|chunk| store.ticks(ReplicaId::ONLY, chunk).unwrap());
    let increments = ticks.map(|tick| Increment::from_bytes(&tick.increment).unwrap());
    increments.map(|it| it.stable.requests + it.canary.requests).sum()
}

/// The monitors that the tick log leads to.
fn replayed(members: &Members) -> Monitors {
    let store = &*members.bench.store;
    let chunk = *store.chunks(ReplicaId::ONLY).unwrap().last().unwrap();
    let snapshot = store.snapshot(ReplicaId::ONLY, chunk).unwrap().unwrap();
    let ticks = store.ticks(ReplicaId::ONLY, chunk).unwrap();
    let end = ticks.last().map_or(0, |tick| tick.number);
    tick_log::replay(snapshot, &ticks, end).unwrap()
}

fn saved(members: &Members) -> Monitors {
    let store = &*members.bench.store;
    store.checkpoint(ReplicaId::ONLY).unwrap().unwrap().monitors.unwrap()
}

#[test]
fn a_command_of_any_replica_takes_effect_on_all() {
    let members = Members::new();
    let [one, two, three] = [1, 2, 3].map(|id| members.start(id));
    let all = [&one, &two, &three];
    second(&all);
    // By a follower.
    deploy(&two, "model_v2.bin", 50.0);
    second(&all);
    for service in all {
        let canary = (0..20).filter(|_| answer(service).0 == "canary").count();
        assert_eq!(canary, 10);
        assert_eq!(service.status().revision, 2);
    }
    // By another one, which has not heard of the newest entry.
    one.command(Command::SetSlowdown { enabled: Some(true), delay_ms: Some(1) }, None).unwrap();
    three.command(roll_back(), None).unwrap();
    assert!(answers(&three, 20).iter().all(|(track, _)| *track == "stable"));
    two.control.follow_journal().unwrap();
    assert!(answers(&two, 20).iter().all(|(track, _)| *track == "stable"));
    second(&all);
    assert!(all.map(|service| service.status().revision).iter().all(|it| *it == 4));
    let fleet = two.status().fleet.unwrap();
    assert_eq!((fleet.replica.as_str(), fleet.leads), ("replica-2", false));
    let leads: Vec<bool> = fleet.replicas.iter().map(|it| it.leads).collect();
    assert_eq!(leads, [true, false, false]);
    let leads = all.map(|service| value(service, "serin_replica_leads"));
    assert_eq!(leads, [1.0, 0.0, 0.0]);
}

#[test]
fn a_replica_without_the_store_rolls_back_what_it_knows_and_does_not_say_so_of_the_rest() {
    let members = Members::new();
    let [one, two] = [1, 2].map(|id| members.start(id));
    members.cut(Some(2));
    deploy(&one, "model_v2.bin", 50.0);
    let refused = two.command(roll_back(), None);
    assert!(matches!(refused, Err(CommandError::Store(_))), "{refused:?}");
    members.cut(None);
    second(&[&one, &two]);
    assert_eq!(two.status().canary.unwrap().name, "model_v2");
    members.cut(Some(2));
    let pending = two.command(roll_back(), None);
    assert!(matches!(pending, Err(CommandError::PendingRollback(_))), "{pending:?}");
    assert!(answers(&two, 20).iter().all(|(track, _)| *track == "stable"));
    members.cut(None);
    two.control.retry_rollback().unwrap();
    second(&[&one, &two]);
    assert!(one.status().canary.is_none());
}

#[test]
fn the_leader_judges_each_request_of_each_replica_once() {
    let members = Members::new();
    let [one, two, three] = [1, 2, 3].map(|id| members.start(id));
    let all = [&one, &two, &three];
    deploy(&three, "model_v2.bin", 25.0);
    for round in 0..5 {
        second(&all);
        for (service, requests) in all.iter().zip([8, 20, 12 + round]) {
            answers(service, requests);
        }
    }
    second(&[&two, &three, &one]);
    let requests = 5 * (8 + 20 + 12) + 1 + 2 + 3 + 4;
    assert_eq!(judged(&members), requests as u64);
    assert_eq!(saved(&members), replayed(&members), "to the bit");
    assert_eq!(members.waiting(), 0);
    // All show the same, and all samples.
    second(&all);
    for service in all {
        let tracks = service.status().tracks;
        assert_eq!(tracks.stable.requests + tracks.canary.requests, requests as u64);
        assert_eq!(service.health().unwrap().sequential, one.health().unwrap().sequential);
    }
}

#[test]
fn steps_that_replicas_learn_of_at_different_times_do_not_mix() {
    let members = Members::new();
    let [one, two] = [1, 2].map(|id| members.start(id));
    deploy(&one, "model_v2.bin", 25.0);
    second(&[&one, &two]);
    answers(&two, 40);
    let weight = Weight::from_percent(50.0).unwrap();
    one.command(Command::SetTraffic { weight, shadow: Weight::ZERO }, None).unwrap();
    // It still serves the first step.
    answers(&two, 40);
    answers(&one, 10);
    two.save_checkpoint().unwrap();
    one.save_checkpoint().unwrap();
    second(&[&two, &one]);
    answers(&two, 10);
    second(&[&two, &one]);
    assert_eq!(judged(&members), 100);
    assert_eq!(saved(&members), replayed(&members));
    let tracks = one.status().tracks;
    assert_eq!(tracks.stable.requests + tracks.canary.requests, 20, "of this step");
}

#[test]
fn another_replica_leads_on_when_the_leader_ends() {
    let members = Members::new();
    let [one, two] = [1, 2].map(|id| members.start(id));
    deploy(&one, "model_v2.bin", 50.0);
    second(&[&one, &two]);
    answers(&one, 30);
    answers(&two, 10);
    second(&[&two, &one]);
    // The last ten of the first are lost with it, as after a crash of a single process.
    answers(&one, 10);
    answers(&two, 20);
    drop(one);
    members.silence(1);
    members.give_lease(2);
    second(&[&two]);
    second(&[&two]);
    assert_eq!(judged(&members), 60);
    assert_eq!(saved(&members), replayed(&members));
    let tracks = two.status().tracks;
    assert_eq!(tracks.stable.requests + tracks.canary.requests, 60, "its samples still count");
    let fleet = two.status().fleet.unwrap();
    assert!(fleet.leads && fleet.replicas.len() == 1);
}

#[test]
fn a_machine_with_a_wrong_date_neither_skips_nor_prolongs_a_step() {
    for hours in [3, -3] {
        let members = Members::new();
        let one = members.start(1);
        let wrong = members.bench.clock.wall().saturating_add(SignedDuration::from_hours(hours));
        let wrong = Arc::new(ManualClock::new(wrong.unwrap()));
        let two = members.start_at(2, wrong.clone());
        deploy_by_plan(&two);
        second(&[&one, &two]);
        members.give_lease(2);
        members.bench.clock.advance(Duration::from_secs(600));
        // The machine was asleep.
        second(&[&one, &two]);
        let left = |service: &Service| service.status().rollout.unwrap().remaining_bake_seconds;
        assert_eq!([&one, &two].map(left), [Some(3000.0); 2], "{hours} h");
        assert!(matches!(two.look(), Ok(Some(Action::Wait(_)))), "{hours} h");
        for clock in [&members.bench.clock, &wrong] {
            clock.advance(Duration::from_secs(600));
        }
        two.command(roll_back(), None).unwrap();
        second(&[&one, &two]);
        let ended = one.status().last_rollout.unwrap().at;
        assert_eq!(ended, members.bench.clock.wall(), "{hours} h");
    }
}

#[test]
fn a_leader_that_was_paused_hands_over_what_it_has_not_saved() {
    let members = Members::new();
    let [one, two] = [1, 2].map(|id| members.start(id));
    deploy(&one, "model_v2.bin", 50.0);
    second(&[&one, &two]);
    answers(&one, 30);
    answers(&two, 10);
    one.tick();
    members.give_lease(2);
    // It believes that it leads, and saves nothing.
    one.save_checkpoint().unwrap_err();
    one.tick();
    second(&[&two]);
    second(&[&one, &two]);
    second(&[&one, &two]);
    assert_eq!(judged(&members), 40);
    assert_eq!(saved(&members), replayed(&members));
    members.give_lease(0);
    answers(&one, 4);
    answers(&two, 6);
    second(&[&one, &two]);
    members.give_lease(1);
    second(&[&one, &two]);
    second(&[&two, &one]);
    assert_eq!(judged(&members), 50);
    assert_eq!(saved(&members), replayed(&members));
}

/// Twenty seconds of requests, labels and keys at a follower, which reaches the store or does not, and may lead next. The
/// judged requests, and the most shares that wait for the leader after a turn that reaches it.
fn after_twenty_seconds(is_cut: bool, leads_next: bool) -> (u64, usize) {
    let members = Members::new();
    let [one, two] = [1, 2].map(|id| members.start(id));
    second(&[&one, &two]);
    // Until the homes of keys are certain.
    members.bench.clock.advance(Duration::from_secs(6));
    second(&[&one, &two]);
    deploy(&one, "model_v2.bin", 50.0);
    second(&[&one, &two]);
    members.cut(is_cut.then_some(2));
    for user in 0..20 {
        answers(&two, 3);
        assert!(two.label(&predicted(&two).id, true).unwrap().is_some());
        answer_to(&two, Some(&format!("user-{user}")));
        assert_eq!(two.save_checkpoint().is_err(), is_cut);
        one.save_checkpoint().unwrap();
    }
    members.cut(None);
    let mut most = 0;
    if leads_next {
        members.give_lease(2);
    } else {
        for _ in 0..3 {
            two.save_checkpoint().unwrap();
            most = most.max(members.waiting());
            one.save_checkpoint().unwrap();
        }
    }
    second(&[&two, &one]);
    assert_eq!(saved(&members), replayed(&members));
    assert_eq!(members.waiting(), 0);
    let (_, labels) = one.reported.feedback.labels().unwrap();
    assert_eq!(labels.stable.count() + labels.canary.count(), 20);
    (judged(&members), most)
}

#[test]
fn a_replica_that_was_cut_off_hands_over_everything_in_two_turns() {
    let (expected, _) = after_twenty_seconds(false, false);
    assert!(expected > 80, "requests, and first requests of keys of which this is the home");
    for leads_next in [false, true] {
        let (judged, most) = after_twenty_seconds(true, leads_next);
        assert_eq!(judged, expected);
        assert!(most <= 3, "{most}: observations, labels, keys");
    }
}

#[test]
fn a_label_counts_once_whichever_replicas_accept_it() {
    let members = Members::new();
    let [one, two] = [1, 2].map(|id| members.start(id));
    deploy(&one, "model_v2.bin", 50.0);
    second(&[&one, &two]);
    let ids: Vec<String> = (0..12).map(|_| predicted(&two).id).collect();
    for id in &ids {
        assert!(two.label(id, true).unwrap().is_some());
    }
    for id in &ids[..6] {
        one.label(id, true).unwrap();
    }
    second(&[&two, &one]);
    second(&[&two, &one]);
    for service in [&one, &two] {
        let (_, labels) = service.reported.feedback.labels().unwrap();
        assert_eq!(labels.stable.count() + labels.canary.count(), 12);
    }
    assert!(two.label(&ids[0], true).is_err(), "it was given");
    members.give_lease(2);
    second(&[&one, &two]);
    assert!(one.label(&ids[7], true).is_err(), "it has counted it");
    let three = members.start(3);
    assert!(three.label(&ids[7], true).is_err(), "it knows what is in the store");
    let id = predicted(&three).id;
    assert!(three.label(&id, false).is_ok() && two.label(&id, true).is_ok());
    second(&[&three, &two]);
    second(&[&three, &two]);
    second(&[&one, &two]);
    let (_, labels) = two.reported.feedback.labels().unwrap();
    assert_eq!(labels.stable.count() + labels.canary.count(), 13);
}

#[test]
fn a_key_that_meets_several_replicas_is_judged_once() {
    let members = Members::new();
    let mut all = [1, 2, 3].map(|id| members.start(id));
    let each = |all: &[Service; 3]| second(&[&all[0], &all[1], &all[2]]);
    each(&all);
    let settle = |all: &[Service; 3]| {
        members.bench.clock.advance(Duration::from_secs(6));
        each(all);
    };
    settle(&all);
    deploy(&all[0], "model_v2.bin", 50.0);
    each(&all);
    for user in 0..60 {
        for service in &all {
            answer_to(service, Some(&format!("user-{user}")));
        }
    }
    each(&all);
    each(&all);
    // A few of the sixty share a slot with another one, or none.
    let once = judged(&members);
    assert!((57..=60).contains(&once), "{once}");
    // Another process takes the place of the second: keys that move to it were met before.
    all[1] = members.start(4);
    members.silence(2);
    settle(&all);
    settle(&all);
    for user in 0..60 {
        for service in &all {
            answer_to(service, Some(&format!("user-{user}")));
        }
    }
    each(&all);
    each(&all);
    assert_eq!(judged(&members), once);
    for user in 60..90 {
        answer_to(&all[user % 3], Some(&format!("user-{user}")));
    }
    each(&all);
    each(&all);
    let at_home = judged(&members) - once;
    assert!((3..20).contains(&at_home), "{at_home} of 30 have met their home");
}

#[test]
fn a_replica_without_the_canary_holds_the_rollout_and_is_named() {
    let members = Members::new();
    let [one, two] = [1, 2].map(|id| members.start(id));
    let plan =
        toml::from_str("warm_up = \"0s\"\nsteps = [{ weight = 50, bake = \"1h\" }]").unwrap();
    let model_path = "model_v2.bin".to_owned();
    second(&[&one, &two]);
    one.deploy(Deployment { model_path, plan, ..Deployment::default() }, None).unwrap();
    one.save_checkpoint().unwrap();
    let waits = |service: &Service| {
        let rollout = service.status().rollout.unwrap();
        serde_json::to_string(&rollout)
            .unwrap()
            .contains("replica replica-2 has not loaded the canary")
    };
    assert!(waits(&one));
    second(&[&two, &one]);
    assert!(!waits(&one));
}

#[test]
fn a_rollout_moves_from_one_machine_to_a_fleet_and_back() {
    let bench = Bench::new();
    let service = bench.start();
    deploy(&service, "model_v2.bin", 50.0);
    let ids: Vec<String> = (0..30).map(|_| predicted(&service).id).collect();
    for id in &ids[..9] {
        service.label(id, true).unwrap();
    }
    answer_to(&service, Some("anna"));
    answer_to(&service, Some("anna"));
    service.save_checkpoint().unwrap();
    let expected = service.health().unwrap().sequential;
    let samples = |service: &Service| serde_json::to_string(&service.status().tracks).unwrap();
    let before = samples(&service);
    drop(service);

    let members = Members::new();
    let fleet = members.member(1);
    let copied = copy(&*bench.store, &*fleet).unwrap();
    assert_eq!((copied.entries, copied.artifacts, copied.labels), (2, 2, 9));
    let one = members.start(2);
    members.give_lease(2);
    second(&[&one]);
    second(&[&one]);
    assert_eq!(samples(&one), before);
    assert_eq!(one.health().unwrap().sequential, expected);
    assert!(one.label(&ids[0], true).is_err(), "it was given before the copy");
    assert!(one.label(&ids[10], true).is_ok(), "the key of the ids was copied");
    answer_to(&one, Some("anna"));
    answers(&one, 10);
    second(&[&one]);
    assert_eq!(saved(&members), replayed(&members));
    let (expected, before) = (one.health().unwrap().sequential, samples(&one));
    drop(one);

    let back = Bench::new();
    let copied = copy(&*fleet, &*back.store).unwrap();
    assert_eq!((copied.labels, copied.left_behind), (10, 0));
    let service = back.start();
    assert_eq!(samples(&service), before);
    assert_eq!(service.health().unwrap().sequential, expected);
    let error = copy(&*fleet, &*back.store).unwrap_err().to_string();
    assert!(error.contains("has a journal of 2 entries already"), "{error}");
}
