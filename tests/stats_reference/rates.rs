//! Rates, splits, several tests at once, and the power to notice: random cases.

use serde_json::Value;
use serin::stats::FisherPower;
use serin::stats::ProportionDifference;
use serin::stats::ProportionPower;
use serin::stats::RankPower;
use serin::stats::benjamini_hochberg;
use serin::stats::clopper_pearson_interval;
use serin::stats::e_benjamini_hochberg;
use serin::stats::fisher_exact_two_sided;
use serin::stats::holm;
use serin::stats::wilson_interval;

use super::reference::TOLERANCE;
use super::reference::alternative;
use super::reference::assert_close;
use super::reference::assert_interval;
use super::reference::cases;
use super::reference::count;
use super::reference::number;
use super::reference::numbers;

#[test]
fn rates_agree_with_scipy_and_statsmodels() {
    for case in cases("proportions") {
        let table: Vec<u64> = case["table"].as_array().unwrap().iter().map(count).collect();
        let (k_canary, n_canary, k_stable, n_stable) = (table[0], table[1], table[2], table[3]);
        let two_sided = fisher_exact_two_sided(k_canary, n_canary, k_stable, n_stable).unwrap();
        assert_close(two_sided, &case["fisher"][0], TOLERANCE, &case);

        let wilson = wilson_interval(k_canary, n_canary, 0.95).unwrap();
        assert_interval(wilson, &case["wilson"], &case);
        let exact = clopper_pearson_interval(k_canary, n_canary, 0.95).unwrap();
        assert_interval(exact, &case["exact"], &case);

        let counts = ProportionDifference::new(k_canary, n_canary, k_stable, n_stable).unwrap();
        assert_interval(counts.miettinen_nurminen_interval(0.95), &case["score"], &case);
    }
}

#[test]
fn several_tests_at_once_agree_with_statsmodels() {
    for case in cases("multiplicity") {
        let p_values = numbers(&case["p"]);
        for (adjusted, key) in
            [(holm(&p_values), "holm"), (benjamini_hochberg(&p_values), "benjamini_hochberg")]
        {
            let expected = case[key].as_array().unwrap();
            for (found, expected) in adjusted.unwrap().iter().zip(expected) {
                assert_close(*found, expected, TOLERANCE, &case);
            }
        }
    }
}

/// Of the e-values 1/p the e-BH procedure rejects those whose adjusted p-value is at most alpha.
#[test]
fn e_values_of_p_values_are_rejected_with_them() {
    let mut rejections = 0;
    for case in cases("multiplicity") {
        let ln_e_values: Vec<f64> = numbers(&case["p"]).iter().map(|p| -p.ln()).collect();
        let adjusted = numbers(&case["benjamini_hochberg"]);
        for alpha in [0.01, 0.05, 0.2] {
            let expected: Vec<bool> = adjusted.iter().map(|p| *p <= alpha).collect();
            assert_eq!(e_benjamini_hochberg(&ln_e_values, alpha).unwrap(), expected, "{case}");
            rejections += expected.iter().filter(|rejected| **rejected).count();
        }
    }
    assert!(rejections > 50, "{rejections}");
}

#[test]
fn the_power_to_notice_a_rate_agrees_with_statsmodels() {
    for case in cases("rate_power") {
        let plan = ProportionPower {
            margin: 0.0,
            canary_rate: number(&case["canary_rate"]),
            stable_rate: number(&case["stable_rate"]),
            alpha: number(&case["alpha"]),
            power: 0.8,
            allocation_ratio: number(&case["ratio"]),
            alternative: alternative(&case["alternative"]),
        };
        let power = plan.power_with(number(&case["n"]));
        assert_close(power, &case["power"], TOLERANCE, &case);
        let sizes = plan.required_samples().unwrap();
        assert_close(sizes.canary, &case["size"], TOLERANCE, &case);
        assert!(sizes.achieved_power >= 0.8 - 1e-9, "{case}");
    }
}

#[test]
fn the_power_of_fishers_test_is_the_sum_over_all_tables() {
    for case in cases("fisher_power") {
        let count = |key: &str| case[key].as_u64().unwrap();
        let plan = FisherPower {
            canary_rate: number(&case["canary_rate"]),
            stable_rate: number(&case["stable_rate"]),
            alpha: number(&case["alpha"]),
            power: 0.8,
            allocation_ratio: 9.0,
        };
        let power = plan.power_with(count("n_canary"), count("n_stable"));
        assert_close(power, &case["power"], 1e-9, &case);
    }
}

#[test]
fn the_samples_for_ranks_agree_with_noether() {
    for case in cases("rank_power") {
        let plan = RankPower {
            superiority: number(&case["superiority"]),
            alpha: 0.05,
            power: 0.9,
            allocation_ratio: number(&case["ratio"]),
            alternative: alternative(&case["alternative"]),
        };
        // statsmodels' two-sided power has the far tail as well.
        assert_close(plan.required_samples().unwrap().canary, &case["size"], 1e-6, &case);
    }
}

/// Which rows there are is part of the promise: thousands of cases.
#[test]
fn there_are_thousands_of_cases() {
    let rows: usize = ["generated", "proportions", "rate_power", "bootstrap"]
        .iter()
        .map(|name| cases(name).len())
        .sum();
    assert!(rows > 2300, "{rows}");
    assert!(cases("proportions").iter().all(Value::is_object));
}
