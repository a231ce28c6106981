//! Labels: each counts once, for the track its prediction was assigned to, across restarts. Forged, expired and
//! late ones are refused.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use serin::canary::FeedbackPolicy;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::Misbehavior;
use crate::problem::refused;

/// The answer to a row that differs from others in its first feature.
fn predicted(app: &TestApp, body: &Value) -> Value {
    app.post("/predict", body).done()
}

fn one(app: &TestApp) -> Value {
    predicted(app, &json!({ "features": [0.5, 1.2, 0.8, 0.3, 1.1] }))
}

fn id(answer: &Value) -> String {
    answer["prediction_id"].as_str().unwrap().to_owned()
}

fn label(app: &TestApp, id: &str, outcome: u8) -> Value {
    app.post("/feedback", &json!({ "prediction_id": id, "outcome": outcome })).done()
}

#[track_caller]
fn refuses(app: &TestApp, body: &Value, status: u16, code: &str, named: &str) {
    let reply = app.post("/feedback", body);
    let expected = refused(status, code, std::slice::from_ref(&named));
    reply.assert_refused(expected, "/feedback", &body.to_string());
}

fn half(app: &TestApp) {
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 50 })).done();
}

#[test]
fn a_label_counts_for_the_track_that_answered() {
    let app = TestApp::spawn();
    half(&app);
    let mut sent = [0_u64; 2];
    let mut losses = [0.0; 2];
    for n in 0..60_u8 {
        let answer = one(&app);
        let track = usize::from(answer["model_used"] == "canary");
        let outcome = u8::from(n % 3 == 0);
        let taken = label(&app, &id(&answer), outcome);
        assert_eq!(
            (&taken["status"], &taken["counts_for"]),
            (&json!("recorded"), &answer["model_used"])
        );
        sent[track] += 1;
        let p = answer["probability"].as_f64().unwrap();
        losses[track] += -(if outcome == 1 { p } else { 1.0 - p }).ln();
    }
    let quality = app.status()["quality"].clone();
    for (track, name) in ["stable", "canary"].into_iter().enumerate() {
        assert_eq!(quality[name]["labels"], sent[track], "{quality}");
        let found = quality[name]["log_loss"].as_f64().unwrap();
        assert!((found - losses[track] / sent[track] as f64).abs() < 1e-4, "{found}");
        assert!(quality[name]["brier"].is_f64() && quality[name]["calibration_error"].is_f64());
    }
    assert_eq!((&quality["rollout"], &quality["not_counted"]), (&json!(1), &json!(0)));
}

#[test]
fn each_row_has_an_id_and_true_and_false_are_outcomes_too() {
    let app = TestApp::spawn();
    half(&app);
    let row = [0.5, 1.2, 0.8, 0.3, 1.1];
    let answer = predicted(&app, &json!({ "instances": [row, row, row] }));
    let rows = answer["predictions"].as_array().unwrap();
    let labels: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "prediction_id": row["prediction_id"], "outcome": true }))
        .collect();
    let taken = app.post("/feedback", &json!({ "feedback": labels })).done();
    assert_eq!((&taken["recorded"], &taken["refused"]), (&json!(3), &json!([])));
    let track = answer["model_used"].as_str().unwrap();
    assert_eq!(app.status()["quality"][track]["labels"], 3);
    assert_eq!(answer["prediction_id"], rows[0]["prediction_id"]);
}

#[test]
fn an_invalid_label_is_refused_by_name() {
    let app = TestApp::spawn();
    let before = id(&one(&app));
    half(&app);
    let good = id(&one(&app));
    let mut forged = good.clone().into_bytes();
    forged[10] = if forged[10] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let of = |id: &str, outcome: Value| json!({ "prediction_id": id, "outcome": outcome });
    for (body, status, code, named) in [
        (of(&forged, json!(1)), 422, "forged_id", "not issued by this server"),
        (of("abc", json!(1)), 422, "malformed_id", "64 characters"),
        (of(&format!("{good}="), json!(1)), 422, "malformed_id", "64 characters"),
        (of(&good, json!(2)), 422, "invalid_body", "use 0, 1, true or false"),
        (of(&good, json!(0.5)), 422, "invalid_body", "use 0, 1, true or false"),
        (of(&good, json!("1")), 422, "invalid_body", "use 0, 1, true or false"),
        (of(&before, json!(7)), 422, "invalid_body", "use 0, 1, true or false"),
        (json!({ "prediction_id": good }), 422, "invalid_body", "outcome is missing"),
        (json!({ "outcome": 1 }), 422, "invalid_body", "prediction_id is missing"),
        (json!({ "feedback": [] }), 422, "invalid_body", "send 1 to 1000"),
        (json!({ "feedback": [], "outcome": 1 }), 422, "invalid_body", "excludes"),
        (json!({ "predictionid": good }), 422, "invalid_body", "predictionid"),
    ] {
        refuses(&app, &body, status, code, named);
    }
    assert_eq!(app.status()["quality"]["stable"]["labels"], 0);
    label(&app, &good, 1);
    refuses(&app, &of(&good, json!(0)), 409, "repeated_feedback", "the first label counts");
}

#[test]
fn a_bad_label_does_not_keep_good_ones_out() {
    let app = TestApp::spawn();
    half(&app);
    let (first, second) = (id(&one(&app)), id(&one(&app)));
    let labels = json!({ "feedback": [
        { "prediction_id": first, "outcome": 1 },
        { "prediction_id": "none", "outcome": 1 },
        { "prediction_id": first, "outcome": 0 },
        { "prediction_id": second, "outcome": 0 },
    ] });
    let taken = app.post("/feedback", &labels).done();
    assert_eq!(taken["recorded"], 2);
    let refused: Vec<(u64, &str)> = taken["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["index"].as_u64().unwrap(), one["code"].as_str().unwrap()))
        .collect();
    assert_eq!(refused, [(1, "malformed_id"), (2, "repeated_feedback")]);
    let too_many = vec![json!({ "prediction_id": second, "outcome": 0 }); 1001];
    refuses(&app, &json!({ "feedback": too_many }), 422, "invalid_body", "1001 labels");
}

#[test]
fn labels_and_used_ids_survive_a_restart() {
    let app = TestApp::spawn_durable();
    half(&app);
    let (labelled, later) = (id(&one(&app)), id(&one(&app)));
    label(&app, &labelled, 1);
    let before = app.status()["quality"].clone();
    let app = app.restart();
    assert_eq!(app.status()["quality"], before);
    let again = json!({ "prediction_id": labelled, "outcome": 1 });
    refuses(&app, &again, 409, "repeated_feedback", "already");
    assert_eq!(label(&app, &later, 0)["status"], "recorded");
    // A server with another store has another key.
    let other = TestApp::spawn();
    half(&other);
    let foreign = json!({ "prediction_id": later, "outcome": 0 });
    refuses(&other, &foreign, 422, "forged_id", "the same store");
}

#[test]
fn a_rollout_that_ended_takes_no_labels() {
    let app = TestApp::spawn();
    half(&app);
    let old = id(&one(&app));
    app.post("/admin/rollback-canary", &json!({})).done();
    let body = json!({ "prediction_id": old, "outcome": 1 });
    refuses(&app, &body, 410, "rollout_gone", "rollout 1");
    assert_eq!(app.status()["quality"], Value::Null);
    half(&app);
    refuses(&app, &body, 410, "rollout_gone", "rollout 1");
    assert_eq!(app.status()["quality"]["rollout"], 2);
}

#[test]
fn a_late_label_is_refused() {
    let expires = FeedbackPolicy { expires: Duration::from_secs(1), ..FeedbackPolicy::default() };
    let app = Setup::new().given(|given| given.feedback = expires).spawn();
    half(&app);
    let old = id(&one(&app));
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let body = json!({ "prediction_id": old, "outcome": 1 });
    refuses(&app, &body, 410, "feedback_expired", "expires under [feedback]");
}

#[test]
fn answers_outside_a_rollout_and_fallbacks_take_no_judged_label() {
    let app = Setup::new().model("bad.bin", Misbehavior::Panic.artifact()).spawn();
    assert_eq!(label(&app, &id(&one(&app)), 1)["status"], "not_counted");
    app.deploy_canary_with(&json!({ "model_path": "bad.bin", "traffic_percent": 100 })).done();
    let answer = one(&app);
    assert_eq!(answer["fallback"], true);
    let taken = label(&app, &id(&answer), 1);
    assert_eq!((&taken["status"], &taken["counts_for"]), (&json!("not_counted"), &Value::Null));
    let quality = app.status()["quality"].clone();
    assert_eq!(quality["not_counted"], 1);
    assert_eq!(
        (&quality["stable"]["labels"], &quality["canary"]["labels"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn with_labels_off_feedback_is_refused_and_answers_keep_an_id() {
    let off = FeedbackPolicy { is_enabled: false, ..FeedbackPolicy::default() };
    let app = Setup::new().given(|given| given.feedback = off).spawn();
    let id = id(&one(&app));
    assert_eq!(id.len(), 32);
    let body = json!({ "prediction_id": id, "outcome": 1 });
    refuses(&app, &body, 409, "feedback_disabled", "enabled = true");
    assert_eq!(app.status()["quality"], Value::Null);
}
