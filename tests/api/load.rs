//! Load: bursts, wide models, large bodies, and what is refused when there is too much.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use serin::model::Dataset;
use serin::model::TrainingOptions;
use serin::model::dataset::DatasetOptions;
use serin::model::train;

use crate::client::CUSTOMER;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::Misbehavior;
use crate::raw;

/// A server whose stable model has 300 features, and a row for it.
fn wide() -> (TestApp, Vec<f64>) {
    const FEATURES: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("wide.csv");
    let names: Vec<String> = (0..FEATURES).map(|number| format!("f{number}")).collect();
    let mut text = format!("{},target\n", names.join(","));
    for row in 0..60_usize {
        let values = (0..FEATURES).map(|column| (row * 31 + column * 17) % 101);
        let values: Vec<String> = values.map(|value| value.to_string()).collect();
        text += &format!("{},{}\n", values.join(","), row % 2);
    }
    std::fs::write(&csv, text).unwrap();
    let options = DatasetOptions { target: "target".to_owned(), ..DatasetOptions::default() };
    let data = Dataset::from_csv(&csv, &options).unwrap();
    let model = train(&data, &TrainingOptions::default()).unwrap();
    let setup = Setup::new().model("wide.bin", model.to_bytes());
    let app = setup.given(|given| given.stable = "wide.bin".to_owned()).spawn();
    (app, vec![1.0; FEATURES])
}

#[test]
fn a_burst_on_a_wide_model_is_answered_completely() {
    let (app, row) = wide();
    let body = json!({ "features": row }).to_string();
    let request = raw::written(app.address, "POST /predict", &[], body.as_bytes());
    let mut connections: Vec<_> = (0..400).map(|_| raw::connect(app.address)).collect();
    for _ in 0..2 {
        for connection in &mut connections {
            raw::send(connection, &request);
        }
        for connection in &mut connections {
            raw::receive(connection).unwrap().done();
        }
    }
}

#[test]
fn a_large_batch_is_answered_like_its_rows() {
    let (app, row) = wide();
    let alone = app.post("/predict", &json!({ "features": row })).done();
    let rows = vec![row; 100];
    let many = app.post("/predict", &json!({ "instances": rows, "id": "a batch" })).done();
    assert_eq!((&many["id"], &many["model_used"]), (&json!("a batch"), &json!("stable")));
    let predictions = many["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 100);
    assert!(predictions.iter().all(|it| it["probability"] == alone["probability"]), "{many}");
}

#[test]
fn occupied_threads_are_not_a_failure_of_the_canary() {
    let app = Setup::new()
        .model("bad.bin", Misbehavior::Hang.artifact())
        .given(|given| given.canary_deadline = Duration::from_secs(6))
        .spawn();
    app.deploy_canary_with(&json!({ "model_path": "bad.bin", "traffic_percent": 100 })).done();
    let predicted = || {
        let client = app.client();
        move || client.predict().done()
    };
    std::thread::scope(|scope| {
        let first: Vec<_> = (0..4).map(|_| scope.spawn(predicted())).collect();
        while app.hanging() < 4 {
            std::thread::sleep(Duration::from_millis(5));
        }
        // All threads are occupied, and none has missed its deadline yet.
        let further: Value = app.predict().done();
        assert_eq!(further["fallback"], true, "{further}");
        for answer in first {
            assert_eq!(answer.join().unwrap()["fallback"], true);
        }
    });
    let canary = app.status()["tracks"]["canary"].clone();
    assert_eq!(canary["failures_by_kind"]["deadline"], 4, "{canary}");
    assert_eq!((&canary["requests"], &canary["failures"]), (&json!(4), &json!(4)), "{canary}");
    assert_eq!(app.post("/predict", &json!({ "features": CUSTOMER })).done()["fallback"], true);
}
