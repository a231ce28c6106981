//! Random samples that are made here again from their recipe, and what scipy says about them.

use serde_json::Value;
use serin::stats::Bootstrap;
use serin::stats::Harm;
use serin::stats::Margin;
use serin::stats::Moments;
use serin::stats::Points;
use serin::stats::SharedBins;
use serin::stats::cohens_d;
use serin::stats::kolmogorov_smirnov;
use serin::stats::mann_whitney_u;
use serin::stats::non_inferiority;
use serin::stats::wasserstein_distance;

use super::reference::TOLERANCE;
use super::reference::assert_close;
use super::reference::assert_near;
use super::reference::cases;
use super::reference::count;
use super::reference::number;

#[test]
fn ranks_agree_with_scipy() {
    for case in cases("generated") {
        let (canary, stable) = points(&case);
        let test = mann_whitney_u(&canary, &stable).unwrap();
        assert_eq!(test.u, number(&case["u"]), "{case}");
        let found = [test.p_two_sided(), test.p_greater(), test.p_less()];
        assert_each(&found, &case["rank_p"], TOLERANCE, &case);
    }
}

#[test]
fn distances_between_distributions_agree_with_scipy() {
    for case in cases("generated") {
        let (canary, stable) = points(&case);
        let test = kolmogorov_smirnov(&canary, &stable).unwrap();
        assert_close(test.statistic(), &case["d"], TOLERANCE, &case);
        assert_each(&[test.p_two_sided()], &case["ks"], TOLERANCE, &case);
        let distance = wasserstein_distance(&canary, &stable).unwrap();
        assert_near(distance, &case["wasserstein"], 1e-3, &case);
    }
}

#[test]
fn margins_and_effect_sizes_agree_with_scipy() {
    for case in cases("generated").iter().filter(|case| !case["cohen"].is_null()) {
        let (canary, stable) = points(case);
        let (canary, stable): (Moments, Moments) = (canary.moments(), stable.moments());
        let test = |margin| non_inferiority(&canary, &stable, margin, Harm::Higher);
        let absolute = test(Margin::absolute(0.25)).unwrap().p_not_worse();
        assert_close(absolute, &case["p_not_worse_absolute"], TOLERANCE, case);
        match test(Margin::relative(0.1)) {
            Some(relative) => {
                let p = relative.p_not_worse();
                assert_close(p, &case["p_not_worse_relative"], TOLERANCE, case);
            }
            None => assert!(case["p_not_worse_relative"].is_null(), "{case}"),
        }
        assert_near(cohens_d(&canary, &stable).unwrap(), &case["cohen"], 1e-3, case);
    }
}

#[test]
fn drift_agrees_with_scipy() {
    for case in cases("generated").iter().filter(|case| !case["stability"].is_null()) {
        let (canary, stable) = points(case);
        let bins = SharedBins::by_value(&canary, &stable).unwrap();
        assert_near(bins.population_stability_index(), &case["stability"], 1e-3, case);
    }
}

#[test]
fn bootstrap_intervals_agree_with_scipy_within_the_monte_carlo_error() {
    let plan = Bootstrap { resamples: 10_000, level: 0.95 };
    for (seed, case) in cases("bootstrap").iter().enumerate() {
        let (canary, stable) = points(case);
        let random = split_mix(seed as u64);
        let found = if case["statistic"] == "mean" {
            plan.mean_difference(&canary, &stable, random)
        } else {
            plan.quantile_difference(&canary, &stable, 0.9)
        };
        let found = found.unwrap();
        for (end, bounds) in [(found.low, &case["low"]), (found.high, &case["high"])] {
            let (low, high) = (number(&bounds[0]), number(&bounds[1]));
            let slack = TOLERANCE * high.abs().max(1.0);
            assert!(low - slack <= end && end <= high + slack, "{found:?}: {case}");
        }
        // The deviation of a quantile hangs on a few rare jumps, and so varies from run to run.
        let tolerance = if case["statistic"] == "mean" { 0.04 } else { 0.25 };
        assert_close(found.standard_error, &case["standard_error"], tolerance, case);
    }
}

/// The samples of a recipe, bit for bit those of `scripts/reference_statistics.py`.
fn points(case: &Value) -> (Points, Points) {
    let draw: fn(f64) -> f64 = match case["kind"].as_str().unwrap() {
        "uniform" => |u| u,
        "whole_20" => |u| (u * 20.0).floor(),
        "whole_1000" => |u| (u * 1000.0).floor(),
        "heavy" => |u| 1.0 / (1.0 - u).sqrt(),
        "zero_inflated" => |u| if u >= 0.8 { u } else { 0.0 },
        "around_zero" => |u| 2.0 * u - 1.0,
        kind => unreachable!("unknown kind {kind}"),
    };
    let mut bits = split_mix(count(&case["seed"]));
    let mut sample = |n: u64, shift: f64| {
        let uniform = |bits: u64| (bits >> 11) as f64 / (1_u64 << 53) as f64;
        let values: Vec<f64> = (0..n).map(|_| draw(uniform(bits())) + shift).collect();
        Points::from_samples(&values)
    };
    let canary = sample(count(&case["canary"]), number(&case["shift"]));
    (canary, sample(count(&case["stable"]), 0.0))
}

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

/// Each number that scipy has.
#[track_caller]
fn assert_each(found: &[f64], expected: &Value, tolerance: f64, case: &Value) {
    for (found, expected) in found.iter().zip(expected.as_array().unwrap()) {
        if !expected.is_null() {
            assert_close(*found, expected, tolerance, case);
        }
    }
}
