//! Post-promotion monitoring: late labels or a person bring the previous version back, also after a restart.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::problem::refused;

/// A canary that is promoted by hand and monitored, and earlier predictions: ids, with the outcome that shows the
/// canary to be wrong and stable to be right.
fn promoted(app: &TestApp, action: &str) -> Vec<Value> {
    app.deploy_canary_with(&json!({
        "model_path": "model_v2.bin", "traffic_percent": 50,
        "policy": { "metrics": [{ "name": "log_loss", "role": "guardrail" }] },
        "post_promotion": { "monitor": "1h", "action": action },
    }))
    .done();
    let labels = (0..400)
        .map(|n| {
            let body = json!({ "features": [0.5, 1.2, 0.8, 0.1 * f64::from(n % 7), 1.1] });
            let answer = app.post("/predict", &body).done();
            let is_likely = answer["probability"].as_f64().unwrap() > 0.5;
            let is_canary = answer["model_used"] == "canary";
            json!({ "prediction_id": answer["prediction_id"], "outcome": is_likely != is_canary })
        })
        .collect();
    let status =
        app.promote_canary_with(&json!({ "force": true, "reason": "no labels yet" })).done();
    assert_eq!(status["stable"]["version"], "model_v2");
    assert_eq!(app.status()["post_promotion"]["previous"], "model_v1");
    labels
}

fn send(app: &TestApp, labels: &[Value]) {
    let taken = app.post("/feedback", &json!({ "feedback": labels })).done();
    assert_eq!(taken["recorded"], labels.len(), "{taken}");
}

/// The status once this holds.
#[track_caller]
fn once(app: &TestApp, holds: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let status = app.status();
        if holds(&status) {
            return status;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{status}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn harm_that_labels_show_after_a_restart_reverts_the_promotion() {
    let app = TestApp::spawn_durable();
    let labels = promoted(&app, "revert");
    send(&app, &labels[..20]);
    let app = app.restart();
    assert_eq!(app.status()["post_promotion"]["action"], "revert");
    // A tick in between, because a bet is settled with each tick.
    for some in labels[20..].chunks(40) {
        if app.status()["stable"]["version"] == "model_v1" {
            break;
        }
        app.post("/feedback", &json!({ "feedback": some })).done();
        app.settled_status();
    }
    let status = once(&app, |status| status["stable"]["version"] == "model_v1");
    assert_eq!(status["last_rollout"]["outcome"], "reverted");
    assert_eq!(status["post_promotion"], Value::Null);
    assert_eq!(status["quarantine"].as_object().unwrap().len(), 1);
    let last = app.history().pop().unwrap();
    assert_eq!((&last["event"], &last["by"]), (&json!("reverted"), &json!("automatic")));
    assert!(last["sentence"].as_str().unwrap().contains("log_loss"), "{last}");
    assert_eq!(app.predict().done()["model_version"], "model_v1");
    let app = app.restart();
    assert_eq!(app.predict().done()["model_version"], "model_v1");
}

#[test]
fn with_the_action_report_harm_is_only_reported() {
    let app = TestApp::spawn();
    let labels = promoted(&app, "report");
    for some in labels.chunks(40) {
        send(&app, some);
        app.settled_status();
    }
    let is_reported = |_: &Value| app.history().last().unwrap()["event"] == "harm_reported";
    let status = once(&app, is_reported);
    assert_eq!(status["stable"]["version"], "model_v2");
    assert!(status["post_promotion"]["harm"].as_str().unwrap().contains("log_loss"), "{status}");
    let again = app.deploy_canary_with(&json!({ "model_path": "model_v1.bin" })).done();
    assert!(again["notes"][0].as_str().unwrap().contains("ended with this deployment"), "{again}");
}

#[test]
fn a_person_may_revert_during_the_monitoring_with_or_without_a_reason() {
    let app = TestApp::spawn();
    let path = "/admin/revert";
    let refuses = |body: Value, status, code, named: &str| {
        let reply = app.post(path, &body);
        reply.assert_refused(refused(status, code, &[named]), path, &body.to_string());
    };
    refuses(json!({ "reason": "none" }), 409, "nothing_to_revert", "no promotion is monitored");
    promoted(&app, "revert");
    refuses(json!({ "why": "x" }), 422, "invalid_body", "why");
    let deploy = json!({ "model_path": "model_v1.bin" });
    let expected = refused(409, "promotion_monitored", &["override_quarantine"]);
    app.deploy_canary_with(&deploy).assert_refused(expected, "/admin/deploy-canary", "");
    let status = app.post(path, &json!({ "reason": "complaints" })).done();
    assert_eq!(status["stable"]["version"], "model_v1");
    assert_eq!(status["last_rollout"]["reason"], "complaints");
    refuses(json!({ "reason": "again" }), 409, "nothing_to_revert", "no promotion is monitored");
    let app = TestApp::spawn();
    promoted(&app, "revert");
    assert_eq!(app.post(path, &json!({})).done()["last_rollout"]["reason"], "by hand");
}

#[test]
fn monitoring_that_could_find_nothing_is_refused() {
    let app = TestApp::spawn();
    for (after, named) in [
        (json!({ "monitor": "1h" }), "nothing to judge by"),
        (json!({ "monitor": "soon" }), "monitor: \"soon\""),
        (json!({ "action": "undo" }), "undo"),
    ] {
        // Labels are judged by default.
        let policy = json!({ "metrics": [{ "name": "log_loss", "role": "advisory" }] });
        let body =
            json!({ "model_path": "model_v2.bin", "post_promotion": after, "policy": policy });
        let expected = refused(422, "invalid_body", std::slice::from_ref(&named));
        let reply = app.deploy_canary_with(&body);
        reply.assert_refused(expected, "/admin/deploy-canary", &body.to_string());
    }
}

#[test]
fn a_refusal_for_a_value_of_the_settings_says_that_it_is_from_there() {
    let app = Setup::new()
        .given(|settings| settings.post_promotion.monitor = Duration::from_secs(3600))
        .spawn();
    let policy = json!({ "metrics": [{ "name": "log_loss", "role": "advisory" }] });
    let reply = app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "policy": policy }));
    let named = &["post_promotion.monitor: \"1h\"", "from the server's settings"];
    reply.assert_refused(refused(422, "invalid_body", named), "/admin/deploy-canary", "");
}
