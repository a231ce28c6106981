//! Do our statistics say what scipy and statsmodels say?
//!
//! `scripts/reference_values.py` writes the expected values to `tests/reference/`. Every comparison
//! is relative, to 1e-9 unless the reason for another bound stands beside it.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::fs;
use std::path::Path;

use serde_json::Value;
use serin::stats::Alternative;
use serin::stats::Moments;
use serin::stats::Points;
use serin::stats::TwoSamplePower;
use serin::stats::WelchT;
use serin::stats::fisher_exact_greater;
use serin::stats::minimum_detectable_effect;
use serin::stats::power_at;
use serin::stats::welch_t_test;

const TOLERANCE: f64 = 1e-9;

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
        let effect = minimum_detectable_effect(
            sizes.canary,
            sizes.stable,
            plan.alpha,
            plan.power,
            plan.alternative,
        );
        assert!((effect.unwrap() / plan.effect_size - 1.0).abs() < TOLERANCE, "{case}");
    }
}

/// The project's first table of scipy values lies beside the checkout where serin was built, and
/// nowhere else.
#[test]
fn the_first_scipy_table_agrees_where_it_exists() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden/scipy.json");
    let Ok(text) = fs::read_to_string(&path) else {
        eprintln!("skipped: {} does not exist", path.display());
        return;
    };
    let golden: Value = serde_json::from_str(&text).unwrap();
    for case in golden["two_sample"].as_array().unwrap() {
        golden_two_sample(case);
    }
    for case in golden["proportions"].as_array().unwrap() {
        let [k_x, n_x, k_y, n_y] = ["k_x", "n_x", "k_y", "n_y"].map(|k| case[k].as_u64().unwrap());
        let greater = fisher_exact_greater(k_x, n_x, k_y, n_y).unwrap();
        assert_close(greater, &case["fisher_p_greater"], TOLERANCE, case);
        let less = fisher_exact_greater(k_y, n_y, k_x, n_x).unwrap();
        assert_close(less, &case["fisher_p_less"], TOLERANCE, case);
    }
    for case in golden["power"].as_array().unwrap() {
        golden_power(case);
    }
}

fn golden_two_sample(case: &Value) {
    let name = &case["name"];
    // Values of 1e150 are refused by a summary; Welch's test does not depend on the unit.
    let unit = if name == "huge_values_1e150" { 1e-10 } else { 1.0 };
    let moments = |key: &str| numbers(&case[key]).into_iter().map(|x| x * unit).collect();
    let (canary, stable): (Moments, Moments) = (moments("x"), moments("y"));
    for (moments, expected) in
        [(canary, &case["results"]["desc_x"]), (stable, &case["results"]["desc_y"])]
    {
        assert_eq!(moments.count(), expected["n"].as_u64().unwrap());
        assert_eq!(moments.min(), expected["min"].as_f64().map(|x| x * unit));
        match (moments.variance(), expected["var_ddof1"].as_f64()) {
            // Rounding makes 1e-31 of a constant sample in numpy; ours is exactly 0.
            (Some(found), Some(expected)) => {
                let allowed = TOLERANCE * expected * unit * unit + 1e-28;
                assert!((found - expected * unit * unit).abs() <= allowed, "{name}: {found}");
            }
            (found, expected) => assert_eq!(found, expected),
        }
    }
    let Some(test) = welch_t_test(&canary, &stable) else {
        assert!(canary.count() < 2 || stable.count() < 2, "{name}");
        return;
    };
    // mpmath's values where there are some: scipy loses digits at an offset of 1e9, and its degrees
    // of freedom overflow at 1e150.
    let expected = &case["results"]["welch_mp"];
    if expected["t"].is_null() {
        assert!(test.is_degenerate(), "{name}");
        return;
    }
    // In the table the statistic keeps 1e-9 of itself or, near 0, of a standard error.
    let t = number(&expected["t"]);
    assert!((test.statistic - t).abs() <= TOLERANCE * t.abs().max(1.0), "{name}");
    assert_close(test.degrees_of_freedom, &expected["df"], TOLERANCE, name);
    assert_close(test.p_two_sided(), &expected["p_two-sided"], TOLERANCE, name);
    assert_close(test.p_greater(), &expected["p_greater"], TOLERANCE, name);
    assert_close(test.p_less(), &expected["p_less"], TOLERANCE, name);
}

fn golden_power(case: &Value) {
    let alternative = alternative(&case["alternative"]);
    let plan = TwoSamplePower {
        effect_size: number(&case["effect_size"]),
        alpha: number(&case["alpha"]),
        power: number(&case["power"]),
        allocation_ratio: number(&case["ratio_n2_over_n1"]),
        alternative,
    };
    let sizes = plan.required_samples().unwrap();
    // statsmodels stops its search for the sample size at about eight digits.
    assert_close(sizes.canary, &case["nobs1"], 1e-6, case);
    assert_close(sizes.stable, &case["nobs2"], 1e-6, case);
    assert_eq!(sizes.canary_ceil, case["nobs1_ceil"].as_u64().unwrap());
    for (canary, key) in [
        (sizes.canary_ceil as f64, "achieved_power_at_ceil"),
        (36.0, "achieved_power_n36"),
        (20.0, "achieved_power_n20"),
    ] {
        let stable = canary * plan.allocation_ratio;
        let power = power_at(canary, stable, plan.effect_size, plan.alpha, alternative).unwrap();
        assert_close(power, &case[key], TOLERANCE, case);
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

fn alternative(name: &Value) -> Alternative {
    if name == "larger" { Alternative::Greater } else { Alternative::TwoSided }
}

fn cases(name: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let text = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(number).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn assert_close(found: f64, expected: &Value, tolerance: f64, case: &Value) {
    let expected = number(expected);
    let close = (found - expected).abs() <= tolerance * expected.abs();
    assert!(close, "{found:e}, expected {expected:e}: {case}");
}
