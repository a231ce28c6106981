//! The acts and the checklist of the page: what is offered follows the state.

use serde_json::json;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::raw;

fn page(app: &TestApp) -> String {
    raw::request(app.address, "GET /", &["accept: text/html"], b"").text
}

/// The labels of the buttons, in order.
fn buttons(app: &TestApp) -> Vec<String> {
    let text = page(app);
    let (_, all) = text.split_once("id=\"buttons\">").unwrap_or_default();
    let (all, _) = all.split_once("</div>").unwrap_or_default();
    let label = |button: &str| button.rsplit('>').next().unwrap_or_default().to_owned();
    all.split("</button>").map(label).filter(|label| !label.is_empty()).collect()
}

#[test]
fn the_buttons_follow_the_state_of_the_rollout() {
    let app = TestApp::spawn();
    assert!(buttons(&app).is_empty(), "{:?}", buttons(&app));
    app.deploy_canary().done();
    let all = ["Promote", "Pause", "Set share", "Slow down", "Roll back"];
    assert_eq!(buttons(&app), all);
    app.post("/admin/pause-canary", &json!({})).done();
    assert_eq!(buttons(&app), ["Resume", "Promote", "Set share", "Slow down", "Roll back"]);
    app.post("/admin/rollback-canary", &json!({})).done();
    assert!(buttons(&app).is_empty(), "{:?}", buttons(&app));
}

#[test]
fn a_promotion_against_the_evidence_says_what_is_against_it_and_needs_a_reason() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    let text = page(&app);
    let (_, panel) = text.split_once("id=\"act-promote-canary\"").unwrap();
    let (panel, _) = panel.split_once("</form>").unwrap();
    assert!(panel.contains("Promote model_v2 against the evidence?"), "{panel}");
    assert!(panel.contains("Against it: ") && panel.contains("name=\"force\""), "{panel}");
    assert!(panel.contains("name=\"reason\"") && panel.contains(" required"), "{panel}");
    app.predict_times(400);
    let text = page(&app);
    let is_passing = app.status()["health"]["verdict"] == "promote";
    assert_eq!(text.contains("Promote model_v2?"), is_passing, "{text}");
}

#[test]
fn a_monitored_promotion_can_be_reverted() {
    let app = TestApp::spawn();
    let watched = json!({ "model_path": "model_v2.bin", "post_promotion": { "monitor": "1h", "action": "revert" } });
    app.deploy_canary_with(&watched).done();
    app.post("/admin/promote-canary", &json!({ "force": true, "reason": "a test" })).done();
    assert_eq!(buttons(&app), ["Revert"]);
    assert!(page(&app).contains("Revert to model_v1?"));
}

#[test]
fn the_page_knows_who_may_act() {
    let app = TestApp::spawn();
    assert!(page(&app).contains("data-access=\"open\""));
    let with_token = Setup::new().given(|settings| {
        settings.admin_token = Some("the-token-that-promotes".to_owned().try_into().unwrap());
    });
    assert!(page(&with_token.spawn()).contains("data-access=\"token\""));
}

#[test]
fn the_checklist_says_what_the_promotion_waits_for() {
    let app = TestApp::spawn();
    assert!(!page(&app).contains("Why not promoted yet"));
    app.deploy_canary().done();
    let text = page(&app);
    for expected in [
        "Why not promoted yet",
        "For a promotion",
        "Canary requests at this step",
        "latency passes",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}
