//! Models of other libraries: served as they are, one against another.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::harness::Setup;
use crate::problem::refused;

/// A golden file.
pub fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/model/kinds/testdata").join(name)
}

fn json_of(name: &str) -> Value {
    serde_json::from_slice(&fs::read(golden(name)).unwrap()).unwrap()
}

/// Rows by name, and the answers of the models of these golden files.
pub fn rows(cases: &[&str]) -> Vec<(Value, Vec<f64>)> {
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

/// A server with these golden files as models, the first of them stable.
pub fn with(files: &[&str]) -> Setup {
    let name = |file: &str| file.to_owned();
    let setup = Setup::new().given(|settings| settings.stable = name(files[0]));
    files.iter().fold(setup, |setup, file| setup.model(file, fs::read(golden(file)).unwrap()))
}

#[test]
fn a_lightgbm_canary_replaces_an_xgboost_model_in_a_rollout_by_plan() {
    let setup = with(&["xgb_binary.ubj", "lgb_binary.txt"]);
    // The libraries differ in speed, and a busy machine interrupts the slower one more often.
    let app = setup.given(|given| given.absolute_margin_ms = 50.0).spawn();
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

/// scikit-learn's linear models refuse missing values, and the usual pipeline has no imputer.
#[test]
fn a_model_without_an_answer_for_missing_values_is_deployed() {
    let files = ["lgb_no_missing.txt", "sk_logistic.skops"];
    let app = with(&files).spawn();
    let body = json!({ "model_path": "sk_logistic.skops", "traffic_percent": 100 });
    app.deploy_canary_with(&body).done();
    let (features, _) = rows(&["sk_logistic.case.json"]).swap_remove(0);
    let answer = app.post("/predict", &json!({ "features": features })).done();
    assert_eq!(answer["fallback"], false, "{answer}");
    let nothing: Value =
        features.as_object().unwrap().keys().map(|name| (name.clone(), Value::Null)).collect();
    let answer = app.post("/predict", &json!({ "features": nothing })).done();
    assert_eq!((&answer["model_used"], &answer["fallback"]), (&json!("stable"), &json!(true)));
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
fn a_model_of_another_output_is_refused() {
    let files = ["xgb_binary.ubj", "sk_forest_classes.skops", "xgb_regression.xgb.json"];
    let app = with(&files).spawn();
    for (file, code, named) in [
        ("sk_forest_classes.skops", "output_differs", "probabilities of the classes `0`, `1`, `2`"),
        ("xgb_regression.xgb.json", "output_differs", "it answers a score, and stable the"),
    ] {
        let body = json!({ "model_path": file });
        let reply = app.deploy_canary_with(&body);
        let expected = refused(422, code, std::slice::from_ref(&named));
        reply.assert_refused(expected, "/admin/deploy-canary", &body.to_string());
    }
}

#[test]
fn many_classes_are_answered_by_name_and_a_score_as_it_is() {
    for (file, case) in [
        ("lgb_multiclass.txt", "lgb_multiclass.case.json"),
        ("sk_forest_classes.skops", "sk_forest_classes.case.json"),
        ("lgb_regression.txt", "lgb_regression.case.json"),
        ("sk_linear.skops", "sk_linear.case.json"),
    ] {
        let app = with(&[file]).spawn();
        let answers = json_of(case)["answers"].clone();
        let rows = rows(&[case]);
        let near = |given: &Value, expected: &Value| {
            let (given, expected) = (given.as_f64().unwrap(), expected.as_f64().unwrap());
            assert!((given - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{file}");
        };
        let check = |answer: &Value, expected: &Value| {
            let expected = expected.as_array().unwrap();
            if let [score] = &expected[..] {
                near(&answer["score"], score);
                assert_eq!(
                    (&answer["label"], &answer["probabilities"]),
                    (&Value::Null, &Value::Null)
                );
            } else {
                let by_class = answer["probabilities"].as_object().unwrap();
                assert_eq!(by_class.len(), expected.len());
                for (class, expected) in expected.iter().enumerate() {
                    near(&by_class[&class.to_string()], expected);
                }
                let given = &by_class[answer["label"].as_str().unwrap()];
                assert!(by_class.values().all(|other| other.as_f64() <= given.as_f64()));
            }
            assert_eq!(answer["probability"], Value::Null);
        };
        for ((features, _), expected) in rows.iter().zip(answers.as_array().unwrap()) {
            check(&app.post("/predict", &json!({ "features": features })).done(), expected);
        }
        let instances: Vec<&Value> = rows.iter().map(|(features, _)| features).collect();
        let batch = app.post("/predict", &json!({ "instances": instances })).done();
        for (answer, expected) in
            batch["predictions"].as_array().unwrap().iter().zip(answers.as_array().unwrap())
        {
            check(answer, expected);
        }
    }
}
