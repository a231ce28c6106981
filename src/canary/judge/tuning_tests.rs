//! Tests of the proposals.

use super::*;
use crate::canary::observed::increment::TrackIncrement;

/// A rollout of these seconds, 90 requests of stable and 10 of the canary in each, whose latencies alternate around a
/// mean; `noise` is added to all of the canary's in a second.
fn rollout(
    was_fine: bool,
    seconds: usize,
    slower: f64,
    noise: impl Fn(usize) -> f64,
) -> PastRollout {
    let mut past = PastRollout::new(was_fine, 0);
    let mut state = 1_u64;
    let mut draw = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1_u64 << 31) as f64
    };
    for second in 0..seconds {
        let mut track = |requests: u64, factor: f64, noise: f64| TrackIncrement {
            requests,
            failures: 0,
            latency: (0..requests)
                .map(|_| ((0.010 + 0.010 * draw()) * factor + noise, 1))
                .collect(),
            score: Vec::new(),
        };
        let stable = track(90, 1.0, 0.0);
        let canary = track(10, 1.0 + slower, noise(second));
        past.tick(&Increment { stable, canary, ..Increment::default() });
    }
    past
}

fn value(proposals: &[Proposal], setting: Setting) -> Option<Value> {
    proposals.iter().find(|it| it.setting == setting).unwrap().value
}

#[test]
fn without_history_nothing_is_proposed_and_the_reason_says_what_is_missing() {
    let proposals = proposals(&[], &Policy::default());
    assert!(proposals.iter().all(|it| it.value.is_none()), "{proposals:?}");
    let said: Vec<&str> = proposals.iter().map(|it| it.reason.as_str()).collect();
    assert!(said.iter().any(|it| it.contains("0 promoted versions")), "{said:?}");
    assert!(said.iter().any(|it| it.contains("0 latencies of stable")), "{said:?}");
}

#[test]
fn margins_allow_the_differences_of_versions_that_were_fine_and_no_others() {
    let mut past: Vec<PastRollout> =
        [0.0, 0.02, 0.06].map(|slower| rollout(true, 200, slower, |_| 0.0)).to_vec();
    past.push(rollout(false, 200, 0.5, |_| 0.0));
    let proposals = proposals(&past, &Policy::default());
    let Some(Value::Share(tolerated)) = value(&proposals, Setting::RelativeMargin) else {
        panic!("{proposals:?}")
    };
    assert!((0.045..0.085).contains(&tolerated), "{tolerated}");
    assert_eq!(value(&proposals, Setting::AcceptedSlowdown), Some(Value::Share(2.0 * tolerated)));
    assert_eq!(value(&proposals, Setting::FailureMargin), Some(Value::Share(0.001)));
    let Some(Value::Count(samples)) = value(&proposals, Setting::MinSamples) else { panic!() };
    assert!((20..200).contains(&samples), "{samples}");
    assert!(matches!(value(&proposals, Setting::Bake), Some(Value::Seconds(60..=3600))));
}

#[test]
fn the_unit_follows_the_noise_of_the_differences() {
    let unit = |noise: fn(usize) -> f64| {
        let past = [rollout(true, 400, 0.0, noise)];
        value(&proposals(&past, &Policy::default()), Setting::Unit)
    };
    assert_eq!(unit(|_| 0.0), Some(Value::Unit(EvidenceUnit::Request)));
    // Two of five seconds stall by themselves.
    let stalls = |second: usize| if second.wrapping_mul(7919) % 5 < 2 { 0.010 } else { 0.0 };
    assert_eq!(unit(stalls), Some(Value::Unit(EvidenceUnit::Tick)));
    let slow_wave = |second: usize| 0.010 * (second as f64 / 20.0).sin();
    assert_eq!(unit(slow_wave), Some(Value::Unit(EvidenceUnit::Auto)));
}
