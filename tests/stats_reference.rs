//! The statistics agree with scipy and statsmodels.
//!
//! `make reference` writes the expected values to `tests/reference/`. Every comparison
//! is relative, to 1e-9 unless a comment gives the reason for another bound.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use serde_json::Value;
use serin::stats::Moments;
use serin::stats::Points;
use serin::stats::TwoSamplePower;
use serin::stats::WelchT;
use serin::stats::fisher_exact_greater;
use serin::stats::power_at;
use serin::stats::welch_t_test;

use reference::TOLERANCE;
use reference::alternative;
use reference::assert_close;
use reference::cases;
use reference::number;
use reference::numbers;

#[path = "stats_reference/reference.rs"]
mod reference;

#[path = "stats_reference/generated.rs"]
mod generated;

#[path = "stats_reference/paired.rs"]
mod paired;

#[path = "stats_reference/rates.rs"]
mod rates;

#[test]
fn moments_are_the_exactly_rounded_ones() {
    for case in cases("samples") {
        let moments: Moments = numbers(&case["canary"]).into_iter().collect();
        let expected = &case["canary_moments"];
        let name = &case["name"];
        // A mean near 0 has no digits of its own: its scale is that of the values.
        let scale = moments.min().unwrap().abs().max(moments.max().unwrap().abs());
        let mean = moments.mean().unwrap();
        assert!((mean - number(&expected["mean"])).abs() <= TOLERANCE * scale, "{name}");
        assert_close(moments.variance().unwrap(), &expected["variance"], TOLERANCE, name);
        assert_eq!(moments.min().unwrap(), number(&expected["min"]), "{name}");
        assert_eq!(moments.max().unwrap(), number(&expected["max"]), "{name}");
    }
}

#[test]
fn quantiles_are_numpy_s_inverted_cdf() {
    for case in cases("samples") {
        let points = Points::from_samples(&numbers(&case["stable"]));
        for pair in case["stable_quantiles"].as_array().unwrap() {
            let found = points.quantile(number(&pair[0])).unwrap();
            assert_eq!(found, number(&pair[1]), "{} {}", case["name"], pair[0]);
        }
    }
}

#[test]
fn welch_agrees_with_scipy() {
    for case in cases("samples") {
        let name = &case["name"];
        let [canary, stable] =
            [&case["canary"], &case["stable"]].map(|x| numbers(x).into_iter().collect::<Moments>());
        let test = welch_t_test(&canary, &stable).unwrap();
        assert_close(test.statistic, &case["statistic"], TOLERANCE, name);
        assert_close(test.degrees_of_freedom, &case["df"], TOLERANCE, name);
        assert_close(test.p_two_sided(), &case["p_two_sided"], TOLERANCE, name);
        assert_close(test.p_greater(), &case["p_greater"], TOLERANCE, name);
        assert_close(test.p_less(), &case["p_less"], TOLERANCE, name);
        for interval in case["intervals"].as_array().unwrap() {
            let (low, high) = test.confidence_interval(number(&interval[0]));
            // An end near 0 has no digits of its own: its scale is the width of the interval.
            for (found, expected) in [(low, &interval[1]), (high, &interval[2])] {
                let expected = number(expected);
                let allowed = TOLERANCE * expected.abs().max(high - low);
                assert!((found - expected).abs() <= allowed, "{name} {interval}: {low} {high}");
            }
        }
    }
}

#[test]
fn tails_of_student_s_t_keep_their_digits() {
    for case in cases("student_t") {
        let (t, df) = (number(&case["t"]), number(&case["df"]));
        // A result made by hand: no small sample has such degrees of freedom.
        let test =
            WelchT { statistic: t, degrees_of_freedom: df, difference: t, standard_error: 1.0 };
        assert_close(test.p_greater(), &case["tail"], TOLERANCE, &case);
    }
}

#[test]
fn fisher_agrees_with_scipy() {
    for case in cases("fisher") {
        let table: Vec<u64> =
            case["table"].as_array().unwrap().iter().map(|k| k.as_u64().unwrap()).collect();
        let p = fisher_exact_greater(table[0], table[1], table[2], table[3]).unwrap();
        assert_close(p, &case["p_greater"], TOLERANCE, &case);
    }
}

#[test]
fn power_agrees_with_statsmodels() {
    for case in cases("power") {
        let plan = plan(&case);
        let sizes = plan.required_samples().unwrap();
        // statsmodels stops its search for the sample size at about eight digits.
        assert_close(sizes.canary, &case["canary"], 1e-6, &case);
        assert_eq!(sizes.canary_ceil, case["canary_ceil"].as_u64().unwrap(), "{case}");
        assert!(sizes.achieved_power >= plan.power, "{case}");

        let (canary, ratio) = (number(&case["canary_ceil"]), plan.allocation_ratio);
        for (canary, expected) in
            [(canary, &case["power_at_ceil"]), (canary / 2.0 + 2.0, &case["power_at_half"])]
        {
            let stable = number(&case["canary_ceil"]) * ratio;
            let found =
                power_at(canary, stable, plan.effect_size, plan.alpha, plan.alternative).unwrap();
            assert_close(found, expected, TOLERANCE, &case);
        }
    }
}

fn plan(case: &Value) -> TwoSamplePower {
    TwoSamplePower {
        effect_size: number(&case["effect_size"]),
        alpha: number(&case["alpha"]),
        power: number(&case["power"]),
        allocation_ratio: number(&case["ratio"]),
        alternative: alternative(&case["alternative"]),
    }
}
