//! Tests of the proposals.

use super::*;
use crate::canary::observed::increment::Increment;
use crate::canary::observed::increment::TrackIncrement;

/// A rollout of these seconds, 90 requests of stable and 10 of the canary in each, whose latencies alternate around a
/// mean; `noise` is added to all of the canary's in a second.
fn rollout(
    standing: Standing,
    seconds: usize,
    slower: f64,
    noise: impl Fn(usize) -> f64,
) -> PastRollout {
    let mut past = PastRollout::new(standing);
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
    assert!(
        said.iter().any(|it| it.contains("equal versions in the tick log: 0, of promoted ones: 0")),
        "{said:?}"
    );
    assert!(said.iter().any(|it| it.contains("0 latencies of stable")), "{said:?}");
}

#[test]
fn margins_allow_the_differences_of_versions_that_were_fine_and_no_others() {
    let mut past: Vec<PastRollout> =
        [0.0, 0.02, 0.06].map(|slower| rollout(Standing::Fine, 200, slower, |_| 0.0)).to_vec();
    past.push(rollout(Standing::Other, 200, 0.5, |_| 0.0));
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
fn a_margin_is_no_narrower_than_the_noise_between_equal_versions() {
    let equal = [0.03, -0.04, 0.05].map(|noise| rollout(Standing::Equal, 200, noise, |_| 0.0));
    let tolerated = |past: &[PastRollout]| {
        let proposals = proposals(past, &Policy::default());
        let found = proposals.iter().find(|it| it.setting == Setting::RelativeMargin).unwrap();
        let Some(Value::Share(share)) = found.value else { panic!("{proposals:?}") };
        (share, found.reason.clone())
    };
    let (alone, reason) = tolerated(&equal);
    assert!((0.045..0.065).contains(&alone), "{alone}");
    assert!(reason.contains("of 3 rollouts of equal versions") && !reason.contains("promoted"));
    let mut past = equal.to_vec();
    past.extend([0.0; 3].map(|slower| rollout(Standing::Fine, 200, slower, |_| 0.0)));
    let (both, reason) = tolerated(&past);
    assert_eq!(both, alone);
    assert!(reason.contains("the 3 promoted versions"), "{reason}");
    past.extend([0.1; 2].map(|slower| rollout(Standing::Fine, 200, slower, |_| 0.0)));
    assert!(tolerated(&past).0 > 0.09);
}

#[test]
fn the_unit_follows_the_noise_of_the_differences() {
    let threads = Policy { judge: Policy::default().judge.of_threads(true), ..Policy::default() };
    let unit = |standing, policy: &Policy, noise: fn(usize) -> f64| {
        let past = [rollout(standing, 400, 0.0, noise)];
        value(&proposals(&past, policy), Setting::Unit)
    };
    // Two of five seconds stall by themselves.
    let stalls: fn(usize) -> f64 =
        |second| if second.wrapping_mul(7919) % 5 < 2 { 0.010 } else { 0.0 };
    let slow_wave: fn(usize) -> f64 = |second| 0.010 * (second as f64 / 20.0).sin();
    let blocks: fn(usize) -> f64 =
        |second| if (second / 6).wrapping_mul(7919) % 5 < 2 { 0.010 } else { 0.0 };
    for standing in [Standing::Fine, Standing::Equal] {
        for (noise, inline, pooled) in [
            ((|_| 0.0) as fn(usize) -> f64, EvidenceUnit::Request, EvidenceUnit::Request),
            (stalls, EvidenceUnit::Tick, EvidenceUnit::Tick),
            (blocks, EvidenceUnit::TenSeconds, EvidenceUnit::Auto),
            (slow_wave, EvidenceUnit::Minute, EvidenceUnit::Auto),
        ] {
            assert_eq!(unit(standing, &Policy::default(), noise), Some(Value::Unit(inline)));
            assert_eq!(unit(standing, &threads, noise), Some(Value::Unit(pooled)));
        }
    }
    assert_eq!(unit(Standing::Other, &threads, slow_wave), None);
}
