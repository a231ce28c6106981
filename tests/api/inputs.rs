//! Inputs: drift from training and between the tracks is named by feature, and so are predictions that are too high.

use serde_json::Value;
use serde_json::json;

use crate::harness::TestApp;

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
