//! Models of other libraries: served as they are, one against another.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::harness::Setup;
use crate::problem::refused;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/model/kinds/testdata").join(name)
}

fn json_of(name: &str) -> Value {
    serde_json::from_slice(&fs::read(golden(name)).unwrap()).unwrap()
}

/// Rows by name, and the answers of the models of these golden files.
fn rows(cases: &[&str]) -> Vec<(Value, Vec<f64>)> {
    let cases: Vec<Value> = cases.iter().map(|name| json_of(name)).collect();
    let set = json_of("rows.json")[cases[0]["rows"].as_str().unwrap()].clone();
    let names = set["columns"].as_array().unwrap();
    let row = |(index, values): (usize, &Value)| {
        let pairs = names.iter().zip(values.as_array().unwrap());
        let features: Value =
            pairs.map(|(name, value)| (name.as_str().unwrap().to_owned(), value.clone())).collect();
        let answer = |case: &Value| case["answers"][index][0].as_f64().unwrap();
        (features, cases.iter().map(answer).collect())
    };
    set["rows"].as_array().unwrap().iter().enumerate().map(row).collect()
}

fn with(files: &[&str]) -> Setup {
    let name = |file: &str| file.to_owned();
    let setup = Setup::new().given(|settings| settings.stable = name(files[0]));
    files.iter().fold(setup, |setup, file| setup.model(file, fs::read(golden(file)).unwrap()))
}

#[test]
fn a_lightgbm_canary_replaces_an_xgboost_model_in_a_rollout_by_plan() {
    let app = with(&["xgb_binary.ubj", "lgb_binary.txt"]).spawn();
    let rows = rows(&["xgb_binary.case.json", "lgb_binary.case.json"]);
    let plan = json!({
        "steps": [{ "weight": 0, "bake": "200ms" }, { "weight": 50, "bake": "500ms" }],
        "warm_up": "0s", "min_samples": 50, "look": "100ms", "deadline": "60s",
    });
    let policy = json!({ "expect_shift": true });
    let body = json!({ "model_path": "lgb_binary.txt", "plan": plan, "policy": policy });
    let deployed = app.deploy_canary_with(&body).done();
    let note = "The canary's answers were not compared with those of the original model";
    assert!(deployed["notes"].to_string().contains(note), "{deployed}");
    let (start, mut by_canary) = (Instant::now(), 0);
    while !app.status()["canary"].is_null() && start.elapsed() < Duration::from_secs(50) {
        for (features, answers) in &rows {
            let answer = app.post("/predict", &json!({ "features": features })).done();
            let expected = match answer["model_version"].as_str().unwrap() {
                "xgb_binary" => answers[0],
                "lgb_binary" => answers[1],
                other => panic!("{other}"),
            };
            by_canary += u32::from(answer["model_used"] == "canary");
            let given = answer["probability"].as_f64().unwrap();
            assert!((given - expected).abs() <= 1e-12, "{answer} {answers:?}");
        }
    }
    assert!(by_canary > 0);
    let status = app.status();
    assert_eq!(status["stable"]["version"], "lgb_binary", "{status}");
    assert_eq!(status["last_rollout"]["outcome"], "promoted");
}

#[test]
fn a_pipeline_of_scikit_learn_takes_words_and_missing_values_by_name_and_by_position() {
    let app = with(&["sk_pipe_logistic.skops"]).spawn();
    for (features, answers) in rows(&["sk_pipe_logistic.case.json"]) {
        let by_name = app.post("/predict", &json!({ "features": features })).done();
        let given = by_name["probability"].as_f64().unwrap();
        assert!((given - answers[0]).abs() <= 1e-12, "{by_name} {answers:?}");
        let card = app.get("/admin/models").done();
        let models = card["models"].as_array().unwrap();
        let model = models.iter().find(|model| model["file"] == "sk_pipe_logistic.skops").unwrap();
        let names = model["card"]["features"].as_array().unwrap().iter();
        let values: Vec<&Value> =
            names.map(|one| &features[one["name"].as_str().unwrap()]).collect();
        let by_position = app.post("/predict", &json!({ "features": values })).done();
        assert_eq!(by_position["probability"], by_name["probability"]);
    }
}

#[test]
fn coefficients_as_json_are_deployed_as_they_are() {
    let app = with(&["sk_pipe_logistic.skops", "coefficients_logistic.json"]).spawn();
    let body = json!({ "model_path": "coefficients_logistic.json", "traffic_percent": 100 });
    app.deploy_canary_with(&body).done();
    for (features, answers) in rows(&["coefficients_logistic.case.json"]) {
        let answer = app.post("/predict", &json!({ "features": features })).done();
        assert_eq!(answer["model_version"], "coefficients_logistic", "{answer}");
        let given = answer["probability"].as_f64().unwrap();
        assert!((given - answers[0]).abs() <= 1e-12, "{answer} {answers:?}");
        assert_eq!(answer["label"], u8::from(answers[0] >= 0.35), "{answer}");
    }
}

#[test]
fn a_model_of_other_features_and_one_that_is_no_probability_are_refused() {
    let app = with(&["xgb_binary.ubj", "lgb_categories.txt", "lgb_multiclass.txt"]).spawn();
    for (file, status, code, named) in [
        ("lgb_categories.txt", 422, "features_differ", "`contract`"),
        ("lgb_multiclass.txt", 422, "not_a_model", "3 classes"),
    ] {
        let body = json!({ "model_path": file });
        let reply = app.deploy_canary_with(&body);
        let expected = refused(status, code, std::slice::from_ref(&named));
        reply.assert_refused(expected, "/admin/deploy-canary", &body.to_string());
    }
}
