//! The two scenarios that serin exists for: a slow canary is rolled back, a healthy one promoted.

use serde_json::Value;
use serde_json::json;

use crate::harness::TestApp;
use crate::problem::refused;

#[test]
fn a_slow_canary_raises_the_alert_and_is_rolled_back() {
    let app = TestApp::spawn();
    let status = app.deploy_canary().done();
    assert_eq!(status["state"], "running");
    assert_eq!(status["canary"]["version"], "model_v2");
    assert_eq!(status["canary"]["file"], "model_v2.bin");
    assert_eq!(status["traffic_percent"], 10.0);

    assert_eq!(app.predict_times(200), 20);
    let health = app.check_canary_health().done();
    assert_eq!(health["alert_triggered"], false, "{health}");
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!(health["canary"]["samples"], 20);
    assert_eq!(health["stable"]["samples"], 180);
    assert_eq!(health["test"], "welch_t");
    assert_eq!((&health["alpha"], &health["min_samples"]), (&json!(0.05), &json!(20)));
    assert_eq!(health["margin_ms"], 0.1, "5 % of microseconds is less than the absolute margin");

    let toggled = app.toggle_slowdown().done();
    assert_eq!(toggled, json!({ "simulate_slowdown": true, "delay_ms": 25 }));
    assert_eq!(app.predict_times(200), 20);
    let health = app.check_canary_health().done();
    assert_eq!(health["alert_triggered"], true, "{health}");
    assert_eq!(health["status"], "harm");
    assert!(health["p_value"].as_f64().unwrap() < 0.05, "{health}");
    // Half of the 40 samples were taken before the slowdown.
    let difference = health["difference_ms"].as_f64().unwrap();
    assert!((12.0..30.0).contains(&difference), "{health}");
    let [low, high] = [0, 1].map(|i| health["confidence_interval_ms"][i].as_f64().unwrap());
    assert!(low < difference && difference < high && low > 0.0, "{health}");
    let message = health["message"].as_str().unwrap();
    assert!(message.contains("slower than tolerated"), "{message}");
    // A tick may have closed meanwhile, and then the message is the sequential judge's.
    let is_sequential = health["sequential"]["verdict"] == "rollback";
    let by_permutation = message.contains("; confirmed by permutation, p ");
    assert!(by_permutation || is_sequential, "{health}");
    assert!(health["permutation_p_value"].as_f64().unwrap() < 0.0125, "{health}");
    assert!(health["rank_p_value"].is_number(), "{health}");

    let named = &["slower than tolerated", "force"];
    let path = "/admin/promote-canary";
    app.promote_canary().assert_refused(refused(409, "not_passing", named), path, "an alert");

    let status = app.rollback_canary_with(&json!({ "reason": "too slow" })).done();
    assert_eq!(status["state"], "idle");
    assert_eq!(status["canary"], Value::Null);
    assert_eq!(status["stable"]["version"], "model_v1");
    assert_eq!(status["traffic_percent"], 0.0);
    assert_eq!(status["last_rollout"]["outcome"], "rolled_back");
    assert_eq!(status["last_rollout"]["reason"], "too slow");
    let slowdown = &app.status()["simulate_slowdown"];
    assert_eq!(slowdown, false, "the delay is off once the rollout has ended");
    assert_eq!(app.predict_times(200), 0);
}

#[test]
fn a_healthy_canary_raises_no_alert_and_is_promoted() {
    let app = TestApp::spawn();
    let digest = app.deploy_canary().done()["canary"]["digest"].clone();
    assert_eq!(app.predict_times(200), 20);
    assert_eq!(app.check_canary_health().done()["status"], "ok");

    let status = app.promote_canary().done();
    assert_eq!(status["state"], "idle");
    assert_eq!(status["canary"], Value::Null);
    assert_eq!(status["stable"]["version"], "model_v2");
    assert_eq!(status["stable"]["digest"], digest);
    assert_eq!(status["last_rollout"]["outcome"], "promoted");

    assert_eq!(app.predict_times(200), 0);
    assert_eq!(app.predict().done()["model_version"], "model_v2");
}

#[test]
fn both_scenarios_run_one_after_the_other_on_one_server() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.predict_times(200);
    app.toggle_slowdown().done();
    app.predict_times(200);
    app.rollback_canary().done();

    app.deploy_canary().done();
    assert_eq!(app.predict_times(200), 20, "the artifact is not in quarantine");
    app.promote_canary().done();
    let events: Vec<Value> = app.history().iter().map(|entry| entry["event"].clone()).collect();
    assert_eq!(
        events,
        [
            "initialized",
            "canary_deployed",
            "slowdown_set",
            "rolled_back",
            "canary_deployed",
            "promoted",
        ]
    );
}

#[test]
fn too_few_samples_are_neither_an_alert_nor_a_pass() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    // 9 strata of twenty requests hold 18 canary requests.
    assert_eq!(app.predict_times(180), 18);
    let health = app.check_canary_health().done();
    assert_eq!(health["alert_triggered"], false);
    assert_eq!(health["status"], "insufficient_data", "{health}");
    assert_eq!(health["p_value"], Value::Null);
    let expected = refused(409, "insufficient_data", &["canary 18", "needs 20"]);
    app.promote_canary().assert_refused(expected, "/admin/promote-canary", "18 samples");
}

#[test]
fn the_slowdown_delays_only_the_canary() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.set_traffic(50).done();
    app.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 40 })).done();
    for _ in 0..20 {
        let answer = app.predict().done();
        let latency_ms = answer["latency_ms"].as_f64().unwrap();
        let slow = latency_ms >= 40.0;
        assert_eq!(slow, answer["model_used"] == "canary", "{answer}");
    }
    app.toggle_slowdown().done();
    assert_eq!(app.status()["delay_ms"], 40, "the flip keeps the delay for the next time");
}
