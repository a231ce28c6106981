//! Cases of the state machine in text files: testdata/*.txt.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::canary::policy::plan::Plan;
use crate::canary::policy::plan::PlannedStep;
use crate::canary::policy::plan::Template;
use crate::canary::policy::post_promotion::HarmAction;
use crate::canary::policy::post_promotion::PostPromotionPolicy;

#[test]
fn every_event_in_every_state_of_a_manual_rollout() {
    check(include_str!("testdata/by_hand.txt"));
}

#[test]
fn every_event_in_every_state_of_a_rollout_by_plan() {
    check(include_str!("testdata/by_plan.txt"));
}

#[test]
fn every_event_in_every_state_after_a_promotion() {
    check(include_str!("testdata/post_promotion.txt"));
}

/// Applies each event of a file in each of its states.
fn check(cases: &str) {
    let (mut states, mut names) = (Vec::new(), BTreeSet::new());
    for line in cases.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(state) = line.strip_prefix("state ") {
            let (name, history) = state.trim().split_once(' ').unwrap_or((state.trim(), ""));
            let events = history.split(';').filter(|text| !text.trim().is_empty()).map(event);
            states.push((name, after(&events.collect::<Vec<_>>())));
            continue;
        }
        let mut cells = line.split('|').map(str::trim);
        let text = cells.next().unwrap();
        let cells: Vec<&str> = cells.collect();
        if text == "event" {
            let columns: Vec<&str> = states.iter().map(|(name, _)| *name).collect();
            assert_eq!(cells, columns);
            continue;
        }
        let event = event(text);
        names.insert(event.name());
        assert_eq!(cells.len(), states.len(), "{line}");
        for ((name, state), expected) in states.iter().zip(cells) {
            assert_eq!(word(state, &event), expected, "{text}, when {name}");
        }
    }
    assert_eq!(names, Event::NAMES.into_iter().collect(), "each file has every event");
}

/// An event in a few words: a verb, fields (`step=2`) and flags (`force`).
fn event(text: &str) -> Event {
    let words: Vec<&str> = text.split_whitespace().collect();
    let has = |flag: &str| words.contains(&flag);
    let field = |key: &str| {
        let value = |word: &&str| word.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
        words.iter().find_map(value)
    };
    let number = |key, default: u64| field(key).map_or(default, |text| text.parse().unwrap());
    for word in &words[1..] {
        let known = "rollout step canary samples weight plan monitored override reason force by_serin \
                     quarantine nothing";
        let name = word.split('=').next().unwrap();
        assert!(known.split_whitespace().any(|one| one == name), "{text}: {word}");
    }
    let (rollout, canary) = (number("rollout", 1), field("canary").unwrap_or("v2".to_owned()));
    let judgement =
        judgement(rollout, number("step", 1) as u32, &canary, number("samples", 50) as usize);
    let reason = has("reason").then(|| "urgent".to_owned());
    let by = if has("by_serin") { Mode::Automatic } else { Mode::Manual };
    match words[0] {
        "initialize" => Event::Initialized { stable: version(&canary) },
        "deploy" => Event::CanaryDeployed {
            canary: version(&canary),
            policy: Box::new(policy(has("plan"), has("monitored"))),
            salt: 7,
            reason,
            override_quarantine: has("override"),
            features: FeatureChange::default(),
            library: None,
        },
        "traffic" => {
            let weight = Weight::from_percent(number("weight", 10) as f64).unwrap();
            Event::TrafficSet { rollout, weight, shadow: Weight::ZERO, judgement }
        }
        "advance" => Event::Advanced { judgement },
        "await_approval" => Event::ApprovalAwaited { judgement },
        "pause" => Event::Paused { rollout, cause: Cause::Person(None) },
        "hold" => held(judgement),
        "resume" => Event::Resumed { rollout },
        "slow_down" => Event::SlowdownSet { slowdown: Slowdown { enabled: true, delay_ms: 25 } },
        "stop_slowdown" => Event::SlowdownSet { slowdown: Slowdown::OFF },
        "inject" => injected(rollout, if has("nothing") { 0 } else { 5 }),
        "promote" => Event::Promoted { judgement, forced: has("force"), reason, by },
        "roll_back" => {
            let cause = match by {
                Mode::Manual => Cause::Person(None),
                Mode::Automatic => Cause::Harm,
            };
            let quarantine = has("quarantine");
            Event::RolledBack { rollout, cause, quarantine, judgement: None, by }
        }
        "report_harm" => Event::HarmReported { judgement },
        "revert" => Event::Reverted { rollout, cause: Cause::Person(None), judgement: None, by },
        "end_monitoring" => Event::MonitoringEnded { rollout },
        other => panic!("{other} is not an event"),
    }
}

fn policy(has_plan: bool, is_monitored: bool) -> Policy {
    let mut policy = Policy::default();
    if has_plan {
        let step = |percent, bake: Option<u64>| PlannedStep {
            weight: Weight::from_percent(percent).unwrap(),
            bake: bake.map(Duration::from_secs),
            shadow: Weight::ZERO,
            at_most: None,
        };
        let steps = vec![step(10.0, Some(10)), step(25.0, None), step(50.0, Some(10))];
        let cool_down = Duration::from_secs(3600);
        policy.plan = Plan { steps, approval: true, cool_down, ..Template::Fast.plan() };
        policy.mode = Mode::Automatic;
    }
    if is_monitored {
        let monitor = Duration::from_secs(3600);
        policy.post_promotion = PostPromotionPolicy { monitor, action: HarmAction::Revert };
    }
    policy
}

#[test]
fn a_manual_rollout_does_not_end_a_cool_down() {
    let of = |events: &[&str]| after(&events.iter().map(|text| event(text)).collect::<Vec<_>>());
    let mut history = vec![
        "deploy plan",
        "roll_back by_serin quarantine",
        "deploy canary=v3",
        "roll_back rollout=2",
    ];
    assert_eq!(word(&of(&history), &event("deploy plan canary=v4")), "CoolingDown");
    // An override with a reason does.
    history.extend(["deploy plan canary=v4 override reason", "roll_back rollout=3"]);
    assert_eq!(word(&of(&history), &event("deploy plan canary=v5")), "v1 running 10 % anew");
}
