//! Inputs: drift from training and between the tracks is named by feature, and so are predictions that are too high.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::problem::refused;
use crate::replay::answer;
use crate::replay::replay;

/// A row like those that the default models were trained on.
fn usual(number: u32) -> [f64; 5] {
    // Irrational steps, so that no two features move together.
    let at = |step: f64| 2.0 * ((f64::from(number) * step).fract() - 0.5);
    [at(0.618_034), at(0.414_214), at(0.732_051), at(0.236_068), at(0.645_751)]
}

#[test]
fn drifted_traffic_is_named_by_feature() {
    let app = TestApp::spawn();
    assert_eq!(app.status()["inputs"], Value::Null);
    for number in 0..150 {
        let mut row = usual(number).map(Value::from);
        // Far above everything in training, and sometimes missing.
        row[2] = if number % 5 == 0 { Value::Null } else { json!(1e6) };
        app.post("/predict", &json!({ "features": row })).done();
    }
    let inputs = app.status()["inputs"].clone();
    assert_eq!((&inputs["rows"], &inputs["between_tracks"]), (&json!(150), &Value::Null));
    let against = &inputs["against_training"][0];
    assert_eq!((&against["track"], &against["compared"]), (&json!("stable"), &json!(5)));
    let worst = &against["features"][0];
    assert_eq!((&worst["feature"], &worst["level"]), (&json!("usage_ratio"), &json!("large")));
    assert_eq!((&worst["training_share"], &worst["share"]), (&json!(0.0), &json!(0.8)));
    assert!(worst["values"].as_str().unwrap().starts_with("above "), "{worst}");
    let message = inputs["messages"][0].as_str().unwrap();
    assert!(message.contains("usage_ratio") && message.contains("80.0 % now"), "{message}");
}

#[test]
fn a_random_split_gives_both_tracks_the_same_inputs() {
    let app = TestApp::spawn();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 50 })).done();
    for number in 0..500 {
        app.post("/predict", &json!({ "features": usual(number) })).done();
    }
    let health = app.check_canary_health().done();
    let balance = &health["inputs"]["between_tracks"];
    assert_eq!((&balance["differs"], &balance["compared"]), (&json!(false), &json!(5)));
    assert_eq!((&balance["stable_rows"], &balance["canary_rows"]), (&json!(250), &json!(250)));
    let tracks = health["inputs"]["against_training"].as_array().unwrap();
    let rows: Vec<&Value> = tracks.iter().map(|it| &it["training_rows"]).collect();
    // Four fifths of the rows of the synthetic data.
    assert_eq!(rows, [4000, 6400]);
}

/// Deploys a plan with a warm-up, in which a client asks with many keys and learns which of them the canary answers:
/// stable's keys, and the canary's.
fn learned(app: &TestApp, policy: &Value) -> [Vec<String>; 2] {
    let plan = json!({
        "steps": [{ "weight": 50, "bake": "1h" }], "warm_up": "3s", "look": "100ms", "deadline": "2h",
    });
    let body = json!({ "model_path": "model_v2.bin", "plan": plan, "policy": policy });
    let start = Instant::now();
    app.deploy_canary_with(&body).done();
    let mut keys = [Vec::new(), Vec::new()];
    for number in 0..600 {
        let key = format!("customer-{number}");
        let reply = app.post("/predict", &json!({ "features": usual(number), "key": key })).done();
        keys[usize::from(reply["model_used"] == "canary")].push(key);
        if start.elapsed() > Duration::from_millis(2700) {
            break;
        }
    }
    // The tick that ends the warm-up closes within a second.
    std::thread::sleep(Duration::from_millis(4500).saturating_sub(start.elapsed()));
    keys
}

/// A request with this key, of a kind of customers with a long tenure or a short one.
fn ask(app: &TestApp, number: u32, key: &str, is_long: bool) {
    let mut row = usual(number);
    row[0] = if is_long { 0.8 } else { -0.8 };
    app.post("/predict", &json!({ "features": row, "key": key })).done();
}

#[test]
fn a_client_that_pins_a_kind_of_customers_to_the_canary_holds_it() {
    let app = TestApp::spawn_durable();
    // Other customers have other scores, and that alone would take the canary back.
    let [stable, canary] = learned(&app, &json!({ "judge_inputs": true, "expect_shift": true }));
    for (number, (stable, canary)) in (0..).zip(stable.iter().zip(&canary)) {
        ask(&app, number, stable, false);
        ask(&app, number, canary, true);
    }
    let start = Instant::now();
    while app.status()["state"] == "running" && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(100));
    }
    let status = app.status();
    assert_eq!(status["state"], "paused", "{status}");
    let balance = &status["health"]["input_balance"];
    assert_eq!(
        (&balance["mismatch"], &balance["features"]),
        (&json!(true), &json!(5)),
        "{balance}"
    );
    assert_eq!(status["health"]["sample_ratio"]["mismatch"], false, "each track has its share");
    let why = status["report"]["why"].as_str().unwrap();
    for said in [
        "The tracks get different inputs: `tenure_years` is ",
        " in 100.0 % of ",
        " in 0.0 % of ",
        "a client chose its keys by the version that answered",
        "deploy again",
    ] {
        assert!(why.contains(said), "{said}: {why}");
    }
    let notes = status["report"]["notes"].to_string();
    assert!(!notes.contains("different inputs"), "it is said once: {notes}");
    let held = app.history().pop().unwrap();
    assert_eq!((&held["event"], &held["concerns"]), (&json!("held"), &json!(["inputs"])));
    let health = app.check_canary_health().done();
    assert_eq!((&health["status"], &health["verdict"]), (&json!("warning"), &json!("hold")));
    assert!(health["message"].as_str().unwrap().contains("the tracks get different inputs"));
    // After a resume it does not hold the rollout again, and still refuses a promotion, also after a restart.
    app.resume_canary().done();
    let app = app.restart();
    let refusal = refused(409, "not_passing", &["the tracks get different inputs"]);
    app.promote_canary().assert_refused(refusal, "/admin/promote-canary", "without force");
    app.promote_canary_with(&json!({ "force": true, "reason": "a test" })).done();
    let setup = app.stop();
    let all = answer(&replay(&setup.database(), &["--json"]), 0);
    assert_eq!((&all["equal"], &all["differ"]), (&json!(2), &json!(0)), "{all}");
}

#[test]
fn fair_traffic_with_keys_is_not_held_for_its_inputs() {
    let app = Setup::new().given(|settings| settings.judge_inputs = true).spawn();
    let [stable, canary] = learned(&app, &json!({ "expect_shift": true }));
    for (number, (stable, canary)) in (0..).zip(stable.iter().zip(&canary)) {
        ask(&app, 2 * number, stable, number % 3 == 0);
        ask(&app, 2 * number + 1, canary, number % 3 == 0);
    }
    let status = app.settled_status();
    let balance = &status["health"]["input_balance"];
    assert_eq!((&balance["mismatch"], &balance["message"]), (&json!(false), &Value::Null));
    let rows = ["stable_rows", "canary_rows"].map(|it| balance[it].as_u64().unwrap());
    assert!(rows.iter().sum::<u64>() >= 200 && balance["p_value"] == 1.0, "{balance}");
    assert_eq!(status["state"], "running", "{status}");
}

#[test]
fn without_the_setting_inputs_are_shown_and_not_judged() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.predict_times(100);
    let status = app.settled_status();
    assert!(status["health"].get("input_balance").is_none(), "{status}");
    assert!(status["rollout"].to_string().contains("metrics"));
    assert!(!status.to_string().contains("judge_inputs"), "{status}");
}

#[test]
fn predictions_that_are_too_high_are_named() {
    let app = TestApp::spawn();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 50 })).done();
    let mut labels = Vec::new();
    for number in 0..600 {
        let answer = app.post("/predict", &json!({ "features": usual(number) })).done();
        let id = answer["prediction_id"].clone();
        // On stable the outcome is as predicted on average; on the canary none is positive.
        let probability = answer["probability"].as_f64().unwrap();
        let draw = (f64::from(number) * 0.754_878).fract();
        let outcome = answer["model_used"] == "stable" && draw < probability;
        labels.push(json!({ "prediction_id": id, "outcome": outcome }));
    }
    app.post("/feedback", &json!({ "feedback": labels })).done();
    let quality = app.status()["quality"].clone();
    let excess = &quality["canary"]["mean_excess"];
    assert!(excess["low"].as_f64().unwrap() > 0.1, "{quality}");
    let stable = &quality["stable"]["mean_excess"];
    assert!(stable["low"].as_f64().unwrap() < 0.0 && stable["high"].as_f64().unwrap() > 0.0);
    assert!(quality["stable"]["calibration_error_by_chance"].as_f64().unwrap() < 0.1);
    let messages = quality["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 1, "{messages:?}");
    let message = messages[0].as_str().unwrap();
    assert!(message.starts_with("The canary's probabilities are on average 0."), "{message}");
}
