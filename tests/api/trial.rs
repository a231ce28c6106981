//! What serin says of a canary before its first request: how it answers the rows that the model files keep, and what it
//! cannot answer or explain.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::problem::refused;
use crate::shadow::varied;

fn notes(app: &TestApp) -> String {
    app.status()["report"]["notes"].to_string()
}

#[test]
fn a_deployment_and_the_status_compare_the_versions_on_the_rows_of_their_files() {
    let app = Setup::new().durable().spawn();
    let deployed = app.deploy_canary().done();
    let compared = &app.status()["on_kept_rows"];
    let message = compared["message"].as_str().unwrap();
    let rows = compared["rows"].as_u64().unwrap();
    let begin = format!("On {rows} rows of the model files the canary flips ");
    assert!(rows > 0 && message.starts_with(&begin), "{message}");
    assert!(compared["largest"]["difference"].is_f64(), "{compared}");
    assert_eq!(compared["largest"]["features"].as_object().unwrap().len(), 5);
    assert!(deployed["notes"].to_string().contains(message), "{deployed}");
    assert!(notes(&app).contains(message));
    app.predict_times(5);
    assert_eq!(app.status()["on_kept_rows"], *compared);
    // A restart compares again.
    let app = app.restart();
    assert_eq!(app.status()["on_kept_rows"], *compared);
    app.rollback_canary().done();
    assert_eq!(app.status()["on_kept_rows"], Value::Null);
    assert!(!notes(&app).contains("rows of the model files"));
}

#[test]
fn pairs_of_a_shadow_take_the_place_of_kept_rows() {
    let app = TestApp::spawn();
    let body = json!({ "model_path": "model_v2.bin", "shadow_percent": 100 });
    app.deploy_canary_with(&body).done();
    let rows = app.status()["on_kept_rows"]["rows"].as_u64().unwrap();
    let send = |number: u64| {
        app.post("/predict", &json!({ "features": varied(number) })).done();
    };
    send(0);
    assert!(app.status()["on_kept_rows"].is_object(), "one pair says less");
    let start = Instant::now();
    (1..=rows).for_each(send);
    while app.status()["shadow"]["pairs"].as_u64().unwrap() < rows {
        assert!(start.elapsed() < Duration::from_secs(50), "{}", app.status());
    }
    assert_eq!(app.status()["on_kept_rows"], Value::Null);
    assert!(!notes(&app).contains("rows of the model files"));
    app.settled_status();
    // The pairs of the rollout count, not only those of the step.
    app.set_traffic(10).done();
    assert_eq!(app.status()["on_kept_rows"], Value::Null, "{}", app.status());
}

/// A regression on these features, all of which must have a value.
fn regression(names: &[&str]) -> Vec<u8> {
    let of = |name: &&str| json!({ "name": name, "kind": "number", "coefficient": 100 });
    let features: Vec<Value> = names.iter().map(of).collect();
    let model = json!({
        "format": "serin.model/v1", "model": "linear_regression", "intercept": 0, "features": features,
    });
    model.to_string().into_bytes()
}

fn with_regression(names: &[&str]) -> Setup {
    Setup::new()
        .model("a.json", regression(&["a"]))
        .model("ab.json", regression(names))
        .given(|settings| settings.stable = "a.json".to_owned())
}

#[test]
fn requests_that_lack_a_feature_without_which_the_canary_fails_are_counted() {
    let app = with_regression(&["a", "b"]).durable().spawn();
    let deploy = || app.deploy_canary_with(&json!({ "model_path": "ab.json" })).done();
    let deployed = deploy()["notes"].to_string();
    let known = "The canary has no answer without `b`: a request that lacks it fails on the canary";
    assert!(deployed.contains(known), "{deployed}");
    let ask = |features: Value| app.post("/predict", &json!({ "features": features })).done();
    for number in 0..8 {
        ask(if number % 4 == 0 { json!({ "a": 1, "b": 2 }) } else { json!({ "a": 1 }) });
    }
    let said =
        "75 % of the last 8 requests would fail on the canary: it has no answer without `b`.";
    assert!(notes(&app).contains(said), "{}", notes(&app));
    let checked = app.check_canary_health().done();
    assert_eq!(checked["features"], app.status()["features"]);
    assert_eq!(checked["features"]["messages"][0], said);
    assert_eq!(checked["features"]["lacking"][0]["fails_on_canary"], true);
    assert!(app.status()["health"]["features"].is_null(), "the status has it once");
    // The version that is stable now fails on clients that lack it, and another canary would fail on them, too.
    app.promote_canary_with(&json!({ "force": true, "reason": "tested" })).done();
    let body = json!({ "features": { "a": 1 } });
    (0..4).for_each(|_| assert_eq!(app.post("/predict", &body).status, 503));
    std::fs::write(app.models().join("again.json"), regression(&["b", "a"])).unwrap();
    let again = app.deploy_canary_with(&json!({ "model_path": "again.json" })).done();
    let said =
        "100 % of the last 4 requests would fail on the canary: it has no answer without `b`.";
    assert!(again["notes"].to_string().contains(said), "{again}");
    let app = app.restart();
    assert!(app.status()["warnings"].to_string().contains(known), "{}", app.status());
}

#[test]
fn a_canary_that_cannot_explain_what_stable_explains_is_named() {
    let app = Setup::new().model("shifted.bin", "misbehaves: Shifted").spawn();
    let deploy = |file: &str| app.deploy_canary_with(&json!({ "model_path": file })).done();
    let said = "Stable explains its answers (explain: true), and the canary cannot";
    assert!(deploy("shifted.bin")["notes"].to_string().contains(said));
    app.rollback_canary().done();
    assert!(!deploy("model_v2.bin")["notes"].to_string().contains(said));
}

#[test]
fn margins_of_scores_are_in_the_unit_of_the_model() {
    let app = with_regression(&["a"]).spawn();
    let metrics = |margin: &Value| json!({ "metrics": [{ "name": "score", "tolerated": margin }] });
    let body = |policy: Value| json!({ "model_path": "ab.json", "policy": policy });
    app.deploy_canary_with(&body(metrics(&json!({ "absolute": 250 })))).done();
    let score = &app.status()["rollout"]["metrics"][2];
    assert_eq!(score["tolerated"], json!({ "relative": 0.0, "absolute": 250.0 }), "{score}");
    assert_eq!(score["harmful"], json!({ "relative": 0.5, "absolute": 250.0 }));
    let app = TestApp::spawn();
    let body = json!({
        "model_path": "model_v2.bin", "policy": metrics(&json!({ "relative": 0.2, "absolute": 250 })),
    });
    let named = ["metrics.score.tolerated.absolute: 250", "the models answer probabilities"];
    let reply = app.deploy_canary_with(&body);
    reply.assert_refused(
        refused(422, "invalid_body", &named),
        "/admin/deploy-canary",
        &body.to_string(),
    );
}
