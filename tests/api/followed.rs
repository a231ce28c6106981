//! Requests that carry a trace or an id: the answer repeats the id, and log lines name both.

use std::fs;
use std::path::Path;

use serde_json::Value;
use serde_json::json;

use crate::binary::Process;
use crate::client::CUSTOMER;
use crate::client::Client;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::process::folder;
use crate::raw;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ID: &str = "0b3f7a4e-6f7c";

fn headers() -> [(&'static str, &'static str); 3] {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    [("content-type", "application/json"), ("traceparent", parent), ("x-request-id", ID)]
}

#[test]
fn the_answer_repeats_the_id_of_the_request() {
    let app = TestApp::spawn();
    let body = json!({ "features": CUSTOMER }).to_string();
    let many = json!({ "instances": vec![CUSTOMER; 2000] }).to_string();
    for (path, body, status) in [
        ("/predict", &*body, 200),
        ("/predict", &*many, 200),
        ("/predict", "{", 400),
        ("/nope", "{}", 404),
        ("/livez", "{}", 405),
        ("/v2/models/model/infer", "{}", 422),
    ] {
        let reply = app.post_with(path, body.as_bytes(), &headers());
        assert_eq!((reply.status, reply.header("x-request-id")), (status, ID), "{path}");
        assert_eq!(reply.header("traceparent"), "", "the standard has no header for answers");
    }
    for id in ["two words", "é", &"x".repeat(129)] {
        let sent = [headers()[0], ("x-request-id", id)];
        let reply = app.post_with("/predict", body.as_bytes(), &sent);
        assert_eq!((reply.status, reply.header("x-request-id")), (200, ""), "{id}");
    }
    assert_eq!(app.predict().header("x-request-id"), "", "none was sent");
    let closed = Setup::new().given(|given| given.listen = "0.0.0.0:0".to_owned()).spawn();
    let refused = closed.post_with("/admin/pause-canary", b"", &headers());
    assert_eq!((refused.status, refused.header("x-request-id")), (403, ID));
}

#[test]
fn recorded_traces_are_exemplars_of_their_latency_in_openmetrics() {
    let app = TestApp::spawn();
    let body = json!({ "features": CUSTOMER }).to_string();
    let parent = |trace: char, flags| {
        format!("00-{}-00f067aa0ba902b7-{flags}", trace.to_string().repeat(32))
    };
    for (trace, flags) in [('a', "00"), ('b', "01")] {
        let sent = [headers()[0], ("traceparent", &*parent(trace, flags))];
        assert_eq!(app.post_with("/predict", body.as_bytes(), &sent).status, 200);
    }
    let accept = "accept: application/openmetrics-text;version=1.0.0";
    let open = raw::request(app.address, "GET /metrics", &[accept], b"").text;
    let found: Vec<&str> = open.lines().filter(|line| line.contains(" # {")).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("serin_prediction_duration_seconds_bucket{track=\"stable\""));
    let exemplar = found[0].split_once(" # ").unwrap().1;
    let parts: Vec<&str> = exemplar.split(' ').collect();
    assert_eq!(parts[0], format!("{{trace_id=\"{}\"}}", "b".repeat(32)));
    assert!(parts[1].parse::<f64>().unwrap() > 0.0 && parts[2].parse::<f64>().unwrap() > 1.7e9);
    assert!(!app.get("/metrics").text.contains("trace_id"), "the text format has none");
}

/// Starts a server with these arguments, hands over its client, and returns its log.
fn log(arguments: &[&str], act: impl FnOnce(&Client)) -> String {
    let folder = folder();
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let arguments = [&["--store", "memory:", "--drain-delay", "0s"], arguments].concat();
    let mut process = Process::start_logging(folder.path(), log, &arguments);
    act(&Client::new(process.address(folder.path()), None));
    assert_eq!(process.terminate().code(), Some(0));
    read(folder.path())
}

fn read(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap()
}

fn predict(client: &Client, key: &str) {
    let body = json!({ "features": CUSTOMER, "key": key }).to_string();
    assert_eq!(client.post_with("/predict", body.as_bytes(), &headers()).status, 200);
}

#[test]
fn a_detailed_log_has_a_line_for_each_request_with_its_trace_and_its_variant() {
    let text = log(&["--log", "debug"], |client| {
        predict(client, "customer-17");
        client.predict().done();
        assert_eq!(client.get("/v2/models/nope").status, 404);
        let body = json!({ "instances": vec![CUSTOMER; 2000] }).to_string();
        client.post_with("/predict", body.as_bytes(), &headers());
        client.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 100 }));
        predict(client, "customer-17");
    });
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(" answered ")).collect();
    assert_eq!(lines.len(), 6, "{text}");
    let first = lines[0];
    assert!(first.contains(&format!("request{{trace_id={TRACE} request_id={ID}")), "{first}");
    assert!(first.contains("POST /predict answered 200 in "), "{first}");
    for said in [
        "feature_flag.key=model",
        "feature_flag.provider.name=serin",
        "feature_flag.result.variant=stable",
        "feature_flag.result.reason=disabled",
        "feature_flag.context.id=",
    ] {
        assert!(first.contains(said), "{said}: {first}");
    }
    assert!(!lines[1].contains("trace_id") && !lines[1].contains("context.id"), "{}", lines[1]);
    assert!(lines[2].contains("GET /v2/models/{model} answered 404"), "{}", lines[2]);
    assert!(lines[3].contains("feature_flag.result.variant=stable"), "a large one: {}", lines[3]);
    let last = lines[5];
    for said in ["variant=canary", "reason=split", "feature_flag.version=1"] {
        assert!(last.contains(said), "{said}: {last}");
    }
    assert!(!text.contains("customer-17"), "a key is not in the log: {text}");
}

#[test]
fn warnings_name_the_request_whatever_the_level_and_the_format() {
    let token = ["--log", "warn", "--admin-token", "correct-horse-battery-staple"];
    let refused = |client: &Client| {
        assert_eq!(client.post_with("/admin/pause-canary", b"", &headers()).status, 401);
        predict(client, "customer-17");
    };
    let text = log(&token, refused);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(&format!("request{{trace_id={TRACE} request_id={ID}}}: ")), "{text}");
    assert!(text.contains("refused: "), "{text}");
    let text = log(&[&token[..], &["--log-format", "json"]].concat(), refused);
    let line: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(
        (&line["span"]["trace_id"], &line["span"]["request_id"]),
        (&json!(TRACE), &json!(ID))
    );
}
