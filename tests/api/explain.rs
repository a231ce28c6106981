//! `"explain": true` in /predict: what each feature contributed to the answer.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::client::CUSTOMER;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::EXPLAINING;
use crate::misbehaving::Misbehavior;
use crate::problem::refused;

/// The features of the default models.
const NAMES: [&str; 5] =
    ["tenure_years", "charge_ratio", "usage_ratio", "late_payment_share", "support_calls"];

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/model/kinds/testdata").join(name)
}

/// A server whose stable model is the first of these golden files.
fn with(files: &[&str]) -> TestApp {
    let setup = Setup::new().given(|settings| settings.stable = files[0].to_owned());
    let model = |setup: Setup, file: &&str| setup.model(file, fs::read(golden(file)).unwrap());
    files.iter().fold(setup, model).spawn()
}

/// Rows by name, of a set of golden rows.
fn rows(case: &str) -> Vec<Value> {
    let json =
        |name: &str| -> Value { serde_json::from_slice(&fs::read(golden(name)).unwrap()).unwrap() };
    let set = json("rows.json")[json(case)["rows"].as_str().unwrap()].clone();
    let names = set["columns"].as_array().unwrap();
    let row = |values: &Value| {
        let pairs = names.iter().zip(values.as_array().unwrap());
        pairs.map(|(name, value)| (name.as_str().unwrap().to_owned(), value.clone())).collect()
    };
    set["rows"].as_array().unwrap().iter().map(row).collect()
}

/// Baseline and contributions, which are those of these features.
fn sum(explanation: &Value, features: &[&str]) -> f64 {
    let contributions = explanation["contributions"].as_object().unwrap();
    let mut names: Vec<&str> = contributions.keys().map(String::as_str).collect();
    let mut expected = features.to_vec();
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected);
    let parts = contributions.values().map(|part| part.as_f64().unwrap());
    explanation["baseline"].as_f64().unwrap() + parts.sum::<f64>()
}

#[test]
fn contributions_sum_up_to_the_log_odds_of_the_answer() {
    let app = TestApp::spawn();
    let names = NAMES;
    let body = |explain: bool| json!({ "features": CUSTOMER, "explain": explain });
    let answer = app.post("/predict", &body(true)).done();
    assert_eq!(answer["explained"]["method"], "linear", "{answer}");
    assert_eq!(answer["explained"]["adds_up_to"], "log_odds");
    let p = answer["probability"].as_f64().unwrap();
    let log_odds = (p / (1.0 - p)).ln();
    assert!((sum(&answer["explanation"], &names) - log_odds).abs() < 1e-9, "{answer}");

    // A value at its reference contributes nothing, and only its own contribution changes.
    let mut unknown = json!(CUSTOMER);
    unknown[2] = Value::Null;
    let without = app.post("/predict", &json!({ "features": unknown, "explain": true })).done();
    for name in names {
        let [one, other] = [&answer, &without].map(|it| &it["explanation"]["contributions"][name]);
        match name {
            "usage_ratio" => assert_eq!(other.as_f64(), Some(0.0)),
            _ => assert_eq!(one, other, "{name}"),
        }
    }
    assert_eq!(without["explanation"]["baseline"], answer["explanation"]["baseline"]);

    let plain = app.post("/predict", &body(false)).done();
    assert_eq!(plain["probability"], answer["probability"]);
    assert!(plain["explanation"].is_null() && plain["explained"].is_null(), "{plain}");
    assert_eq!(plain.as_object().unwrap().len(), 7, "{plain}");
}

#[test]
fn each_row_of_a_batch_is_explained_in_its_place() {
    let app = TestApp::spawn();
    let rows = json!([CUSTOMER, [5.0, 1.0, 1.0, 0.0, 0.0]]);
    let answer = app.post("/predict", &json!({ "instances": rows, "explain": true })).done();
    for (place, row) in rows.as_array().unwrap().iter().enumerate() {
        let alone = app.post("/predict", &json!({ "features": row, "explain": true })).done();
        assert_eq!(answer["predictions"][place]["explanation"], alone["explanation"], "{answer}");
    }
    assert_eq!(answer["explained"]["method"], "linear");
}

#[test]
fn a_pipeline_is_explained_by_the_features_that_clients_send() {
    let app = with(&["sk_pipe_logistic.skops"]);
    for features in rows("sk_pipe_logistic.case.json").into_iter().take(40) {
        let answer = app.post("/predict", &json!({ "features": features, "explain": true })).done();
        let p = answer["probability"].as_f64().unwrap();
        let log_odds = (p / (1.0 - p)).ln();
        let names: Vec<&str> = features.as_object().unwrap().keys().map(String::as_str).collect();
        let found = sum(&answer["explanation"], &names);
        assert!(
            (found - log_odds).abs() < 1e-9 * log_odds.abs().max(1.0) / (p * (1.0 - p)),
            "{answer}"
        );
    }
}

#[test]
fn the_answered_class_of_many_is_explained_and_named() {
    for (model, case, method, unit) in [
        (
            "sk_forest_classes.skops",
            "sk_forest_classes",
            "path attribution (Saabas)",
            "probability",
        ),
        ("lgb_multiclassova.txt", "lgb_multiclassova", "path attribution (Saabas)", "log_odds"),
        ("xgb_multiclass.ubj", "xgb_multiclass", "path attribution (Saabas)", "class_score"),
        ("sk_logistic_classes.skops", "sk_logistic_classes", "linear", "class_score"),
    ] {
        let app = with(&[model]);
        let mut classes = std::collections::BTreeSet::new();
        let all: Vec<Value> = rows(&format!("{case}.case.json")).into_iter().take(60).collect();
        let answer = app.post("/predict", &json!({ "instances": all, "explain": true })).done();
        assert_eq!(answer["explained"]["method"], method, "{model}");
        assert_eq!(answer["explained"]["adds_up_to"], unit, "{model}");
        for (features, one) in all.iter().zip(answer["predictions"].as_array().unwrap()) {
            let names: Vec<&str> =
                features.as_object().unwrap().keys().map(String::as_str).collect();
            let explanation = &one["explanation"];
            let found = sum(explanation, &names);
            let class = explanation["class"].as_str().unwrap();
            assert_eq!(*class, one["label"], "{one}");
            classes.insert(class.to_owned());
            let p = one["probabilities"][class].as_f64().unwrap();
            let expected = match unit {
                "probability" => p,
                "log_odds" => (p / (1.0 - p)).ln(),
                // Not to be had from the answer alone; `baseline_and_contributions_sum_up_to_every_answer` compares it.
                _ => found,
            };
            assert!((found - expected).abs() < 1e-9, "{model}: {one}");
        }
        assert!(classes.len() > 1, "{model}: {classes:?}");
    }
}

#[test]
fn a_score_on_a_logarithmic_scale_is_explained_by_its_logarithm() {
    for (model, case) in
        [("lgb_gamma.txt", "lgb_gamma"), ("sk_hist_poisson.skops", "sk_hist_poisson")]
    {
        let app = with(&[model]);
        let features = &rows(&format!("{case}.case.json"))[0];
        let answer = app.post("/predict", &json!({ "features": features, "explain": true })).done();
        assert_eq!(answer["explained"]["adds_up_to"], "log_score", "{answer}");
        assert!(answer["explanation"].get("class").is_none(), "{answer}");
        let names: Vec<&str> = features.as_object().unwrap().keys().map(String::as_str).collect();
        let log = answer["score"].as_f64().unwrap().ln();
        assert!((sum(&answer["explanation"], &names) - log).abs() < 1e-9, "{answer}");
    }
}

#[test]
fn the_version_that_answered_explains() {
    let app = with(&["xgb_binary.ubj", "lgb_binary.txt"]);
    let deploy = json!({ "model_path": "lgb_binary.txt", "traffic_percent": 50 });
    app.deploy_canary_with(&deploy).done();
    let features = &rows("lgb_binary.case.json")[0];
    let mut baselines = [const { Vec::new() }; 2];
    for _ in 0..60 {
        let answer = app.post("/predict", &json!({ "features": features, "explain": true })).done();
        assert_eq!(answer["explained"]["method"], "path attribution (Saabas)", "{answer}");
        let p = answer["probability"].as_f64().unwrap();
        let explanation = &answer["explanation"];
        let names: Vec<&str> = features.as_object().unwrap().keys().map(String::as_str).collect();
        // XGBoost computes in single precision.
        let is_canary = answer["model_used"] == "canary";
        let tolerance = if is_canary { 1e-9 } else { 1e-5 };
        let log_odds = (p / (1.0 - p)).ln();
        assert!((sum(explanation, &names) - log_odds).abs() < tolerance, "{answer}");
        baselines[usize::from(is_canary)].push(explanation["baseline"].clone());
    }
    let [stable, canary] = &baselines;
    assert!(stable.len() > 10 && canary.len() > 10, "{baselines:?}");
    assert_ne!(stable[0], canary[0]);
    assert!(stable.iter().all(|one| *one == stable[0]), "{stable:?}");
}

#[test]
fn explained_requests_count_as_others_do_and_their_explanations_as_no_latency() {
    let slow = Misbehavior::ExplainsSlowly;
    let app = Setup::new().model("slow.bin", slow.artifact()).spawn();
    app.deploy_canary_with(&json!({ "model_path": "slow.bin", "traffic_percent": 50 })).done();
    let body = json!({ "features": CUSTOMER, "explain": true });
    let mut by_canary = 0;
    for _ in 0..20 {
        let start = Instant::now();
        let answer = app.post("/predict", &body).done();
        assert_eq!(answer["fallback"], false);
        if answer["model_used"] == "canary" {
            by_canary += 1;
            assert!(start.elapsed() >= EXPLAINING);
            let latency = answer["latency_ms"].as_f64().unwrap();
            assert!(latency < EXPLAINING.as_secs_f64() * 500.0, "{answer}");
            let p = answer["probability"].as_f64().unwrap();
            let found = sum(&answer["explanation"], &NAMES);
            assert!((found - (p / (1.0 - p)).ln()).abs() < 1e-9, "{answer}");
        }
    }
    assert_eq!(by_canary, 10);
    let tracks = &app.status()["tracks"];
    for track in ["stable", "canary"] {
        assert_eq!(tracks[track]["requests"], 10, "{tracks}");
    }
    let latency = tracks["canary"]["mean_ms"].as_f64().unwrap();
    assert!(latency < EXPLAINING.as_secs_f64() * 500.0, "{tracks}");
}

#[test]
fn predictions_do_not_wait_for_explanations() {
    let slow = Misbehavior::ExplainsSlowly;
    let app = Setup::new().model("slow.bin", slow.artifact()).spawn();
    app.deploy_canary_with(&json!({ "model_path": "slow.bin", "traffic_percent": 100 })).done();
    let explained = json!({ "instances": vec![CUSTOMER; 4], "explain": true });
    std::thread::scope(|scope| {
        let explaining: Vec<_> =
            (0..6).map(|_| scope.spawn(|| app.post("/predict", &explained).done())).collect();
        let mut at_the_same_time = 0;
        while explaining.iter().any(|one| !one.is_finished()) {
            let answer = app.predict().done();
            assert_eq!(
                (&answer["model_used"], &answer["fallback"]),
                (&json!("canary"), &json!(false))
            );
            at_the_same_time += 1;
        }
        // With the inference threads occupied there would be a few.
        assert!(at_the_same_time > 50, "{at_the_same_time}");
        let answers: Vec<Value> = explaining.into_iter().map(|one| one.join().unwrap()).collect();
        // Two explain at a time; those that waited a second for their turn got the answer alone.
        let waited = answers.iter().filter(|it| !it["explained"]["unavailable"].is_null()).count();
        assert!((1..=4).contains(&waited), "{answers:?}");
        for answer in &answers {
            assert!(answer["predictions"][3]["probability"].is_number(), "{answer}");
        }
    });
}

#[test]
fn an_explanation_that_panics_leaves_the_answer() {
    let slow = Misbehavior::ExplainsSlowly;
    let app = Setup::new().model("slow.bin", slow.artifact()).spawn();
    app.deploy_canary_with(&json!({ "model_path": "slow.bin", "traffic_percent": 100 })).done();
    let mut features = CUSTOMER;
    features[0] = -1.0;
    let answer = app.post("/predict", &json!({ "features": features, "explain": true })).done();
    assert_eq!(answer["explained"]["unavailable"], "the explanation failed", "{answer}");
    assert!(answer["probability"].is_number() && answer["explanation"].is_null(), "{answer}");
    assert_eq!(answer["fallback"], false);
}

#[test]
fn a_version_that_cannot_explain_is_named() {
    let unexplained = Misbehavior::Shifted;
    let setup = || Setup::new().model("other.bin", unexplained.artifact());
    let body = json!({ "features": CUSTOMER, "explain": true });
    // Stable: refused before it is answered.
    let app = setup().given(|settings| settings.stable = "other.bin".to_owned()).spawn();
    let expected = refused(422, "not_explained", &["explain: version other", "leave explain out"]);
    app.post("/predict", &body).assert_refused(expected, "/predict", "a stable model");
    app.predict().done();
    // The canary: answered without an explanation, so that a rollout breaks no client.
    let app = setup().spawn();
    app.deploy_canary_with(&json!({ "model_path": "other.bin", "traffic_percent": 100 })).done();
    let answer = app.post("/predict", &body).done();
    assert_eq!(answer["model_version"], "other");
    let reason = answer["explained"]["unavailable"].as_str().unwrap();
    assert!(reason.contains("version other"), "{answer}");
    assert!(answer["probability"].is_number() && answer["explanation"].is_null(), "{answer}");
}

#[test]
fn large_explanations_and_bad_values_are_refused() {
    let app = TestApp::spawn();
    let body = |rows: usize| json!({ "instances": vec![CUSTOMER; rows], "explain": true });
    app.post("/predict", &body(100)).done();
    let too_many = body(101);
    let expected = refused(422, "invalid_body", &["explain: 101 rows; send at most 100 at once"]);
    app.post("/predict", &too_many).assert_refused(expected, "/predict", &too_many.to_string());
    for value in [json!(1), json!("yes"), json!([])] {
        let body = json!({ "features": CUSTOMER, "explain": value });
        let expected = refused(422, "invalid_body", &["explain"]);
        app.post("/predict", &body).assert_refused(expected, "/predict", &body.to_string());
    }
    app.post("/predict", &json!({ "features": CUSTOMER, "explain": null })).done();
}
