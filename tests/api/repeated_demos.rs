//! The demo passes 200 times in a row, on servers that keep running.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use serde_json::Value;
use serde_json::json;

use crate::harness::TestApp;

/// Demos in total.
const DEMOS: u32 = 200;

/// Threads that play demos one after the other. They mostly wait for the injected delay, so more threads than cores
/// help.
const SERVERS: u32 = 6;

#[test]
fn the_alert_is_never_there_before_the_slowdown_and_always_after_it() {
    let played = AtomicU32::new(0);
    let next = || played.fetch_add(1, Ordering::SeqCst);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let players: Vec<_> = (0..SERVERS)
            .map(|_| {
                scope.spawn(|| {
                    let app = TestApp::spawn();
                    std::iter::from_fn(|| Some(next()).filter(|&demo| demo < DEMOS))
                        .filter_map(|demo| demo_goes_wrong(&app, demo))
                        .collect::<Vec<String>>()
                })
            })
            .collect();
        players.into_iter().flat_map(|player| player.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} of {DEMOS} demos:\n{}", wrong.len(), wrong.join("\n"));
}

/// What went wrong in this demo, if anything.
fn demo_goes_wrong(app: &TestApp, demo: u32) -> Option<String> {
    app.deploy_canary().done();
    let canary = app.predict_times(200);
    let before = app.check_canary_health().done();
    // The toggle without a body is what the curl scenario sends; the other names the state.
    if demo.is_multiple_of(2) {
        app.toggle_slowdown().done();
    } else {
        app.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 25 })).done();
    }
    let canary_again = app.predict_times(200);
    let after = app.check_canary_health().done();
    let refused = app.promote_canary().status;
    app.rollback_canary().done();
    let samples = |health: &Value| {
        [&health["stable"]["samples"], &health["canary"]["samples"]].map(Value::as_u64)
    };
    let right = (canary, canary_again) == (20, 20)
        && samples(&before) == [Some(180), Some(20)]
        && before["status"] == "ok"
        && before["alert_triggered"] == false
        && samples(&after) == [Some(360), Some(40)]
        && after["status"] == "harm"
        && after["alert_triggered"] == true
        && refused == 409;
    (!right).then(|| {
        format!("demo {demo}: {canary} and {canary_again}, {refused}\n  before {before}\n  after {after}")
    })
}
