//! The answers of /predict, and the exact share of the canary.

use std::collections::HashSet;
use std::io::Cursor;

use serde_json::Value;
use serde_json::json;
use serin::http::settings::UnknownFields;
use serin::model::Dataset;
use serin::model::TrainingOptions;
use serin::model::dataset::DatasetOptions;
use serin::model::schema::Missing;
use serin::model::train;

use crate::access::ADMIN_ROUTES;
use crate::client::CUSTOMER;
use crate::client::Client;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::raw;

/// The five features of the default models, in order.
pub const NAMES: [&str; 5] =
    ["tenure_years", "charge_ratio", "usage_ratio", "late_payment_share", "support_calls"];

#[test]
fn an_answer_has_the_fields_and_types_of_the_contract() {
    let app = TestApp::spawn();
    let reply = app.predict();
    assert_eq!(reply.header("content-type"), "application/json");
    let answer = reply.done();
    let probability = answer["probability"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&probability), "{answer}");
    assert_eq!(answer["label"], u64::from(probability >= 0.5), "{answer}");
    assert_eq!(answer["model_used"], "stable");
    assert_eq!(answer["model_version"], "model_v1");
    assert_eq!(answer["fallback"], false);
    let latency = answer["latency_ms"].as_f64().unwrap();
    assert!(latency > 0.0 && latency < 1000.0, "{answer}");
    assert!(!answer["prediction_id"].as_str().unwrap().is_empty());
    let fields: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields.len(), 7, "{fields:?}");
}

#[test]
fn names_in_any_order_mean_the_same_as_positions() {
    let app = TestApp::spawn();
    let by_position = app.predict().done();
    let mut pairs: Vec<String> =
        NAMES.iter().zip(CUSTOMER).map(|(name, value)| format!("{name:?}: {value}")).collect();
    for _ in 0..NAMES.len() {
        pairs.rotate_left(1);
        let body = format!(r#"{{"features": {{{}}}}}"#, pairs.join(", "));
        let by_name = app.post_text("/predict", &body).done();
        assert_eq!(by_name["probability"], by_position["probability"], "{body}");
    }
}

#[test]
fn a_body_may_begin_with_a_byte_order_mark() {
    let app = TestApp::spawn();
    let body = format!("\u{feff}{}", json!({ "features": CUSTOMER }));
    app.post_text("/predict", body).done();
}

#[test]
fn unknown_fields_are_ignored_if_the_settings_say_so() {
    let strict = TestApp::spawn();
    let lenient = Setup::new().given(|given| given.unknown_fields = UnknownFields::Ignore).spawn();
    let right = strict.predict().done()["probability"].clone();
    let row = json!({
        "tenure_years": 0.5, "charge_ratio": 1.2, "usage_ratio": 0.8, "late_payment_share": 0.3,
        "support_calls": 1.1, "customerID": "7590-VHVEG", "vip": true, "tags": ["a"],
    });
    let bodies = [
        json!({ "features": row }),
        json!({ "features": CUSTOMER, "request_id": { "a": 1 } }),
        json!({ "instances": [row, row] }),
    ];
    for body in &bodies {
        assert_eq!(strict.post("/predict", body).status, 422, "{body}");
        let answer = lenient.post("/predict", body).done();
        let first = answer.get("predictions").map_or(&answer, |rows| &rows[0]);
        assert_eq!(first["probability"], right, "{body}");
    }
    let misspelled = json!({ "features": { "tenure_year": 0.5, "charge_ratio": 1.2 } });
    assert_eq!(lenient.post("/predict", &misspelled).status, 422, "a feature is missing");
}

#[test]
fn ten_thousand_rows_fit_the_default_limit() {
    let app = TestApp::spawn();
    let row: serde_json::Map<String, Value> = NAMES
        .iter()
        .zip(CUSTOMER)
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let answer = app.post("/predict", &json!({ "instances": vec![row; 10_000] })).done();
    assert_eq!(answer["predictions"].as_array().unwrap().len(), 10_000);
}

#[test]
fn the_root_lists_every_route() {
    let app = TestApp::spawn();
    let root = app.get("/").done();
    assert_eq!(root["name"], "serin");
    let routes: Vec<&str> =
        root["routes"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
    for route in ADMIN_ROUTES.iter().chain(&["POST /predict", "POST /feedback", "GET /readyz"]) {
        assert!(routes.contains(route), "{route}");
    }
    for route in routes {
        let path = route.split(' ').next_back().unwrap();
        let reply = raw::request(app.address, &format!("BREW {path}"), &[], b"");
        assert_eq!(reply.status, 405, "{route}");
    }
}

#[test]
fn an_unknown_value_is_null() {
    let app = TestApp::spawn();
    let answer = app.post("/predict", &json!({ "features": [null, 1.2, 0.8, 0.3, null] })).done();
    assert!(answer["probability"].is_f64(), "{answer}");
}

#[test]
fn many_rows_are_answered_in_their_order_by_one_track() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.set_traffic(50).done();
    let rows: Vec<[f64; 5]> = (0..7).map(|n| [f64::from(n), 1.0, 1.0, 0.1, 0.5]).collect();
    let mut tracks = HashSet::new();
    for _ in 0..20 {
        let answer = app.post("/predict", &json!({ "instances": rows })).done();
        assert!(answer["probability"].is_null(), "{answer}");
        let track = answer["model_used"].as_str().unwrap().to_owned();
        let predictions = answer["predictions"].as_array().unwrap().clone();
        assert_eq!(predictions.len(), rows.len());
        for (row, prediction) in rows.iter().zip(&predictions) {
            let alone = loop {
                let alone = app.post("/predict", &json!({ "features": row })).done();
                if alone["model_used"] == track.as_str() {
                    break alone;
                }
            };
            assert_eq!(prediction["probability"], alone["probability"], "{row:?}");
            assert_eq!(prediction["label"], alone["label"], "{row:?}");
        }
        tracks.insert(track);
    }
    assert_eq!(tracks.len(), 2, "20 requests at 50 % reach both tracks");
}

#[test]
fn many_rows_are_one_sample() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.post("/predict", &json!({ "instances": [CUSTOMER, CUSTOMER, CUSTOMER] })).done();
    let tracks = &app.status()["tracks"];
    let of = |track: &str| tracks[track]["requests"].as_u64().unwrap();
    assert_eq!(of("stable") + of("canary"), 1, "{tracks}");
}

#[test]
fn an_id_is_returned_and_prediction_ids_never_repeat() {
    let app = TestApp::spawn();
    let id = "order 17 \u{2603} \"quoted\"";
    let answer = app.post("/predict", &json!({ "features": CUSTOMER, "id": id })).done();
    assert_eq!(answer["id"], id);
    let ids: HashSet<String> =
        (0..1000).map(|_| app.predict().done()["prediction_id"].to_string()).collect();
    assert_eq!(ids.len(), 1000);
}

#[test]
fn a_key_keeps_its_track_and_stays_on_the_canary_as_its_share_grows() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    let on_canary = || -> HashSet<u32> { (0..200).filter(|n| is_canary(&app, *n)).collect() };
    let mut before = HashSet::new();
    for percent in [10, 25, 50, 100] {
        app.set_traffic(percent).done();
        let first = on_canary();
        assert_eq!(on_canary(), first, "asked again at {percent} %");
        assert!(first.is_superset(&before), "{percent} %");
        before = first;
    }
    assert_eq!(before.len(), 200);
}

fn is_canary(client: &Client, user: u32) -> bool {
    let key = format!("user-{user}");
    client.post("/predict", &json!({ "features": CUSTOMER, "key": key })).done()["model_used"]
        == "canary"
}

#[test]
fn two_hundred_predictions_at_ten_percent_give_exactly_twenty_canary_samples() {
    let app = TestApp::spawn();
    for _ in 0..10 {
        app.deploy_canary().done();
        assert_eq!(app.predict_times(200), 20);
        assert_eq!(samples(&app.status()), (180, 20));
        app.rollback_canary().done();
    }
}

#[test]
fn the_share_is_exact_from_many_clients_at_once_too() {
    let app = Setup::new().given(|given| given.workers = 4).spawn();
    for _ in 0..10 {
        app.deploy_canary().done();
        let canary: usize = std::thread::scope(|scope| {
            let clients: Vec<_> =
                (0..8).map(|_| scope.spawn(|| app.client().predict_times(25))).collect();
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        assert_eq!(canary, 20);
        assert_eq!(samples(&app.status()), (180, 20));
        app.rollback_canary().done();
    }
}

#[test]
fn without_a_canary_stable_answers_everything() {
    let app = TestApp::spawn();
    assert_eq!(app.predict_times(100), 0);
    app.deploy_canary().done();
    app.rollback_canary().done();
    assert_eq!(app.predict_times(100), 0);
}

#[test]
fn the_share_may_be_zero_and_everything() {
    let app = TestApp::spawn();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 0 })).done();
    assert_eq!(app.predict_times(100), 0);
    assert_eq!(app.status()["traffic_percent"], 0.0);
    app.set_traffic(100).done();
    assert_eq!(app.predict_times(100), 100);
    app.set_traffic(0).done();
    assert_eq!(app.predict_times(100), 0);
    assert_eq!(samples(&app.status()), (100, 0), "each step starts new samples");
}

#[test]
fn a_share_in_hundredths_of_a_percent_is_kept() {
    let app = TestApp::spawn();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 33.33 }))
        .done();
    assert_eq!(app.status()["traffic_percent"], 33.33);
    // In the middle of a stratum with seven canary requests the count may be off by five.
    let canary = app.predict_times(300);
    assert!((95..=105).contains(&canary), "{canary}");
}

/// Samples of stable and of the canary.
fn samples(status: &Value) -> (u64, u64) {
    let of = |track: &str| status["tracks"][track]["samples"].as_u64().unwrap();
    (of("stable"), of("canary"))
}

/// A model of a number and a word, trained with these further markers of missing values.
fn trained_with(markers: &[&str]) -> Vec<u8> {
    let row = |n: u32| {
        let age = match n % 10 {
            0 => "NA".to_owned(),
            _ => (n * 7 % 40).to_string(),
        };
        let left = if n * 7 % 40 < 15 + n % 9 { "yes" } else { "no" };
        format!("{age},{},{left}\n", ["basic", "pro"][n as usize % 2])
    };
    let text = (0..200).map(row).fold("age,plan,left\n".to_owned(), |text, row| text + &row);
    let markers: Vec<String> = markers.iter().map(|&marker| marker.to_owned()).collect();
    let missing = Missing::default().and(&markers);
    let options = DatasetOptions { target: "left".into(), missing, ..DatasetOptions::default() };
    let data = Dataset::from_reader(Cursor::new(text), "rows.csv".to_owned(), &options).unwrap();
    train(&data, &TrainingOptions::default()).unwrap().to_bytes().to_vec()
}

/// A server with this model as stable, and another one, trained without further markers.
fn with_markers(stable: &'static str) -> TestApp {
    let setup = Setup::new().given(|given| {
        given.stable = stable.to_owned();
        given.allow_track_header = true;
    });
    let marked = trained_with(&["-999", "unknown"]);
    setup.model("marked.bin", marked).model("plain.bin", trained_with(&[])).spawn()
}

/// The answer of a track to a row; the status of a refusal.
fn answer_of(app: &TestApp, track: &str, row: &Value) -> Result<f64, u16> {
    let body = json!({ "features": row }).to_string();
    let headers = [("content-type", "application/json"), ("x-serin-track", track)];
    let reply = app.post_with("/predict", body.as_bytes(), &headers);
    if reply.status != 200 {
        return Err(reply.status);
    }
    let answer = reply.done();
    assert_eq!(answer["model_used"], track, "{answer}");
    Ok(answer["probability"].as_f64().unwrap())
}

#[test]
fn a_marker_of_missing_values_in_training_is_one_in_a_prediction() {
    let app = with_markers("marked.bin");
    let of = |row: Value| answer_of(&app, "stable", &row);
    let missing = of(json!([null, "pro"])).unwrap();
    for row in [
        json!([-999, "pro"]),
        json!([-999.0, "pro"]),
        json!(["-999", "pro"]),
        json!(["-999.0", "pro"]),
        json!(["unknown", "pro"]),
        json!(["NA", "pro"]),
        json!(["?", "pro"]),
        json!({ "plan": "pro", "age": -999 }),
        json!({ "plan": "pro", "age": "-999" }),
        json!({ "plan": "pro", "age": "unknown" }),
    ] {
        assert_eq!(of(row.clone()), Ok(missing), "{row}");
    }
    let word = of(json!([20, null])).unwrap();
    for row in [json!([20, "unknown"]), json!([20, "NA"]), json!([20, -999])] {
        assert_eq!(of(row.clone()), Ok(word), "{row}");
    }
    assert_eq!(of(json!(["-998", "pro"])), Err(422));
    assert_ne!(of(json!([-998, "pro"])).unwrap(), missing);
    let many = json!({ "instances": [[-999, "pro"], [null, "pro"]] });
    let answer = app.post("/predict", &many).done();
    let [marked, null] = [0, 1].map(|row| answer["predictions"][row]["probability"].as_f64());
    assert_eq!((marked, null), (Some(missing), Some(missing)), "{answer}");

    let listed = app.get("/admin/models").done();
    let models = listed["models"].as_array().unwrap();
    let marked = models.iter().find(|model| model["file"] == "marked.bin").unwrap();
    let expected = json!({ "usual": true, "further": ["-999", "unknown"] });
    assert_eq!(marked["card"]["missing_values"], expected, "{listed}");
}

#[test]
fn each_version_applies_its_own_markers_to_numbers() {
    for (stable, canary) in [("marked.bin", "plain.bin"), ("plain.bin", "marked.bin")] {
        let app = with_markers(stable);
        let body = json!({ "model_path": canary, "traffic_percent": 50 });
        let status = app.deploy_canary_with(&body).done();
        assert!(status.to_string().contains("reads -999 as a missing value"), "{status}");
        for (track, model) in [("stable", stable), ("canary", canary)] {
            let of = |age: Value| answer_of(&app, track, &json!([age, "pro"])).unwrap();
            let is_missing = of(json!(-999)) == of(Value::Null);
            assert_eq!(is_missing, model == "marked.bin", "{track}: {model}");
        }
        // Stable decides what a row may contain.
        let expected = if stable == "marked.bin" { Ok(()) } else { Err(422) };
        for track in ["stable", "canary"] {
            let found = answer_of(&app, track, &json!(["unknown", "pro"]));
            assert_eq!(found.map(|_| ()), expected, "{track}");
        }
    }
}
