//! Open Inference Protocol v2: what its clients ask and send, and that its answers are those of /predict.

use serde_json::Value;
use serde_json::json;
use serin::http::settings::UnknownFields;

use crate::client::CUSTOMER;
use crate::client::Client;
use crate::client::Reply;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::predict::NAMES;
use crate::raw;
use crate::trained_classes;

const INFER: &str = "/v2/models/model/infer";

fn matrix(rows: &[[f64; 5]]) -> Value {
    json!({ "inputs": [
        { "name": "x", "shape": [rows.len(), 5], "datatype": "FP64", "data": rows.concat() },
    ] })
}

/// The values of an output.
fn output(answer: &Value, name: &str) -> Value {
    let outputs = answer["outputs"].as_array().unwrap();
    outputs.iter().find(|output| output["name"] == name).unwrap()["data"].clone()
}

/// The members of the answers to these rows in /predict.
fn predicted(app: &Client, rows: &Value, member: &str) -> Value {
    let answer = app.post("/predict", &json!({ "instances": rows })).done();
    answer["predictions"].as_array().unwrap().iter().map(|row| row[member].clone()).collect()
}

/// `Inference-Header-Content-Length`, the JSON, and the bytes behind it.
fn infer_binary(app: &Client, json: &Value, raw: &[u8], more: &[(&str, &str)]) -> Reply {
    let json = json.to_string();
    let length = json.len().to_string();
    let mut headers = vec![("inference-header-content-length", length.as_str())];
    headers.extend(more);
    app.post_with(INFER, &[json.as_bytes(), raw].concat(), &headers)
}

#[test]
fn a_matrix_or_a_tensor_for_each_feature_is_answered_as_by_predict() {
    let app = TestApp::spawn();
    let rows = [CUSTOMER, [1.0, 0.5, 0.2, 0.9, 3.0], [4.0, 1.0, 1.5, 0.0, 0.0]];
    let right = predicted(&app, &json!(rows), "probability");
    let labels = predicted(&app, &json!(rows), "label");
    let flat = matrix(&rows);
    let nested = json!({ "id": "a1", "model_name": "x", "parameters": null, "inputs": [
        { "name": "x", "shape": [3, 5], "datatype": "FP64", "data": rows },
    ] });
    let column = |number: usize, shape: Value| {
        let values: Vec<f64> = rows.iter().map(|row| row[number]).collect();
        json!({ "name": NAMES[number], "shape": shape, "datatype": "FP64", "data": values })
    };
    let columns = [4, 2, 0, 1, 3].map(|number| column(number, json!([3, 1])));
    let flat_columns = [0, 1, 2, 3, 4].map(|number| column(number, json!([3])));
    for body in [flat, nested, json!({ "inputs": columns }), json!({ "inputs": flat_columns })] {
        let answer = app.post(INFER, &body).done();
        assert_eq!(output(&answer, "probability"), right, "{body}");
        assert_eq!(output(&answer, "label"), labels, "{body}");
        assert_eq!(answer["model_name"], "model");
        assert_eq!(answer["model_version"], "model_v1");
        assert_eq!(answer["id"], body["id"]);
        assert_eq!(answer["parameters"]["track"], "stable");
        assert_eq!(answer["parameters"]["fallback"], false);
        assert!(answer["parameters"]["prediction_id"].is_string());
        assert_eq!(answer["outputs"].as_array().unwrap().len(), 2, "{answer}");
        assert_eq!(answer["outputs"][0]["shape"], json!([3]));
    }
}

#[test]
fn binary_tensors_are_read_and_written_as_tritonclient_does() {
    let app = TestApp::spawn();
    let right = predicted(&app, &json!([CUSTOMER]), "probability");
    let bytes: Vec<u8> = CUSTOMER.iter().flat_map(|it| it.to_le_bytes()).collect();
    let input = json!({
        "name": "x", "shape": [1, 5], "datatype": "FP64", "parameters": { "binary_data_size": 40 },
    });
    let answer = infer_binary(&app, &json!({ "inputs": [input] }), &bytes, &[]).done();
    assert_eq!(output(&answer, "probability"), right);
    // As for a page: the type is named, and ignored otherwise.
    let kind = [("content-type", "application/octet-stream"), ("origin", "http://evil.example")];
    infer_binary(&app, &json!({ "inputs": [input] }), &bytes, &kind).done();

    let body = json!({ "inputs": [input], "parameters": { "binary_data_output": true } });
    let json = body.to_string();
    let length = format!("Inference-Header-Content-Length: {}", json.len());
    let sent = [json.as_bytes(), &bytes].concat();
    let mut stream = raw::connect(app.address);
    raw::send(&mut stream, &raw::written(app.address, &format!("POST {INFER}"), &[&length], &sent));
    let (head, body) = raw::receive_bytes(&mut stream);
    let json_bytes: usize = raw::header(&head, "inference-header-content-length").parse().unwrap();
    assert_eq!(raw::header(&head, "content-type"), "application/octet-stream");
    let answer: Value = serde_json::from_slice(&body[..json_bytes]).unwrap();
    assert_eq!(answer["outputs"][0]["parameters"]["binary_data_size"], 8);
    assert!(answer["outputs"][0]["data"].is_null());
    let raw = &body[json_bytes..];
    assert_eq!(raw.len(), 16, "a probability and a label");
    assert_eq!(json!(f64::from_le_bytes(raw[..8].try_into().unwrap())), right[0]);
    assert!(i64::from_le_bytes(raw[8..].try_into().unwrap()) <= 1);
}

#[test]
fn outputs_can_be_chosen_and_prediction_ids_take_labels() {
    let app = TestApp::spawn();
    let mut body = matrix(&[CUSTOMER, CUSTOMER]);
    body["outputs"] = json!([
        { "name": "prediction_id" },
        { "name": "label", "parameters": { "binary_data": false } },
    ]);
    let answer = app.post(INFER, &body).done();
    assert_eq!(answer["outputs"].as_array().unwrap().len(), 2);
    let ids = output(&answer, "prediction_id");
    assert_ne!(ids[0], ids[1]);
    for id in ids.as_array().unwrap() {
        let label = json!({ "prediction_id": id, "outcome": 1 });
        assert_ne!(app.post("/feedback", &label).status, 422, "{id}");
    }
    body["outputs"] = json!([{ "name": "probabilty" }]);
    refused(&app.post(INFER, &body), 422, &["outputs[0]", "did you mean `probability`"]);
}

#[test]
fn nan_is_a_missing_value_in_json_and_in_binary() {
    let app = TestApp::spawn();
    let row = json!([[null, 1.2, 0.8, 0.3, 1.1]]);
    let right = predicted(&app, &row, "probability");
    let text = matrix(&[CUSTOMER]).to_string().replace("0.5,", "NaN,");
    assert_eq!(output(&app.post_text(INFER, &text).done(), "probability"), right);
    let text = text.replace("NaN,", "null,");
    assert_eq!(output(&app.post_text(INFER, &text).done(), "probability"), right);
    let mut values = CUSTOMER;
    values[0] = f64::NAN;
    let bytes: Vec<u8> = values.iter().flat_map(|it| it.to_le_bytes()).collect();
    let input = json!({
        "name": "x", "shape": [1, 5], "datatype": "FP64", "parameters": { "binary_data_size": 40 },
    });
    let answer = infer_binary(&app, &json!({ "inputs": [input] }), &bytes, &[]).done();
    assert_eq!(output(&answer, "probability"), right);
}

#[test]
fn words_and_many_classes() {
    let app = trained_classes::spawn();
    let rows = json!([
        { "age": 30, "spent": 50, "channel": "web" },
        { "age": 40, "spent": 90, "channel": "shop" },
        { "age": null, "spent": 20, "channel": null },
    ]);
    let right = predicted(&app, &rows, "probabilities");
    let labels = predicted(&app, &rows, "label");
    let body = json!({ "inputs": [
        { "name": "channel", "shape": [3, 1], "datatype": "BYTES", "data": ["web", "shop", ""] },
        { "name": "age", "shape": [3, 1], "datatype": "FP64", "data": [30, 40, null] },
        { "name": "spent", "shape": [3, 1], "datatype": "INT32", "data": [[50], [90], [20]] },
    ] });
    let answer = app.post(INFER, &body).done();
    assert_eq!(output(&answer, "label"), labels);
    let tensor = &answer["outputs"][0];
    let classes = app.get("/v2/models/model").done()["outputs"][0]["parameters"]["classes"].clone();
    let classes = classes.as_array().unwrap();
    assert_eq!(tensor["shape"], json!([3, classes.len()]));
    let by_class = right
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| classes.iter().map(|class| row[class.as_str().unwrap()].clone()));
    assert_eq!(tensor["data"], by_class.collect::<Value>());
    let inputs = app.get("/v2/models/model").done()["inputs"].clone();
    assert_eq!(inputs[2], json!({ "name": "channel", "datatype": "BYTES", "shape": [-1, 1] }));
}

#[test]
fn metadata_and_readiness() {
    let app = TestApp::spawn();
    let server = app.get("/v2").done();
    assert_eq!((&server["name"], &server["version"]), (&json!("serin"), &json!("0.1.0")));
    assert_eq!(app.get("/v2/").done(), server);
    for path in ["/v2/health/live", "/v2/health/ready", "/v2/models/model/ready"] {
        assert_eq!(app.get(path).done()["ready"], true, "{path}");
    }
    assert_eq!(app.get("/v2/models").done(), json!({ "models": ["model"] }));
    let model = app.get("/v2/models/model").done();
    assert_eq!(model["versions"], json!(["model_v1"]));
    let names: Vec<&str> =
        model["inputs"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, NAMES);
    let outputs = model["outputs"].as_array().unwrap();
    assert_eq!(outputs[0], json!({ "name": "probability", "datatype": "FP64", "shape": [-1] }));
    assert_eq!(outputs[1], json!({ "name": "label", "datatype": "INT64", "shape": [-1] }));
    refused(&app.get("/v2/models/other"), 404, &["Model with name other does not exist."]);
    refused(&app.get("/v2/models/model/versions/model_v2"), 404, &["model_v2", "model_v1"]);
    app.deploy_canary().done();
    assert_eq!(app.get("/v2/models/model").done()["versions"], json!(["model_v1", "model_v2"]));
    app.get("/v2/models/model/versions/model_v2").done();
    assert_eq!(app.get("/v2/models/model/versions/model_v2/ready").done()["ready"], true);
}

#[test]
fn a_version_in_the_path_answers_alone_and_counts_for_nothing() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    let before = app.standing();
    for (version, track) in [("model_v1", "stable"), ("model_v2", "canary")] {
        for _ in 0..30 {
            let path = format!("/v2/models/model/versions/{version}/infer");
            let answer = app.post(&path, &matrix(&[CUSTOMER])).done();
            assert_eq!(answer["model_version"], version);
            assert_eq!(answer["parameters"]["track"], track);
            assert_eq!(answer["parameters"]["override"], true);
        }
    }
    assert_eq!(app.standing(), before);
    let path = "/v2/models/model/versions/model_v3/infer";
    refused(&app.post(path, &matrix(&[CUSTOMER])), 404, &["model_v3", "model_v1"]);
    app.set_traffic(50).done();
    let tracks = (0..40)
        .map(|_| app.post(INFER, &matrix(&[CUSTOMER])).done()["parameters"]["track"].clone());
    assert_eq!(
        tracks.filter(|track| *track == "canary").count(),
        20,
        "without a version the split draws"
    );
}

#[test]
fn a_key_in_the_parameters_keeps_its_track() {
    let app = TestApp::spawn();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 50 })).done();
    for number in 0..20 {
        let key = format!("customer-{number}");
        let by_predict = app.post("/predict", &json!({ "features": CUSTOMER, "key": key })).done();
        let mut body = matrix(&[CUSTOMER]);
        body["parameters"] = json!({ "key": key, "priority": 2, "timeout": 500_000, "own": true });
        let answer = app.post(INFER, &body).done();
        assert_eq!(answer["parameters"]["track"], by_predict["model_used"], "{key}");
    }
    let mut body = matrix(&[CUSTOMER]);
    body["parameters"] = json!({ "segments.region": "north" });
    refused(&app.post(INFER, &body), 422, &["region"]);
    body["parameters"] = json!({ "key": 17 });
    refused(&app.post(INFER, &body), 422, &["key", "text"]);
}

#[test]
fn the_repository_deploys_and_rolls_back() {
    let app = TestApp::spawn();
    let index =
        |app: &TestApp, body: &[u8]| app.post_with("/v2/repository/index", body, &[]).done();
    let files = index(&app, b"");
    let of = |files: &Value, version: &str| {
        let files = files.as_array().unwrap();
        files.iter().find(|it| it["version"] == version).unwrap().clone()
    };
    assert_eq!(of(&files, "model_v1")["state"], "READY");
    assert_eq!(of(&files, "model_v2")["state"], "UNAVAILABLE");
    assert_eq!(index(&app, br#"{"ready": true}"#).as_array().unwrap().len(), 1);
    let path = |version: &str, what: &str| format!("/v2/repository/models/{version}/{what}");
    let load = app.post_with(&path("model_v2", "load"), b"{}", &[]).done();
    assert_eq!(load["canary"]["version"], "model_v2");
    let revision = load["revision"].clone();
    assert_eq!(app.post_with(&path("model_v2", "load"), b"", &[]).done()["revision"], revision);
    assert_eq!(of(&index(&app, b""), "model_v2")["reason"], "canary");
    let unload = br#"{"parameters":{"unload_dependents":false}}"#;
    refused(&app.post_with(&path("model_v1", "unload"), unload, &[]), 409, &["model_v1"]);
    let unloaded = app.post_with(&path("model_v2", "unload"), unload, &[]).done();
    assert!(unloaded["canary"].is_null(), "{unloaded}");
    refused(&app.post_with(&path("model_v9", "load"), b"{}", &[]), 404, &["model_v9"]);
    let config = br#"{"parameters":{"config":"{}"}}"#;
    refused(&app.post_with(&path("model_v2", "load"), config, &[]), 422, &["config"]);
}

#[test]
fn the_repository_knows_a_version_by_its_file_and_by_the_name_of_the_model() {
    let model = std::fs::read(TestApp::spawn().models().join("model_v2.bin")).unwrap();
    let app = Setup::new().model("model.bin", model).spawn();
    let post = |path: &str| app.post(&format!("/v2/repository/models/{path}"), &json!({}));
    post("model_v1.bin/load").done();
    assert_eq!(app.status()["canary"], Value::Null, "stable is loaded");
    refused(&post("model_v1.bin/unload"), 409, &["stable answers"]);
    post("model/load").done();
    assert_eq!(app.status()["canary"]["version"], "model");
    post("model.bin/load").done();
    post("model/unload").done();
    assert_eq!(app.status()["canary"], Value::Null);
    refused(&post("model/unload"), 409, &["stable answers"]);
}

#[test]
fn an_output_is_sent_once() {
    let app = TestApp::spawn();
    let mut twice = matrix(&[CUSTOMER]);
    twice["outputs"] = json!([{ "name": "probability" }, { "name": "probability" }]);
    refused(&app.post(INFER, &twice), 422, &["outputs[1]", "asked for twice"]);
}

#[test]
fn the_repository_is_closed_as_admin_is() {
    let app = TestApp::spawn();
    let index = ("/v2/repository/index", b"".as_slice());
    for headers in [[("origin", "http://evil.example")], [("x-forwarded-for", "10.0.0.1")]] {
        refused(&app.post_with(index.0, index.1, &headers), 403, &[]);
    }
    let token = serin::cli::settings::Secret::try_from("a-token-of-the-test".to_owned()).unwrap();
    let app = Setup::new().given(|settings| settings.admin_token = Some(token)).spawn();
    refused(&raw::request(app.address, &format!("POST {}", index.0), &[], b""), 401, &["token"]);
    app.post_with(index.0, index.1, &[]).done();
}

#[test]
fn unknown_tensors_are_ignored_if_the_settings_say_so() {
    let strict = TestApp::spawn();
    let lenient = Setup::new().given(|given| given.unknown_fields = UnknownFields::Ignore).spawn();
    let column = |name: &str, value: f64| json!({ "name": name, "shape": [1], "datatype": "FP64", "data": [value] });
    let mut inputs: Vec<Value> =
        NAMES.iter().zip(CUSTOMER).map(|(name, value)| column(name, value)).collect();
    inputs.push(column("tenure_yeers", 1.0));
    let body = json!({ "inputs": inputs });
    refused(&strict.post(INFER, &body), 422, &["tenure_yeers", "did you mean `tenure_years`"]);
    lenient.post(INFER, &body).done();
}

#[test]
fn bad_requests_are_refused_in_the_form_of_the_protocol_and_count_for_nothing() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    let before = app.standing();
    let tensor = |change: Value| {
        let mut body = matrix(&[CUSTOMER]);
        for (name, value) in change.as_object().unwrap() {
            body["inputs"][0][name] = value.clone();
        }
        body.to_string()
    };
    let many: Vec<f64> = vec![0.0; 10_001];
    let id = "x".repeat(300);
    for (body, status, named) in [
        ("".to_owned(), 400, ["body is empty", "inputs"]),
        ("{".to_owned(), 400, ["invalid body", "EOF"]),
        ("[]".to_owned(), 422, ["array", "object"]),
        ("{}".to_owned(), 422, ["inputs", "missing"]),
        (r#"{"inputs": []}"#.to_owned(), 422, ["inputs is missing", "send"]),
        (r#"{"inputs": [{"name": "x"}]}"#.to_owned(), 422, ["inputs[0]", "shape"]),
        (tensor(json!({ "shape": [1, 4] })), 422, ["5 values", "[1, 4] has 4"]),
        (tensor(json!({ "shape": [2, 5] })), 422, ["5 values", "[2, 5] has 10"]),
        (tensor(json!({ "shape": [0, 5], "data": [] })), 422, ["0 rows", "1 to 10000"]),
        (tensor(json!({ "shape": [10_000_000, 5] })), 422, ["10000000 rows", "1 to 10000"]),
        (tensor(json!({ "shape": [10_001, 1], "data": many })), 422, ["10001 rows", "10000"]),
        (tensor(json!({ "shape": [usize::MAX, 5] })), 422, ["rows", "1 to 10000"]),
        (
            tensor(json!({ "shape": [2, usize::MAX] })),
            422,
            ["no model takes more than 400000", "inputs[0]"],
        ),
        (tensor(json!({ "shape": [-1, 5] })), 422, ["inputs[0].shape", "-1"]),
        (tensor(json!({ "shape": [1, 1, 5] })), 422, ["dimensions", "[rows, features]"]),
        (tensor(json!({ "shape": [] })), 422, ["shape []", "rows"]),
        (tensor(json!({ "datatype": "FP46" })), 422, ["FP46", "FP64"]),
        (tensor(json!({ "datatype": "INT64" })), 422, ["data[0]", "0.5 is not an integer"]),
        (tensor(json!({ "datatype": "BYTES" })), 422, ["data[0]", "0.5 is a number"]),
        (tensor(json!({ "data": [1, 2, 3, 4, true] })), 422, ["data[4]", "boolean"]),
        (tensor(json!({ "data": [1, 2, 3, 4, "5"] })), 422, ["data[4]", "text"]),
        (tensor(json!({ "data": [[1, 2], [3, 4, 5]] })), 422, ["inputs[0]", "nested"]),
        (tensor(json!({ "data": null })), 422, ["inputs[0]", "data is missing"]),
        (tensor(json!({ "parameters": { "binary_data_size": 40 } })), 422, ["data", "excludes"]),
        (
            tensor(json!({ "parameters": { "binary_data_size": 40 }, "data": null })),
            422,
            ["binary_data_size: 40", "0 bytes"],
        ),
        (tensor(json!({ "shape": [1, 4], "data": [1, 2, 3, 4] })), 422, ["4 values", "5"]),
        (tensor(json!({})).replace("0.5", "Infinity"), 400, ["Infinity at line 1", "NaN"]),
        (tensor(json!({})).replace("0.5", "1e999"), 400, ["number out of range", "column"]),
        (
            matrix(&[CUSTOMER]).to_string().replacen('{', &format!("{{\"id\": {id:?}, "), 1),
            422,
            ["id", "256"],
        ),
    ] {
        let reply = app.post_with(INFER, body.as_bytes(), &[]);
        refused(&reply, status, &named);
    }
    let infinite: Vec<u8> =
        [f64::INFINITY, 1.0, 1.0, 1.0, 1.0].iter().flat_map(|it| it.to_le_bytes()).collect();
    let input = |size: usize| json!({ "inputs": [{ "name": "x", "shape": [1, 5], "datatype": "FP64", "parameters": { "binary_data_size": size } }] });
    refused(&infer_binary(&app, &input(40), &infinite, &[]), 422, &["tenure_years", "inf"]);
    refused(&infer_binary(&app, &input(39), &infinite, &[]), 422, &["39 bytes", "5 values"]);
    refused(&infer_binary(&app, &input(40), &infinite[..30], &[]), 422, &["40", "30 bytes"]);
    refused(
        &infer_binary(&app, &input(40), &[&infinite[..], b"x"].concat(), &[]),
        422,
        &["1 bytes follow"],
    );
    for (header, named) in [("99999", "99999"), ("-1", "not a length"), ("x", "not a length")] {
        let headers = [("inference-header-content-length", header)];
        refused(&app.post_with(INFER, b"{}", &headers), 422, &[named]);
    }
    let twice = ["inference-header-content-length: 1", "inference-header-content-length: 2"];
    refused(&raw::request(app.address, &format!("POST {INFER}"), &twice, b"{}"), 422, &["once"]);
    for kind in [[("content-encoding", "gzip")], [("origin", "http://evil.example")]] {
        refused(&app.post_with(INFER, b"{}", &kind), 415, &[]);
    }
    refused(&app.get(INFER), 405, &["POST"]);
    refused(&app.get("/v2/x"), 404, &["/v2/x"]);
    refused(&app.post_with(INFER, &vec![b' '; 6 << 20], &[]), 413, &["--body-limit"]);
    assert_eq!(app.standing(), before);
}

#[test]
fn large_batches_are_answered_too() {
    let app = TestApp::spawn();
    let rows = vec![CUSTOMER; 10_000];
    let answer = app.post(INFER, &matrix(&rows)).done();
    let right = app.predict().done()["probability"].clone();
    let probabilities = output(&answer, "probability");
    assert_eq!(probabilities.as_array().unwrap().len(), 10_000);
    assert_eq!((&probabilities[0], &probabilities[9_999]), (&right, &right));
}

/// The reply must be an error in the protocol's form that names all of these.
#[track_caller]
fn refused(reply: &Reply, status: u16, named: &[&str]) {
    let body = &reply.body;
    assert_eq!(reply.status, status, "{body}");
    assert_eq!(reply.header("content-type"), "application/json", "{body}");
    let error = body["error"].as_str().unwrap_or_default();
    assert!(!error.is_empty(), "{body}");
    for name in named {
        assert!(error.contains(name), "{name:?} is not in {error:?}");
    }
}
