//! Two models on the same rows.

use serde_json::Value;
use serin::stats::Moments;
use serin::stats::area_difference;
use serin::stats::brier;
use serin::stats::mcnemar_exact;
use serin::stats::miscalibration_parts;
use serin::stats::paired_t;
use serin::stats::root_mean_square_difference;

use super::reference::TOLERANCE;
use super::reference::assert_close;
use super::reference::assert_interval;
use super::reference::assert_near;
use super::reference::cases;
use super::reference::count;
use super::reference::numbers;

/// The scores of canary and stable, and the outcomes.
fn rows(case: &Value) -> ([Vec<f64>; 2], Vec<bool>) {
    let outcomes = case["outcome"].as_array().unwrap().iter().map(|it| it.as_bool().unwrap());
    ([&case["canary"], &case["stable"]].map(numbers), outcomes.collect())
}

#[test]
fn paired_differences_of_losses_agree_with_scipy() {
    for case in cases("paired") {
        let ([canary, stable], outcomes) = rows(&case);
        let differences: Moments = canary
            .iter()
            .zip(&stable)
            .zip(&outcomes)
            .map(|((canary, stable), outcome)| brier(*canary, *outcome) - brier(*stable, *outcome))
            .collect();
        let found = paired_t(&differences).unwrap();
        let expected = &case["brier"];
        assert_near(found.difference, &expected[0], found.standard_error, &case);
        assert_close(found.standard_error, &expected[1], TOLERANCE, &case);
        let interval = Value::from(vec![expected[2].clone(), expected[3].clone()]);
        assert_interval((found.interval[0], found.interval[1]), &interval, &case);
        assert_close(found.p_value, &expected[4], TOLERANCE, &case);
    }
}

#[test]
fn differences_of_areas_agree_with_scipy_and_the_definition_of_their_error() {
    for case in cases("paired") {
        let ([canary, stable], outcomes) = rows(&case);
        let found = area_difference(&canary, &stable, &outcomes).unwrap();
        assert_near(found.difference, &case["area"], found.standard_error, &case);
        assert_close(found.standard_error, &case["area_error"], TOLERANCE, &case);
        assert_close(found.p_value, &case["area_p"], TOLERANCE, &case);
    }
}

#[test]
fn labels_that_one_model_alone_gets_right_agree_with_statsmodels() {
    for case in cases("paired") {
        let only = [&case["only"][0], &case["only"][1]].map(count);
        assert_close(mcnemar_exact(only[0], only[1]), &case["mcnemar"], TOLERANCE, &case);
    }
}

#[test]
fn miscalibration_agrees_with_bins_of_numpy() {
    for case in cases("paired") {
        let (scores, outcomes) = rows(&case);
        for (scores, expected) in scores.iter().zip(case["miscalibration"].as_array().unwrap()) {
            let parts: Moments = miscalibration_parts(scores, &outcomes).into_iter().collect();
            // A mean near 0 has no digits of its own: it is a difference of squared errors.
            assert_near(parts.mean().unwrap(), expected, 0.01, &case);
        }
    }
}

#[test]
fn differences_of_root_mean_squared_errors_agree_with_scipy() {
    for case in cases("paired_errors") {
        let [canary, stable] = [&case["canary"], &case["stable"]].map(numbers);
        let found = root_mean_square_difference(&canary, &stable).unwrap();
        let expected = &case["rmse"];
        assert_near(found.difference, &expected[0], found.standard_error, &case);
        assert_close(found.standard_error, &expected[1], TOLERANCE, &case);
        let interval = Value::from(vec![expected[2].clone(), expected[3].clone()]);
        assert_interval((found.interval[0], found.interval[1]), &interval, &case);
        assert_close(found.p_value, &expected[4], TOLERANCE, &case);
    }
}
