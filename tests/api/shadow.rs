//! Shadow: a harmful canary is found before users get it, and a healthy one passes.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::client::Client;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::Misbehavior;
use crate::misbehaving::SHIFT;
use crate::problem::refused;

/// A customer for each number, as varied as the training data of the default models.
pub fn varied(number: u64) -> [f64; 5] {
    let mut state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut uniform = || {
        state ^= state >> 30;
        state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 27;
        state = state.wrapping_mul(0x94d0_49bb_1331_11eb);
        ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    let tenure = (-2.0 * uniform().ln()).min(12.0);
    let charge = (0.5 * (uniform() + uniform() - 1.0)).exp();
    let usage = (0.6 * (uniform() + uniform() - 1.0)).exp();
    let late = uniform().powi(2);
    let calls = -0.8 * uniform().ln();
    [tenure, charge, usage, late, calls]
}

fn ask(client: &Client, number: u64) -> Value {
    client.post("/predict", &json!({ "features": varied(number) })).done()
}

/// Sends 400 varied requests per second until the rollout leaves its shadow step, ends, or the time is up.
/// Returns how many were sent and how many the canary answered.
fn drive(app: &TestApp, most: Duration, goes_on: impl Fn(&Value) -> bool) -> (u64, u64) {
    let (start, mut sent, mut by_canary) = (Instant::now(), 0, 0);
    while start.elapsed() < most && goes_on(&app.status()) {
        for _ in 0..20 {
            by_canary += u64::from(ask(app, sent)["model_used"] == "canary");
            sent += 1;
            let due = Duration::from_micros(2500 * sent);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
    }
    (sent, by_canary)
}

fn is_under_way(status: &Value) -> bool {
    !status["canary"].is_null()
}

/// Waits until every shadowed request was compared or dropped.
fn compared(app: &TestApp, shadowed: u64) -> Value {
    let start = Instant::now();
    loop {
        let status = app.status();
        let shadow = &status["shadow"];
        let count = |name: &str| shadow[name].as_u64().unwrap();
        if count("pairs") + count("failures") + count("dropped") == shadowed {
            return status;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{shadow}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn plan() -> Value {
    json!({
        "steps": [
            { "weight": 0, "bake": "300ms" },
            { "weight": 20, "bake": "300ms" },
            { "weight": 50, "bake": "300ms" },
        ],
        "warm_up": "0s", "min_samples": 50, "look": "100ms", "deadline": "60s",
    })
}

fn deploy(app: &TestApp, file: &str) -> Value {
    app.deploy_canary_with(&json!({ "model_path": file, "plan": plan() })).done()
}

fn events(app: &TestApp) -> Vec<String> {
    app.history().iter().map(|entry| entry["event"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_shift_short_of_harm_is_held_before_it_reaches_a_user_and_resume_accepts_it() {
    let setup = Setup::new().model("shifted.bin", Misbehavior::Shifted.artifact());
    let app = setup.given(|given| given.absolute_margin_ms = 50.0).spawn();
    let scores: Vec<f64> =
        (0..500).map(|number| ask(&app, number)["probability"].as_f64().unwrap()).collect();
    let mean = scores.iter().sum::<f64>() / 500.0;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / 499.0;
    let d = SHIFT / variance.sqrt();
    assert!((0.4..=0.5).contains(&d), "the shift is d = {d}");

    deploy(&app, "shifted.bin");
    let status = app.status();
    assert_eq!(
        (&status["traffic_percent"], &status["shadow"]["percent"]),
        (&json!(0.0), &json!(100.0))
    );
    let is_running = |status: &Value| status["state"] == "running";
    let (sent, by_canary) = drive(&app, Duration::from_secs(50), is_running);
    assert_eq!(
        (by_canary, events(&app)),
        (0, ["initialized", "canary_deployed", "held"].map(str::to_owned).to_vec())
    );
    assert!(sent < 2000, "it took {sent} requests");
    let status = app.status();
    assert_eq!(
        (&status["state"], &status["health"]["status"]),
        (&json!("paused"), &json!("warning"))
    );
    let why = status["report"]["why"].as_str().unwrap();
    for said in
        ["hadow_score 0.", " sd (+0.", " above stable (tolerated ±0.2", "of the labels flip"]
    {
        assert!(why.contains(said), "{said}: {why}");
    }
    app.promote_canary().assert_refused(
        refused(409, "paused", &[]),
        "/admin/promote-canary",
        "held",
    );
    // A person accepts the shift: the rollout reaches users, is not held again although their scores show the same
    // shift, and ends with the promotion.
    app.post("/admin/resume-canary", &json!({})).done();
    drive(&app, Duration::from_secs(50), |status| is_under_way(status) && is_running(status));
    assert_eq!(app.status()["stable"]["version"], "shifted", "{:?}", events(&app));
    assert_eq!(events(&app).iter().filter(|event| *event == "held").count(), 1);
}

#[test]
fn a_retrained_model_passes_its_shadow_and_is_promoted() {
    let app = TestApp::spawn();
    deploy(&app, "model_v2.bin");
    drive(&app, Duration::from_secs(50), is_under_way);
    let status = app.status();
    assert_eq!(status["stable"]["version"], "model_v2", "{status}");
    let advanced = "advanced";
    assert_eq!(events(&app), ["initialized", "canary_deployed", advanced, advanced, "promoted"]);
    let journal = app.history();
    let metrics = &journal[2]["judgement"]["sequential"]["conclusion"]["metrics"];
    for metric in metrics.as_array().unwrap().iter().skip(5).take(3) {
        assert_eq!(metric["classification"], "pass", "{metric}");
    }
}

#[test]
fn without_pairs_the_shadow_step_does_not_end() {
    let app = TestApp::spawn();
    deploy(&app, "model_v2.bin");
    std::thread::sleep(Duration::from_millis(600));
    let next = &app.status()["rollout"]["plan"];
    assert_eq!((&next["position"], &next["next"]), (&json!(1), &json!("wait")));
    let reasons = next["reasons"].to_string();
    assert!(reasons.contains("the canary has 0 of 50 shadow requests"), "{reasons}");
    assert!(reasons.contains("shadow_score: 0 pairs in shadow"), "{reasons}");
}

#[test]
fn a_canary_that_panics_in_shadow_is_rolled_back_and_fails_no_request() {
    let app = Setup::new().model("bad.bin", Misbehavior::Panic.artifact()).spawn();
    let mut plan = plan();
    // With a look every hour, only the trigger can roll back.
    (plan["look"], plan["deadline"]) = (json!("1h"), json!("24h"));
    app.deploy_canary_with(&json!({ "model_path": "bad.bin", "plan": plan })).done();
    let (_, by_canary) = drive(&app, Duration::from_secs(50), is_under_way);
    let status = app.status();
    let reason = status["last_rollout"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("a trigger fired: 10 of the canary's last 64"), "{reason}");
    assert_eq!((by_canary, &status["tracks"]["canary"]["failures"]), (0, &json!(0)));
}

#[test]
fn a_person_starts_and_ends_a_shadow() {
    let app = TestApp::spawn();
    let body = json!({ "model_path": "model_v2.bin", "shadow_percent": 100 });
    let status = app.deploy_canary_with(&body).done();
    assert_eq!(status["traffic_percent"], 0.0);
    (0..200).for_each(|number| assert_eq!(ask(&app, number)["model_used"], "stable"));
    let status = compared(&app, 200);
    let shadow = &status["shadow"];
    assert_eq!((&shadow["pairs"], &shadow["judged"]), (&json!(200), &json!(true)), "{shadow}");
    assert!(shadow["agreement_rate"].as_f64().unwrap() > 0.9, "{shadow}");
    assert!(shadow["canary"]["p99_ms"].as_f64().unwrap() > 0.0, "{shadow}");
    let worst = app.get("/admin/disagreements").done();
    let worst = worst["disagreements"].as_array().unwrap();
    assert_eq!(worst.len(), 10);
    assert_eq!(worst[0]["difference"], shadow["largest_difference"]);
    assert!(worst[0]["features"]["tenure_years"].is_f64(), "{}", worst[0]);

    app.set_traffic(10).done();
    let status = app.status();
    assert_eq!((&status["traffic_percent"], &status["shadow"]), (&json!(10.0), &Value::Null));
    let last = app.history().pop().unwrap();
    assert_eq!(last["sentence"], "rollout 1: the canary gets 10 % of the traffic");
    let both = json!({ "percent": 10, "shadow_percent": 50 });
    app.post("/admin/set-traffic", &both).done();
    assert_eq!(app.status()["shadow"]["percent"], 50.0);
    let last = app.history().pop().unwrap();
    let sentence = "rollout 1: the canary gets 10 % of the traffic and 50 % of stable's requests as shadow traffic";
    assert_eq!(last["sentence"], sentence);
}

#[test]
fn a_shadow_continues_after_a_restart() {
    let app = TestApp::spawn_durable();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "shadow_percent": 50 })).done();
    (0..200).for_each(|number| drop(ask(&app, number)));
    let before = compared(&app, 100)["shadow"].clone();
    let app = app.restart();
    assert_eq!(app.status()["shadow"], before);
    (0..200).for_each(|number| drop(ask(&app, number)));
    compared(&app, 200);
}

#[test]
fn recent_requests_are_replayed_in_shadow() {
    let setup = Setup::new().given(|given| {
        given.recent_requests.capacity = 1000;
        given.shadow.redact = vec!["late_payment_share".to_owned()];
        given.workers = 1;
    });
    let app = setup.spawn();
    (0..300).for_each(|number| drop(ask(&app, number)));
    let none = app.post("/admin/replay-recent", &json!({}));
    none.assert_refused(refused(409, "no_canary", &["deploy"]), "/admin/replay-recent", "{}");
    let policy = json!({ "metrics": [{ "name": "shadow_score" }] });
    let body = json!({ "model_path": "model_v2.bin", "traffic_percent": 0, "policy": policy });
    app.deploy_canary_with(&body).done();
    let answer = app.post("/admin/replay-recent", &json!({})).done();
    let expected = json!({ "rollout": 1, "kept": 300, "queued": 300, "already_compared": 0 });
    assert_eq!(answer, expected);
    let start = Instant::now();
    while app.status()["shadow"]["pairs"] != 300 {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", app.status()["shadow"]);
        std::thread::sleep(Duration::from_millis(5));
    }
    let again = app.post("/admin/replay-recent", &json!({})).done();
    assert_eq!((&again["queued"], &again["already_compared"]), (&json!(0), &json!(300)));
    let worst = app.get("/admin/disagreements").done();
    assert_eq!(worst["redacted"], json!(["late_payment_share"]));
    assert!(!worst["disagreements"].to_string().contains("late_payment_share"), "{worst}");
    let found = app.settled_health();
    let metrics = found["sequential"]["metrics"].as_array().unwrap();
    assert_eq!((metrics.len(), &metrics[5]["samples"]["canary"]), (6, &json!(300)));
}

#[test]
fn an_invalid_shadow_is_refused_with_its_field() {
    let app = TestApp::spawn();
    let with = |field: &str, value: Value| {
        let mut body = json!({ "model_path": "model_v2.bin" });
        body[field] = value;
        body
    };
    let shadow_score = json!({ "metrics": [{ "name": "shadow_score" }] });
    let mut everything = with("shadow_percent", json!(1));
    everything["traffic_percent"] = json!(100);
    let mut planned = with("plan", plan());
    planned["shadow_percent"] = json!(50);
    for (body, named) in [
        (with("shadow_percent", json!(101)), "shadow_percent: 101"),
        (with("shadow_percent", json!(0.001)), "finer than 0.01"),
        (everything, "shadow_percent: 1 is out of range"),
        (planned, "shadow_percent is only for mode manual"),
        (with("policy", shadow_score), "metrics.shadow_score: judged in shadow"),
        (with("steps", json!([{ "weight": 0 }])), "no step sends users to the canary"),
    ] {
        let refusal = refused(422, "invalid_body", std::slice::from_ref(&named));
        let reply = app.deploy_canary_with(&body);
        reply.assert_refused(refusal, "/admin/deploy-canary", &body.to_string());
    }
    app.deploy_canary().done();
    let off = app.post("/admin/replay-recent", &json!({}));
    off.assert_refused(
        refused(409, "recent_requests_off", &["capacity"]),
        "/admin/replay-recent",
        "{}",
    );
    let body = json!({ "percent": 100, "shadow_percent": 1 });
    let reply = app.post("/admin/set-traffic", &body);
    let refusal = refused(422, "invalid_body", &["shadow_percent"]);
    reply.assert_refused(refusal, "/admin/set-traffic", &body.to_string());
    assert_eq!(app.get("/admin/disagreements").done()["disagreements"], json!([]));
}
