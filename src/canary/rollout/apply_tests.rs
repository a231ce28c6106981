//! What does every event do in every state of a rollout by hand?

use super::*;
use crate::canary::judge::health_check::Inputs;
use crate::canary::judge::health_check::TrackInputs;
use crate::canary::judge::verdict::Concern;
use crate::canary::policy::Policy;
use crate::canary::policy::fault::GivenInjection;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::traffic::weight::Weight;
use crate::stats::Moments;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn version(name: &str) -> Version {
    Version { name: name.into(), file: format!("{name}.bin"), digest: format!("digest-{name}") }
}

fn deployed(name: &str) -> Event {
    Event::CanaryDeployed {
        canary: version(name),
        policy: Box::new(Policy::default()),
        salt: 7,
        reason: None,
        override_quarantine: false,
    }
}

/// A judgement of the canary `name` at this rollout and step, with so many samples of each track.
fn judgement(rollout: u64, step: u32, name: &str, samples: usize) -> Box<Judgement> {
    let latency: Moments = (0..samples).map(|n| 0.001 + n as f64 * 1e-9).collect();
    let track = TrackInputs { requests: samples as u64, failures: 0, latency };
    let inputs = Inputs { stable: track, canary: track };
    let digest = version(name).digest;
    Box::new(Judgement::new(
        rollout,
        step,
        &digest,
        HealthPolicy::default(),
        inputs,
        Mode::Manual,
        None,
    ))
}

fn passing(rollout: u64, step: u32, name: &str) -> Box<Judgement> {
    judgement(rollout, step, name, 50)
}

fn after(events: &[Event]) -> State {
    let mut state = State::initial(version("v1"), at(0));
    for (n, event) in events.iter().enumerate() {
        if let Transition::Changed { state: next, .. } = apply(&state, event, at(n as i64)).unwrap()
        {
            state = *next;
        }
    }
    state
}

/// What became of an event, in a word for the table below.
fn word(state: &State, event: &Event) -> String {
    match apply(state, event, at(100)) {
        Ok(Transition::Unchanged) => "unchanged".to_owned(),
        Ok(Transition::Changed { state, samples }) => {
            let phase = match &state.rollout {
                None => "idle".to_owned(),
                Some(rollout) => format!("{:?} {}", rollout.phase, rollout.weight()),
            };
            let samples = match samples {
                SamplesEffect::Keep => "keep",
                SamplesEffect::StartAnew => "anew",
            };
            format!("{} {phase} {samples}", state.stable.name).to_lowercase()
        }
        Err(refusal) => {
            let name = format!("{refusal:?}");
            name.split([' ', '{', '(']).next().unwrap().to_owned()
        }
    }
}

#[test]
fn every_event_in_every_state() {
    let idle = after(&[]);
    let running = after(&[deployed("v2")]);
    let paused = after(&[deployed("v2"), Event::Paused { rollout: 1, reason: None }]);
    let quarantined = after(&[
        deployed("v2"),
        Event::RolledBack {
            rollout: 1,
            reason: "bad".into(),
            quarantine: true,
            judgement: None,
            by: Mode::Manual,
        },
    ]);
    let weight = |basis_points| Weight::try_from(basis_points).unwrap();
    let traffic = |rollout, basis_points, judgement| Event::TrafficSet {
        rollout,
        weight: weight(basis_points),
        shadow: Weight::ZERO,
        judgement,
    };
    let rolled_back = |rollout| Event::RolledBack {
        rollout,
        reason: "by hand".into(),
        quarantine: false,
        judgement: None,
        by: Mode::Manual,
    };
    let promoted = |judgement, reason: Option<&str>| Event::Promoted {
        judgement,
        forced: reason.is_some(),
        reason: reason.map(str::to_owned),
        by: Mode::Manual,
    };
    let overriding = |reason: Option<&str>| Event::CanaryDeployed {
        canary: version("v2"),
        policy: Box::new(Policy::default()),
        salt: 8,
        reason: reason.map(str::to_owned),
        override_quarantine: true,
    };
    let slowdown = |enabled| Event::SlowdownSet { slowdown: Slowdown { enabled, delay_ms: 25 } };
    let busy = "CanaryActive";
    // The event, then what it does when idle, running, paused, and idle with v2 in quarantine.
    let table: Vec<(&str, Event, [&str; 4])> = vec![
        ("begin again", Event::Initialized { stable: version("v9") }, ["AlreadyInitialized"; 4]),
        ("deploy v2", deployed("v2"), ["v1 running 10 % anew", busy, busy, "Quarantined"]),
        ("deploy v3", deployed("v3"), ["v1 running 10 % anew", busy, busy, "v1 running 10 % anew"]),
        (
            "deploy v1 beside itself",
            deployed("v1"),
            ["v1 running 10 % anew", busy, busy, "v1 running 10 % anew"],
        ),
        (
            "override without a reason",
            overriding(None),
            ["v1 running 10 % anew", busy, busy, "ReasonMissing"],
        ),
        (
            "override with a reason",
            overriding(Some("fixed")),
            ["v1 running 10 % anew", busy, busy, "v1 running 10 % anew"],
        ),
        (
            "more traffic",
            traffic(1, 2500, passing(1, 1, "v2")),
            ["NoCanary", "v1 running 25 % anew", "v1 paused 25 % anew", "NoCanary"],
        ),
        (
            "no traffic",
            traffic(1, 0, passing(1, 1, "v2")),
            ["NoCanary", "v1 running 0 % anew", "v1 paused 0 % anew", "NoCanary"],
        ),
        (
            "the same traffic",
            traffic(1, 1000, passing(1, 1, "v2")),
            ["NoCanary", "unchanged", "unchanged", "NoCanary"],
        ),
        (
            "traffic of another rollout",
            traffic(2, 2500, passing(2, 1, "v2")),
            ["NoCanary", "OtherRollout", "OtherRollout", "NoCanary"],
        ),
        (
            "traffic on a stale judgement",
            traffic(1, 2500, passing(1, 2, "v2")),
            ["NoCanary", "StaleJudgement", "StaleJudgement", "NoCanary"],
        ),
        (
            "pause",
            Event::Paused { rollout: 1, reason: None },
            ["NoCanary", "v1 paused 10 % keep", "unchanged", "NoCanary"],
        ),
        (
            "pause another rollout",
            Event::Paused { rollout: 9, reason: None },
            ["NoCanary", "OtherRollout", "OtherRollout", "NoCanary"],
        ),
        (
            "hold for a concern",
            held(passing(1, 1, "v2")),
            ["NoCanary", "NotByPlan", "NotByPlan", "NoCanary"],
        ),
        (
            "hold on a stale judgement",
            held(passing(1, 2, "v2")),
            ["NoCanary", "StaleJudgement", "StaleJudgement", "NoCanary"],
        ),
        (
            "resume",
            Event::Resumed { rollout: 1 },
            ["NoCanary", "unchanged", "v1 running 10 % keep", "NoCanary"],
        ),
        (
            "slow down",
            slowdown(true),
            ["v1 idle keep", "v1 running 10 % keep", "v1 paused 10 % keep", "v1 idle keep"],
        ),
        ("do not slow down", slowdown(false), ["unchanged"; 4]),
        (
            "inject",
            injected(1, 5),
            ["NoCanary", "v1 running 10 % keep", "v1 paused 10 % keep", "NoCanary"],
        ),
        ("inject nothing", injected(1, 0), ["NoCanary", "unchanged", "unchanged", "NoCanary"]),
        (
            "inject into another rollout",
            injected(2, 5),
            ["NoCanary", "OtherRollout", "OtherRollout", "NoCanary"],
        ),
        (
            "promote",
            promoted(passing(1, 1, "v2"), None),
            ["NoCanary", "v2 idle anew", "IsPaused", "NoCanary"],
        ),
        (
            "promote on too little",
            promoted(judgement(1, 1, "v2", 3), None),
            ["NoCanary", "NotPassing", "IsPaused", "NoCanary"],
        ),
        (
            "promote by override",
            promoted(judgement(1, 1, "v2", 3), Some("urgent")),
            ["NoCanary", "v2 idle anew", "v2 idle anew", "NoCanary"],
        ),
        (
            "promote by override without a reason",
            Event::Promoted {
                judgement: passing(1, 1, "v2"),
                forced: true,
                reason: None,
                by: Mode::Manual,
            },
            ["NoCanary", "ReasonMissing", "ReasonMissing", "NoCanary"],
        ),
        (
            "promote another rollout",
            promoted(passing(2, 1, "v2"), Some("urgent")),
            ["NoCanary", "OtherRollout", "OtherRollout", "NoCanary"],
        ),
        (
            "promote on a judgement of another step",
            promoted(passing(1, 2, "v2"), None),
            ["NoCanary", "StaleJudgement", "StaleJudgement", "NoCanary"],
        ),
        (
            "promote on a judgement of another artifact",
            promoted(passing(1, 1, "v3"), Some("urgent")),
            ["NoCanary", "StaleJudgement", "StaleJudgement", "NoCanary"],
        ),
        ("roll back", rolled_back(1), ["unchanged", "v1 idle anew", "v1 idle anew", "unchanged"]),
        (
            "roll back another rollout",
            rolled_back(9),
            ["unchanged", "OtherRollout", "OtherRollout", "unchanged"],
        ),
    ];
    for (what, event, expected) in &table {
        let seen = [&idle, &running, &paused, &quarantined].map(|state| word(state, event));
        assert_eq!(&seen, expected, "{what}");
    }
}

#[test]
fn the_end_of_a_rollout_turns_the_slowdown_off() {
    let slow = Event::SlowdownSet { slowdown: Slowdown { enabled: true, delay_ms: 40 } };
    let ends = [
        Event::RolledBack {
            rollout: 1,
            reason: "slow".into(),
            quarantine: false,
            judgement: None,
            by: Mode::Manual,
        },
        Event::Promoted {
            judgement: passing(1, 1, "v2"),
            forced: false,
            reason: None,
            by: Mode::Manual,
        },
    ];
    for end in ends {
        let state = after(&[deployed("v2"), slow.clone(), end]);
        assert_eq!(state.slowdown, Slowdown::OFF);
        assert!(state.last.is_some());
    }
}

#[test]
fn an_override_lifts_the_quarantine_it_overrides() {
    let mut events = vec![
        deployed("v2"),
        Event::RolledBack {
            rollout: 1,
            reason: "bad".into(),
            quarantine: true,
            judgement: None,
            by: Mode::Manual,
        },
    ];
    assert_eq!(after(&events).quarantine.len(), 1);
    events.push(Event::CanaryDeployed {
        canary: version("v2"),
        policy: Box::new(Policy::default()),
        salt: 9,
        reason: Some("fixed".into()),
        override_quarantine: true,
    });
    assert!(after(&events).quarantine.is_empty());
}

fn held(judgement: Box<Judgement>) -> Event {
    Event::Held { judgement, concerns: vec![Concern::SampleRatio] }
}

fn injected(rollout: u64, delay_ms: u32) -> Event {
    let given = GivenInjection { delay_ms: Some(delay_ms), ..GivenInjection::default() };
    Event::Injected { rollout, injection: Injection::try_from(given).unwrap() }
}

#[path = "apply_histories_tests.rs"]
mod histories;

#[path = "apply_by_plan_tests.rs"]
mod by_plan;
