//! Gates: the verdict as Flagger and Argo Rollouts ask for it, in the forms of their sources.
//!
//! Flagger: `pkg/controller/webhook.go` (payload, answers), `pkg/apis/flagger/v1beta1/canary.go` (its fields).
//! Argo Rollouts: `metricproviders/webmetric/webmetric.go` (answers), `utils/evaluate/evaluate.go` (conditions).

use serde_json::Value;
use serde_json::json;

use crate::client::Client;
use crate::client::Reply;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::problem::refused;
use crate::raw;

const GATE: &str = "/hooks/flagger/gate";
const ROLLBACK: &str = "/hooks/flagger/rollback";
const EVENT: &str = "/hooks/flagger/event";

/// What Flagger posts for a hook with this metadata; without any, the member is left out.
fn payload(metadata: &Value) -> Value {
    let mut payload = json!({
        "name": "podinfo", "namespace": "test", "phase": "Progressing", "checksum": "85d557f47b",
    });
    if !metadata.is_null() {
        payload["metadata"] = metadata.clone();
    }
    payload
}

/// A hook as Flagger calls it: everything up to 202 is yes, and the body of anything else is its reason.
fn hook(client: &Client, path: &str, metadata: &Value) -> Result<(), String> {
    let reply = client.post(path, &payload(metadata));
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8", "{}", reply.text);
    assert_eq!(reply.text.lines().count(), 1, "{}", reply.text);
    // The others are repeated, and their reasons get lost.
    assert!(reply.status != 429 && reply.status < 500, "{}", reply.text);
    if reply.status > 202 { Err(reply.text) } else { Ok(()) }
}

/// A measurement as Argo Rollouts makes it: an answer below 200 or from 300 is an error.
fn measured(client: &Client, path: &str) -> &'static str {
    let reply = client.get(path);
    assert!((200..300).contains(&reply.status), "{}", reply.text);
    match at(&reply, "{$.verdict}") {
        Some(Value::String(word)) if word == "promote" => "Successful",
        Some(Value::String(word)) if word == "rollback" => "Failed",
        Some(Value::String(_)) => "Inconclusive",
        other => panic!("{other:?} in {}", reply.text),
    }
}

/// What a JSONPath of names finds.
fn at(reply: &Reply, path: &str) -> Option<Value> {
    let names = path.strip_prefix("{$")?.strip_suffix('}')?;
    reply.body.pointer(&names.replace('.', "/")).cloned()
}

/// Gate, rollback and measurement: `(yes, yes, phase)`.
fn asked(app: &Client, version: Option<&str>) -> (bool, bool, &'static str) {
    let (metadata, path) = match version {
        Some(name) => (json!({ "version": name }), format!("/verdict?version={name}")),
        None => (Value::Null, "/verdict".to_owned()),
    };
    let gate = hook(app, GATE, &metadata).is_ok();
    let rollback = hook(app, ROLLBACK, &metadata).is_ok();
    (gate, rollback, measured(app, &path))
}

const PASS: (bool, bool, &str) = (true, false, "Successful");
const FAIL: (bool, bool, &str) = (false, true, "Failed");
const OPEN: (bool, bool, &str) = (false, false, "Inconclusive");

/// A canary that may be promoted by hand as soon as the data allow it.
fn deployed() -> TestApp {
    let app = TestApp::spawn();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "bake": "0s" })).done();
    app
}

#[test]
fn without_a_canary_nothing_is_promoted_and_nothing_is_rolled_back() {
    let app = TestApp::spawn();
    assert_eq!(asked(&app, None), OPEN);
    assert_eq!(asked(&app, Some("model_v2")), OPEN);
    assert_eq!(asked(&app, Some("model_v1")), PASS, "it is stable");
    let why = hook(&app, GATE, &Value::Null).unwrap_err();
    assert!(why.starts_with("hold: There is no canary. "), "{why}");
    let why = hook(&app, GATE, &json!({ "version": "model_v2" })).unwrap_err();
    assert!(why.contains("model_v2 is neither the canary nor stable"), "{why}");
    let given = app.get("/verdict?version=model_v2").done();
    assert_eq!((&given["verdict"], &given["version"]), (&json!("hold"), &json!("model_v2")));
}

#[test]
fn a_healthy_canary_passes_once_it_may_be_promoted_and_after_it_was() {
    let app = deployed();
    assert_eq!(asked(&app, None), OPEN, "no request yet");
    app.predict_times(200);
    app.settled_health();
    assert_eq!(asked(&app, None), PASS);
    assert_eq!(asked(&app, Some("model_v2")), PASS);
    app.pause_canary().done();
    assert_eq!(asked(&app, None), OPEN, "only a person promotes a paused canary");
    app.resume_canary().done();
    app.promote_canary().done();
    assert_eq!(asked(&app, Some("model_v2")), PASS, "it is stable");
    assert_eq!(asked(&app, None), OPEN, "the last rollout may have been about something else");
}

#[test]
fn a_harmful_canary_is_rolled_back_with_the_sentence_of_the_status() {
    let app = deployed();
    app.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 5 })).done();
    app.predict_times(200);
    app.settled_health();
    assert_eq!(asked(&app, None), FAIL);
    let why = hook(&app, GATE, &json!({ "version": "model_v2" })).unwrap_err();
    let said = app.status()["report"]["why"].as_str().unwrap().to_owned();
    assert!(why.starts_with("rollback: model_v2 gets 10 % of the traffic. Latency "), "{why}");
    let words = |text: &str| text.split(' ').take(1).collect::<String>();
    assert_eq!(words(&said), "Latency", "{said}");
    app.rollback_canary_with(&json!({ "reason": "too slow for us" })).done();
    assert_eq!(asked(&app, Some("model_v2")), FAIL, "by the end of its rollout");
    assert_eq!(asked(&app, None), OPEN);
    let why = hook(&app, GATE, &json!({ "version": "model_v2" })).unwrap_err();
    assert!(why.starts_with("rollback: model_v2 was rolled back at "), "{why}");
    assert!(why.contains("too slow for us"), "{why}");
    app.deploy_canary().done();
    assert_eq!(asked(&app, Some("model_v2")), OPEN, "it gets another chance");
}

/// A gate asks again and again, so a test for one look would find something by chance.
#[test]
fn until_the_intended_duration_is_over_one_look_is_not_enough() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.predict_times(200);
    assert_eq!(app.settled_health()["verdict"], "promote");
    assert_eq!(asked(&app, None), OPEN);
    let why = hook(&app, GATE, &Value::Null).unwrap_err();
    assert!(why.contains("One look says promote, which counts in 1 h"), "{why}");
}

#[test]
fn a_check_may_take_a_verdict_that_is_still_open_for_a_yes() {
    let app = deployed();
    let hold = json!({ "hold": "yes" });
    assert_eq!(hook(&app, GATE, &hold), Ok(()), "nothing speaks against it");
    app.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 5 })).done();
    app.predict_times(200);
    app.settled_health();
    assert!(hook(&app, GATE, &hold).unwrap_err().starts_with("rollback: "));
}

#[test]
fn a_mistake_in_a_hook_is_no_and_named_in_one_line() {
    let app = deployed();
    for (path, metadata, named) in [
        (GATE, json!({ "versoin": "model_v2" }), "metadata.versoin"),
        (GATE, json!({ "hold": "perhaps" }), "metadata.hold"),
        (ROLLBACK, json!({ "hold": "yes" }), "metadata.hold"),
        (EVENT, json!({ "eventMessage": 1 }), "metadata.eventMessage"),
    ] {
        let why = hook(&app, path, &metadata).unwrap_err();
        assert!(why.contains(named), "{why}");
    }
    for body in ["", "{", "[]", "{}", r#"{"name": "podinfo"}"#, "null"] {
        for path in [GATE, ROLLBACK, EVENT] {
            let reply = app.post_text(path, body);
            assert!((400..429).contains(&reply.status), "{body} at {path}: {}", reply.text);
            assert_eq!(reply.text.lines().count(), 1, "{}", reply.text);
        }
    }
    let wrong = app.get("/verdict?versoin=model_v2");
    wrong.assert_refused(refused(400, "invalid_query", &["`versoin`"]), "/verdict", "a typo");
    for query in ["version=", "version=a&version=b"] {
        assert_eq!(app.get(&format!("/verdict?{query}")).status, 400, "{query}");
    }
    assert_eq!(app.get(GATE).status, 405);
}

#[test]
fn events_are_taken_with_the_metadata_of_their_hook() {
    let app = TestApp::spawn();
    let metadata = json!({
        "eventMessage": "Advance podinfo.test canary weight 5", "eventType": "Normal",
        "timestamp": "1753080000000", "environment": "test",
    });
    assert_eq!(hook(&app, EVENT, &metadata), Ok(()));
    assert_eq!(hook(&app, EVENT, &Value::Null), Ok(()));
    assert_eq!(app.history().len(), 1, "nothing of it is in the journal");
}

const ADMIN: &str = "correct-horse-battery-staple";
const READER: &str = "reads-metrics-and-verdicts";

#[test]
fn with_a_token_gates_need_it_or_that_of_metrics() {
    let app = Setup::new().given(|given| given.admin_token = Some(secret(ADMIN)));
    let app = app.given(|given| given.metrics_token = Some(secret(READER))).spawn();
    let stranger = Client::new(app.address, None);
    for path in [GATE, ROLLBACK, EVENT] {
        for metadata in [Value::Null, json!({ "token": "wrong" }), json!({ "version": "model_v2" })]
        {
            let reply = stranger.post(path, &payload(&metadata));
            assert_eq!(reply.status, 401, "{path}: {}", reply.text);
            assert!(reply.text.contains("`token` in the metadata"), "{}", reply.text);
            assert!(!reply.text.contains("wrong"), "{}", reply.text);
        }
        for token in [ADMIN, READER] {
            let reply = stranger.post(path, &payload(&json!({ "token": token })));
            assert_ne!(reply.status, 401, "{path}: {}", reply.text);
            let header = [("authorization", &*format!("Bearer {token}"))];
            let json = [header[0], ("content-type", "application/json")];
            let reply =
                stranger.post_with(path, payload(&Value::Null).to_string().as_bytes(), &json);
            assert_ne!(reply.status, 401, "{path}: {}", reply.text);
            assert!(!reply.text.contains(token), "{}", reply.text);
        }
    }
    let mistaken = stranger.post(GATE, &payload(&json!({ "token": READER, "versoin": "x" })));
    assert_eq!(mistaken.status, 422, "{}", mistaken.text);
    let expected = refused(401, "unauthorized", &["Authorization: Bearer"]);
    stranger.get("/verdict").assert_refused(expected, "/verdict", "no token");
    for token in [ADMIN, READER] {
        let reader = Client::new(app.address, Some(token));
        assert_eq!(measured(&reader, "/verdict"), "Inconclusive");
    }
    assert_eq!(Client::new(app.address, Some(READER)).get("/admin/status").status, 401);
}

#[test]
fn on_the_network_gates_are_closed_without_a_token() {
    let network = |given: &mut serin::cli::settings::Settings| {
        given.listen = "0.0.0.0:0".to_owned();
    };
    let app = Setup::new().given(network).spawn();
    assert_eq!(app.get("/verdict").status, 403);
    assert!(hook(&app, GATE, &Value::Null).unwrap_err().contains("--admin-token"));
    let app = Setup::new().given(network);
    let app = app.given(|given| given.metrics_token = Some(secret(READER))).spawn();
    assert_eq!(measured(&Client::new(app.address, Some(READER)), "/verdict"), "Inconclusive");
    assert!(hook(&app, GATE, &json!({ "token": READER })).unwrap_err().starts_with("hold"));
}

#[test]
fn the_token_of_metrics_alone_closes_the_verdict_too() {
    let app = Setup::new()
        .given(|settings| settings.metrics_token = Some(secret("only-for-metrics-and-gates")))
        .spawn();
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    for (token, status) in [("none", 401), ("only-for-metrics-and-gates", 200)] {
        let reply = raw::request(app.address, "GET /verdict", &[&bearer(token)], b"");
        assert_eq!(reply.status, status, "{}", reply.text);
        let answer = hook(&app, GATE, &json!({ "token": token })).unwrap_err();
        assert_eq!(answer.contains("token"), status == 401, "{answer}");
    }
    assert_eq!(app.get("/verdict").status, 401);
}

#[test]
fn an_unknown_version_keeps_no_gate_open_and_the_name_of_its_file_is_known() {
    let app = deployed();
    let gate = |version: &str| hook(&app, GATE, &json!({ "version": version, "hold": "yes" }));
    assert!(gate("model_v2").is_ok() && gate("model_v2.bin").is_ok());
    let refused = gate("model_v3").unwrap_err();
    assert!(refused.contains("model_v3 is neither the canary nor stable"), "{refused}");
}

#[test]
fn pages_of_other_sites_ask_no_gate() {
    let app = TestApp::spawn();
    let page = ["origin: http://evil.example", "content-type: application/json"];
    let body = payload(&Value::Null).to_string();
    for route in [GATE, ROLLBACK, EVENT].map(|path| format!("POST {path}")) {
        assert_eq!(raw::request(app.address, &route, &page, body.as_bytes()).status, 403);
    }
    assert_eq!(raw::request(app.address, "GET /verdict", &page, b"").status, 403);
}

fn secret(token: &str) -> serin::cli::settings::Secret {
    token.to_owned().try_into().unwrap()
}
