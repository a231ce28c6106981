//! The sequential statistics agree with the reference formulas.
//!
//! `tests/reference/sequential.json` holds what the formulas give in Python with scipy 1.17.1.
//! Every comparison is to 1e-9 of the value, or of 1 where the value is a logarithm near 0.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::fs;
use std::path::Path;

use serde_json::Value;
use serin::stats::sequential::*;

const TOLERANCE: f64 = 1e-9;

#[test]
fn normal_mixtures() {
    for case in cases("rho2") {
        let sides = if case["one_sided"].as_bool().unwrap() { 2.0 } else { 1.0 };
        let found = mixing_precision(number(&case["n_opt"]), sides * number(&case["alpha"]));
        close(found.unwrap(), &case["rho2"], &case);
    }
    for case in cases("halfwidth") {
        let [se, r, alpha] = ["se", "r", "alpha"].map(|name| number(&case[name]));
        close(half_width_two_sided(se, r, alpha).unwrap(), &case["two_sided"], &case);
    }
}

#[test]
fn rare_events() {
    let reference = reference();
    let mut tests = [("loge_worse", Events::new(1.0)), ("loge_worse_than_1_2", Events::new(1.2))];
    for tick in reference["cond_bernoulli"]["ticks"].as_array().unwrap() {
        for (name, events) in &mut tests {
            let [canary, stable] =
                ["events_canary", "events_stable"].map(|name| tick[name].as_u64().unwrap());
            events.tick(number(&tick["pi"]), canary, stable);
            close(events.log_e(), &tick[*name], tick);
        }
    }
}

#[test]
fn score_and_bets_tick_by_tick() {
    let reference = &reference()["score_and_bet"];
    let [center, cap, scale] = ["centre", "cap", "scale"].map(|name| number(&reference[name]));
    let (mut score, mut worse, mut better) = (Score::default(), Bet::default(), Bet::default());
    for tick in reference["ticks"].as_array().unwrap() {
        let share = number(&tick["pi"]);
        let [canary, stable] = ["canary", "stable"].map(|name| -> Vec<(f64, u64)> {
            tick[name].as_array().unwrap().iter().map(|y| (number(y), 1)).collect()
        });
        let capped = |points: &[(f64, u64)], sign: f64| -> Vec<(f64, u64)> {
            points.iter().map(|(y, n)| (sign * y.min(cap), *n)).collect()
        };
        score.tick(share, center, canary.iter().copied(), stable.iter().copied());
        let stake = Stake { share, center, scale, lowest_u: 0.0, highest_v: cap };
        worse.tick(&stake, capped(&canary, 1.0), capped(&stable, 1.0));
        let stake = Stake { share, center: -center, scale, lowest_u: -cap, highest_v: 0.0 };
        better.tick(&stake, capped(&canary, -1.0), capped(&stable, -1.0));

        let (effect, error) = score.effect().unwrap();
        close(effect, &tick["score_effect_se"][0], tick);
        close(error, &tick["score_effect_se"][1], tick);
        close(score.effective_samples(), &tick["score_neff"], tick);
        close(worse.log_e(), &tick["bet_worse_loge"], tick);
        close(better.log_e(), &tick["bet_better_loge"], tick);
    }
}

#[test]
fn several_at_once() {
    let case = &reference()["multiplicity"];
    let numbers =
        |value: &Value| -> Vec<f64> { value.as_array().unwrap().iter().map(number).collect() };
    let (log_e, alpha) = (numbers(&case["log_e"]), number(&case["alpha"]));
    let rejected = serin::stats::e_benjamini_hochberg(&log_e, alpha).unwrap();
    assert_eq!(serde_json::json!(rejected), case["e_bh"]);
}

fn reference() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/sequential.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn cases(name: &str) -> Vec<Value> {
    reference()[name].as_array().unwrap().clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn close(found: f64, expected: &Value, case: &Value) {
    let expected = number(expected);
    let allowed = TOLERANCE * expected.abs().max(1.0);
    assert!((found - expected).abs() <= allowed, "{found}, expected {expected}, in {case}");
}
