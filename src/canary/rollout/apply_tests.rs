//! The state machine of rollouts; its tables of cases are in testdata.

use super::*;
use crate::canary::judge::health_check::Inputs;
use crate::canary::judge::health_check::TrackInputs;
use crate::canary::judge::verdict::Concern;
use crate::canary::policy::Policy;
use crate::canary::policy::fault::InjectionFields;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::rollout::cause::Cause;
use crate::canary::rollout::state::FeatureChange;
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
        features: FeatureChange::default(),
        library: None,
    }
}

/// A judgement of the canary `name`, with this many samples per track.
fn judgement(rollout: u64, step: u32, name: &str, samples: usize) -> Box<Judgement> {
    let latency: Moments = (0..samples).map(|n| 0.001 + n as f64 * 1e-9).collect();
    let score = Moments::default();
    let track = TrackInputs { requests: samples as u64, failures: 0, latency, score };
    let inputs = Inputs { stable: track, canary: track, ..Inputs::default() };
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

/// The result of an event in the words of the case files.
fn word(state: &State, event: &Event) -> String {
    match apply(state, event, at(100)) {
        Ok(Transition::Unchanged) => "unchanged".to_owned(),
        Ok(Transition::Changed { state, samples }) => {
            let phase = match &state.rollout {
                None => "idle".to_owned(),
                Some(rollout) => {
                    let phase = match rollout.phase {
                        Phase::Running => "running",
                        Phase::Paused => "paused",
                        Phase::AwaitingApproval => "awaiting approval",
                    };
                    format!("{phase} {}", rollout.weight())
                }
            };
            let samples = match samples {
                SamplesEffect::Keep => "keep",
                SamplesEffect::StartAnew => "anew",
            };
            format!("{} {phase} {samples}", state.stable.name)
        }
        Err(refusal) => {
            let name = format!("{refusal:?}");
            name.split([' ', '{', '(']).next().unwrap().to_owned()
        }
    }
}

#[test]
fn the_end_of_a_rollout_turns_the_slowdown_off() {
    let slow = Event::SlowdownSet { slowdown: Slowdown { enabled: true, delay_ms: 40 } };
    let ends = [
        Event::RolledBack {
            rollout: 1,
            cause: Cause::Person(None),
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
            cause: Cause::Person(None),
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
        features: FeatureChange::default(),
        library: None,
    });
    assert!(after(&events).quarantine.is_empty());
}

#[test]
fn a_refusal_says_which_model_and_how_long() {
    let mut quarantined = after(&[deployed("v2")]);
    let digest = "0123456789abcdef".repeat(4);
    quarantined.rollout.as_mut().unwrap().canary.digest.clone_from(&digest);
    let mut events = [deployed("v3"), deployed("v4")];
    if let Event::CanaryDeployed { canary, .. } = &mut events[0] {
        canary.digest = digest;
    }
    if let Event::CanaryDeployed { policy, .. } = &mut events[1] {
        policy.mode = Mode::Automatic;
    }
    let rollback = Event::RolledBack {
        rollout: 1,
        cause: Cause::Harm,
        quarantine: true,
        judgement: None,
        by: Mode::Automatic,
    };
    let Ok(Transition::Changed { state, .. }) = apply(&quarantined, &rollback, at(100)) else {
        panic!("a rollback is always possible")
    };
    let cool_down = state.cool_down_until(at(100)).unwrap();
    let late = cool_down - jiff::SignedDuration::from_secs(500);
    for (event, said) in [
        (&events[0], "v2 (digest 0123456789ab) is in quarantine: harm was found; to deploy it"),
        (&events[1], "starts no rollout by plan, whatever the model, for another 8 min 20 s; wait"),
    ] {
        let refusal = apply(&state, event, late).unwrap_err().to_string();
        assert!(refusal.contains(said), "{refusal}");
    }
}

fn held(judgement: Box<Judgement>) -> Event {
    Event::Held { judgement, concerns: vec![Concern::SampleRatio] }
}

fn injected(rollout: u64, delay_ms: u32) -> Event {
    let given = InjectionFields { delay_ms: Some(delay_ms), ..InjectionFields::default() };
    Event::Injected { rollout, injection: Injection::try_from(given).unwrap() }
}

#[test]
fn a_rollback_names_the_faults_that_were_injected() {
    let slow = Event::SlowdownSet { slowdown: Slowdown { enabled: true, delay_ms: 100 } };
    let back = |cause| Event::RolledBack {
        rollout: 1,
        cause,
        quarantine: true,
        judgement: None,
        by: Mode::Automatic,
    };
    let faults = "an injected delay of 100 ms and an injected fault (20 ms of delay)";
    for (events, reason) in [
        (vec![slow.clone()], "harm was found, with an injected delay of 100 ms".to_owned()),
        (vec![slow.clone(), injected(1, 20)], format!("harm was found, with {faults}")),
        (vec![injected(1, 20), injected(1, 0)], "harm was found".to_owned()),
    ] {
        let events: Vec<Event> =
            [deployed("v2")].into_iter().chain(events).chain([back(Cause::Harm)]).collect();
        let state = after(&events);
        assert_eq!(state.last.unwrap().reason, reason);
        assert_eq!(state.quarantine.into_values().next().unwrap().reason, reason);
    }
    let events = [deployed("v2"), slow, back(Cause::Person(None))];
    assert_eq!(after(&events).last.unwrap().reason, "by hand", "a person's words are not changed");
}

#[path = "apply_histories_tests.rs"]
mod histories;

#[path = "apply_cases_tests.rs"]
mod cases;
