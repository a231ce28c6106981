//! Tests of the bootstrap.

use super::*;
use crate::stats::fixed_horizon::welch::welch_t_test;

const PLAN: Bootstrap = Bootstrap { resamples: 10_000, level: 0.95 };

/// SplitMix64: Steele, Lea and Flood (2014), OOPSLA, doi:10.1145/2660193.2660195.
fn split_mix(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Values drawn by the inverse of their distribution function.
fn sample(n: usize, seed: u64, inverse: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut bits = split_mix(seed);
    let mut uniform = || ((bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    (0..n).map(|_| inverse(uniform())).collect()
}

fn uniform(n: usize, seed: u64) -> Points {
    Points::from_samples(&sample(n, seed, |u| u))
}

#[test]
fn impossible_arguments_have_no_interval() {
    let (points, empty) = (uniform(9, 1), Points::default());
    for plan in [
        Bootstrap { resamples: 1, ..PLAN },
        Bootstrap { resamples: u32::MAX, ..PLAN },
        Bootstrap { level: 1.0, ..PLAN },
        Bootstrap { level: f64::NAN, ..PLAN },
    ] {
        assert_eq!(plan.mean_difference(&points, &points, split_mix(1)), None);
    }
    assert_eq!(PLAN.mean_difference(&points, &empty, split_mix(1)), None);
    assert_eq!(PLAN.quantile_difference(&empty, &points, 0.5), None);
    assert_eq!(PLAN.quantile_difference(&points, &points, 1.5), None);
}

#[test]
fn the_same_bits_give_the_same_interval() {
    let (canary, stable) = (uniform(1000, 1), uniform(300, 2));
    let draw = |seed| PLAN.mean_difference(&canary, &stable, split_mix(seed)).unwrap();
    assert_eq!(draw(5), draw(5));
    assert_ne!(draw(5), draw(6));
    // Nothing is drawn above 1,000 values.
    let larger = uniform(1001, 1);
    let draw = |seed| PLAN.mean_difference(&larger, &stable, split_mix(seed)).unwrap();
    assert_eq!(draw(5), draw(6));
}

#[test]
fn constant_samples_have_an_interval_without_width() {
    let constant = |value: f64, n: usize| Points::from_samples(&vec![value; n]);
    let (canary, stable) = (constant(4.0, 5000), constant(3.0, 12));
    for found in [
        PLAN.mean_difference(&canary, &stable, split_mix(1)).unwrap(),
        PLAN.quantile_difference(&canary, &stable, 0.9).unwrap(),
    ] {
        assert_eq!((found.low, found.estimate, found.high), (1.0, 1.0, 1.0));
        assert_eq!(found.standard_error, 0.0);
    }
}

#[test]
fn means_of_well_behaved_samples_agree_with_welch() {
    for (n_canary, n_stable) in [(800, 900), (5_000, 30_000)] {
        let (canary, stable) = (uniform(n_canary, 3), uniform(n_stable, 4));
        let found = PLAN.mean_difference(&canary, &stable, split_mix(9)).unwrap();
        let welch = welch_t_test(&canary.moments(), &stable.moments()).unwrap();
        let (low, high) = welch.confidence_interval(0.95);
        let error = welch.standard_error;
        assert!((found.standard_error / error - 1.0).abs() < 0.04, "{found:?} {error}");
        assert!((found.low - low).abs() < 0.15 * error, "{found:?} {low}");
        assert!((found.high - high).abs() < 0.15 * error, "{found:?} {high}");
    }
}

#[test]
fn exact_quantiles_agree_with_whole_resamples() {
    let canary = uniform(40, 3);
    let one = Points::from_samples(&[0.0]);
    let values: Vec<f64> = canary.iter().map(|point| point.0).collect();
    for q in [0.0, 0.3, 0.5, 0.95, 1.0] {
        let found = PLAN.quantile_difference(&canary, &one, q).unwrap();
        let mut bits = split_mix(10);
        let mut index = || ((u128::from(bits()) * 40) >> 64) as usize;
        let mut plain: Vec<f64> = (0..10_000)
            .map(|_| {
                let drawn: Vec<f64> = (0..40).map(|_| values[index()]).collect();
                Points::from_samples(&drawn).quantile(q).unwrap()
            })
            .collect();
        plain.sort_by(f64::total_cmp);
        let (low, high) = (plain[250], plain[9749]);
        // The ends are values of the sample; the neighbor is as good.
        let rank = |x: f64| values.partition_point(|value| *value < x - 1e-12);
        assert!(rank(found.low).abs_diff(rank(low)) <= 1, "{q}: {found:?} {low}");
        assert!(rank(found.high).abs_diff(rank(high)) <= 1, "{q}: {found:?} {high}");
    }
}

#[test]
fn the_corrected_normal_interval_agrees_with_whole_resamples() {
    const DRAWS: usize = 4000;
    for (name, inverse) in [
        ("uniform", (|u| u) as fn(f64) -> f64),
        ("exponential", |u| -u.ln()),
        ("pareto 1.1", |u| u.powf(-1.0 / 1.1)),
        ("pareto 2.5", |u| u.powf(-1.0 / 2.5)),
        ("rare", |u| if u < 0.99 { 0.0 } else { 1.0 + u }),
    ] {
        let values = sample(3000, 11, inverse);
        let points = Points::from_samples(&values);
        let zero = Points::from_samples(&[0.0]);
        let found = PLAN.mean_difference(&points, &zero, split_mix(1)).unwrap();
        let mut random = split_mix(7);
        let mut means: Vec<f64> = (0..DRAWS).map(|_| drawn_mean(&values, &mut random)).collect();
        means.sort_by(f64::total_cmp);
        for (end, q) in [(found.low, 0.025), (found.high, 0.975)] {
            // Five standard errors of the share of draws below, on either side.
            let reach = 5.0 * (q * (1.0 - q) / DRAWS as f64).sqrt();
            let at = |share: f64| means[(share.clamp(0.0, 1.0) * (DRAWS - 1) as f64) as usize];
            let (low, high) = (at(q - reach), at(q + reach));
            assert!(low <= end && end <= high, "{name} {q}: {end} not in {low} to {high}");
        }
    }
}
