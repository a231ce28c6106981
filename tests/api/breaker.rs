//! Circuit breaker: only a few users wait for a canary that always fails.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::client::CUSTOMER;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::Misbehavior;
use crate::raw;

fn app_with(misbehavior: Misbehavior, failures: u32, probe_every: Duration) -> TestApp {
    let app = Setup::new()
        .model("bad.bin", misbehavior.artifact())
        .given(|given| {
            given.canary_deadline = Duration::from_millis(50);
            given.breaker.failures = failures;
            given.breaker.probe_every = probe_every;
            given.allow_injection = true;
        })
        .spawn();
    app.deploy_canary_with(&json!({ "model_path": "bad.bin", "traffic_percent": 50 })).done();
    app
}

#[test]
fn a_canary_that_hangs_delays_only_as_many_users_as_the_breaker_allows() {
    let app = app_with(Misbehavior::Hang, 3, Duration::from_secs(3600));
    let closed = json!({ "state": "closed", "consecutive_failures": 0, "opened": 0 });
    assert_eq!(app.status()["breaker"], closed);
    let answers: Vec<Value> = (0..200).map(|_| app.predict().done()).collect();
    let fallbacks = answers.iter().filter(|answer| answer["fallback"] == true).count();
    assert_eq!(fallbacks, 100, "answers for the canary still say so");
    let waited = |answer: &&Value| answer["latency_ms"].as_f64().unwrap() >= 50.0;
    assert_eq!(answers.iter().filter(waited).count(), 3);

    let status = app.status();
    let open = json!({ "state": "open", "consecutive_failures": 3, "opened": 1 });
    assert_eq!(status["breaker"], open);
    let canary = &status["tracks"]["canary"];
    let kinds = &canary["failures_by_kind"];
    assert_eq!((&kinds["deadline"], &kinds["breaker_open"]), (&json!(3), &json!(97)));
    assert_eq!((&canary["requests"], &canary["failure_rate"]), (&json!(100), &json!(1.0)));
    assert_eq!(status["tracks"]["stable"]["requests"], 100, "a fallback is not a sample of stable");
    assert_eq!(app.check_canary_health().done()["alert_triggered"], true);

    // It survives a change of step.
    app.set_traffic(100).done();
    assert_eq!(app.status()["breaker"], open);
    assert_eq!(app.rollback_canary().done()["breaker"], Value::Null);
}

#[test]
fn a_canary_that_recovers_gets_requests_again() {
    let app = Setup::new()
        .given(|given| {
            given.breaker.probe_every = Duration::from_millis(10);
            given.allow_injection = true;
        })
        .spawn();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 100 })).done();
    app.post("/admin/inject", &json!({ "error_rate": 1.0 })).done();
    app.predict_times(20);
    let breaker = app.status()["breaker"].clone();
    assert_eq!((&breaker["state"], &breaker["opened"]), (&json!("open"), &json!(1)));
    app.post("/admin/inject", &json!({})).done();
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(app.predict_times(50), 50, "the first probe closes it");
    let closed = json!({ "state": "closed", "consecutive_failures": 0, "opened": 1 });
    assert_eq!(app.status()["breaker"], closed);
}

#[test]
fn without_a_breaker_the_canary_gets_every_request() {
    let app = app_with(Misbehavior::Panic, 0, Duration::from_secs(3600));
    app.predict_times(100);
    let status = app.status();
    assert_eq!(status["breaker"], Value::Null);
    assert_eq!(status["tracks"]["canary"]["failures_by_kind"]["panic"], 50);
}

#[test]
fn failures_counted_by_the_open_breaker_roll_back_a_plan() {
    let app = app_with(Misbehavior::Hang, 5, Duration::from_secs(3600));
    app.rollback_canary().done();
    // With a look every hour, only the trigger can roll back.
    let plan = json!({
        "steps": [{ "weight": 50, "bake": "1m" }], "warm_up": "0s", "look": "1h", "deadline": "24h",
    });
    app.deploy_canary_with(&json!({ "model_path": "bad.bin", "plan": plan })).done();
    let answers: Vec<Value> =
        (0..40).map(|_| app.post("/predict", &json!({ "features": CUSTOMER })).done()).collect();
    let waited = |answer: &&Value| answer["latency_ms"].as_f64().unwrap() >= 50.0;
    // Four predictions hang in four threads, and the fifth fails at once.
    assert_eq!(answers.iter().filter(waited).count(), 4);
    while !app.status()["canary"].is_null() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let reason = app.status()["last_rollout"]["reason"].clone();
    assert!(reason.as_str().unwrap().starts_with("a trigger fired: 10 of"), "{reason}");
}

#[test]
fn a_stable_that_answers_most_fallbacks_does_not_excuse_the_canary() {
    let app = Setup::new()
        .model("stable.bin", Misbehavior::ErrorBelowZero.artifact())
        .model("bad.bin", Misbehavior::Error.artifact())
        .given(|given| {
            given.stable = "stable.bin".to_owned();
            given.breaker.failures = 1000;
            given.breaker.probe_every = Duration::from_secs(3600);
        })
        .spawn();
    app.deploy_canary_with(&json!({ "model_path": "bad.bin", "traffic_percent": 100 })).done();
    // Stable answers for the canary, and fails once in 25 times: by the end 40 times, in all.
    let mut unfit = CUSTOMER;
    unfit[0] = -1.0;
    for number in 1..=1000 {
        let (features, status) = if number % 25 == 0 { (unfit, 503) } else { (CUSTOMER, 200) };
        let reply = app.post("/predict", &json!({ "features": features }));
        assert_eq!(reply.status, status, "{}", reply.body);
    }
    assert_eq!(app.status()["breaker"]["state"], "open");
}

#[test]
fn a_canary_whose_breaker_is_open_is_promoted_by_force_only() {
    // Two failures open the breaker, and are too few for the judge.
    let app = Setup::new()
        .given(|given| {
            given.breaker.failures = 2;
            given.breaker.probe_every = Duration::from_secs(3600);
            given.allow_injection = true;
        })
        .spawn();
    // What a busy machine adds to a latency is no harm here.
    let wide = json!({ "name": "latency", "tolerated": { "relative": 9.0 }, "accepted": { "relative": 18.0 } });
    let policy = json!({ "metrics": [wide] });
    let canary = json!({ "model_path": "model_v2.bin", "traffic_percent": 50, "policy": policy });
    app.deploy_canary_with(&canary).done();
    (0..2000).for_each(|_| drop(app.predict().done()));
    app.post("/admin/inject", &json!({ "error_rate": 1.0 })).done();
    while app.status()["breaker"]["state"] == "closed" {
        app.predict().done();
    }
    let report = &app.status()["report"];
    assert_eq!(report["condition"], "breaker_open", "{report}");
    let items = report["checklists"][0]["items"].as_array().unwrap();
    let open = json!("The circuit breaker is closed");
    assert!(items.iter().any(|it| it["text"] == open && it["state"] == "refused"), "{items:?}");
    let page = raw::request(app.address, "GET /", &["accept: text/html"], b"").text;
    assert!(
        page.contains("its circuit breaker is open") && page.contains("Promote anyway"),
        "{page}"
    );
    let refused = app.promote_canary();
    assert_eq!(refused.status, 409);
    let detail = refused.body["detail"].to_string();
    assert!(detail.contains("its circuit breaker is open") && detail.contains("force"), "{detail}");
    let forced = json!({ "force": true, "reason": "the fault is ours" });
    app.post("/admin/promote-canary", &forced).done();
}
