//! Commands that come twice, too late, too early, or all at once.

use rusqlite::Connection;
use serde_json::Value;
use serde_json::json;

use crate::client::Client;
use crate::harness::TestApp;
use crate::problem::refused;

const DEPLOY: &str = "/admin/deploy-canary";
const PROMOTE: &str = "/admin/promote-canary";

#[test]
fn a_second_rollback_changes_nothing_and_succeeds() {
    let app = TestApp::spawn();
    app.rollback_canary().done();
    assert_eq!(app.status()["revision"], 1, "there was nothing to roll back");
    app.deploy_canary().done();
    let first = app.rollback_canary().done();
    let second = app.rollback_canary_with(&json!({ "reason": "to be sure" })).done();
    assert_eq!(first["revision"], 3);
    assert_eq!(second["revision"], 3);
    assert_eq!(second["last_rollout"]["reason"], "by hand");
}

#[test]
fn without_a_canary_commands_that_need_one_are_refused() {
    let app = TestApp::spawn();
    let before = app.standing();
    let expected = refused(409, "no_canary", &["no canary is active", "deploy one"]);
    app.promote_canary().assert_refused(expected, PROMOTE, "promote");
    app.pause_canary().assert_refused(expected, "/admin/pause-canary", "pause");
    app.resume_canary().assert_refused(expected, "/admin/resume-canary", "resume");
    app.set_traffic(20).assert_refused(expected, "/admin/set-traffic", "set-traffic");
    app.check_canary_health().assert_refused(expected, "/admin/check-canary-health", "check");
    let forced = app.promote_canary_with(&json!({ "force": true, "reason": "now" }));
    forced.assert_refused(expected, PROMOTE, "forced promote");
    assert_eq!(app.standing(), before);
}

#[test]
fn a_second_canary_is_refused_while_one_is_active() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    let before = app.standing();
    let expected = refused(409, "canary_active", &["model_v2", "promote it or roll it back"]);
    app.deploy_canary().assert_refused(expected, DEPLOY, "the same again");
    let other = app.deploy_canary_with(&json!({ "model_path": "model_v1.bin" }));
    other.assert_refused(expected, DEPLOY, "another one");
    assert_eq!(app.standing(), before);
}

#[test]
fn a_paused_rollout_keeps_its_share_and_is_promoted_only_by_override() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.predict_times(100);
    assert_eq!(app.pause_canary().done()["state"], "paused");
    assert_eq!(app.predict_times(100), 10, "the canary keeps its share");
    assert_eq!(app.pause_canary().done()["revision"], 3, "paused already");
    app.promote_canary().assert_refused(refused(409, "paused", &["resume"]), PROMOTE, "paused");
    assert_eq!(app.resume_canary().done()["state"], "running");
    assert_eq!(app.resume_canary().done()["revision"], 4, "running already");
    assert_eq!(app.check_canary_health().done()["canary"]["samples"], 20, "evidence is kept");
    assert_eq!(app.promote_canary().done()["stable"]["version"], "model_v2");
}

#[test]
fn an_artifact_in_quarantine_needs_an_override_with_a_reason() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.rollback_canary_with(&json!({ "reason": "leaks memory", "quarantine": true })).done();
    let named = &["quarantine", "leaks memory", "override_quarantine"];
    app.deploy_canary().assert_refused(refused(409, "quarantined", named), DEPLOY, "plain");

    // The same bytes under another name are the same artifact.
    std::fs::copy(app.models().join("model_v2.bin"), app.models().join("renamed.bin")).unwrap();
    let renamed = app.deploy_canary_with(&json!({ "model_path": "renamed.bin" }));
    renamed.assert_refused(refused(409, "quarantined", named), DEPLOY, "renamed");

    let override_with = |reason: Value| {
        app.deploy_canary_with(
            &json!({ "model_path": "model_v2.bin", "override_quarantine": true, "reason": reason }),
        )
    };
    let expected = refused(422, "reason_missing", &["reason"]);
    override_with(Value::Null).assert_refused(expected, DEPLOY, "no reason");
    override_with("  ".into()).assert_refused(expected, DEPLOY, "a blank reason");
    override_with("the leak was in the client".into()).done();
    app.rollback_canary().done();
    app.deploy_canary().done();
}

#[test]
fn a_plain_rollback_does_not_quarantine() {
    let app = TestApp::spawn();
    for _ in 0..3 {
        app.deploy_canary().done();
        app.rollback_canary_with(&json!({ "reason": "trying out" })).done();
    }
}

#[test]
fn an_override_needs_a_reason_and_is_journalled_with_it() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    let expected = refused(422, "reason_missing", &["reason"]);
    for body in [json!({ "force": true }), json!({ "force": true, "reason": " " })] {
        app.promote_canary_with(&body).assert_refused(expected, PROMOTE, &body.to_string());
    }
    let forced = app.promote_canary_with(&json!({ "force": true, "reason": "the fix is urgent" }));
    assert_eq!(forced.done()["stable"]["version"], "model_v2");
    let newest = app.history().pop().unwrap();
    assert_eq!(newest["event"], "promoted");
    assert_eq!(newest["reason"], "the fix is urgent");
    assert_eq!(newest["forced"], true);
    assert!(newest["sentence"].as_str().unwrap().contains("the fix is urgent"), "{newest}");
}

#[test]
fn a_promotion_that_passes_is_not_an_override() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.predict_times(200);
    app.promote_canary_with(&json!({ "reason": "all is well" })).done();
    let newest = app.history().pop().unwrap();
    assert_eq!(newest["forced"], false);
    assert_eq!(newest["reason"], "all is well");
}

#[test]
fn a_write_on_an_old_revision_is_refused() {
    let app = TestApp::spawn();
    let deployed = app.deploy_canary();
    let seen = deployed.header("etag").to_owned();
    assert_eq!(seen, "\"2\"");
    assert_eq!(app.get("/admin/status").header("etag"), seen);
    let if_match =
        |revision: &str| app.post_with("/admin/pause-canary", b"", &[("if-match", revision)]);
    let paused = if_match(&seen);
    assert_eq!(paused.header("etag"), "\"3\"");
    let named = &["revision 3", "not 2", "retry"];
    let expected = refused(412, "revision_changed", named);
    if_match(&seen).assert_refused(expected, "/admin/pause-canary", "too late");
    assert_eq!(if_match("*").status, 200, "any revision will do");
    assert_eq!(app.toggle_slowdown().header("etag"), "\"4\"");
}

#[test]
fn of_many_deploys_at_once_exactly_one_wins() {
    let app = TestApp::spawn();
    for round in 1..=10_u64 {
        let mut statuses: Vec<u16> = at_once(&app, |client| client.deploy_canary().status);
        statuses.sort_unstable();
        assert_eq!((statuses[0], statuses[1], statuses[15]), (200, 409, 409), "{statuses:?}");
        assert_eq!(app.status()["rollout"]["id"], round);
        let statuses = at_once(&app, |client| client.rollback_canary().status);
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
        assert_eq!(app.status()["revision"], 1 + 2 * round);
    }
    let sequences: Vec<u64> =
        app.history().iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=21).collect::<Vec<u64>>());
}

#[test]
fn of_many_writes_on_one_revision_exactly_one_wins() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    for _ in 0..10 {
        let revision = format!("\"{}\"", app.status()["revision"]);
        let headers = [("if-match", revision.as_str())];
        let statuses = at_once(&app, |client| {
            client.post_with("/admin/toggle-slowdown", b"", &headers).status
        });
        let count = |status: u16| statuses.iter().filter(|found| **found == status).count();
        assert_eq!((count(200), count(412)), (1, 15), "{statuses:?}");
    }
}

/// The same call from 16 threads.
fn at_once<T: Send>(app: &TestApp, call: impl Fn(&Client) -> T + Sync) -> Vec<T> {
    let barrier = std::sync::Barrier::new(16);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    let client = app.client();
                    barrier.wait();
                    call(&client)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn history_is_read_page_by_page() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    for _ in 0..8 {
        app.toggle_slowdown().done();
    }
    let page = |query: &str| -> Vec<u64> {
        let page = app.get(&format!("/admin/history{query}")).done();
        let entries = page["entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["sequence"].as_u64().unwrap()).collect()
    };
    assert_eq!(page(""), (1..=10).collect::<Vec<u64>>());
    assert_eq!(page("?limit=3"), [8, 9, 10], "the newest, oldest first");
    assert_eq!(page("?limit=3&after=0"), [1, 2, 3]);
    assert_eq!(page("?after=8"), [9, 10]);
    for nothing in ["?after=10", "?limit=0", "?after=18446744073709551615"] {
        assert!(page(nothing).is_empty(), "{nothing}");
    }
}

#[test]
fn a_rollback_takes_the_requests_away_while_another_program_locks_the_store() {
    let app = TestApp::spawn_durable();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 100 })).done();
    let other = Connection::open(app.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        let [pausing, rolling_back] = [app.client(), app.client()];
        let pause = scope.spawn(move || pausing.pause_canary());
        let rollback = scope.spawn(move || rolling_back.rollback_canary());
        while app.predict().done()["model_used"] == "canary" {
            assert!(!rollback.is_finished(), "the canary answers after its rollback");
        }
        assert_eq!(app.predict_times(50), 0);
        assert_eq!(app.status()["revision"], 2, "the status does not wait for the store");
        assert!(!pause.is_finished() && !rollback.is_finished());
        other.execute_batch("ROLLBACK").unwrap();
        pause.join().unwrap();
        let outcome = rollback.join().unwrap().done();
        assert_eq!((&outcome["state"], &outcome["canary"]), (&json!("idle"), &Value::Null));
    });
    assert_eq!(app.predict_times(50), 0);
}
