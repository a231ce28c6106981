//! The monitor of one signal under ticks of every kind.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::stats::summary::points::Points;

const RATE: u64 = 100;

fn latency() -> Monitor {
    let accepted = Margin::relative(0.1);
    Monitor::new(Layout::Seconds, Harm::Higher, Test::Combined, Margin::default(), accepted)
}

/// A tick of stable's values 10 to 29 ms, and the canary's times `factor`.
fn tick(monitor: &mut Monitor, share: f64, factor: f64) {
    let canaries = (share * RATE as f64) as u64;
    let values = |count: u64, factor: f64| -> Vec<f64> {
        (0..count).map(|i| (0.010 + 0.001 * (i % 20) as f64) * factor).collect()
    };
    let canary = Points::from_samples(&values(canaries, factor));
    let stable = Points::from_samples(&values(RATE - canaries, 1.0));
    monitor.tick(share, canary.as_slice(), stable.as_slice());
}

fn seconds_until(mut reached: impl FnMut() -> bool) -> Option<u32> {
    (1..=3600).find(|_| reached())
}

#[test]
fn a_slow_canary_is_found_within_seconds_and_an_equal_one_is_proven_so() {
    let mut slow = latency();
    let found = seconds_until(|| {
        tick(&mut slow, 0.2, 2.0);
        slow.harm.reached(0.01)
    });
    assert!(found.is_some_and(|seconds| seconds <= 5), "{found:?}");
    assert!(!slow.proven.reached(0.5));

    let mut equal = latency();
    let proven = seconds_until(|| {
        tick(&mut equal, 0.2, 1.0);
        equal.proven.reached(0.05)
    });
    assert!(proven.is_some_and(|seconds| seconds < 120), "{proven:?}");
    assert!(!equal.harm.reached(0.5));
}

#[test]
fn harm_is_distinguished_by_direction() {
    for (harm, factor, is_harm) in [
        (Harm::Higher, 1.5, true),
        (Harm::Higher, 0.6, false),
        (Harm::Lower, 1.5, false),
        (Harm::Lower, 0.6, true),
        (Harm::Either, 1.5, true),
        (Harm::Either, 0.6, true),
    ] {
        let margin = Margin { relative: 0.05, absolute: 0.001 };
        for harmful in [Margin::default(), margin] {
            let mut monitor = Monitor::new(Layout::Seconds, harm, Test::Combined, harmful, margin);
            (0..60).for_each(|_| tick(&mut monitor, 0.2, factor));
            assert_eq!(monitor.harm.reached(0.05), is_harm, "{harm:?} {factor} {harmful:?}");
            assert_eq!(monitor.proven.reached(0.05), !is_harm, "{harm:?} {factor}");
        }
    }
}

#[test]
fn a_difference_within_the_harmful_margin_is_not_harm() {
    let allowed = Margin::relative(0.2);
    let mut monitor = Monitor::new(Layout::Seconds, Harm::Higher, Test::Combined, allowed, allowed);
    (0..600).for_each(|_| tick(&mut monitor, 0.2, 1.1));
    assert!(!monitor.harm.reached(0.5) && monitor.proven.reached(0.05));
}

#[test]
fn constant_values_are_judged_by_their_side() {
    let mut monitor = latency();
    (0..30).for_each(|_| monitor.tick(0.1, &[(0.005, 10)], &[(0.005, 90)]));
    assert!(!monitor.harm.reached(0.5) && monitor.proven.reached(0.05));
    (0..30).for_each(|_| monitor.tick(0.1, &[(0.010, 10)], &[(0.005, 90)]));
    assert!(monitor.harm.reached(0.001));
}

#[test]
fn remembered_values_of_stable_make_the_first_tick_count() {
    let (mut cold, mut warm) = (latency(), latency());
    warm.remember(&[(0.010, 500), (0.012, 500), (f64::NAN, 3)]);
    assert_eq!(warm.harm.log_e(), 0.0);
    for monitor in [&mut cold, &mut warm] {
        monitor.tick(0.5, &[(0.030, 10)], &[(0.010, 5), (0.012, 5)]);
    }
    assert_eq!(cold.harm.log_e(), 0.0);
    assert!(warm.harm.reached(0.05));
}

/// An incident that doubles every latency, on both tracks alike, while the canary's share rises.
#[test]
fn an_incident_on_both_tracks_is_not_harm() {
    let mut monitor = latency();
    for (second, share) in (0..1200).zip([0.1, 0.3, 0.5].into_iter().cycle()) {
        let load: f64 = if (300..600).contains(&second) { 0.040 } else { 0.020 };
        let canaries = (share * 100.0) as u64;
        monitor.tick(share, &[(load, canaries)], &[(load, 100 - canaries)]);
    }
    assert!(!monitor.harm.reached(0.5), "{:?}", monitor.harm);
}

#[test]
fn every_test_distinguishes_harm_from_none() {
    for test in ALL_TESTS {
        // The whole distribution has no direction: lower values are a change, too.
        let is_blind = test != Test::Distribution;
        for (harm, factor, is_harm) in [
            (Harm::Higher, 2.0, true),
            (Harm::Higher, 1.0, false),
            (Harm::Higher, 0.5, !is_blind),
            (Harm::Lower, 0.5, true),
            (Harm::Lower, 2.0, !is_blind),
            (Harm::Either, 2.0, true),
            (Harm::Either, 0.5, true),
            (Harm::Either, 1.0, false),
        ] {
            let margin = Margin::relative(0.1);
            for harmful in [Margin::default(), margin] {
                let mut monitor = Monitor::new(Layout::Seconds, harm, test, harmful, margin);
                (0..120).for_each(|_| tick(&mut monitor, 0.2, factor));
                let found = monitor.harm.reached(0.05);
                assert_eq!(found, is_harm, "{test:?} {harm:?} {factor} {harmful:?}");
            }
        }
    }
}

#[test]
fn a_test_alone_is_a_part_of_the_combined_one() {
    let none = Margin::default();
    let new = |test| Monitor::new(Layout::Seconds, Harm::Higher, test, none, none);
    let [mut combined, mut mean, mut rank, mut tail, mut log] =
        [Test::Combined, Test::Mean, Test::Rank, Test::Tail, Test::Log].map(new);
    for monitor in [&mut combined, &mut mean, &mut rank, &mut tail, &mut log] {
        (0..5).for_each(|_| tick(monitor, 0.2, 1.2));
    }
    let [mean_e, rank_e, tail_e] = [&mean, &rank, &tail].map(|one| one.harm.log_e().exp());
    let expected = (5.0 * mean_e + 8.0 * rank_e + 3.0 * tail_e) / 16.0;
    assert!((combined.harm.log_e() - expected.ln()).abs() < 1e-9);
    assert_eq!(combined.proven, mean.proven);
    assert_ne!(log.proven, mean.proven);
    assert!((mean.center().unwrap() - 0.0195).abs() < 0.001, "{:?}", mean.center());
}

#[test]
fn values_of_any_size_and_sign_are_judged() {
    let none = Margin::default();
    for (stable, harm) in [(-1e-6, Harm::Higher), (-3e9, Harm::Lower), (250.0, Harm::Either)] {
        let mut monitor = Monitor::new(Layout::Any, harm, Test::Combined, none, none);
        // Toward 0, or away from it.
        let factor = if harm == Harm::Higher { 0.5 } else { 1.5 };
        for _ in 0..60 {
            let values =
                |factor: f64, count| [(stable * factor, count), (1.1 * stable * factor, count)];
            monitor.tick(0.1, &values(factor, 5), &values(1.0, 45));
        }
        assert!(monitor.harm.reached(0.01), "{stable} {harm:?}");
    }
}

/// The quantiles of a lognormal distribution with median 1, times `median`.
fn lognormal(median: f64, sigma: f64, n: u32) -> Vec<(f64, u64)> {
    let quantile = |i| {
        crate::stats::distributions::normal::normal_quantile((f64::from(i) + 0.5) / f64::from(n))
    };
    (0..n).map(|i| (median * (sigma * quantile(i)).exp(), 1)).collect()
}

#[test]
fn less_variance_is_not_harm() {
    let none = Margin::default();
    for test in [Test::Combined, Test::Mean, Test::Rank, Test::Tail] {
        let mut monitor = Monitor::new(Layout::Seconds, Harm::Higher, test, none, none);
        for _ in 0..500 {
            // Nearly no fast answers and no slow ones any more: a mean of 0.030 in place of 0.049.
            monitor.tick(0.1, &lognormal(0.030, 0.05, 10), &lognormal(0.035, 0.83, 90));
        }
        assert!(monitor.harm.always_valid_p() > 0.9, "{test:?}");
    }
}

proptest! {
    #[test]
    fn no_tick_gives_nan_and_replay_gives_the_same_bytes(
        ticks in vec(any_tick(), 0..40), cut in 0..40_usize,
        harm in any_harm(), test in any_test(),
    ) {
        let accepted = Margin::relative(0.1);
        let new = || Monitor::new(Layout::Seconds, harm, test, Margin::default(), accepted);
        let (mut once, mut again) = (new(), new());
        for (number, (share, canary, stable)) in ticks.iter().enumerate() {
            once.tick(*share, canary, stable);
            // A restart in between: what was written is read, to the bit.
            if number == cut {
                again = serde_json::from_str(&serde_json::to_string(&again).unwrap()).unwrap();
            }
            again.tick(*share, canary, stable);
            prop_assert!(once.harm.log_e().is_finite() && once.proven.log_e().is_finite());
            let effect = once.effect.effect();
            prop_assert!(effect.is_none_or(|(effect, error)| effect.is_finite() && error.is_finite()));
        }
        prop_assert_eq!(serde_json::to_string(&once).unwrap(), serde_json::to_string(&again).unwrap());
    }

    // Seconds or milliseconds: the buckets move, the evidence does not (powers of two are exact).
    #[test]
    fn the_unit_of_the_values_does_not_matter(
        ticks in vec((0.05..0.95_f64, vec(0.5..1.0_f64, 0..20), vec(0.5..1.0_f64, 0..60)), 1..20),
    ) {
        let (mut one, mut other) = (latency(), latency());
        for (share, canary, stable) in ticks {
            let points = |values: &[f64], unit: f64| {
                let mut histogram = crate::stats::summary::histogram::Histogram::new(Layout::Seconds);
                values.iter().for_each(|value| histogram.record(value * unit));
                histogram.points()
            };
            one.tick(share, points(&canary, 1.0).as_slice(), points(&stable, 1.0).as_slice());
            let unit = 1.0 / 1024.0;
            other.tick(share, points(&canary, unit).as_slice(), points(&stable, unit).as_slice());
        }
        prop_assert!((one.harm.log_e() - other.harm.log_e()).abs() < 1e-9);
        prop_assert!((one.proven.log_e() - other.proven.log_e()).abs() < 1e-9);
    }
}

type Tick = (f64, Vec<(f64, u64)>, Vec<(f64, u64)>);

fn any_tick() -> impl Strategy<Value = Tick> {
    let share = prop_oneof![Just(0.0), Just(1.0), Just(0.1), 0.0..1.0_f64, any::<f64>()];
    let value = prop_oneof![Just(0.0), Just(0.01), 0.001..0.1_f64, any::<f64>()];
    let count = prop_oneof![Just(0), 1..5_u64, 1..1_000_000_u64];
    let points = move || vec((value.clone(), count.clone()), 0..8);
    (share, points(), points())
}

fn any_harm() -> impl Strategy<Value = Harm> {
    prop_oneof![Just(Harm::Higher), Just(Harm::Lower), Just(Harm::Either)]
}

fn any_test() -> impl Strategy<Value = Test> {
    proptest::sample::select(ALL_TESTS.to_vec())
}

const ALL_TESTS: [Test; 6] =
    [Test::Combined, Test::Mean, Test::Log, Test::Rank, Test::Tail, Test::Distribution];
