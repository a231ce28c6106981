//! What is done when late labels show harm?

use std::time::Duration;

use super::*;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::monitors::Monitors;
use crate::canary::observed::increment::Increment;
use crate::canary::observed::labels::LossIncrement;
use crate::canary::observed::labels::TrackLosses;
use crate::canary::observed::samples::Samples;
use crate::canary::policy::Policy;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::post_promotion::PostPromotionPolicy;
use crate::canary::rollout::apply::Transition;
use crate::canary::rollout::apply::apply;
use crate::canary::rollout::event::Event;
use crate::canary::rollout::state::Clients;
use crate::canary::rollout::state::FeatureChange;
use crate::canary::traffic::weight::Weight;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn version(name: &str) -> Version {
    Version { name: name.into(), file: format!("{name}.bin"), digest: format!("digest-{name}") }
}

/// Judged by the Brier score with this role, and monitored for a minute.
fn policy(action: HarmAction, role: &str) -> Policy {
    let given = format!("[[metrics]]\nname = \"brier\"\nrole = \"{role}\"");
    let judge = JudgePolicy::new(&HealthPolicy::default(), &toml::from_str(&given).unwrap());
    let post_promotion = PostPromotionPolicy { monitor: Duration::from_secs(60), action };
    Policy { judge: judge.unwrap(), post_promotion, ..Policy::default() }
}

/// A judgement after labels, the canary's this much worse.
fn judged(rollout: &Rollout, canary_brier: f64) -> Judgement {
    let policy = &rollout.policy.judge;
    let mut monitors = Monitors::new(policy, &Default::default());
    for n in 0..200 {
        // Some of each, so that stable's values vary.
        let of = |worse: f64| TrackLosses {
            brier: vec![(0.0205 + worse, 10), (0.0405 + worse, 10 + n % 2)],
            log_loss: Vec::new(),
        };
        let weight = Weight::from_percent(50.0).unwrap();
        let losses = vec![LossIncrement { weight, stable: of(0.0), canary: of(canary_brier) }];
        monitors.tick(&Increment { losses, ..Increment::default() });
    }
    let (health, inputs) = (HealthPolicy::default(), (&Samples::default()).into());
    let sequential = SequentialEvidence::new(policy, &monitors);
    let digest = &rollout.canary.digest;
    Judgement::new(
        rollout.id,
        rollout.step,
        digest,
        health,
        inputs,
        Mode::Automatic,
        Some(sequential),
    )
}

fn after(state: &State, event: &Event, second: i64) -> State {
    match apply(state, event, at(second)).unwrap() {
        Transition::Changed { state, .. } => *state,
        Transition::Unchanged => state.clone(),
    }
}

fn deployed(policy: Policy) -> Event {
    Event::CanaryDeployed {
        canary: version("v2"),
        policy: Box::new(policy),
        salt: 7,
        reason: None,
        override_quarantine: false,
        features: FeatureChange::default(),
        library: None,
    }
}

fn promoted(policy: Policy, canary_brier: f64) -> State {
    let deployed = deployed(policy);
    promoted_from(&State::initial(version("v1"), at(0)), &deployed, canary_brier)
}

fn promoted_from(state: &State, deployed: &Event, canary_brier: f64) -> State {
    let state = after(state, deployed, 0);
    let judgement = Box::new(judged(state.rollout.as_ref().unwrap(), canary_brier));
    let (reason, by) = (Some("urgent".to_owned()), Mode::Manual);
    after(&state, &Event::Promoted { judgement, forced: true, reason, by }, 10)
}

fn next(state: &State, canary_brier: f64, second: i64) -> PostPromotionAction {
    let monitored = state.post_promotion.as_deref().unwrap();
    monitored.next(&judged(&monitored.rollout, canary_brier), true, at(second))
}

#[test]
fn clients_of_each_version_that_was_stable_or_canary_are_answered() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let features = FeatureChange { added: names(&["visits"]), dropped: names(&["age"]) };
    let with_change = Event::CanaryDeployed {
        canary: version("v2"),
        policy: Box::new(policy(HarmAction::Revert, "guardrail")),
        salt: 7,
        reason: None,
        override_quarantine: false,
        features,
        library: None,
    };
    let clients = |state: &State| {
        let Clients { may_send, may_lack } = state.clients.clone();
        [may_send, may_lack].map(|names| names.into_iter().collect::<Vec<_>>().join(" "))
    };
    let said = " of the traffic; it also takes `visits`, and ignores `age`";
    assert!(with_change.sentence().ends_with(said), "{}", with_change.sentence());
    let first = State::initial(version("v1"), at(0));
    let running = after(&first, &with_change, 0);
    assert_eq!(clients(&running), ["visits", ""]);
    let rolled_back = Event::RolledBack {
        rollout: 1,
        cause: Cause::Person(None),
        quarantine: false,
        judgement: None,
        by: Mode::Manual,
    };
    assert_eq!(clients(&after(&running, &rolled_back, 1)), ["visits", ""]);
    let promoted = promoted_from(&first, &with_change, 0.0);
    assert_eq!(clients(&promoted), ["age visits", "visits"]);
    let (cause, by) = (Cause::Person(None), Mode::Manual);
    let reverted = Event::Reverted { rollout: 1, cause, judgement: None, by };
    assert_eq!(clients(&after(&promoted, &reverted, 20)), ["age visits", "age visits"]);
    // A journal without the field, and a state that was saved without it.
    let mut written = serde_json::to_value(&with_change).unwrap();
    let of_event = written.as_object_mut().unwrap();
    assert!(of_event.remove("features").is_some(), "{written}");
    let old: Event = serde_json::from_value(written).unwrap();
    assert_eq!(clients(&after(&first, &old, 0)), ["", ""]);
    let mut saved = serde_json::to_value(&running).unwrap();
    saved.as_object_mut().unwrap().remove("clients").unwrap();
    saved["rollout"].as_object_mut().unwrap().remove("features").unwrap();
    assert_eq!(clients(&serde_json::from_value(saved).unwrap()), ["", ""]);
}

#[test]
fn harm_is_reverted_or_reported_and_otherwise_the_monitoring_ends_in_time() {
    let state = promoted(policy(HarmAction::Revert, "guardrail"), 0.0);
    assert_eq!(next(&state, 0.0, 69), PostPromotionAction::Wait);
    assert_eq!(next(&state, 0.0, 70), PostPromotionAction::End);
    let brier = MetricName::new("brier").unwrap();
    let cause = Cause::LateHarm(vec![brier]);
    assert_eq!(next(&state, 0.3, 11), PostPromotionAction::Revert(cause));

    let state = promoted(policy(HarmAction::Report, "signal"), 0.0);
    assert_eq!(next(&state, 0.3, 11), PostPromotionAction::Report);
    let judgement = Box::new(judged(&state.post_promotion.as_ref().unwrap().rollout, 0.3));
    let reported = after(&state, &Event::HarmReported { judgement }, 12);
    assert_eq!(next(&reported, 0.3, 69), PostPromotionAction::Wait, "once is enough");
    assert_eq!(next(&reported, 0.3, 70), PostPromotionAction::End);
}

#[test]
fn harm_of_a_promotion_that_cannot_be_reverted_is_reported_and_the_monitoring_ends_in_time() {
    let state = promoted(policy(HarmAction::Revert, "guardrail"), 0.0);
    let next = |state: &State, second| {
        let monitored = state.post_promotion.as_deref().unwrap();
        monitored.next(&judged(&monitored.rollout, 0.3), false, at(second))
    };
    assert_eq!(next(&state, 11), PostPromotionAction::Report);
    let judgement = Box::new(judged(&state.post_promotion.as_ref().unwrap().rollout, 0.3));
    let reported = after(&state, &Event::HarmReported { judgement }, 12);
    assert_eq!(next(&reported, 69), PostPromotionAction::Wait);
    assert_eq!(next(&reported, 70), PostPromotionAction::End);
}

#[test]
fn a_revert_shortens_no_cool_down() {
    let mut state = promoted(policy(HarmAction::Revert, "guardrail"), 0.0);
    let long = Some(at(1_000_000));
    state.last.as_mut().unwrap().cool_down_until = long;
    for by in [Mode::Manual, Mode::Automatic] {
        let event = Event::Reverted { rollout: 1, cause: Cause::Person(None), judgement: None, by };
        assert_eq!(after(&state, &event, 20).last.unwrap().cool_down_until, long, "{by:?}");
    }
}

#[test]
fn what_only_advises_changes_nothing_and_what_was_overruled_is_not_taken_up_again() {
    let state = promoted(policy(HarmAction::Revert, "advisory"), 0.0);
    assert_eq!(next(&state, 0.3, 11), PostPromotionAction::Wait);
    let state = promoted(policy(HarmAction::Revert, "guardrail"), 0.3);
    assert_eq!(state.post_promotion.as_ref().unwrap().overruled.len(), 1);
    assert_eq!(next(&state, 0.3, 11), PostPromotionAction::Wait);
}

#[test]
fn a_revert_undoes_the_monitored_promotion_only() {
    let state = promoted(policy(HarmAction::Revert, "guardrail"), 0.0);
    let reverted = |rollout| Event::Reverted {
        rollout,
        cause: Cause::Person(None),
        judgement: None,
        by: Mode::Automatic,
    };
    let other = apply(&state, &reverted(2), at(20));
    assert_eq!(other, Err(Refusal::OtherRollout { meant: 2, running: 1 }));
    let back = after(&state, &reverted(1), 20);
    assert_eq!((&back.stable, back.stable_since), (&version("v1"), at(20)));
    assert_eq!(back.quarantine.get("digest-v2").map(|it| it.reason.as_str()), Some("by hand"));
    let last = back.last.as_ref().unwrap();
    assert_eq!(last.outcome, Outcome::Reverted);
    assert!(last.cool_down_until.is_some(), "serin waits, too");
    assert_eq!(apply(&back, &reverted(1), at(21)), Err(Refusal::NothingToRevert));
}

#[test]
fn without_monitoring_a_promotion_keeps_no_previous_version() {
    let state = promoted(Policy::default(), 0.0);
    assert_eq!(state.post_promotion, None);
    let text = serde_json::to_string(&Policy::default()).unwrap();
    assert!(!text.contains("post_promotion"), "{text}");
}
