//! Rollouts of models with many classes and of regressions: judged, labelled, shown.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::harness::Setup;
use crate::harness::TestApp;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/model/kinds/testdata").join(name)
}

/// Rows of a golden file by name.
pub fn rows(case: &str) -> Vec<Value> {
    let json =
        |name: &str| -> Value { serde_json::from_slice(&fs::read(golden(name)).unwrap()).unwrap() };
    let set = json("rows.json")[json(case)["rows"].as_str().unwrap()].clone();
    let names = set["columns"].as_array().unwrap();
    let row = |values: &Value| -> Value {
        let pairs = names.iter().zip(values.as_array().unwrap());
        pairs.map(|(name, value)| (name.as_str().unwrap().to_owned(), value.clone())).collect()
    };
    set["rows"].as_array().unwrap().iter().map(row).collect()
}

/// A server with this model as stable, and the same as a canary with half of the traffic and all of it in shadow.
pub fn against_itself(file: &str) -> TestApp {
    let bytes = fs::read(golden(file)).unwrap();
    let app = Setup::new()
        .given(|settings| settings.stable = file.to_owned())
        .model(file, bytes.clone())
        .model("again.txt", bytes)
        .spawn();
    let body = json!({ "model_path": "again.txt", "traffic_percent": 50 });
    app.deploy_canary_with(&body).done();
    app
}

pub fn predicted(app: &TestApp, features: &Value) -> Value {
    app.post("/predict", &json!({ "features": features })).done()
}

fn labelled(app: &TestApp, answer: &Value, outcome: &Value) -> Value {
    let body = json!({ "prediction_id": answer["prediction_id"], "outcome": outcome });
    app.post("/feedback", &body).done()
}

/// Whether the status has a row for this metric.
fn is_judged(app: &TestApp, metric: &str) -> bool {
    app.status().to_string().contains(&format!(r#""metric":"{metric}""#))
}

#[test]
fn labels_of_many_classes_are_their_names() {
    let app = against_itself("lgb_multiclass.txt");
    for features in rows("lgb_multiclass.case.json") {
        let answer = predicted(&app, &features);
        // As if the model were always right, by name and as a number.
        let label = answer["label"].as_str().unwrap();
        let outcome = if label == "2" { json!(2) } else { json!(label) };
        let taken = labelled(&app, &answer, &outcome);
        assert_eq!(taken["counts_for"], answer["model_used"], "{taken}");
    }
    let answer = predicted(&app, &rows("lgb_multiclass.case.json")[0]);
    for outcome in [json!("3"), json!(true), json!(0.5)] {
        let body = json!({ "prediction_id": answer["prediction_id"], "outcome": outcome });
        let refused = app.post("/feedback", &body);
        assert_eq!(refused.status, 422, "{outcome}");
        assert!(
            refused.body.to_string().contains("the class that occurred: `0`, `1`, `2`"),
            "{outcome}"
        );
    }
    let quality = app.status()["quality"].clone();
    for track in ["stable", "canary"] {
        let quality = &quality[track];
        assert!(quality["labels"].as_u64().unwrap() > 20, "{quality}");
        assert_eq!(quality["accuracy"], 1.0, "{quality}");
        let brier = quality["brier"].as_f64().unwrap();
        assert!(brier > 0.0 && brier < 1.0, "{quality}");
        assert_eq!((&quality["auc"], &quality["rmse"]), (&Value::Null, &Value::Null));
    }
}

#[test]
fn labels_of_a_score_are_numbers() {
    let app = against_itself("lgb_regression.txt");
    for (number, features) in rows("lgb_regression.case.json").iter().enumerate() {
        let answer = predicted(&app, features);
        let score = answer["score"].as_f64().unwrap();
        let error = if number % 2 == 0 { 3.0 } else { -1.0 };
        let taken = labelled(&app, &answer, &json!(score - error));
        assert_eq!(taken["counts_for"], answer["model_used"], "{taken}");
    }
    let answer = predicted(&app, &rows("lgb_regression.case.json")[0]);
    let body = json!({ "prediction_id": answer["prediction_id"], "outcome": "many" });
    let refused = app.post("/feedback", &body);
    assert!(refused.body.to_string().contains("use a number: what the score predicted"));
    let quality = app.status()["quality"].clone();
    let all: u64 =
        ["stable", "canary"].iter().map(|it| quality[it]["labels"].as_u64().unwrap()).sum();
    assert_eq!(all, 74);
    for track in ["stable", "canary"] {
        let [rmse, mae] = ["rmse", "mae"].map(|name| quality[track][name].as_f64().unwrap());
        assert!((1.0..=3.0).contains(&mae) && rmse >= mae && rmse <= 3.0, "{quality}");
        assert_eq!(quality[track]["log_loss"], Value::Null);
    }
    assert!(is_judged(&app, "squared_error") && !is_judged(&app, "log_loss"));
    let mean = app.status()["tracks"]["stable"]["mean_score"].as_f64();
    assert!(mean.is_none_or(|mean| mean > 50.0), "{mean:?}");
}

#[test]
fn a_metric_that_has_no_values_is_refused_by_name() {
    let file = "lgb_regression.txt";
    let bytes = fs::read(golden(file)).unwrap();
    let app =
        Setup::new().given(|settings| settings.stable = file.to_owned()).model(file, bytes).spawn();
    let body = json!({ "model_path": file, "policy": { "metrics": [{ "name": "log_loss" }] } });
    let refused = app.deploy_canary_with(&body);
    assert_eq!(refused.status, 422);
    assert!(refused.body.to_string().contains("use squared_error"), "{}", refused.body);
}
