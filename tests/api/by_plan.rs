//! Automatic rollouts: an equal canary advances and is promoted, a slow or failing one is rolled back, and no
//! answer fails.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::Misbehavior;
use crate::problem::refused;
use crate::shadow::varied;

/// Two short steps: some samples of each, and half a second.
fn short_plan() -> Value {
    json!({
        "steps": [{ "weight": 20, "bake": "500ms" }, { "weight": 50, "bake": "500ms" }],
        "warm_up": "0s", "min_samples": 50, "look": "100ms", "deadline": "60s", "cool_down": "1h",
    })
}

/// The same after a shadow.
fn plan_with_shadow() -> Value {
    let mut plan = short_plan();
    let steps = plan["steps"].as_array_mut().unwrap();
    steps.insert(0, json!({ "weight": 0, "bake": "200ms" }));
    plan
}

fn deploy(app: &TestApp, file: &str, plan: &Value) -> Value {
    app.deploy_canary_with(&json!({ "model_path": file, "plan": plan })).done()
}

#[track_caller]
fn refuses(app: &TestApp, body: &Value, status: u16, code: &str, named: &str) {
    let reply = app.deploy_canary_with(body);
    let expected = refused(status, code, std::slice::from_ref(&named));
    reply.assert_refused(expected, "/admin/deploy-canary", &body.to_string());
}

/// Sends predictions until the rollout ends or the time is up. Returns how many the canary answered.
fn drive(app: &TestApp, most: Duration) -> usize {
    let start = Instant::now();
    let mut by_canary = 0;
    while start.elapsed() < most && !app.status()["canary"].is_null() {
        by_canary += app.predict_times(50);
    }
    by_canary
}

fn events(app: &TestApp) -> Vec<String> {
    app.history().iter().map(|entry| entry["event"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_equal_canary_advances_and_is_promoted() {
    let app = TestApp::spawn();
    let deployed = deploy(&app, "model_v2.bin", &plan_with_shadow());
    assert!(!asks_for_approval(&deployed), "{deployed}");
    let status = app.status();
    assert_eq!(
        (&status["traffic_percent"], &status["rollout"]["mode"]),
        (&json!(0.0), &json!("automatic"))
    );
    assert_eq!(status["rollout"]["plan"]["position"], 1);
    let start = Instant::now();
    let mut customers = (0..).map(varied);
    while !app.status()["canary"].is_null() && start.elapsed() < Duration::from_secs(50) {
        for customer in customers.by_ref().take(50) {
            app.post("/predict", &json!({ "features": customer })).done();
        }
    }
    let status = app.status();
    assert_eq!(status["stable"]["version"], "model_v2", "{status}");
    let advanced = "advanced";
    assert_eq!(events(&app), ["initialized", "canary_deployed", advanced, advanced, "promoted"]);
    assert_eq!(status["last_rollout"]["outcome"], "promoted");
    let sentences: Vec<String> =
        app.history().iter().map(|entry| entry["sentence"].as_str().unwrap().to_owned()).collect();
    assert!(sentences[1].ends_with(", plan 0 %, 20 %, 50 %"), "{sentences:?}");
    assert!(sentences[3].contains("step 2 completed after "), "{sentences:?}");
    assert!(sentences[4].contains("is promoted by serin: every guardrail passes"), "{sentences:?}");
    assert!(!sentences[4].contains("may be missed"), "{sentences:?}");
}

/// Whether the answer to a deployment says that the promotion will need approval.
fn asks_for_approval(deployed: &Value) -> bool {
    deployed["notes"].to_string().contains("serin asks for your approval before it promotes")
}

#[test]
fn without_pairs_and_labels_a_plan_asks_a_person_before_it_promotes() {
    let app = TestApp::spawn();
    let deployed = deploy(&app, "model_v2.bin", &short_plan());
    assert!(asks_for_approval(&deployed), "{deployed}");
    let start = Instant::now();
    while app.status()["state"] != "awaiting_approval" {
        assert!(start.elapsed() < Duration::from_secs(50), "{}", app.status());
        app.predict_times(50);
    }
    // A person may still say no, so no gate opens yet.
    let verdict = app.get("/verdict").done();
    assert_eq!(verdict["verdict"], "hold", "{verdict}");
    assert!(verdict["reason"].as_str().unwrap().contains("approval"), "{verdict}");
    let events_before = ["initialized", "canary_deployed", "advanced", "approval_awaited"];
    assert_eq!(events(&app), events_before);
    let caveat =
        "no answer was compared with stable's or with a label, so wrong answers may be missed";
    let last = app.history().pop().unwrap();
    assert!(last["sentence"].as_str().unwrap().ends_with(caveat), "{last}");
    let report = &app.status()["report"];
    let why = report["why"].as_str().unwrap();
    assert!(why.starts_with("The step is over and every guardrail passes. No answer"), "{report}");
    // The share is exact over whole strata of twenty requests, and the step may have begun within the last fifty.
    let tracks = &app.status()["tracks"];
    let seen = ["stable", "canary"].map(|track| tracks[track]["requests"].as_u64().unwrap());
    app.predict_times((20 - seen.iter().sum::<u64>() as usize % 20) % 20);
    assert_eq!(app.predict_times(100), 50, "the canary keeps its share");
    app.resume_canary().done();
    drive(&app, Duration::from_secs(10));
    assert_eq!(app.status()["stable"]["version"], "model_v2");
    let last = app.history().pop().unwrap();
    assert!(last["sentence"].as_str().unwrap().ends_with(caveat), "{last}");
    // Who expects other answers is not asked.
    let expected = json!({
        "model_path": "model_v1.bin", "plan": short_plan(), "policy": { "expect_shift": true },
    });
    let deployed = app.deploy_canary_with(&expected).done();
    assert!(!asks_for_approval(&deployed), "{deployed}");
    drive(&app, Duration::from_secs(50));
    assert_eq!(app.status()["stable"]["version"], "model_v1", "{}", app.status());
}

#[test]
fn a_slow_canary_is_rolled_back_and_must_wait() {
    let app = TestApp::spawn();
    deploy(&app, "model_v2.bin", &short_plan());
    app.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 5 })).done();
    drive(&app, Duration::from_secs(50));
    let status = app.status();
    assert_eq!(status["stable"]["version"], "model_v1", "{status}");
    assert_eq!(status["last_rollout"]["outcome"], "rolled_back");
    let reason = status["last_rollout"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("latency "), "{reason}");
    assert_eq!(app.predict_times(100), 0);
    let again = json!({ "model_path": "model_v2.bin", "plan": short_plan() });
    refuses(&app, &again, 409, "quarantined", "quarantine");
    // The cool-down holds for plans, not for a manual rollout of another artifact.
    let other = json!({ "model_path": "model_v1.bin", "plan": short_plan() });
    refuses(&app, &other, 409, "cooling_down", "override_quarantine");
    app.deploy_canary_with(&json!({ "model_path": "model_v1.bin" })).done();
}

#[test]
fn a_failing_canary_is_rolled_back_at_once_and_no_answer_fails() {
    let app = Setup::new().model("bad.bin", Misbehavior::Panic.artifact()).spawn();
    // With a look every hour, only the trigger can roll back.
    let mut plan = short_plan();
    plan["look"] = json!("1h");
    plan["deadline"] = json!("24h");
    plan["triggers"] = json!({ "consecutive_failures": 10 });
    deploy(&app, "bad.bin", &plan);
    drive(&app, Duration::from_secs(50));
    let status = app.status();
    assert_eq!(status["canary"], Value::Null, "{status}");
    let reason = status["last_rollout"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("a trigger fired: 10 of the canary's last 64"), "{reason}");
    let last = app.history().pop().unwrap();
    assert_eq!((&last["event"], &last["by"]), (&json!("rolled_back"), &json!("automatic")));
    // The ten that tripped the breaker, and those in flight.
    let failed = &last["judgement"]["evidence"]["inputs"]["canary"]["failures"];
    assert!(failed.as_u64().is_some_and(|failed| (10..14).contains(&failed)), "{failed}");
}

#[test]
fn a_canary_above_its_latency_ceiling_is_rolled_back_after_eight_answers() {
    let app = TestApp::spawn();
    // With a look every hour, only the trigger can roll back.
    let mut plan = short_plan();
    plan["look"] = json!("1h");
    plan["deadline"] = json!("24h");
    plan["triggers"] = json!({ "p99_ceiling": "400ms" });
    deploy(&app, "model_v2.bin", &plan);
    // Below the ceiling the rollout continues.
    drive(&app, Duration::from_millis(200));
    assert_eq!(app.status()["canary"]["version"], "model_v2");
    app.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 450 })).done();
    drive(&app, Duration::from_secs(50));
    let status = app.status();
    assert_eq!(status["canary"], Value::Null, "{status}");
    assert_eq!(
        status["last_rollout"]["reason"],
        "a trigger fired: 8 of the canary's last 64 answers took longer than 400ms, the ceiling of its p99 \
         latency, with an injected delay of 450 ms"
    );
    let last = app.history().pop().unwrap();
    assert_eq!((&last["event"], &last["by"]), (&json!("rolled_back"), &json!("automatic")));
    assert_eq!(last["judgement"]["evidence"]["inputs"]["canary"]["failures"], 0);
    assert_eq!(app.predict_times(100), 0, "stable answers everything");
}

#[test]
fn without_traffic_nothing_is_promoted_and_the_deadline_ends_it() {
    let app = TestApp::spawn();
    let mut plan = short_plan();
    plan["deadline"] = json!("1500ms");
    deploy(&app, "model_v2.bin", &plan);
    let start = Instant::now();
    while !app.status()["canary"].is_null() && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let status = app.status();
    let reason = status["last_rollout"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("no verdict within"), "{status}");
    assert_eq!(status["stable"]["version"], "model_v1");
    assert_eq!(events(&app), ["initialized", "canary_deployed", "rolled_back"]);
    let last = app.history().pop().unwrap();
    let sentence = last["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("rollout 1 ended without a verdict (no verdict within"), "{last}");
    // Nothing is held against the canary: it can be deployed again at once.
    assert_eq!(status["last_rollout"]["outcome"], "no_verdict");
    assert_eq!(status["last_rollout"]["cool_down_until"], Value::Null);
    assert_eq!(status["quarantine"], json!({}));
    deploy(&app, "model_v2.bin", &short_plan());
}

#[test]
fn a_step_without_an_end_waits_for_a_person() {
    let app = TestApp::spawn();
    let mut plan = short_plan();
    plan["steps"] = json!([{ "weight": 20 }, { "weight": 50, "bake": "200ms" }]);
    let policy = json!({ "expect_shift": true });
    let body = json!({ "model_path": "model_v2.bin", "plan": plan, "policy": policy });
    let status = app.deploy_canary_with(&body).done();
    assert_eq!(status["state"], "running");
    let start = Instant::now();
    while app.status()["state"] != "awaiting_approval" {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", app.status());
        app.predict_times(20);
    }
    assert_eq!(events(&app), ["initialized", "canary_deployed", "approval_awaited"]);
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(app.status()["traffic_percent"], 20.0);
    app.resume_canary().done();
    drive(&app, Duration::from_secs(50));
    assert_eq!(app.status()["stable"]["version"], "model_v2");
}

#[test]
fn an_invalid_plan_is_refused_with_its_field() {
    let app = TestApp::spawn();
    let with = |plan: Value| json!({ "model_path": "model_v2.bin", "plan": plan });
    for (body, named) in [
        (with(json!({ "steps": [] })), "plan.steps: 0 entries"),
        (
            with(json!({ "steps": [{ "weight": 10 }, { "weight": 5 }] })),
            "plan.steps[1].weight: 5 %",
        ),
        (with(json!({ "template": "bold" })), "careful"),
        (with(json!({ "bake": "1h" })), "unknown field `bake`"),
        (
            json!({ "model_path": "model_v2.bin", "mode": "manual", "plan": short_plan() }),
            "a plan is only for mode automatic",
        ),
        (
            json!({ "model_path": "model_v2.bin", "mode": "automatic", "traffic_percent": 5 }),
            "traffic_percent is only for mode manual",
        ),
        (json!({ "model_path": "model_v2.bin", "mode": "bold" }), "automatic"),
    ] {
        refuses(&app, &body, 422, "invalid_body", named);
    }
    assert_eq!(app.status()["canary"], Value::Null);
}

#[test]
fn a_key_seen_in_the_warm_up_is_judged_once_after_it() {
    let app = TestApp::spawn();
    let mut plan = short_plan();
    plan["warm_up"] = json!("700ms");
    plan["steps"] = json!([{ "weight": 50, "bake": "10m" }, { "weight": 60, "bake": "10m" }]);
    plan["deadline"] = json!("1h");
    deploy(&app, "model_v2.bin", &plan);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2500) {
        for user in 0..40 {
            let body =
                json!({ "features": [0.5, 1.2, 0.8, 0.3, 1.1], "key": format!("user-{user}") });
            app.post("/predict", &body).done();
        }
    }
    let samples = &app.settled_status()["health"]["sequential"]["metrics"][0]["samples"];
    let of = |track: &str| samples[track].as_u64().unwrap();
    let judged = of("canary") + of("stable");
    // Each key once, however often it came. The one request that may be under way when the warm-up ends is left
    // out rather than counted twice.
    assert!((39..=40).contains(&judged), "{samples}");
}

/// A request of each of these users.
fn visits(app: &TestApp, users: std::ops::Range<u32>) {
    for user in users {
        let key = format!("user-{user}");
        let body = json!({ "features": [0.5, 1.2, 0.8, 0.3, 1.1], "key": key });
        app.post("/predict", &body).done();
    }
}

#[test]
fn a_plan_for_too_few_users_says_so_in_its_answer() {
    let app = TestApp::spawn();
    let start = Instant::now();
    // The rate of new users is known after some seconds.
    while start.elapsed() < Duration::from_secs(15) {
        visits(&app, 0..30);
        std::thread::sleep(Duration::from_millis(100));
    }
    let plan = json!({
        "steps": [{ "weight": 20, "bake": "1s" }], "warm_up": "0s", "deadline": "20s",
    });
    let deployed = deploy(&app, "model_v2.bin", &plan);
    let warned = |texts: &Value| -> Vec<String> {
        let warnings = texts.as_array().unwrap().iter();
        let texts = warnings.map(|text| text.as_str().unwrap().to_owned());
        texts.filter(|text| text.starts_with("too few users for this plan: ")).collect()
    };
    let warnings = warned(&deployed["notes"]);
    assert!(warnings.iter().any(|text| text.contains(": 30 came before it, ")), "{deployed}");
    assert_eq!(warned(&app.status()["warnings"]), warnings);
    app.rollback_canary().done();
    assert_eq!(app.status()["warnings"], Value::Null, "without the rollout nothing is to be said");
}

#[test]
fn a_step_is_judged_by_users_who_come_back() {
    let app = TestApp::spawn();
    let plan = json!({
        "steps": [{ "weight": 50, "bake": "25s" }, { "weight": 60, "bake": "500ms" }],
        "warm_up": "0s", "min_samples": 20, "look": "100ms", "deadline": "120s",
    });
    let policy = json!({ "expect_shift": true });
    let body = json!({ "model_path": "model_v2.bin", "plan": plan, "policy": policy });
    app.deploy_canary_with(&body).done();
    let mut users = 0;
    while app.status()["health"]["verdict"] != "promote" {
        visits(&app, users..users + 100);
        users += 100;
        assert!(users < 20_000, "{}", app.status());
    }
    let start = Instant::now();
    // The same users come back, through the second step, in which each of their visits is judged.
    while !app.status()["canary"].is_null() && start.elapsed() < Duration::from_secs(80) {
        visits(&app, 0..100);
    }
    assert_eq!(app.status()["last_rollout"]["outcome"], "promoted", "{}", app.status());
}
