//! The sequential judge: its verdict per metric and overall.

use serde_json::Value;
use serde_json::json;
use serin::canary::Judgement;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::Misbehavior;

/// The sequential evidence of one metric.
fn metric<'a>(health: &'a Value, name: &str) -> &'a Value {
    let metrics = health["sequential"]["metrics"].as_array().unwrap();
    metrics.iter().find(|metric| metric["metric"] == name).unwrap()
}

fn record(app: &TestApp, version: &str, metric: &str, value: f64) {
    let body = json!({ "version": version, "metric": metric, "score": value });
    app.post("/record", &body).done();
}

#[test]
fn a_slow_canary_fails_as_a_guardrail_with_the_numbers_in_the_reasons() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 5 })).done();
    app.predict_times(200);
    let mut health = app.settled_health();
    // 30 requests of the canary are enough, unless the machine is busy.
    for _ in 0..20 {
        app.predict_times(100);
        health = app.settled_health();
        if metric(&health, "latency")["classification"] == "fail" {
            break;
        }
    }
    let latency = metric(&health, "latency");
    assert_eq!(latency["classification"], "fail", "{latency:#}");
    assert_eq!(latency["role"], "guardrail");
    let number = |name: &str| latency[name].as_f64().unwrap();
    assert!(number("harm_p_value") < number("harm_threshold"), "{latency:#}");
    assert!(number("effect") > 0.004, "{latency:#}");
    let reasons = health["reasons"].to_string();
    assert!(reasons.contains(" above stable (tolerated +"), "{reasons}");
    assert_eq!(health["sequential"]["verdict"], "rollback");
    let status = app.status();
    assert_eq!(status["health"]["verdict"], "rollback", "{status:#}");
    let refused = app.promote_canary();
    assert_eq!(refused.status, 409);
}

#[test]
fn an_equal_canary_is_on_hold_until_it_is_proven_and_may_be_promoted_by_hand_before() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.predict_times(200);
    let health = app.settled_health();
    assert_eq!(health["status"], "ok");
    assert_ne!(health["sequential"]["verdict"], "rollback", "{health:#}");
    assert_eq!(metric(&health, "failures")["classification"], "inconclusive");
    app.promote_canary().done();
}

#[test]
fn a_recorded_guardrail_rolls_back_and_its_judgement_recomputes_from_the_journal() {
    let app = TestApp::spawn();
    let policy = json!({ "unit": "request", "metrics": [
        { "name": "revenue", "harm": "lower", "role": "guardrail", "weight": 2 },
        { "name": "score", "role": "signal" },
    ] });
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "policy": policy })).done();
    for round in 0..10 {
        for n in 0..40 {
            let spread = f64::from(n % 10);
            record(&app, "baseline", "revenue", 100.0 + spread);
            if n % 2 == 0 {
                record(&app, "canary", "revenue", 70.0 + spread);
            }
        }
        app.predict_times(20);
        app.settled_health();
        assert!(round < 9 || app.status()["health"]["verdict"] == "rollback");
    }
    let health = app.settled_health();
    let revenue = metric(&health, "revenue");
    assert_eq!(revenue["classification"], "fail", "{revenue:#}");
    // The weights of all metrics that act: 2 of 6.5.
    assert_eq!(revenue["harm_threshold"], 0.05 * 2.0 / 6.5);
    let answer = (&health["alert_triggered"], &health["status"]);
    assert_eq!(answer, (&json!(true), &json!("harm")), "one answer for all tests");
    let refused = app.promote_canary();
    assert!(refused.body["detail"].as_str().unwrap().contains("revenue"), "{}", refused.body);
    app.rollback_canary().done();
    let entry = app.history().pop().unwrap();
    let judgement: Judgement = serde_json::from_value(entry["judgement"].clone()).unwrap();
    assert!(judgement.sequential.is_some());
    let bytes = |judgement: &Judgement| serde_json::to_vec(judgement).unwrap();
    assert_eq!(bytes(&judgement.recomputed()), bytes(&judgement));
}

#[test]
fn a_deployment_says_what_the_model_cards_hold_against_the_canary() {
    let app = TestApp::spawn();
    let deploy = |file: &str| {
        let answer = app.deploy_canary_with(&json!({ "model_path": file })).done();
        let status = app.status();
        let mut said = status["warnings"].as_array().unwrap().clone();
        said.extend(status["on_kept_rows"].get("message").cloned());
        assert_eq!(Value::Array(said), answer["notes"]);
        let later = app.rollback_canary().done();
        assert_eq!(later["notes"], json!([]), "said once");
        answer["notes"].clone()
    };
    let itself = deploy("model_v1.bin");
    assert_eq!(itself, json!(["The canary is the same artifact as stable: this is an A/A test."]));
    let other = deploy("model_v2.bin");
    assert!(other[0].as_str().unwrap().contains("different data"), "{other}");
    assert_eq!(app.status()["warnings"], Value::Null, "there is no canary");
}

#[test]
fn a_canary_with_threads_of_its_own_is_judged_by_spans_of_time_unless_the_deployment_says_otherwise()
 {
    for (unit, has_spans) in [(None, true), (Some("request"), false), (Some("10s"), true)] {
        let pooled = Misbehavior::ExplainsSlowly;
        let app = Setup::new().model("pooled.bin", pooled.artifact()).spawn();
        let policy = unit.map_or_else(|| json!({}), |unit| json!({ "unit": unit }));
        let body = json!({ "model_path": "pooled.bin", "traffic_percent": 50, "policy": policy });
        app.deploy_canary_with(&body).done();
        app.predict_times(60);
        let health = app.settled_health();
        for (name, spans) in [("latency", has_spans), ("failures", has_spans), ("score", false)] {
            let span = &metric(&health, name)["span_seconds"];
            assert_eq!(span.is_number(), spans, "{unit:?} {name}: {span}");
        }
    }
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.predict_times(60);
    assert!(metric(&app.settled_health(), "latency")["span_seconds"].is_null());
    let body = json!({ "model_path": "model_v2.bin", "policy": { "unit": "2s" } });
    let refused = app.post("/admin/deploy-canary", &body);
    assert!(refused.body["detail"].as_str().unwrap().contains("`10s`"), "{}", refused.body);
}
