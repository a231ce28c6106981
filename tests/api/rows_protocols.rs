//! KServe v1 and MLflow: every form of rows is answered as by /predict.

use serde_json::Value;
use serde_json::json;
use serin::http::settings::UnknownFields;

use crate::client::CUSTOMER;
use crate::client::Client;
use crate::client::Reply;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::predict::NAMES;
use crate::trained_classes;

const V1: &str = "/v1/models/model:predict";
const MLFLOW: &str = "/invocations";
const ROWS: [[f64; 5]; 2] = [CUSTOMER, [1.0, 0.5, 0.2, 0.9, 3.0]];

/// The predictions without their ids.
fn predictions(answer: &Value) -> Vec<Value> {
    let mut predictions = answer["predictions"].as_array().unwrap().clone();
    predictions.iter_mut().for_each(|one| {
        one.as_object_mut().unwrap().remove("prediction_id");
    });
    predictions
}

fn predicted(app: &Client, rows: &Value) -> Vec<Value> {
    predictions(&app.post("/predict", &json!({ "instances": rows })).done())
}

fn by_name(row: &[f64; 5]) -> Value {
    NAMES.iter().zip(row).map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
}

fn csv(app: &Client, text: &str) -> Reply {
    app.post_with(MLFLOW, text.as_bytes(), &[("content-type", "text/csv")])
}

#[test]
fn every_form_is_answered_as_by_predict() {
    let app = TestApp::spawn();
    let right = predicted(&app, &json!(ROWS));
    let named = ROWS.each_ref().map(by_name);
    let column = |number: usize| json!(ROWS.map(|row| row[number]));
    let columns: Value = (0..5).map(|number| (NAMES[number].to_owned(), column(number))).collect();
    let nested: Value = (0..5)
        .map(|number| (NAMES[number].to_owned(), json!(ROWS.map(|row| [row[number]]))))
        .collect();
    let reversed: Vec<&str> = NAMES.iter().rev().copied().collect();
    let from_behind = ROWS.map(|mut row| {
        row.reverse();
        row
    });
    for (path, body) in [
        (V1, json!({ "instances": ROWS })),
        (V1, json!({ "instances": named, "signature_name": "serving_default" })),
        (V1, json!({ "inputs": ROWS })),
        (V1, json!({ "instances": ROWS, "parameters": { "key": "k", "confidence": 0.5 } })),
        (MLFLOW, json!({ "instances": ROWS })),
        (MLFLOW, json!({ "instances": named })),
        (MLFLOW, json!({ "inputs": ROWS })),
        (MLFLOW, json!({ "inputs": columns })),
        (MLFLOW, json!({ "inputs": nested, "params": { "threshold": 0.5 } })),
        (MLFLOW, json!({ "dataframe_records": named })),
        (MLFLOW, json!({ "dataframe_split": { "data": ROWS } })),
        (MLFLOW, json!({ "dataframe_split": { "columns": [0, 1, 2, 3, 4], "data": ROWS } })),
        (
            MLFLOW,
            json!({ "dataframe_split": { "index": [0, 1], "columns": reversed, "data": from_behind }}),
        ),
    ] {
        let answer = app.post(path, &body).done();
        assert_eq!(predictions(&answer), right, "{path} {body}");
        assert_eq!(answer["model_version"], "model_v1");
        assert!(answer["prediction_id"].is_string(), "{answer}");
    }
    let lines: Vec<String> =
        ROWS.iter().map(|row| row.map(|value| value.to_string()).join(",")).collect();
    let body = lines.join("\n");
    for text in [body.clone(), format!("{}\n{body}\n", NAMES.join(",")), format!("\u{feff}{body}")]
    {
        assert_eq!(predictions(&csv(&app, &text).done()), right, "{text}");
    }
}

#[test]
fn words_booleans_and_missing_values() {
    let app = trained_classes::spawn();
    let right = predicted(
        &app,
        &json!([
            { "age": 30, "spent": 1, "channel": "web" },
            { "age": null, "spent": 0, "channel": null },
        ]),
    );
    let split = r#"{"dataframe_split": {"index": [0, 1], "columns": ["age", "spent", "channel"],
        "data": [[30, true, "web"], [NaN, false, NaN]]}}"#;
    assert_eq!(predictions(&app.post_text(MLFLOW, split).done()), right);
    let records = r#"{"instances": [{"age": 30, "spent": 1, "channel": "web"},
        {"age": NaN, "spent": 0, "channel": NaN}]}"#;
    for path in [MLFLOW, V1] {
        assert_eq!(predictions(&app.post_text(path, records).done()), right);
        let booleans = records.replace(r#""spent": 1"#, r#""spent": true"#);
        let booleans = booleans.replace(r#""spent": 0"#, r#""spent": false"#);
        assert_eq!(predictions(&app.post_text(path, booleans).done()), right);
    }
    let by_position = r#"{"instances": [[30, true, "web"], [null, false, null]]}"#;
    assert_eq!(predictions(&app.post_text(V1, by_position).done()), right);
    for text in [
        "channel,age,spent\nweb,30,1\n,,0\n",
        "\"channel\",\"age\",\"spent\"\r\n\"web\",30,1.0\r\nNaN,NaN,0\r\n",
        "30,1,web\n,0,\n",
    ] {
        assert_eq!(predictions(&csv(&app, text).done()), right, "{text}");
    }
}

#[test]
fn the_probes_and_names_that_clients_ask_for() {
    let app = TestApp::spawn();
    for path in ["/ping", "/health", "/version"] {
        assert_eq!(app.get(path).status, 200, "{path}");
    }
    assert_eq!(app.get("/v1/models").done(), json!({ "models": ["model"] }));
    assert_eq!(app.get("/v1/models/model").done(), json!({ "name": "model", "ready": true }));
    assert_eq!(app.get("/v1/models/m").body["code"], "no_such_model");
    assert_eq!(app.post("/v1/models/m:predict", &json!({ "instances": ROWS })).status, 404);
    let app = Setup::new().given(|settings| settings.model_name = "m".to_owned()).spawn();
    app.post("/v1/models/m:predict", &json!({ "instances": ROWS })).done();
    assert_eq!(app.get("/v2/models/m/ready").done()["ready"], true);
}

#[test]
fn the_routes_that_a_platform_chooses_are_answered_too() {
    let path = "/v1/endpoints/17/deployedModels/3:predict";
    let app = Setup::new()
        .given(|settings| {
            settings.predict_route = Some(path.to_owned());
            settings.health_route = Some("/v1/endpoints/17/deployedModels/3".to_owned());
        })
        .spawn();
    let body = json!({ "instances": ROWS, "parameters": { "sampleCount": 1 } });
    let answer = app.post(path, &body).done();
    assert_eq!(predictions(&answer), predicted(&app, &json!(ROWS)));
    assert_eq!(app.get("/v1/endpoints/17/deployedModels/3").status, 200);
    assert_eq!(app.get(path).status, 405);
    let app =
        Setup::new().given(|settings| settings.predict_route = Some("/predict".to_owned())).spawn();
    let reply = app.post("/predict", &body).done();
    assert_eq!(reply["predictions"].as_array().unwrap().len(), ROWS.len(), "parameters are taken");
}

#[test]
fn parameters_have_the_key() {
    let app = TestApp::spawn();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 50 })).done();
    for number in 0..10 {
        let key = format!("customer-{number}");
        let by_predict = app.post("/predict", &json!({ "features": CUSTOMER, "key": key })).done();
        for (path, member) in [(V1, "parameters"), (MLFLOW, "params")] {
            let answer = app.post(path, &json!({ "inputs": ROWS, member: { "key": key } })).done();
            assert_eq!(answer["model_used"], by_predict["model_used"], "{key}");
        }
    }
}

#[test]
fn unknown_columns_are_ignored_if_the_settings_say_so() {
    let lenient = Setup::new().given(|given| given.unknown_fields = UnknownFields::Ignore).spawn();
    let strict = TestApp::spawn();
    let mut row = by_name(&CUSTOMER);
    row["customer"] = json!("7590");
    let names: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
    let values: Vec<&Value> = row.as_object().unwrap().values().collect();
    let columns: Value = row
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), json!([value])))
        .collect();
    for body in [
        json!({ "dataframe_records": [row] }),
        json!({ "inputs": columns }),
        json!({ "dataframe_split": { "columns": names, "data": [values] } }),
    ] {
        lenient.post(MLFLOW, &body).done();
        refused(&strict.post(MLFLOW, &body), 422, &["customer"]);
    }
}

#[test]
fn what_a_body_says_is_neither_swallowed_nor_taken_twice() {
    let app = TestApp::spawn();
    let reply = csv(&app, "0.5,1.2,0.8,0.3,\"1.1\n1,0.5,0.2,0.9,3\n");
    refused(&reply, 422, &["a value with a line break", "close its quotes"]);
    let missing = csv(&app, "0.5,nan,0.8,NA,1.1\n0.5,,0.8,,1.1\n").done();
    let [first, second] = [0, 1].map(|row| predictions(&missing)[row]["probability"].clone());
    assert_eq!(first, second);
    let twice =
        br#"{"inputs": [[0.5, 1.2, 0.8, 0.3, 1.1]], "params": {"key": "a"}, "params": {"key": "b"}}"#;
    let reply = app.post_with(MLFLOW, twice, &[("content-type", "application/json")]);
    assert!(reply.body["message"].as_str().unwrap().contains("duplicate"), "{}", reply.body);
    let segments =
        json!({ "instances": ROWS, "parameters": { "segments": { "region": "north" } } });
    let reply = app.post(V1, &segments);
    assert!(reply.body["error"].as_str().unwrap().contains("segments.region"), "{}", reply.body);
}

#[test]
fn bad_requests_are_refused_in_the_form_of_the_protocol_and_count_for_nothing() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    let before = app.standing();
    let many = json!({ "inputs": vec![CUSTOMER; 10_001] });
    for (body, status, named) in [
        ("".to_owned(), 400, ["body is empty", "dataframe_split"]),
        ("{".to_owned(), 400, ["invalid body", "EOF"]),
        ("{}".to_owned(), 422, ["dataframe_split", "missing"]),
        (json!({ "instances": [] }).to_string(), 422, ["0 rows", "10000"]),
        (json!({ "dataframe_records": [] }).to_string(), 422, ["0 rows", "10000"]),
        (json!({ "dataframe_split": { "data": [] } }).to_string(), 422, ["0 rows", "10000"]),
        (json!({ "inputs": {} }).to_string(), 422, ["0 rows", "10000"]),
        (json!({ "inputs": { "a": [] } }).to_string(), 422, ["0 rows", "10000"]),
        (many.to_string(), 422, ["more than 10000 rows", "inputs"]),
        (json!({ "inputs": ROWS, "instances": ROWS }).to_string(), 422, ["excludes", "inputs"]),
        (json!({ "inputs": ROWS, "other": 1 }).to_string(), 422, ["`other`", "dataframe_split"]),
        (
            json!({ "inputs": ROWS, "signature_name": "" }).to_string(),
            422,
            ["signature_name", "params"],
        ),
        (json!({ "inputs": [1, 2, 3, 4, 5] }).to_string(), 422, ["inputs[0]", "array"]),
        (
            json!({ "inputs": { "a": [1], "b": [1, 2] } }).to_string(),
            422,
            ["inputs.`b`", "2 values"],
        ),
        (json!({ "inputs": { "a": [[1, 2]] } }).to_string(), 422, ["inputs.`a`", "list of lists"]),
        (
            json!({ "dataframe_split": { "columns": ["a"], "data": [[1, 2]] } }).to_string(),
            422,
            ["dataframe_split.data[0]", "2 values for 1 columns"],
        ),
        (json!({ "dataframe_split": { "data": [[1, 2]] } }).to_string(), 422, ["2 values", "5"]),
        (
            json!({ "dataframe_split": { "data": [[[1]]] } }).to_string(),
            422,
            ["dataframe_split", "arrays"],
        ),
        (
            json!({ "dataframe_split": { "data": [[1]], "x": 1 } }).to_string(),
            422,
            ["dataframe_split", "`x`"],
        ),
        (json!({ "dataframe_split": 1 }).to_string(), 422, ["dataframe_split", "1"]),
        (r#"{"inputs": [[1, 2, 3, 4, Infinity]]}"#.to_owned(), 400, ["Infinity at line 1", "NaN"]),
        (json!({ "inputs": [[1, 2, 3, 4, "x"]] }).to_string(), 422, ["support_calls", "x"]),
    ] {
        refused(&app.post_text(MLFLOW, &body), status, &named);
    }
    for (text, status, named) in [
        ("", 400, ["body is empty", "line"]),
        ("tenure_years,charge_ratio\n", 422, ["0 rows", "10000"]),
        ("1,2,3\n", 422, ["3 values", "5"]),
        ("1,2,3,4,x\n", 422, ["support_calls", "`x`"]),
        ("1,2,3,4,inf\n", 422, ["support_calls", "inf"]),
        ("tenure_years,x\n1\n", 422, ["line 2", "1 values"]),
        (
            "tenure_yeers,charge_ratio,usage_ratio,late_payment_share,support_calls\n1,2,3,4,5\n",
            422,
            ["tenure_yeers", "did you mean"],
        ),
    ] {
        refused(&csv(&app, text), status, &named);
    }
    refused(&csv(&app, &"1,2,3,4,5\n".repeat(10_001)), 422, &["more than 10000 rows"]);
    // Long unknown names are not copied to every row, which would take 10 GB.
    let long = "\\n".repeat(500_000);
    let rows = vec!["[0]"; 10_000].join(",");
    let split = format!(r#"{{"dataframe_split": {{"columns": ["{long}"], "data": [{rows}]}}}}"#);
    refused(&app.post_text(MLFLOW, &split), 422, &["unknown"]);
    let columns = format!(r#"{{"inputs": {{"{long}": [{rows}]}}}}"#);
    refused(&app.post_text(MLFLOW, &columns), 422, &["unknown"]);
    let lines = format!("tenure_years,{}\n{}", "x".repeat(1_000_000), "1,2\n".repeat(10_000));
    refused(&csv(&app, &lines), 422, &["unknown"]);
    for kind in ["text/plain", "text/csv; charset=latin1", "application/vnd.apache.parquet"] {
        let reply = app.post_with(MLFLOW, b"1,2,3,4,5", &[("content-type", kind)]);
        refused(&reply, 415, &["text/csv", "UTF-8"]);
    }
    let reply = app.post_with(MLFLOW, b"\xff,2,3,4,5", &[("content-type", "text/csv")]);
    refused(&reply, 422, &["UTF-8"]);
    refused(&app.get(MLFLOW), 405, &["POST"]);
    for body in ["{}", "[]", "{", r#"{"instances": [[1, 2, 3, 4, Infinity]]}"#, r#"{"rows": []}"#] {
        let reply = app.post_text(V1, body);
        assert!((400..500).contains(&reply.status), "{body}");
        assert!(
            reply.body["error"].is_string() && reply.body["code"].is_string(),
            "{}",
            reply.body
        );
    }
    assert_eq!(app.standing(), before);
}

/// The reply must be an error in the form of MLflow that names all of these.
#[track_caller]
fn refused(reply: &Reply, status: u16, named: &[&str]) {
    let body = &reply.body;
    assert_eq!(reply.status, status, "{body}");
    assert_eq!(body["error_code"], "BAD_REQUEST", "{body}");
    let message = body["message"].as_str().unwrap();
    for name in named {
        assert!(message.contains(name), "{name:?} is not in {message:?}");
    }
}
