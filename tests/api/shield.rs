//! Protection of users: with a canary that panics, hangs or returns wrong numbers, none of 10,000 predictions
//! fails, and every failure counts against the canary.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::client::CUSTOMER;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::Misbehavior;
use crate::problem::refused;

/// Predictions per broken canary, and the canary's share of them at 10 %.
const PREDICTIONS: usize = 10_000;
const TO_CANARY: usize = PREDICTIONS / 10;

#[test]
fn a_canary_that_panics_fails_no_request() {
    let failures = endure(Misbehavior::Panic, PREDICTIONS);
    assert_eq!(failures, only("panic", TO_CANARY));
}

#[test]
fn a_canary_that_answers_nan_fails_no_request() {
    let failures = endure(Misbehavior::NotANumber, PREDICTIONS);
    assert_eq!(failures, only("not_a_probability", TO_CANARY));
}

#[test]
fn a_canary_that_hangs_fails_no_request() {
    let failures = endure(Misbehavior::Hang, PREDICTIONS);
    // Four threads hang, and later requests fail at once.
    let of = |kind: &str| failures[kind].as_u64().unwrap();
    assert_eq!(of("deadline"), 4, "{failures}");
    assert_eq!(of("busy"), TO_CANARY as u64 - 4, "{failures}");
    assert_eq!(failures["panic"], 0);
}

#[test]
fn a_canary_that_fails_in_any_other_way_fails_no_request() {
    for (misbehavior, kind) in [
        (Misbehavior::PanicPooled, "panic"),
        (Misbehavior::TooLarge, "not_a_probability"),
        (Misbehavior::Error, "error"),
    ] {
        assert_eq!(endure(misbehavior, 1000), only(kind, 100), "{misbehavior:?}");
    }
}

#[test]
fn a_canary_that_drops_rows_fails_no_request() {
    let app = app_with(Misbehavior::TooFew);
    app.deploy_canary_with(&json!({ "model_path": "bad.bin", "traffic_percent": 100 })).done();
    let answer = app.post("/predict", &json!({ "instances": [CUSTOMER, CUSTOMER] })).done();
    assert_eq!((&answer["model_used"], &answer["fallback"]), (&json!("stable"), &json!(true)));
    assert_eq!(answer["predictions"].as_array().unwrap().len(), 2);
    assert_eq!(app.status()["tracks"]["canary"]["failures_by_kind"], only("error", 1));
}

#[test]
fn a_canary_beyond_its_deadline_fails_no_request() {
    let app = app_with(Misbehavior::Hang);
    app.deploy_canary().done();
    app.set_traffic(100).done();
    app.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 60_000 })).done();
    for _ in 0..5 {
        let answer = app.predict().done();
        assert_eq!(answer["fallback"], true, "{answer}");
    }
    assert_eq!(app.status()["tracks"]["canary"]["failures_by_kind"], only("deadline", 5));
}

/// Runs one rollout of a broken canary under load from four clients. Returns the failures by kind.
fn endure(misbehavior: Misbehavior, predictions: usize) -> Value {
    let app = app_with(misbehavior);
    let before = app.status()["stable"].clone();
    app.deploy_canary_with(&json!({ "model_path": "models/bad.bin" })).done();
    // The canary gets four of these. If it hangs, all its threads do before the clients compete for them.
    let first = count_fallbacks(&app, 40);
    let each = (predictions - 40) / 4;
    let fallbacks: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| count_fallbacks(&app, each))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(first + fallbacks, predictions / 10, "each canary request falls back to stable");

    let status = app.status();
    let (stable, canary) = (&status["tracks"]["stable"], &status["tracks"]["canary"]);
    assert_eq!(canary["requests"], predictions / 10);
    assert_eq!(canary["failures"], predictions / 10);
    assert_eq!((&canary["samples"], &canary["failure_rate"]), (&json!(0), &json!(1.0)));
    assert_eq!(stable["requests"], predictions / 10 * 9, "a fallback is not a sample of stable");
    assert_eq!(stable["failures"], 0);

    let health = app.check_canary_health().done();
    assert_eq!(health["alert_triggered"], true, "{health}");
    assert!(health["message"].as_str().unwrap().contains("failures"), "{health}");
    let expected = refused(409, "not_passing", &["failures", "force"]);
    app.promote_canary().assert_refused(expected, "/admin/promote-canary", "a broken canary");

    let after = app.rollback_canary().done();
    assert_eq!(after["canary"], Value::Null);
    assert_eq!(after["stable"], before, "stable is untouched");
    let answer = app.predict().done();
    assert_eq!((&answer["model_used"], &answer["fallback"]), (&json!("stable"), &json!(false)));
    canary["failures_by_kind"].clone()
}

/// Sends predictions, all of which stable must answer. Returns how many were assigned to the canary.
fn count_fallbacks(app: &TestApp, predictions: usize) -> usize {
    let client = app.client();
    (0..predictions)
        .filter(|_| {
            let answer = client.predict().done();
            assert_eq!(answer["model_used"], "stable", "{answer}");
            assert_eq!(answer["model_version"], "model_v1", "{answer}");
            assert!(answer["probability"].is_f64(), "{answer}");
            answer["fallback"] == true
        })
        .count()
}

fn app_with(misbehavior: Misbehavior) -> TestApp {
    Setup::new()
        .model("bad.bin", misbehavior.artifact())
        .given(|given| {
            // Stable is held to it, too, on a busy machine as well.
            given.canary_deadline = Duration::from_millis(200);
            // Every failure has its kind.
            given.breaker.failures = 0;
        })
        .spawn()
}

/// Failures of exactly one kind.
fn only(kind: &str, count: usize) -> Value {
    let mut failures = json!({ "error": 0, "panic": 0, "not_a_probability": 0, "deadline": 0, "busy": 0, "breaker_open": 0 });
    failures[kind] = count.into();
    failures
}

#[test]
fn a_failing_stable_is_a_503_and_the_server_continues() {
    for (misbehavior, word) in [
        (Misbehavior::Panic, "panicked"),
        (Misbehavior::PanicPooled, "panicked"),
        (Misbehavior::NotANumber, "not a probability"),
        (Misbehavior::Error, "error"),
        (Misbehavior::Hang, "deadline"),
    ] {
        let app = Setup::new()
            .model("bad.bin", misbehavior.artifact())
            .given(|given| {
                given.stable = "bad.bin".to_owned();
                given.stable_deadline = Duration::from_millis(50);
            })
            .spawn();
        for _ in 0..3 {
            let named = &[word, "try again"];
            let expected = refused(503, "stable_failed", named);
            app.predict().assert_refused(expected, "/predict", word);
        }
        assert_eq!(app.status()["tracks"]["stable"]["failures"], 3, "{word}");
        assert_eq!(app.get("/livez").status, 200);

        // The way out: a good model gets all traffic as the canary and is promoted.
        app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 100 }))
            .done();
        assert_eq!(app.predict_times(20), 20, "{word}");
        app.promote_canary_with(&json!({ "force": true, "reason": "stable is broken" })).done();
        assert_eq!(app.predict().done()["model_version"], "model_v2", "{word}");
    }
}
