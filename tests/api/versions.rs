//! Versions that take other features, in another order: clients send names, and each version gets what it takes.

use std::fs;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use serin::http::settings::UnknownFields;
use serin::model::Artifact;
use serin::model::Dataset;
use serin::model::Features;
use serin::model::Model;
use serin::model::TrainingOptions;
use serin::model::dataset::DatasetOptions;
use serin::model::train;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::imported::golden;
use crate::imported::rows;
use crate::problem::refused;

/// The features of `lgb_binary.txt`, in its order.
const NAMES: [&str; 6] = ["tenure", "monthly", "total", "senior", "tickets", "balance"];

/// The same without `total`, in another order.
const OTHERS: [&str; 5] = ["balance", "tickets", "senior", "monthly", "tenure"];

/// The rows of the golden data with the answers of `lgb_binary.txt`.
fn customers() -> Vec<(Map<String, Value>, f64)> {
    let of = |(row, answers): (Value, Vec<f64>)| (row.as_object().unwrap().clone(), answers[0]);
    rows(&["lgb_binary.case.json"]).into_iter().map(of).collect()
}

/// A logistic regression on these columns, trained by serin to answer as `lgb_binary.txt` does.
fn logistic(names: &[&str]) -> Vec<u8> {
    let mut text = format!("{},churn\n", names.join(","));
    for (row, answer) in customers() {
        names.iter().for_each(|name| text += &format!("{},", row[*name]));
        text += if answer >= 0.5 { "yes\n" } else { "no\n" };
    }
    let options = DatasetOptions { target: "churn".into(), ..DatasetOptions::default() };
    let data = Dataset::from_reader(Cursor::new(text), "customers".to_owned(), &options).unwrap();
    train(&data, &TrainingOptions::default()).unwrap().to_bytes().to_vec()
}

/// A server with a logistic regression on these columns, and `lgb_binary.txt`.
fn setup(stable: &str, names: &[&str]) -> Setup {
    let trees = fs::read(golden("lgb_binary.txt")).unwrap();
    Setup::new()
        .durable()
        .model("logistic.bin", logistic(names))
        .model("lgb_binary.txt", trees)
        .given(|settings| settings.stable = stable.to_owned())
        // Trees take longer than a regression, and on a busy machine they are interrupted more often.
        .given(|settings| settings.absolute_margin_ms = 50.0)
}

fn model(names: &[&str]) -> Arc<dyn Model> {
    Artifact::from_bytes(&logistic(names)).unwrap().model()
}

fn answer_of(model: &dyn Model, row: &Map<String, Value>) -> f64 {
    let taken = model.schema().feature_names().map(|name| (name.to_owned(), row[name].clone()));
    let text = Value::Object(taken.collect()).to_string();
    let features: Features<'_> = serde_json::from_str(&text).unwrap();
    model.predict(&model.schema().row(features).unwrap()).unwrap().score()
}

fn without(row: &Map<String, Value>, name: &str) -> Map<String, Value> {
    let mut row = row.clone();
    row.remove(name).unwrap();
    row
}

fn by_position(row: &Map<String, Value>) -> Value {
    NAMES.iter().map(|name| row[*name].clone()).collect()
}

fn ask(app: &TestApp, features: impl Into<Value>) -> Value {
    app.post("/predict", &json!({ "features": features.into() })).done()
}

fn notes(app: &TestApp) -> String {
    app.status()["report"]["notes"].to_string()
}

fn refuse(app: &TestApp, features: impl Into<Value>, named: &[&str]) {
    let body = json!({ "features": features.into() });
    let reply = app.post("/predict", &body);
    reply.assert_refused(refused(422, "invalid_features", named), "/predict", &body.to_string());
}

/// A plan that takes about a second.
fn plan() -> Value {
    json!({
        "steps": [{ "weight": 0, "bake": "200ms" }, { "weight": 50, "bake": "500ms" }],
        "warm_up": "0s", "min_samples": 50, "look": "100ms", "deadline": "60s",
    })
}

/// Deploys by this plan and sends what `send` sends until `is_over`.
fn roll_out(
    app: &TestApp,
    file: &str,
    mut send: impl FnMut(usize),
    is_over: impl Fn(&Value) -> bool,
) -> Value {
    let policy = json!({ "expect_shift": true });
    let body = json!({ "model_path": file, "plan": plan(), "policy": policy });
    let deployed = app.deploy_canary_with(&body).done();
    let start = Instant::now();
    while !is_over(&app.status()) {
        assert!(start.elapsed() < Duration::from_secs(50), "{}", app.status());
        (0..100).for_each(&mut send);
    }
    deployed
}

#[test]
fn a_lightgbm_canary_with_a_feature_more_replaces_a_logistic_regression_by_plan() {
    let names: Vec<&str> = NAMES.into_iter().filter(|name| *name != "total").collect();
    let app = setup("logistic.bin", &names).spawn();
    let (stable, customers) = (model(&names), customers());
    refuse(&app, customers[0].0.clone(), &["`total`: unknown feature"]);
    let mut by_canary = 0;
    let deployed = roll_out(
        &app,
        "lgb_binary.txt",
        |number| {
            let (row, answer) = &customers[number % customers.len()];
            // Every fourth client does not send the new feature yet.
            if number.is_multiple_of(4) {
                ask(&app, without(row, "total"));
                return;
            }
            let given = ask(&app, row.clone());
            let expected = match given["model_version"].as_str().unwrap() {
                "lgb_binary" => *answer,
                _ => answer_of(&*stable, row),
            };
            by_canary += u32::from(given["model_used"] == "canary");
            assert!((given["probability"].as_f64().unwrap() - expected).abs() < 1e-12, "{given}");
            if number == 99 {
                let said = "The canary misses `total` in 25 % of the last ";
                let status = app.status();
                let notes = status["report"]["notes"].to_string();
                assert!(status["canary"].is_null() || notes.contains(said), "{notes}");
            }
        },
        |status| status["canary"].is_null(),
    );
    assert!(by_canary > 0);
    assert!(deployed["notes"].to_string().contains("The canary also takes `total`"), "{deployed}");
    let status = app.status();
    assert_eq!(status["stable"]["version"], "lgb_binary", "{status}");
    assert_eq!(status["last_rollout"]["outcome"], "promoted");
    // Clients that do not send it are still answered, and counted; also after a restart.
    let app = app.restart();
    ask(&app, without(&customers[0].0, "total"));
    let status = app.status();
    let expected = json!({ "track": "stable", "feature": "total", "what": "value", "requests": 1 });
    assert_eq!(status["features"]["lacking"][0], expected, "{status}");
    refuse(&app, without(&customers[0].0, "tenure"), &["`tenure` missing"]);
}

#[test]
fn a_canary_with_a_feature_fewer_and_another_order_asks_before_positions_change() {
    let app = setup("lgb_binary.txt", &OTHERS).spawn();
    let (canary, customers) = (model(&OTHERS), customers());
    let check = |given: &Value, row: &Map<String, Value>, answer: f64| {
        let expected = match given["model_version"].as_str().unwrap() {
            "logistic" => answer_of(&*canary, row),
            _ => answer,
        };
        assert!((given["probability"].as_f64().unwrap() - expected).abs() < 1e-12, "{given}");
    };
    let deployed = roll_out(
        &app,
        "logistic.bin",
        |number| {
            let (row, answer) = &customers[number % customers.len()];
            let features =
                if number % 4 == 0 { by_position(row) } else { Value::Object(row.clone()) };
            check(&ask(&app, features), row, *answer);
        },
        |status| status["state"] == "awaiting_approval",
    );
    let said = deployed["notes"].to_string();
    assert!(said.contains("The canary ignores `total`."), "{said}");
    assert!(said.contains("Values by position are read in stable's order"), "{said}");
    let said = "Values come by position in 25 % of the last ";
    assert!(notes(&app).contains(said), "{}", notes(&app));
    let why = app.status()["report"]["why"].clone();
    assert!(why.as_str().unwrap().contains(said), "{why}");
    app.resume_canary().done();
    let start = Instant::now();
    while app.status()["stable"]["version"] != "logistic" {
        assert!(start.elapsed() < Duration::from_secs(10), "{}", app.status());
        std::thread::sleep(Duration::from_millis(50));
    }
    // A feature that no version takes any more is ignored.
    let app = app.restart();
    let (row, _) = &customers[3];
    for row in [row.clone(), without(row, "total")] {
        let given = ask(&app, row.clone());
        let expected = answer_of(&*canary, &row);
        assert!((given["probability"].as_f64().unwrap() - expected).abs() < 1e-12, "{given}");
    }
    refuse(&app, by_position(row), &["6 values, the model takes 5", "`balance`, `tickets`"]);
}

#[test]
fn a_plan_promotes_without_a_person_once_clients_send_names() {
    let app = setup("lgb_binary.txt", &OTHERS).spawn();
    let customers = customers();
    let send = |number: usize| {
        ask(&app, customers[number % customers.len()].0.clone());
    };
    roll_out(&app, "logistic.bin", send, |status| status["canary"].is_null());
    assert_eq!(app.status()["stable"]["version"], "logistic");
}

#[test]
fn a_request_is_accepted_or_refused_whichever_version_answers_it() {
    let app = setup("logistic.bin", &OTHERS).spawn();
    let body = json!({
        "model_path": "lgb_binary.txt", "traffic_percent": 50, "shadow_percent": 100,
        "policy": { "expect_shift": true },
    });
    app.deploy_canary_with(&body).done();
    let customers = customers();
    let mut tracks = Vec::new();
    for (row, _) in &customers {
        tracks.push(ask(&app, row.clone())["model_used"].clone());
        tracks.push(ask(&app, without(row, "total"))["model_used"].clone());
        refuse(&app, without(row, "senior"), &["`senior` missing"]);
        let mut misspelled = without(row, "total");
        misspelled.insert("totals".to_owned(), json!(1));
        refuse(&app, misspelled, &["`totals`: unknown feature (did you mean `total`?)"]);
        let mut text = row.clone();
        text.insert("total".to_owned(), json!("much"));
        ask(&app, text);
        refuse(&app, by_position(row), &["6 values, the model takes 5"]);
    }
    assert!(tracks.contains(&json!("stable")) && tracks.contains(&json!("canary")));
    // Refused requests are not counted.
    let lacking = app.status()["features"].clone();
    assert_eq!(lacking["requests"], 3 * customers.len(), "{lacking}");
    // Absent in one of three, and of another kind in one.
    assert_eq!(lacking["lacking"][0]["requests"], 2 * customers.len(), "{lacking}");
    let status = app.settled_status();
    assert!(status["shadow"]["pairs"].as_u64().unwrap() > 20, "{status}");
    assert_eq!(status["shadow"]["failures"], 0);
    assert_eq!(status["tracks"]["canary"]["failures"], 0);
    let shown = app.get("/admin/disagreements").done();
    assert!(shown["disagreements"][0]["features"].get("total").is_some(), "{shown}");
    let promoted = app.promote_canary_with(&json!({ "force": true, "reason": "tested" })).done();
    let said = "the new stable version missed `total` in 66.7 % of the last ";
    assert!(promoted["notes"].to_string().contains(said), "{promoted}");
}

#[test]
fn a_rollback_refuses_no_client_that_sends_the_new_feature() {
    let app = setup("logistic.bin", &OTHERS).spawn();
    let row = customers()[0].0.clone();
    refuse(&app, row.clone(), &["`total`"]);
    app.deploy_canary_with(&json!({ "model_path": "lgb_binary.txt" })).done();
    ask(&app, row.clone());
    app.rollback_canary().done();
    ask(&app, row.clone());
    let app = app.restart();
    let stable = model(&OTHERS);
    let given = ask(&app, row.clone());
    assert!((given["probability"].as_f64().unwrap() - answer_of(&*stable, &row)).abs() < 1e-12);
    assert_eq!(app.status()["features"], Value::Null);
    let mut other = row;
    other.insert("height".to_owned(), json!(1));
    refuse(&app, other, &["`height`: unknown feature"]);
}

#[test]
fn testers_and_a_restart_meet_the_same_rules_and_testers_are_not_counted() {
    let setup = setup("logistic.bin", &OTHERS).given(|given| given.allow_track_header = true);
    let app = setup.spawn();
    let body = json!({ "model_path": "lgb_binary.txt", "traffic_percent": 0 });
    app.deploy_canary_with(&body).done();
    let app = app.restart();
    let (stable, customers) = (model(&OTHERS), customers());
    let ask_on = |track: &str, row: &Map<String, Value>| {
        let body = json!({ "features": row }).to_string();
        let headers = [("content-type", "application/json"), ("x-serin-track", track)];
        app.post_with("/predict", body.as_bytes(), &headers).done()
    };
    for (row, answer) in &customers {
        for (track, expected) in [("canary", *answer), ("stable", answer_of(&*stable, row))] {
            let given = ask_on(track, row);
            assert_eq!((&given["model_used"], &given["fallback"]), (&json!(track), &json!(false)));
            assert!((given["probability"].as_f64().unwrap() - expected).abs() < 1e-12, "{given}");
        }
        ask_on("canary", &without(row, "total"));
    }
    assert_eq!(app.status()["features"], Value::Null);
    ask(&app, without(&customers[0].0, "total"));
    assert!(notes(&app).contains("The canary misses `total` in the last request."));
}

#[test]
fn words_that_only_one_version_knows_are_counted() {
    let trained = |words: [&str; 2]| {
        let row = |number: usize| {
            let left = if number.is_multiple_of(3) { "yes" } else { "no" };
            format!("{},{},{left}\n", number % 17, words[number % 2])
        };
        let text =
            (0..120).map(row).fold("age,contract,left\n".to_owned(), |text, row| text + &row);
        let options = DatasetOptions { target: "left".into(), ..DatasetOptions::default() };
        let data = Dataset::from_reader(Cursor::new(text), "rows".to_owned(), &options).unwrap();
        train(&data, &TrainingOptions::default()).unwrap().to_bytes().to_vec()
    };
    let setup = Setup::new().model("one.bin", trained(["monthly", "yearly"]));
    let app = setup.model("two.bin", trained(["yearly", "weekly"]));
    let app = app.given(|settings| settings.stable = "one.bin".to_owned()).spawn();
    app.deploy_canary_with(&json!({ "model_path": "two.bin" })).done();
    for word in ["monthly", "monthly", "weekly", "yearly", "daily"] {
        ask(&app, json!({ "age": 4, "contract": word }));
    }
    let said = notes(&app);
    for (who, share) in [("The canary", "40 %"), ("Stable", "20 %")] {
        let sentence = format!(
            "{who} does not know the word sent as `contract` in {share} of the last 5 requests"
        );
        assert!(said.contains(&sentence), "{said}");
    }
}

/// Coefficients of `age` and of this many other features, whose missing values count as 0.
fn coefficients(others: usize) -> Vec<u8> {
    let of =
        |name: String| json!({ "name": name, "kind": "number", "coefficient": 0.1, "missing": 0 });
    let names = (0..others).map(|number| format!("x{number}"));
    let features: Vec<Value> = ["age".to_owned()].into_iter().chain(names).map(of).collect();
    let model = json!({
        "format": "serin.model/v1", "model": "logistic_regression", "intercept": 0.0, "features": features,
    });
    model.to_string().into_bytes()
}

/// A server with a model of `age`, and one that also takes 500 other features.
fn narrow_and_wide() -> Setup {
    Setup::new()
        .model("narrow.json", coefficients(0))
        .model("wide.json", coefficients(500))
        .given(|settings| settings.stable = "narrow.json".to_owned())
}

#[test]
fn a_request_that_lacks_millions_of_values_is_answered_by_stable_and_counts_for_neither_version() {
    let app = narrow_and_wide().spawn();
    let body = json!({
        "model_path": "wide.json", "traffic_percent": 100, "policy": { "expect_shift": true },
    });
    app.deploy_canary_with(&body).done();
    let batch = |rows: usize| json!({ "instances": vec![json!({ "age": 1 }); rows] });
    let given = app.post("/predict", &batch(10_000)).done();
    assert_eq!((&given["model_used"], &given["fallback"]), (&json!("stable"), &json!(true)));
    let given = app.post("/predict", &batch(100)).done();
    assert_eq!((&given["model_used"], &given["fallback"]), (&json!("canary"), &json!(false)));
    assert_eq!(app.status()["tracks"]["canary"]["failures"], 0);
    app.promote_canary_with(&json!({ "force": true, "reason": "tested" })).done();
    app.post("/predict", &batch(100)).done();
    let body = batch(10_000);
    let named = &["lack more than 4000000 values that the model takes; send fewer rows"];
    let reply = app.post("/predict", &body);
    reply.assert_refused(refused(422, "invalid_features", named), "/predict", &body.to_string());
}

#[test]
fn a_deployment_refuses_no_value_of_a_feature_that_was_skipped_before() {
    let setup = narrow_and_wide().given(|given| given.unknown_fields = UnknownFields::Ignore);
    let app = setup.spawn();
    let bodies = ["true", "[{}]", "1e999", r#"2, "x1": 3"#, r#""many""#]
        .map(|value| format!(r#"{{"features": {{"age": 1, "x1": {value}}}}}"#));
    let ask_all = || {
        for body in &bodies {
            let headers = [("content-type", "application/json")];
            app.post_with("/predict", body.as_bytes(), &headers).done();
        }
    };
    ask_all();
    app.deploy_canary_with(&json!({ "model_path": "wide.json", "traffic_percent": 50 })).done();
    ask_all();
    app.promote_canary_with(&json!({ "force": true, "reason": "tested" })).done();
    ask_all();
}
