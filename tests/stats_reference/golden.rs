//! A second table of scipy values, which is not part of the repository.

use std::env;
use std::fs;

use serde_json::Value;
use serin::stats::Harm;
use serin::stats::KolmogorovSmirnov;
use serin::stats::MAX_MAGNITUDE;
use serin::stats::Margin;
use serin::stats::Moments;
use serin::stats::Points;
use serin::stats::ProportionDifference;
use serin::stats::TwoSamplePower;
use serin::stats::benjamini_hochberg;
use serin::stats::clopper_pearson_interval;
use serin::stats::cohens_d;
use serin::stats::e_benjamini_hochberg;
use serin::stats::fisher_exact_greater;
use serin::stats::fisher_exact_two_sided;
use serin::stats::holm;
use serin::stats::kolmogorov_smirnov;
use serin::stats::mann_whitney_u;
use serin::stats::non_inferiority;
use serin::stats::power_at;
use serin::stats::wasserstein_distance;
use serin::stats::welch_t_test;
use serin::stats::wilson_interval;

use super::reference::TOLERANCE;
use super::reference::alternative;
use super::reference::assert_close;
use super::reference::assert_interval;
use super::reference::assert_near;
use super::reference::number;
use super::reference::numbers;

#[test]
#[ignore = "needs a table that is not in the repository: make external-data"]
fn every_statistic_agrees_with_the_second_scipy_table() {
    let path = env::var("SERIN_SCIPY_TABLE").unwrap();
    let golden: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    for case in golden["two_sample"].as_array().unwrap() {
        golden_two_sample(case);
    }
    for case in golden["proportions"].as_array().unwrap() {
        golden_proportions(case);
    }
    for case in golden["power"].as_array().unwrap() {
        golden_power(case);
    }
    for case in golden["multiple_testing"].as_array().unwrap() {
        golden_multiple_testing(case);
    }
    let multiplicity = &golden["sequential"]["multiplicity"];
    let alpha = number(&multiplicity["alpha"]);
    let rejected = e_benjamini_hochberg(&numbers(&multiplicity["log_e"]), alpha).unwrap();
    assert_eq!(serde_json::json!(rejected), multiplicity["e_bh"]);
}

fn golden_two_sample(case: &Value) {
    let name = &case["name"];
    // Values of 1e150 are refused by a summary; no test depends on the unit.
    let is_huge = numbers(&case["x"]).iter().any(|x| x.abs() > MAX_MAGNITUDE);
    let unit = if is_huge { 1e-10 } else { 1.0 };
    let values =
        |key: &str| -> Vec<f64> { numbers(&case[key]).into_iter().map(|x| x * unit).collect() };
    let (x, y) = (values("x"), values("y"));
    let (canary, stable): (Moments, Moments) =
        (x.iter().copied().collect(), y.iter().copied().collect());
    golden_distributions(case, &Points::from_samples(&x), &Points::from_samples(&y));
    golden_effect_sizes(case, &canary, &stable);
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
    let expected = &case["results"]["welch"]["noninf"];
    let margin = Margin::absolute(number(&expected["margin"]) * unit);
    let test = non_inferiority(&canary, &stable, margin, Harm::Higher).unwrap();
    // scipy loses digits at an offset of 1e9, and its degrees of freedom overflow at 1e150.
    if name != "large_offset_1e9" && !is_huge {
        assert_near(test.statistic(), &expected["t"], 1.0, name);
        assert_close(test.p_not_worse(), &expected["p_not_worse"], 1e-8, name);
    }
}

fn golden_distributions(case: &Value, canary: &Points, stable: &Points) {
    let name = &case["name"];
    let expected = &case["results"]["mannwhitney"];
    let rank = mann_whitney_u(canary, stable).unwrap();
    assert_eq!(rank.u, number(&expected["U_x"]), "{name}");
    // The table has the normal distribution's p-values, and exact ones for small samples.
    let prefix = if rank.is_exact() { "exact_p" } else { "p" };
    for (side, found) in
        [("two-sided", rank.p_two_sided()), ("greater", rank.p_greater()), ("less", rank.p_less())]
    {
        let expected = &expected[format!("{prefix}_{side}")];
        // Of 5 against 500 values the table has no exact one; generated.rs has such.
        assert!(!expected.is_null() || rank.is_exact(), "{name}");
        if !expected.is_null() {
            assert_close(found, expected, TOLERANCE, name);
        }
    }
    golden_kolmogorov_smirnov(case, &kolmogorov_smirnov(canary, stable).unwrap());
    // At 1e150 scipy's squares overflow.
    let expected = &case["results"]["wasserstein"];
    if !expected.is_null() {
        // scipy rounds at the size of the values, which may be far from 0.
        let scale = number(&case["results"]["desc_x"]["max"]).abs() * 1e-6;
        assert_near(wasserstein_distance(canary, stable).unwrap(), expected, scale, name);
    }
}

fn golden_kolmogorov_smirnov(case: &Value, test: &KolmogorovSmirnov) {
    let name = &case["name"];
    let expected = &case["results"]["ks"];
    assert_near(test.statistic(), &expected["D_two-sided"], 1.0, name);
    if expected["exact_fell_back_two-sided"].is_null() {
        assert_close(test.p_two_sided(), &expected["exact_p_two-sided"], TOLERANCE, name);
    }
}

fn golden_effect_sizes(case: &Value, canary: &Moments, stable: &Moments) {
    let name = &case["name"];
    let expected = &case["results"]["effect"];
    // mpmath's where there is one: the offset of 1e9 costs numpy its digits.
    let cohen = match &case["results"]["welch_mp"]["cohen_d_pooled"] {
        Value::Null => &expected["cohen_d_pooled"],
        exact => exact,
    };
    match cohens_d(canary, stable) {
        Some(d) => assert_near(d, cohen, 1e-6, name),
        None => assert!(expected["cohen_d_pooled"].is_null(), "{name}"),
    }
}

fn golden_proportions(case: &Value) {
    let [k_x, n_x, k_y, n_y] = ["k_x", "n_x", "k_y", "n_y"].map(|k| case[k].as_u64().unwrap());
    for (fisher, expected) in [
        (fisher_exact_greater(k_x, n_x, k_y, n_y), &case["fisher_p_greater"]),
        (fisher_exact_two_sided(k_x, n_x, k_y, n_y), &case["fisher_p_two-sided"]),
    ] {
        assert_close(fisher.unwrap(), expected, TOLERANCE, case);
    }
    let counts = ProportionDifference::new(k_x, n_x, k_y, n_y).unwrap();
    assert_near(counts.difference(), &case["diff"], 1e-6, case);
    for (k, n, track) in [(k_x, n_x, "x"), (k_y, n_y, "y")] {
        let wilson = wilson_interval(k, n, 0.95).unwrap();
        assert_interval(wilson, &case[format!("wilson95_{track}")], case);
        let exact = clopper_pearson_interval(k, n, 0.95).unwrap();
        assert_interval(exact, &case[format!("clopper_pearson95_{track}")], case);
    }
}

fn golden_multiple_testing(case: &Value) {
    let p_values = numbers(&case["p"]);
    for (adjusted, key) in [(holm(&p_values), "holm"), (benjamini_hochberg(&p_values), "fdr_bh")] {
        let expected = &case[key]["adjusted"];
        for (found, expected) in adjusted.unwrap().iter().zip(expected.as_array().unwrap()) {
            assert_close(*found, expected, TOLERANCE, case);
        }
    }
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
