//! Fault injection: the canary fails as requested, and only where the server allows it.

use serde_json::Value;
use serde_json::json;

use crate::client::CUSTOMER;
use crate::client::Reply;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::problem::refused;

const INJECT: &str = "/admin/inject";

fn allowing() -> Setup {
    Setup::new().given(|given| {
        given.allow_injection = true;
        given.breaker.failures = 0;
    })
}

fn inject(app: &TestApp, body: &Value) -> Reply {
    app.post(INJECT, body)
}

fn with_canary(percent: u32) -> TestApp {
    let app = allowing().spawn();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": percent }))
        .done();
    app
}

#[test]
fn a_server_that_does_not_allow_it_injects_nothing() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    let before = app.standing();
    let expected = refused(403, "injection_not_allowed", &["--allow-injection"]);
    inject(&app, &json!({ "error_rate": 1.0 })).assert_refused(expected, INJECT, "errors");
    assert_eq!(app.standing(), before);
    assert_eq!(app.predict_times(100), 10);
}

#[test]
fn without_a_canary_nothing_can_be_injected() {
    let app = allowing().spawn();
    let expected = refused(409, "no_canary", &["deploy one"]);
    inject(&app, &json!({ "delay_ms": 5 })).assert_refused(expected, INJECT, "delay");
}

#[test]
fn an_invalid_injection_is_refused_by_field() {
    let app = with_canary(10);
    let before = app.standing();
    for (body, named) in [
        (json!({ "delay_ms": 60_001 }), "delay_ms: 60001 is out of range; use 0 to 60000"),
        (json!({ "delay_ms": -1 }), "-1"),
        (json!({ "error_rate": 1.5 }), "error_rate: 1.5 is out of range; use 0 to 1"),
        (json!({ "score_shift": -2 }), "score_shift: -2 is out of range; use -1 to 1"),
        (json!({ "off": true, "delay_ms": 5 }), "off: true excludes every fault"),
        (json!({ "off": false }), "off: false"),
        (json!({ "slow": 5 }), "slow"),
        (
            json!({ "delay_ms": 5, "segment": { "region": "north" } }),
            "segment: region is out of range; use none, because [segments] in serin.toml declares none",
        ),
    ] {
        let reply = inject(&app, &body);
        let expected = refused(422, "invalid_body", std::slice::from_ref(&named));
        reply.assert_refused(expected, INJECT, &body.to_string());
    }
    assert_eq!(app.standing(), before);
}

#[test]
fn a_fifth_of_the_canarys_requests_fails_and_no_user_notices() {
    let app = with_canary(50);
    let status = inject(&app, &json!({ "error_rate": 0.2 })).done();
    assert_eq!(
        status["injection"],
        json!({ "delay_ms": 0, "error_rate": 0.2, "score_shift": 0.0 })
    );
    let answers: Vec<Value> = (0..200).map(|_| app.predict().done()).collect();
    let fallbacks = answers.iter().filter(|answer| answer["fallback"] == true).count();
    assert_eq!(fallbacks, 20, "a fifth of the canary's hundred");
    let tracks = app.status()["tracks"].clone();
    assert_eq!(tracks["canary"]["failures_by_kind"]["error"], 20);
    assert_eq!(
        (&tracks["canary"]["failures"], &tracks["stable"]["failures"]),
        (&json!(20), &json!(0))
    );

    let status = inject(&app, &json!({ "off": true })).done();
    assert_eq!(status["injection"], Value::Null);
    assert_eq!(app.predict_times(200), 100, "nothing fails any more");
}

#[test]
fn scores_shift_within_their_range_and_stables_stay() {
    let app = with_canary(50);
    let by = |track: &str| -> f64 {
        let answer = (0..100).map(|_| app.predict().done()).find(|it| it["model_used"] == track);
        answer.unwrap()["probability"].as_f64().unwrap()
    };
    let (stable, canary) = (by("stable"), by("canary"));
    inject(&app, &json!({ "score_shift": 0.125 })).done();
    assert!((by("canary") - (canary + 0.125).min(1.0)).abs() < 1e-12);
    inject(&app, &json!({ "score_shift": -1.0 })).done();
    assert_eq!((by("canary"), by("stable")), (0.0, stable));
    // A new injection replaces the previous one.
    inject(&app, &json!({ "delay_ms": 1 })).done();
    assert_eq!(by("canary"), canary);
}

#[test]
fn a_delay_adds_to_the_slowdown_and_counts_as_latency() {
    let app = with_canary(100);
    inject(&app, &json!({ "delay_ms": 6 })).done();
    app.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 4 })).done();
    let answer = app.predict().done();
    assert!(answer["latency_ms"].as_f64().unwrap() >= 10.0, "{answer}");
    assert_eq!(answer["model_used"], "canary");
    // A delay beyond the deadline is a failure of the canary.
    inject(&app, &json!({ "delay_ms": 60_000 })).done();
    let answer = app.predict().done();
    assert_eq!((&answer["model_used"], &answer["fallback"]), (&json!("stable"), &json!(true)));
}

#[test]
fn an_injection_ends_with_its_rollout_and_is_journaled() {
    let app = with_canary(10);
    inject(&app, &json!({ "error_rate": 0.5, "delay_ms": 2 })).done();
    let last = app.history().pop().unwrap();
    assert_eq!(last["event"], "injected");
    let sentence = last["sentence"].as_str().unwrap();
    assert!(sentence.contains("2 ms of delay, errors in 50 % of its requests"), "{sentence}");
    // The same injection again changes nothing.
    let revision = app.status()["revision"].clone();
    let again = inject(&app, &json!({ "error_rate": 0.5, "delay_ms": 2 })).done();
    assert_eq!(again["revision"], revision);
    assert_eq!(app.rollback_canary().done()["injection"], Value::Null);
    app.deploy_canary().done();
    assert_eq!(app.predict_times(100), 10);
    assert_eq!(app.status()["tracks"]["canary"]["failures"], 0);
}

#[test]
fn an_injection_survives_a_restart_unless_the_server_no_longer_allows_it() {
    let app = allowing().durable().spawn();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 100 })).done();
    inject(&app, &json!({ "error_rate": 1.0 })).done();
    let app = app.restart();
    let answer = app.post("/predict", &json!({ "features": CUSTOMER })).done();
    assert_eq!(answer["fallback"], true, "{answer}");
    let app = app.stop().given(|given| given.allow_injection = false).spawn();
    assert_eq!(app.status()["injection"], Value::Null);
    assert_eq!(app.predict_times(20), 20);
    let last = app.history().pop().unwrap();
    assert!(last["sentence"].as_str().unwrap().contains("the injected fault is removed"));
    // Ending an injection is always allowed, even if there is none.
    inject(&app, &json!({})).done();
}
