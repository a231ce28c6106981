//! Bad bodies, queries and headers of /admin are refused with field, value and remedy.

use serde_json::json;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::Misbehavior;
use crate::problem::Refused;
use crate::problem::refused;

const DEPLOY: &str = "/admin/deploy-canary";
const TRAFFIC: &str = "/admin/set-traffic";
const SLOWDOWN: &str = "/admin/toggle-slowdown";
const PROMOTE: &str = "/admin/promote-canary";
const ROLLBACK: &str = "/admin/rollback-canary";
const PAUSE: &str = "/admin/pause-canary";
const RESUME: &str = "/admin/resume-canary";

/// Posts each body, first without and then with a canary. Nothing may change.
fn assert_all_refused(cases: &[(&str, &str, &str, Refused<'_>)]) {
    let app = TestApp::spawn();
    for _ in 0..2 {
        let before = app.standing();
        for (path, body, description, expected) in cases {
            app.post_text(path, body).assert_refused(*expected, path, description);
        }
        assert_eq!(app.standing(), before);
        if before["canary"].is_null() {
            app.deploy_canary().done();
        }
    }
    app.predict_times(10);
}

#[test]
fn a_command_that_is_not_json_or_has_another_shape_is_refused() {
    let syntax = |named| refused(400, "invalid_json", named);
    let shape = |named| refused(422, "invalid_body", named);
    let empty = |named| refused(400, "empty_body", named);
    assert_all_refused(&[
        (DEPLOY, "", "an empty deploy", empty(&["model_path"])),
        (TRAFFIC, "", "an empty set-traffic", empty(&["percent"])),
        (DEPLOY, "{", "truncated", syntax(&["EOF"])),
        (DEPLOY, "{}", "no path", shape(&["model_path"])),
        (DEPLOY, "null", "null", shape(&[])),
        (DEPLOY, r#"["model_v2.bin", null, null, null, null, true]"#, "an array", shape(&[])),
        (DEPLOY, r#"{"model_path": 5}"#, "a number for a path", shape(&["5", "text in quotes"])),
        (
            DEPLOY,
            r#"{"model_path": "model_v2.bin", "traffic": 5}"#,
            "an unknown field",
            shape(&["`traffic`", "`traffic_percent`"]),
        ),
        (
            DEPLOY,
            r#"{"model_path": "model_v1.bin", "model_path": "model_v2.bin"}"#,
            "a field twice",
            shape(&["duplicate", "model_path"]),
        ),
        (TRAFFIC, "{}", "no percent", shape(&["percent"])),
        (TRAFFIC, "[25]", "an array", shape(&[])),
        (SLOWDOWN, "[]", "an empty array", shape(&[])),
        (SLOWDOWN, "[true, 25]", "an array", shape(&[])),
        (SLOWDOWN, r#"{"enabled": "yes"}"#, "a text for a bool", shape(&["yes", "true or false"])),
        (SLOWDOWN, r#"{"on": true}"#, "an unknown field", shape(&["`on`", "`enabled`"])),
        (PROMOTE, r#"[true, "because"]"#, "an array", shape(&[])),
        (PROMOTE, r#"{"force": 1}"#, "a number for a bool", shape(&["1", "true or false"])),
        (PROMOTE, r#"{"forced": true}"#, "an unknown field", shape(&["`forced`", "`force`"])),
        (ROLLBACK, "[]", "an array", shape(&[])),
        (ROLLBACK, r#"{"quarantine": "no"}"#, "a text for a bool", shape(&["no", "true or false"])),
        (ROLLBACK, r#"{"reason": 7}"#, "a number for a reason", shape(&["7", "text in quotes"])),
        (PAUSE, r#"{"reason": "x"}"#, "a field where none is", shape(&["`reason`"])),
        (RESUME, "[]", "an array", shape(&[])),
        (RESUME, "x", "a word", syntax(&["line 1 column 1"])),
    ]);
}

#[test]
fn a_value_out_of_its_range_is_refused() {
    let range = |named| refused(422, "invalid_body", named);
    let deploys = [
        (r#""traffic_percent": -1"#, range(&["percent", "-1", "0 to 100"])),
        (r#""traffic_percent": 101"#, range(&["percent", "101", "0 to 100"])),
        (r#""traffic_percent": 100.001"#, range(&["percent", "100.001", "0 to 100"])),
        (r#""traffic_percent": 0.001"#, range(&["percent", "0.001", "two decimals"])),
        (r#""traffic_percent": "10""#, range(&["\"10\"", "a number"])),
        (r#""traffic_percent": NaN"#, refused(400, "invalid_json", &["line 1 column"])),
        (r#""traffic_percent": 1e999"#, refused(400, "invalid_json", &["out of range"])),
        (r#""bake": "soon""#, range(&["bake", "soon", "1h 30m"])),
        (r#""bake": "-1h""#, range(&["bake", "-1h", "0s"])),
        (r#""bake": "9999h""#, range(&["bake", "9999h", "720h"])),
        (r#""bake": """#, range(&["bake"])),
        (r#""bake": "10""#, range(&["bake", "\"10\""])),
        (r#""bake": 3600"#, range(&["3600", "text in quotes"])),
        (r#""mode": "sometimes""#, range(&["automatic", "manual"])),
        (r#""mode": "Manual""#, range(&["Manual", "manual"])),
        (r#""steps": [10, 50]"#, range(&["10", "a step like {\"weight\": 5"])),
        (r#""policy": {"metric": []}"#, range(&["`metric`", "metrics"])),
        (r#""policy": {"promote_score": 0}"#, range(&["promote_score: 0", "at most 100"])),
        (r#""policy": {"metrics": [{"name": "a b"}]}"#, range(&["a b", "1 to 64"])),
        (r#""policy": {"metrics": [{"name": "clicks"}]}"#, range(&["clicks", "harm"])),
        (
            r#""policy": {"metrics": [{"name": "latency", "weight": -1}]}"#,
            range(&["metrics.latency.weight: -1", "more than 0"]),
        ),
        (
            r#""policy": {"metrics": [{"name": "latency", "role": "boss"}]}"#,
            range(&["boss", "guardrail"]),
        ),
    ];
    let long = "r".repeat(1001);
    let long_reason = format!(r#""reason": "{long}""#);
    let reason = (long_reason.as_str(), range(&["reason", "1001", "at most 1000"]));
    let line = (r#""reason": "one\ntwo""#, range(&["reason", "one line"]));
    let app = TestApp::spawn();
    let before = app.standing();
    for (field, expected) in deploys.into_iter().chain([reason, line]) {
        let body = format!(r#"{{"model_path": "model_v2.bin", {field}}}"#);
        app.post_text(DEPLOY, &body).assert_refused(expected, DEPLOY, field);
    }
    assert_eq!(app.standing(), before);

    let long_rollback = format!(r#"{{"reason": "{long}"}}"#);
    let long_promote = format!(r#"{{"reason": "{long}", "force": true}}"#);
    app.deploy_canary().done();
    let before = app.standing();
    for (path, body, expected) in [
        (TRAFFIC, r#"{"percent": -0.01}"#, range(&["percent", "-0.01", "0 to 100"])),
        (TRAFFIC, r#"{"percent": 100.01}"#, range(&["percent", "100.01", "0 to 100"])),
        (TRAFFIC, r#"{"percent": 12.345}"#, range(&["percent", "12.345", "two decimals"])),
        (TRAFFIC, r#"{"percent": "25"}"#, range(&["\"25\""])),
        (TRAFFIC, r#"{"percent": null}"#, range(&["null"])),
        (SLOWDOWN, r#"{"delay_ms": 60001}"#, range(&["delay_ms", "60001", "0 to 60000"])),
        (SLOWDOWN, r#"{"delay_ms": -1}"#, range(&["-1"])),
        (SLOWDOWN, r#"{"delay_ms": 1.5}"#, range(&["1.5"])),
        (SLOWDOWN, r#"{"delay_ms": 4294967296}"#, range(&["4294967296"])),
        (SLOWDOWN, r#"{"delay_ms": "25"}"#, range(&["\"25\""])),
        (ROLLBACK, &long_rollback, range(&["reason", "1001", "at most 1000"])),
        (PROMOTE, &long_promote, range(&["reason", "1001", "at most 1000"])),
    ] {
        app.post_text(path, body).assert_refused(expected, path, body);
    }
    assert_eq!(app.standing(), before);
}

#[test]
fn an_invalid_query_of_history_is_refused() {
    // With a file, because SQLite's integers are signed and those in memory are not.
    let app = TestApp::spawn_durable();
    for (query, named) in [
        ("limit=-1", &["limit"][..]),
        ("limit=1001", &["limit: 1001", "0 to 1000"]),
        ("limit=ten", &["limit"]),
        ("limit=1.5", &["limit"]),
        ("limit=", &["limit"]),
        ("limit=99999999999999999999999", &["limit"]),
        ("after=-1", &["after"]),
        ("after=x", &["after"]),
        ("page=2", &["`page`", "`limit`"]),
        ("limit=1&limit=2", &["limit"]),
    ] {
        let reply = app.get(&format!("/admin/history?{query}"));
        reply.assert_refused(refused(400, "invalid_query", named), "/admin/history", query);
    }
    for query in
        ["after=9223372036854775807", "after=9223372036854775808", "after=18446744073709551615"]
    {
        let page = app.get(&format!("/admin/history?{query}")).done();
        assert_eq!(page["entries"], json!([]), "{query}");
    }
}

#[test]
fn an_invalid_or_old_revision_is_refused() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    let before = app.standing();
    let none = |named| refused(400, "invalid_if_match", named);
    let other = |named| refused(412, "revision_changed", named);
    for (value, expected) in [
        ("garbage", none(&["garbage", "ETag"])),
        ("", none(&["ETag"])),
        ("\"\"", none(&["ETag"])),
        ("W/2x", none(&["W/2x", "ETag"])),
        ("W/\"1\"", other(&["revision 2", "not 1"])),
        ("\"1\", \"2\"", none(&["ETag"])),
        ("-2", none(&["-2"])),
        ("99999999999999999999999", none(&["99999999999999999999999"])),
        ("\"1\"", other(&["revision 2", "not 1", "retry"])),
        ("\"3\"", other(&["revision 2", "not 3"])),
        ("0", other(&["revision 2", "not 0"])),
    ] {
        for path in [ROLLBACK, PROMOTE, PAUSE, SLOWDOWN] {
            let reply = app.post_with(path, b"", &[("if-match", value)]);
            reply.assert_refused(expected, path, &format!("{value:?} at {path}"));
        }
    }
    assert_eq!(app.standing(), before);
}

#[test]
fn a_model_that_fails_in_its_warm_up_is_not_deployed() {
    let app = Setup::new().model("cold.bin", Misbehavior::Cold.artifact()).spawn();
    let before = app.standing();
    let reply = app.deploy_canary_with(&json!({ "model_path": "cold.bin" }));
    let named = &["cold.bin", "on purpose", "not deployed"];
    reply.assert_refused(refused(422, "warm_up_failed", named), DEPLOY, "a cold start");
    assert_eq!(app.standing(), before);
}
