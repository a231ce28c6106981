//! Assignment by key (in the body or a header) and by a tester's header.

use serde_json::Value;
use serde_json::json;

use crate::client::CUSTOMER;
use crate::client::Reply;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::Misbehavior;
use crate::problem::refused;
use crate::raw;

const JSON: (&str, &str) = ("content-type", "application/json");

fn sticky() -> TestApp {
    Setup::new().given(|given| given.sticky_header = Some("X-User-Id".to_owned())).spawn()
}

fn deploy(app: &TestApp, percent: u32) {
    let body = json!({ "model_path": "model_v2.bin", "traffic_percent": percent });
    app.deploy_canary_with(&body).done();
}

fn with_header(app: &TestApp, name: &str, value: &str, body: &Value) -> Reply {
    app.post_with("/predict", body.to_string().as_bytes(), &[JSON, (name, value)])
}

fn row() -> Value {
    json!({ "features": CUSTOMER })
}

/// The tracks of the first users, by the header or by the body.
fn tracks(app: &TestApp, by_header: bool) -> Vec<bool> {
    let of = |n: u32| {
        let key = format!("user-{n}");
        let answer = if by_header {
            with_header(app, "x-user-id", &key, &row())
        } else {
            app.post("/predict", &json!({ "features": CUSTOMER, "key": key }))
        };
        answer.done()["model_used"] == "canary"
    };
    (0..100).map(of).collect()
}

#[test]
fn a_user_stays_on_the_canary_until_the_rollback() {
    let app = sticky();
    deploy(&app, 5);
    let mut before = tracks(&app, true);
    for percent in [10, 25, 50, 100] {
        app.set_traffic(percent).done();
        let now = tracks(&app, true);
        let moved_back = before.iter().zip(&now).filter(|(before, now)| **before && !**now).count();
        assert_eq!(moved_back, 0, "{percent} %");
        assert!(now.iter().filter(|it| **it).count() >= before.iter().filter(|it| **it).count());
        before = now;
    }
    assert_eq!(before, [true; 100]);
    app.rollback_canary().done();
    assert_eq!(tracks(&app, true), [false; 100]);
}

#[test]
fn the_key_in_the_body_has_precedence_over_the_header() {
    let app = sticky();
    deploy(&app, 50);
    let by_body = tracks(&app, false);
    assert_eq!(tracks(&app, true), by_body);
    let (on, off) = (by_body.iter().position(|it| *it), by_body.iter().position(|it| !it));
    let (on, off) = (format!("user-{}", on.unwrap()), format!("user-{}", off.unwrap()));
    let body = json!({ "features": CUSTOMER, "key": on });
    assert_eq!(with_header(&app, "x-user-id", &off, &body).done()["model_used"], "canary");
    // An empty key means no key, in the body and in the header.
    let body = json!({ "features": CUSTOMER, "key": "" });
    assert_eq!(with_header(&app, "x-user-id", &on, &body).done()["model_used"], "canary");
    with_header(&app, "x-user-id", "", &row()).done();
    app.predict().done();
}

#[test]
fn a_header_that_is_not_a_valid_key_is_refused() {
    let app = sticky();
    let long = "x".repeat(257);
    let expected = refused(422, "invalid_body", &["header x-user-id: 257 bytes", "256"]);
    with_header(&app, "x-user-id", &long, &row()).assert_refused(expected, "/predict", "long");
    with_header(&app, "x-user-id", &long[1..], &row()).done();
    let head = b"POST /predict HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-user-id: \xff\xfe\r\n"
        .to_vec();
    let body = row().to_string();
    let head =
        [head, format!("content-length: {}\r\n\r\n{body}", body.len()).into_bytes()].concat();
    let expected = refused(422, "invalid_header", &["x-user-id", "UTF-8"]);
    raw::exchange(app.address, &head).assert_refused(expected, "/predict", "not UTF-8");
    // Without the setting the header is not read.
    let app = TestApp::spawn();
    with_header(&app, "x-user-id", &long, &row()).done();
}

#[test]
fn a_tester_gets_the_track_of_the_header_and_is_not_counted() {
    let app = Setup::new().given(|given| given.allow_track_header = true).spawn();
    deploy(&app, 10);
    app.predict_times(10);
    let before = app.standing();
    for (track, version) in [("canary", "model_v2"), ("stable", "model_v1")] {
        for body in [row(), json!({ "features": CUSTOMER, "key": "anna" })] {
            for _ in 0..15 {
                let answer = with_header(&app, "x-serin-track", track, &body).done();
                assert_eq!(
                    (&answer["model_used"], &answer["override"]),
                    (&json!(track), &json!(true))
                );
                assert_eq!(answer["model_version"], version);
            }
        }
    }
    assert_eq!(app.standing(), before, "no sample, no place of the split");
    assert_eq!(app.predict_times(190), 20 - by_canary(&before), "the split goes on where it was");
    assert_eq!(app.predict().done()["override"], Value::Null);
}

fn by_canary(status: &Value) -> usize {
    status["tracks"]["canary"]["requests"].as_u64().unwrap() as usize
}

#[test]
fn a_tester_gets_an_answer_from_a_failing_canary_and_trips_nothing() {
    let app = Setup::new()
        .model("bad.bin", Misbehavior::Panic.artifact())
        .given(|given| given.allow_track_header = true)
        .spawn();
    let plan = json!({ "steps": [{ "weight": 1, "bake": "1h" }], "look": "1h", "deadline": "24h" });
    app.deploy_canary_with(&json!({ "model_path": "bad.bin", "plan": plan })).done();
    for _ in 0..30 {
        let answer = with_header(&app, "x-serin-track", "canary", &row()).done();
        assert_eq!((&answer["model_used"], &answer["fallback"]), (&json!("stable"), &json!(true)));
    }
    let status = app.status();
    assert_eq!(status["canary"]["version"], "bad", "no trigger has heard of it");
    assert_eq!(status["breaker"]["consecutive_failures"], 0);
    assert_eq!(status["tracks"]["canary"]["requests"], 0);
}

#[test]
fn without_a_canary_a_tester_gets_stable_and_is_informed() {
    let app = Setup::new().given(|given| given.allow_track_header = true).spawn();
    let answer = with_header(&app, "x-serin-track", "canary", &row()).done();
    assert_eq!((&answer["model_used"], &answer["override"]), (&json!("stable"), &json!(true)));
    assert_eq!(answer["fallback"], false);
    let expected = refused(422, "invalid_header", &["x-serin-track", "blue", "stable or canary"]);
    let reply = with_header(&app, "x-serin-track", "blue", &row());
    reply.assert_refused(expected, "/predict", "a track that is none");
}

#[test]
fn a_header_with_two_different_values_is_refused() {
    let setup = Setup::new().given(|given| {
        given.allow_track_header = true;
        given.sticky_header = Some("x-user-id".to_owned());
    });
    let app = setup.spawn();
    for (name, one, two) in [("x-serin-track", "canary", "stable"), ("x-user-id", "anna", "bert")] {
        let [one, two] = [one, two].map(|value| format!("{name}: {value}"));
        let body = row().to_string();
        let json = "content-type: application/json";
        let ask = |second: &str| {
            let headers = [json, &one, second, "connection: close"];
            raw::request(app.address, "POST /predict", &headers, body.as_bytes())
        };
        let named = [name, "send it once"];
        ask(&two).assert_refused(refused(422, "invalid_header", &named), "/predict", name);
        // Some proxies repeat a header.
        ask(&one).done();
    }
}

#[test]
fn without_permission_the_track_header_is_ignored() {
    let app = TestApp::spawn();
    deploy(&app, 10);
    let canaries = |value: &str| {
        (0..100)
            .filter(|_| {
                with_header(&app, "x-serin-track", value, &row()).done()["model_used"] == "canary"
            })
            .count()
    };
    assert_eq!((canaries("canary"), canaries("blue")), (10, 10));
    assert_eq!(app.status()["tracks"]["canary"]["requests"], 20);
}
