//! The parts of the page that show more than the status: models, distributions, segments, disagreements.

use std::time::Duration;
use std::time::Instant;

use serde_json::json;
use serin::canary::policy::Mode;

use crate::client::CUSTOMER;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::harness::default_models;
use crate::raw;
use crate::shadow::varied;

fn page(app: &TestApp) -> String {
    let reply = raw::request(app.address, "GET /", &["accept: text/html"], b"");
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.text
}

/// The part of the page with this id.
fn part<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("id=\"{id}\"")).unwrap();
    rest.split_once("</section>").unwrap().0
}

fn expect(page: &str, id: &str, expected: &[&str]) {
    let part = part(page, id);
    for text in expected {
        assert!(part.contains(text), "{text:?} is not in {id}: {part}");
    }
}

#[test]
fn models_can_be_deployed_while_there_is_no_canary() {
    let hostile = "<img src=x onerror=alert(1)>.bin";
    let [_, second] = default_models();
    let app = Setup::new().model(hostile, second).model("notes.bin", "not a model").spawn();
    let before = page(&app);
    let form = "action=\"admin/deploy-canary\" method=\"post\" data-act hidden";
    let file = "name=\"model_path\" value=\"model_v2.bin\"";
    expect(&before, "models", &["model_v1", "stable", "logistic regression", "0.777", form, file]);
    expect(&before, "models", &["not a model", "name=\"traffic_percent\" value=\"10\""]);
    assert!(!before.contains("<img"), "{before}");
    // Stable and what is not a model have no form.
    assert_eq!(before.matches(form).count(), 2);
    app.deploy_canary().done();
    let during = page(&app);
    expect(&during, "models", &["<span class=\"tag c\">canary</span>"]);
    assert!(!during.contains("admin/deploy-canary"), "{during}");
    app.post("/admin/rollback-canary", &json!({ "reason": "is <b>odd</b>", "quarantine": true }))
        .done();
    let after = page(&app);
    expect(&after, "models", &["quarantined", "is &#60;b&#62;odd&#60;/b&#62;"]);
    assert!(!part(&after, "models").contains(file), "{after}");
}

#[test]
fn a_plan_sets_the_shares_of_a_deployment() {
    let app = Setup::new().given(|given| given.mode = Mode::Automatic).spawn();
    let text = page(&app);
    expect(&text, "models", &["the plan sets the shares of a canary", "Deploy as canary"]);
    assert!(!text.contains("traffic_percent"), "{text}");
}

#[test]
fn distributions_are_drawn_once_both_have_answered() {
    let app = TestApp::spawn();
    assert_eq!(part(&page(&app), "distributions"), ">");
    app.deploy_canary().done();
    expect(&page(&app), "distributions", &["Nothing is drawn before each version has answered 20"]);
    app.predict_times(400);
    let text = page(&app);
    let expected = ["class=\"ls\"", "class=\"lc\"", "p95", "median", "model_v2", "at this step"];
    expect(&text, "distributions", &expected);
    assert!(!text.contains("NaN"), "{text}");
}

#[test]
fn segments_are_shown_where_they_are_declared() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    assert_eq!(part(&page(&app), "segments"), ">");
    let declared = "region = ['north', 'south']";
    let app = Setup::new().given(|given| given.segments = toml::from_str(declared).unwrap());
    let app = app.spawn();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 50 })).done();
    expect(&page(&app), "segments", &["No segment has requests of both versions yet."]);
    for _ in 0..100 {
        let body = json!({ "features": CUSTOMER, "segments": { "region": "north" } });
        app.post("/predict", &body).done();
    }
    app.settled_health();
    let expected = ["no harm found; ", "comparisons have data", "region=north", "latency"];
    expect(&page(&app), "segments", &expected);
}

#[test]
fn disagreements_are_shown_without_features() {
    let app = TestApp::spawn();
    app.deploy_canary_with(&json!({
        "model_path": "model_v2.bin", "traffic_percent": 0, "shadow_percent": 100,
    }))
    .done();
    expect(&page(&app), "disagreements", &["No request was answered by both versions"]);
    for number in 0..40 {
        app.post("/predict", &json!({ "features": varied(number) })).done();
    }
    let start = Instant::now();
    while app.status()["shadow"]["pairs"] != 40 {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", app.status()["shadow"]);
        std::thread::sleep(Duration::from_millis(5));
    }
    let text = page(&app);
    expect(&text, "disagreements", &["40 pairs at this step, ", "of labels agree", "First seen"]);
    // The names of features would lead to their values.
    let known = app.get("/admin/disagreements").done();
    let features = known["disagreements"][0]["features"].as_object().unwrap().clone();
    for name in features.keys() {
        assert!(!part(&text, "disagreements").contains(name.as_str()), "{name} is in {text}");
    }
    expect(&text, "distributions", &["The canary gets no traffic at this step"]);
}
