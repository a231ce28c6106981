//! Rates, splits, several tests at once, and the power to notice: random cases.

use serde_json::Value;
use serin::stats::ProportionDifference;
use serin::stats::ProportionPower;
use serin::stats::RankPower;
use serin::stats::benjamini_hochberg;
use serin::stats::bonferroni;
use serin::stats::clopper_pearson_interval;
use serin::stats::fisher_exact_less;
use serin::stats::fisher_exact_two_sided;
use serin::stats::holm;
use serin::stats::proportion_power_at;
use serin::stats::sample_ratio;
use serin::stats::wilson_interval;

use super::reference::TOLERANCE;
use super::reference::alternative;
use super::reference::assert_close;
use super::reference::assert_interval;
use super::reference::assert_near;
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
        let less = fisher_exact_less(k_canary, n_canary, k_stable, n_stable).unwrap();
        assert_close(two_sided, &case["fisher"][0], TOLERANCE, &case);
        assert_close(less, &case["fisher"][1], TOLERANCE, &case);

        let wilson = wilson_interval(k_canary, n_canary, 0.95).unwrap();
        assert_interval(wilson, &case["wilson"], &case);
        let exact = clopper_pearson_interval(k_canary, n_canary, 0.95).unwrap();
        assert_interval(exact, &case["exact"], &case);

        let counts = ProportionDifference::new(k_canary, n_canary, k_stable, n_stable).unwrap();
        assert_near(counts.z(), &case["z"], 1e-3, &case);
        assert_close(counts.p_greater(), &case["p_greater"], TOLERANCE, &case);
        assert_interval(counts.newcombe_interval(0.95), &case["newcombe"], &case);
        assert_interval(counts.miettinen_nurminen_interval(0.95), &case["score"], &case);
    }
}

#[test]
fn splits_agree_with_scipy() {
    for case in cases("sample_ratio") {
        let (n_canary, n_stable) = (count(&case["canary"]), count(&case["stable"]));
        let test = sample_ratio(n_canary, n_stable, number(&case["share"])).unwrap();
        assert_close(test.p_exact, &case["p_exact"], TOLERANCE, &case);
        assert_close(test.p_chi_square, &case["p_chi_square"], TOLERANCE, &case);
    }
}

#[test]
fn several_tests_at_once_agree_with_statsmodels() {
    for case in cases("multiplicity") {
        let p_values = numbers(&case["p"]);
        for (adjusted, key) in [
            (bonferroni(&p_values), "bonferroni"),
            (holm(&p_values), "holm"),
            (benjamini_hochberg(&p_values), "benjamini_hochberg"),
        ] {
            let expected = case[key].as_array().unwrap();
            for (found, expected) in adjusted.unwrap().iter().zip(expected) {
                assert_close(*found, expected, TOLERANCE, &case);
            }
        }
    }
}

#[test]
fn the_power_to_notice_a_rate_agrees_with_statsmodels() {
    for case in cases("rate_power") {
        let plan = ProportionPower {
            canary_rate: number(&case["canary_rate"]),
            stable_rate: number(&case["stable_rate"]),
            alpha: number(&case["alpha"]),
            power: 0.8,
            allocation_ratio: number(&case["ratio"]),
            alternative: alternative(&case["alternative"]),
        };
        let n = number(&case["n"]);
        let power = proportion_power_at(
            n,
            n * plan.allocation_ratio,
            plan.canary_rate,
            plan.stable_rate,
            plan.alpha,
            plan.alternative,
        );
        assert_close(power.unwrap(), &case["power"], TOLERANCE, &case);
        let sizes = plan.required_samples().unwrap();
        assert_close(sizes.canary, &case["size"], TOLERANCE, &case);
        assert!(sizes.achieved_power >= 0.8 - 1e-9, "{case}");
    }
}

#[test]
fn the_power_to_notice_a_shift_of_ranks_agrees_with_statsmodels() {
    for case in cases("rank_power") {
        let plan = RankPower {
            superiority: number(&case["superiority"]),
            alpha: 0.05,
            power: 0.9,
            allocation_ratio: number(&case["ratio"]),
            alternative: alternative(&case["alternative"]),
        };
        let sizes = plan.required_samples().unwrap();
        // statsmodels adds the far tail, and stops its search at about eight digits.
        assert_close(sizes.canary, &case["size"], 1e-6, &case);
    }
}

/// Which rows there are is part of the promise: thousands of cases.
#[test]
fn there_are_thousands_of_cases() {
    let rows: usize = ["generated", "proportions", "sample_ratio", "rate_power", "bootstrap"]
        .iter()
        .map(|name| cases(name).len())
        .sum();
    assert!(rows > 2500, "{rows}");
    assert!(cases("proportions").iter().all(Value::is_object));
}
