//! Segments: harm in one segment is found and named, and clients cannot abuse segments.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::client::CUSTOMER;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::Misbehavior;
use crate::problem::refused;

fn declared(toml: &str) -> Setup {
    Setup::new().given(|given| given.segments = toml::from_str(toml).unwrap())
}

fn predict_in(app: &TestApp, first: f64, segments: &Value) {
    let features = [first, 1.2, 0.8, 0.3, 1.1];
    app.post("/predict", &json!({ "features": features, "segments": segments })).done();
}

/// Requests and failures of each segment, both tracks together.
fn seen(app: &TestApp) -> Vec<(String, u64)> {
    let health = app.settled_health();
    let seen = health["segments"]["seen"].as_array().unwrap().iter();
    seen.filter(|one| one["metric"] == "failures")
        .map(|one| {
            let requests = |track: &str| one[track].as_u64().unwrap();
            let segment = one["segment"].as_str().unwrap().to_owned();
            (segment, requests("stable") + requests("canary"))
        })
        .collect()
}

#[test]
fn a_canary_that_fails_one_region_is_held_and_the_region_is_named() {
    // Without the breaker, which a burst of failures in the north would open for every region.
    let app = declared("region = ['north', 'south', 'east', 'west']")
        .given(|given| given.breaker.failures = 0)
        .model("bad.bin", Misbehavior::ErrorBelowZero.artifact())
        .spawn();
    let plan = json!({
        "steps": [{ "weight": 50, "bake": "1h" }], "warm_up": "0s", "look": "100ms",
        "triggers": { "consecutive_failures": 0, "failures_in_window": 0 },
    });
    // So that the overall metric does not roll the canary back first.
    let policy =
        json!({ "metrics": [{ "name": "failures", "role": "signal" }], "rollback_score": 0 });
    let body = json!({ "model_path": "bad.bin", "plan": plan, "policy": policy });
    app.deploy_canary_with(&body).done();
    let start = Instant::now();
    while app.status()["state"] == "running" && start.elapsed() < Duration::from_secs(50) {
        for region in ["north", "south", "east", "west"] {
            let first = if region == "north" { -1.0 } else { 0.5 };
            for _ in 0..8 {
                predict_in(&app, first, &json!({ "region": region }));
            }
        }
    }
    let status = app.status();
    assert_eq!(status["state"], "paused", "{status}");
    let held = app.history().pop().unwrap();
    let segment = json!({ "key": "region", "value": "north" });
    let concern = json!({ "segment": { "segment": segment, "metric": "failures" } });
    assert_eq!((&held["event"], &held["concerns"]), (&json!("held"), &json!([concern])));
    let sentence = held["sentence"].as_str().unwrap();
    assert!(sentence.contains("segment region=north: failures "), "{sentence}");
    let findings = status["health"]["segments"]["findings"].as_array().unwrap();
    assert_eq!((findings.len(), &findings[0]["segment"]), (1, &json!("region=north")), "{status}");
    assert_eq!(status["health"]["harm_detected"], true);
    // After a resume the same finding does not hold the rollout again.
    app.resume_canary().done();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(app.status()["state"], "running");
    let refusal = refused(409, "not_passing", &["segment region=north"]);
    app.promote_canary().assert_refused(refusal, "/admin/promote-canary", "without force");
    let force = json!({ "force": true, "reason": "the north is closed" });
    assert_eq!(app.promote_canary_with(&force).done()["stable"]["version"], "bad");
}

#[test]
fn a_hundred_devices_share_the_declared_slots_across_a_restart() {
    let app = declared("device = { max = 2 }").durable().spawn();
    // Without a canary there is nothing to compare.
    predict_in(&app, 0.5, &json!({ "device": "early" }));
    app.deploy_canary().done();
    for device in ["tv", "phone"] {
        predict_in(&app, 0.5, &json!({ "device": device }));
    }
    for n in 0..100 {
        predict_in(&app, 0.5, &json!({ "device": n }));
    }
    let expected = |tv: u64, other: u64| {
        [("device=other", other), ("device=phone", 1), ("device=tv", tv)]
            .map(|(name, count)| (name.to_owned(), count))
    };
    assert_eq!(seen(&app), expected(1, 100));
    let app = app.restart();
    predict_in(&app, 0.5, &json!({ "device": "first-after-the-restart" }));
    predict_in(&app, 0.5, &json!({ "device": "tv" }));
    app.predict().done();
    assert_eq!(seen(&app), expected(2, 101));
    // Only the first request of a key is judged, in its segment as overall.
    for _ in 0..5 {
        let body = json!({ "features": CUSTOMER, "key": "k", "segments": { "device": "tv" } });
        app.post("/predict", &body).done();
    }
    assert_eq!(seen(&app), expected(3, 101));
    let ratio = app.settled_health()["sample_ratio"].clone();
    assert_eq!(ratio["mismatch"], false);
    assert_eq!(ratio["stable"].as_u64().unwrap() + ratio["canary"].as_u64().unwrap(), 106);
}

#[test]
fn invalid_segments_are_refused_and_forgotten() {
    let app = declared("device = { max = 2 }\nregion = ['north']").spawn();
    app.deploy_canary().done();
    let before = app.standing();
    let long = "x".repeat(100);
    let cases = [
        (json!({ "color": "red" }), "segments.color: not declared; use one of device, region"),
        (json!({ "region": "" }), "segments.region: \"\" is not a name or value"),
        (json!({ "region": "a b" }), "use 1 to 64 letters"),
        (json!({ "region": long }), "use 1 to 64 letters"),
        (json!({ "region": null }), "a text or a number"),
        (json!({ "region": ["north"] }), "a text or a number"),
        (json!({ "region": { "a": 1 } }), "a text or a number"),
        (json!({ "region": true }), "a text or a number"),
        (json!("north"), "use an object, for example"),
        (json!(null), "use an object, for example"),
        (json!({ "a": 1, "b": 1, "c": 1, "d": 1, "e": 1 }), "more than 4 keys"),
    ];
    for (segments, named) in cases {
        let body = json!({ "features": CUSTOMER, "segments": segments });
        let expected = refused(422, "invalid_body", std::slice::from_ref(&named));
        app.post("/predict", &body).assert_refused(expected, "/predict", named);
    }
    let twice = r#"{"features":[1,1,1,1,1],"segments":{"region":"north","region":"north"}}"#;
    let expected = refused(422, "invalid_body", &["segments: key \"region\" occurs twice"]);
    app.post_text("/predict", twice).assert_refused(expected, "/predict", "twice");
    assert_eq!(app.standing(), before);
    for fine in [json!({}), json!({ "region": "moon" }), json!({ "device": 17, "region": "north" })]
    {
        predict_in(&app, 0.5, &fine);
    }
}

#[test]
fn without_declared_segments_none_may_be_named() {
    let app = TestApp::spawn();
    let body = json!({ "features": CUSTOMER, "segments": { "region": "north" } });
    let expected = refused(422, "invalid_body", &["declare it under [segments] in serin.toml"]);
    app.post("/predict", &body).assert_refused(expected, "/predict", "nothing declared");
    app.deploy_canary().done();
    let health = app.check_canary_health().done();
    assert_eq!(health["segments"], Value::Null);
    assert_eq!(health["machine"]["stalled_ticks"], 0);
}
