//! Models of three classes that serin trained: served, and one replaced by the next by a plan.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;
use serin::model::Dataset;
use serin::model::TrainingOptions;
use serin::model::dataset::DatasetOptions;
use serin::model::train;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::problem::refused;

/// A customer, and the tier that the seed makes likely.
fn customer(i: usize, seed: usize) -> (usize, usize, &'static str, &'static str) {
    let drawn = (i * 7_919 + seed * 104_729) % 1_000;
    let (age, channel) = (20 + drawn % 50, ["web", "shop", "phone"][i % 3]);
    let spent = drawn / 10 + if channel == "shop" { 20 } else { 0 };
    let tier = match spent + (i * 31 + seed * 17) % 60 {
        0..60 => "basic",
        60..100 => "silver",
        _ => "gold",
    };
    (age, spent, channel, tier)
}

/// The bytes of a model that `serin train` would write for these rows.
fn trained(seed: usize, positive: Option<&str>) -> Vec<u8> {
    let rows = (0..600).map(|i| {
        let (age, spent, channel, tier) = customer(i, seed);
        format!("{age},{spent},{channel},{tier}\n")
    });
    let content = rows.fold("age,spent,channel,tier\n".to_owned(), |text, row| text + &row);
    let options = DatasetOptions {
        target: "tier".to_owned(),
        positive: positive.map(str::to_owned),
        ..DatasetOptions::default()
    };
    let reader = std::io::Cursor::new(content);
    let data = Dataset::from_reader(reader, format!("tiers_{seed}.csv"), &options).unwrap();
    train(&data, &TrainingOptions::default()).unwrap().to_bytes().to_vec()
}

/// A server with a model of three tiers.
pub fn spawn() -> TestApp {
    Setup::new()
        .given(|settings| settings.stable = "tiers_v1.bin".to_owned())
        .model("tiers_v1.bin", trained(1, None))
        .model("tiers_v2.bin", trained(2, None))
        .model("gold.bin", trained(1, Some("gold")))
        .spawn()
}

fn features(i: usize) -> Value {
    let (age, spent, channel, _) = customer(i, 3);
    json!({ "age": age, "spent": spent, "channel": channel })
}

fn predicted(app: &TestApp, features: &Value) -> Value {
    app.post("/predict", &json!({ "features": features })).done()
}

#[test]
fn a_prediction_has_the_probability_of_each_class() {
    let app = spawn();
    let missing = json!({ "age": null, "spent": "NA", "channel": "never seen" });
    for features in [features(0), features(1), missing] {
        let answer = predicted(&app, &features);
        let probabilities = answer["probabilities"].as_object().unwrap();
        let names: Vec<&String> = probabilities.keys().collect();
        assert_eq!(names, ["basic", "gold", "silver"], "{answer}");
        let of = |name: &str| probabilities[name].as_f64().unwrap();
        let sum: f64 = ["basic", "gold", "silver"].into_iter().map(of).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{answer}");
        let label = answer["label"].as_str().unwrap();
        assert!(probabilities.values().all(|p| p.as_f64().unwrap() <= of(label)), "{answer}");
        assert!(answer["probability"].is_null(), "{answer}");
    }
    let spender = predicted(&app, &json!({ "age": 30, "spent": 115, "channel": "shop" }));
    assert_eq!(spender["label"], "gold", "{spender}");
}

#[test]
fn the_cards_are_shown_without_figures_of_two_classes() {
    let models = spawn().get("/admin/models").done();
    let models = models["models"].as_array().unwrap();
    let of = |name: &str| {
        let is_named = |model: &&Value| model["file"] == name;
        models.iter().find(is_named).unwrap()["card"].clone()
    };
    let card = of("tiers_v1.bin");
    assert_eq!(card["classes"], json!(["basic", "gold", "silver"]), "{card}");
    assert_eq!(card["holdout"]["classes"].as_array().unwrap().len(), 3);
    for absent in ["auc", "base_rate", "positives", "calibration"] {
        assert!(card["holdout"].get(absent).is_none(), "{absent}: {card}");
    }
    assert!(card.get("threshold").is_none(), "{card}");
    assert_eq!(of("gold.bin")["threshold"], 0.5);
}

#[test]
fn the_next_version_is_promoted_by_a_plan() {
    let app = spawn();
    let plan = json!({
        "steps": [
            { "weight": 0, "bake": "200ms" },
            { "weight": 20, "bake": "500ms" },
            { "weight": 50, "bake": "500ms" },
        ],
        "warm_up": "0s", "min_samples": 50, "look": "100ms", "deadline": "60s", "cool_down": "1h",
    });
    let deployed =
        app.deploy_canary_with(&json!({ "model_path": "tiers_v2.bin", "plan": plan })).done();
    assert!(deployed.to_string().contains("tiers_1.csv"), "the other holdout: {deployed}");
    let start = Instant::now();
    let mut by_canary = 0;
    for i in 0.. {
        if app.status()["canary"].is_null() {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(50), "{}", app.status());
        for n in 0..50 {
            let answer = predicted(&app, &features(50 * i + n));
            by_canary += usize::from(answer["model_version"] == "tiers_v2");
        }
    }
    assert_eq!(app.status()["stable"]["version"], "tiers_v2", "{}", app.status());
    assert!(by_canary > 50, "{by_canary}");
    assert_eq!(predicted(&app, &features(0))["model_version"], "tiers_v2");
}

#[test]
fn one_class_against_the_others_is_another_output() {
    let app = spawn();
    let body = json!({ "model_path": "gold.bin" });
    let expected = refused(422, "output_differs", &["probabilities of the classes"]);
    app.deploy_canary_with(&body).assert_refused(
        expected,
        "/admin/deploy-canary",
        &body.to_string(),
    );
}
