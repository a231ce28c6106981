//! Forecasts of a rollout in which nothing is missing but the wait for a tail.

use super::tests::HOUR;
use super::tests::forecast;
use super::tests::latency_and_failures;
use super::tests::measured_as;
use super::tests::percent;
use super::*;
use crate::canary::judge::monitors::KeyVisits;
use crate::canary::judge::monitors::Monitors;
use crate::canary::judge::monitors::measured::Counts;
use crate::canary::observed::samples::TrackSamples;

/// All guardrails have passed, and the tail of latency will not.
fn waiting(policy: &JudgePolicy) -> Vec<Measured> {
    let numbers: Vec<(f64, f64)> = policy
        .metrics
        .iter()
        .map(|metric| match metric.source.is_tail() {
            true => (0.0, -500.0),
            false => (-5.0, 10.0),
        })
        .collect();
    measured_as(policy, &numbers)
}

#[test]
fn the_end_of_the_wait_for_a_tail_is_foreseen() {
    let policy = latency_and_failures();
    let measured = waiting(&policy);
    let tail = policy.metrics.iter().position(|metric| metric.source.is_tail()).unwrap();
    // 10,000 and 1,111 samples are 999.9 effective ones.
    assert_eq!(measured[tail].awaits(&policy.metrics[tail]), Some(801));
    let found = forecast(&policy, &measured, percent(10.0), 100.0, HOUR);
    assert_eq!(found.metrics[tail].outcome, Outcome::None);
    let verdict = found.verdict.unwrap();
    // 801 / (10 % of 90 %)
    assert_eq!(verdict.verdict, Verdict::Promote, "{found:?}");
    assert!((8900..=8901).contains(&verdict.requests), "{verdict:?}");
    // Nothing is promoted before, and nothing but the wait is missing.
    let range = verdict.range.unwrap();
    assert!((6000..=8901).contains(&range.earliest_requests), "{range:?}");
    assert!(range.latest_requests.is_some_and(|latest| latest <= 10_000), "{range:?}");
}

#[test]
fn the_end_of_the_wait_does_not_stand_in_for_the_least_samples() {
    let mut policy = latency_and_failures();
    let tail = policy.metrics.iter().position(|metric| metric.source.is_tail()).unwrap();
    policy.metrics[tail].min_samples = 2_111;
    let found = forecast(&policy, &waiting(&policy), percent(10.0), 100.0, HOUR);
    // (2,111 - 1,111) / 10 %
    assert_eq!(found.verdict.map(|verdict| verdict.requests), Some(10_000), "{found:?}");
}

#[test]
fn visits_of_keys_that_come_back_shorten_the_wait() {
    let policy = latency_and_failures();
    let mut measured = waiting(&policy);
    let tail = policy.metrics.iter().position(|metric| metric.source.is_tail()).unwrap();
    let one = &mut measured[tail];
    one.counts = Counts { stable: 900, canary: 100, ..Counts::default() };
    let visits = KeyVisits { stable: 9_000, canary: 1_000, at_this_share: 1_000, next_look: 2_000 };
    one.visits = Some(visits);
    assert_eq!(one.awaits(&policy.metrics[tail]), Some(900));
    // As many judged requests as the metric's samples.
    measured.iter_mut().for_each(|one| (one.counts.stable, one.counts.canary) = (900, 100));
    let nothing = Monitors::new(&policy, &TrackSamples::default());
    let evidence = SequentialEvidence::new(&policy, &nothing).with(measured);
    let traffic = Traffic {
        weight: percent(10.0),
        judged_per_second: 10.0,
        repeated_per_second: 90.0,
        remaining_bake: HOUR,
    };
    let verdict = super::forecast(&evidence, &traffic).verdict.unwrap();
    // 900 / (10 % of 90 %) visits, ten for each judged request.
    assert_eq!(verdict.verdict, Verdict::Promote);
    assert!((1000..=1001).contains(&verdict.requests), "{verdict:?}");
}
