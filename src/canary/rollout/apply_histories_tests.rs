//! Invariants of random histories, possible or not.

use proptest::prelude::*;

use super::*;
use crate::canary::policy::post_promotion::HarmAction;
use crate::canary::policy::post_promotion::PostPromotionPolicy;
use crate::canary::rollout::journal::Entry;
use crate::canary::rollout::journal::ReplayError;
use crate::canary::rollout::journal::replay;

#[test]
fn a_history_that_could_not_have_happened_is_refused() {
    let entry = |sequence, event| Entry { sequence, at: at(0), event };
    let headless = [entry(1, deployed("v2"))];
    assert_eq!(replay(&headless), Err(ReplayError::NoBeginning { sequence: 1 }));
    let twice = [
        entry(1, Event::Initialized { stable: version("v1") }),
        entry(2, deployed("v2")),
        entry(3, deployed("v3")),
    ];
    assert!(matches!(replay(&twice), Err(ReplayError::Impossible { sequence: 3, .. })));
    assert_eq!(replay([]), Ok(None));
}

/// A policy with or without post-promotion monitoring.
fn policy_of(number: u16) -> Policy {
    let action = if number.is_multiple_of(3) { HarmAction::Report } else { HarmAction::Revert };
    let monitor = std::time::Duration::from_secs(20 * u64::from(number % 4));
    Policy { post_promotion: PostPromotionPolicy { monitor, action }, ..Policy::default() }
}

/// Any event, about any of the first rollouts, steps and versions.
fn any_event() -> impl Strategy<Value = Event> {
    let name = prop::sample::select(vec!["v1", "v2", "v3"]);
    let about = (1_u64..6, 1_u32..4, name, prop::bool::ANY, 0_u16..=10_000, 0_usize..40);
    (0_u8..13, about).prop_map(|(kind, (rollout, step, name, flag, basis_points, samples))| {
        let judgement = judgement(rollout, step, name, samples);
        let reason = flag.then(|| "because".to_owned());
        match kind {
            0 => Event::CanaryDeployed {
                canary: version(name),
                policy: Box::new(policy_of(basis_points)),
                salt: u128::from(basis_points),
                reason,
                override_quarantine: flag,
                features: FeatureChange::default(),
                library: None,
            },
            1 => Event::TrafficSet {
                rollout,
                weight: Weight::from_basis_points(basis_points).unwrap(),
                shadow: Weight::from_basis_points(10_000 - basis_points).unwrap(),
                judgement,
            },
            2 => Event::Paused { rollout, cause: Cause::Person(None) },
            3 => Event::Resumed { rollout },
            4 => Event::SlowdownSet { slowdown: Slowdown { enabled: flag, delay_ms: 5 } },
            5 => Event::Promoted {
                judgement,
                forced: basis_points % 2 == 0,
                reason,
                by: Mode::Manual,
            },
            6 => Event::RolledBack {
                rollout,
                cause: Cause::Person(None),
                quarantine: flag,
                judgement: None,
                by: Mode::Manual,
            },
            10 => injected(rollout, u32::from(basis_points)),
            7 => Event::HarmReported { judgement },
            8 => Event::Reverted {
                rollout,
                cause: Cause::Person(None),
                judgement: None,
                by: if flag { Mode::Automatic } else { Mode::Manual },
            },
            9 => Event::MonitoringEnded { rollout },
            11 => held(judgement),
            _ => Event::Initialized { stable: version(name) },
        }
    })
}

proptest! {
    #[test]
    fn any_history_keeps_the_invariants_and_replays_to_its_state(
        events in prop::collection::vec(any_event(), 0..120),
    ) {
        let mut state = State::initial(version("v1"), at(0));
        let first = Event::Initialized { stable: version("v1") };
        let mut entries = vec![Entry { sequence: 1, at: at(0), event: first }];
        for (n, event) in events.into_iter().enumerate() {
            let now = at(n as i64);
            let Ok(Transition::Changed { state: next, samples }) = apply(&state, &event, now) else {
                continue;
            };
            let weight = |state: &State| state.rollout.as_ref().map(Rollout::weight);
            if let Event::RolledBack { .. } = event {
                prop_assert!(next.rollout.is_none());
            }
            if let Event::Promoted { judgement, forced, reason, by: _ } = &event {
                let canary = &state.rollout.as_ref().unwrap().canary;
                prop_assert_eq!(&next.stable, canary);
                prop_assert_eq!(&judgement.digest, &canary.digest);
                prop_assert!(judgement.verdict == Verdict::Promote || (*forced && reason.is_some()));
                if let Some(monitored) = &next.post_promotion {
                    prop_assert_eq!((&monitored.previous, &monitored.rollout.canary), (&state.stable, canary));
                }
            } else if let Event::Reverted { rollout, .. } = &event {
                let monitored = state.post_promotion.as_ref().unwrap();
                prop_assert_eq!((monitored.rollout.id, &monitored.previous), (*rollout, &next.stable));
                prop_assert!(!next.quarantine.contains_key(&next.stable.digest)
                    || state.quarantine.contains_key(&next.stable.digest));
            } else {
                prop_assert_eq!(&next.stable, &state.stable);
            }
            prop_assert!(next.rollout.is_none() || next.post_promotion.is_none());
            let is_reverted = matches!(event, Event::Reverted { .. });
            // Samples of different shares, canaries or rollouts never mix.
            let same = weight(&next) == weight(&state)
                && next.rollout.as_ref().map(|r| (r.id, r.step))
                    == state.rollout.as_ref().map(|r| (r.id, r.step));
            prop_assert_eq!(same && !is_reverted, samples == SamplesEffect::Keep);
            if let Some(rollout) = &next.rollout {
                let back = Event::RolledBack {
                    rollout: rollout.id,
                    cause: Cause::Person(None),
                    quarantine: false,
                    judgement: None,
 by: Mode::Manual,
                };
                prop_assert!(apply(&next, &back, now).is_ok(), "rollback is always legal");
            }
            entries.push(Entry { sequence: entries.len() as u64 + 1, at: now, event });
            state = *next;
        }
        let text = serde_json::to_string(&entries).unwrap();
        let read: Vec<Entry> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(replay(&read).unwrap(), Some(state));
    }
}
