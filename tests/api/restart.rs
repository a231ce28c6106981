//! A restart during a rollout continues where it stopped.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use serin::canary::Event;
use serin::canary::Version;
use serin::service::clock::steady;
use serin::store;
use serin::store::Location;
use serin::store::StoreError;

use crate::client::CUSTOMER;
use crate::client::without_time;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::harness::default_models;
use crate::harness::store_once_free;
use crate::misbehaving::Misbehavior;
use crate::raw;

#[test]
fn a_rollout_continues_with_its_evidence() {
    let app = TestApp::spawn_durable();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "bake": "2h 30m" })).done();
    app.set_traffic(20).done();
    app.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 3 })).done();
    app.predict_times(100);
    app.pause_canary().done();
    let before = app.standing();
    assert_eq!(before["tracks"]["canary"]["samples"], 20);
    let health = |app: &TestApp| {
        let mut health = app.settled_health();
        without_time(&mut health);
        health
    };
    let said = health(&app);

    let app = app.restart();
    assert_eq!(app.standing(), before, "to the last digit of every sample");
    assert_eq!(health(&app), said);
    assert_eq!(app.predict_times(100), 20, "the split goes on where it stopped");
    assert_eq!(app.status()["tracks"]["canary"]["samples"], 40);
    app.resume_canary().done();
    app.rollback_canary().done();
}

/// The strata of the split are larger than the runs between these restarts, so only a count that survives them
/// gives the exact share.
#[test]
fn the_share_is_exact_across_restarts() {
    let mut app = TestApp::spawn_durable();
    app.deploy_canary().done();
    let mut canary = 0;
    for _ in 0..10 {
        canary += app.predict_times(8);
        app = app.restart();
    }
    assert_eq!(canary, 8);
    assert_eq!(app.status()["tracks"]["canary"]["samples"], 8);
}

#[test]
fn a_key_keeps_its_track_across_a_restart() {
    let app = TestApp::spawn_durable();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 50 })).done();
    let tracks = |app: &TestApp| -> Vec<Value> {
        let track = |n: u32| {
            let body = json!({ "features": CUSTOMER, "key": format!("user-{n}") });
            app.post("/predict", &body).done()["model_used"].clone()
        };
        (0..50).map(track).collect()
    };
    let before = tracks(&app);
    assert_eq!(tracks(&app.restart()), before);
}

#[test]
fn failures_of_a_broken_canary_are_remembered() {
    let app = Setup::new()
        .durable()
        .model("bad.bin", Misbehavior::Panic.artifact())
        // Without the breaker, which a restart would close.
        .given(|given| given.breaker.failures = 0)
        .spawn();
    app.deploy_canary_with(&json!({ "model_path": "bad.bin" })).done();
    app.predict_times(200);
    let before = app.standing();
    assert_eq!(before["tracks"]["canary"]["failures_by_kind"]["panic"], 20);
    let app = app.restart();
    assert_eq!(app.standing(), before);
    assert_eq!(app.check_canary_health().done()["status"], "harm");
}

#[test]
fn a_promoted_version_stays_stable_without_its_file() {
    type Mishap = fn(&Path);
    let mishaps: [(Mishap, &str); 4] = [
        (|file| fs::remove_file(file).unwrap(), "deleted"),
        (|file| fs::write(file, "").unwrap(), "emptied"),
        (|file| fs::write(file, default_models()[0]).unwrap(), "overwritten with another model"),
        (|file| fs::remove_dir_all(file.parent().unwrap()).unwrap(), "lost with its folder"),
    ];
    for (mishap, description) in mishaps {
        let app = TestApp::spawn_durable();
        app.deploy_canary().done();
        app.promote_canary_with(&json!({ "force": true, "reason": "a test" })).done();
        let stable = app.status()["stable"].clone();
        let probability = app.predict().done()["probability"].clone();
        let setup = app.stop();
        mishap(&setup.models().join("model_v2.bin"));
        let app = setup.spawn();
        assert_eq!(app.status()["stable"], stable, "{description}");
        let answer = app.predict().done();
        assert_eq!(answer["probability"], probability, "{description}");
        assert_eq!(answer["model_version"], "model_v2", "{description}");
    }
}

#[test]
fn a_canary_continues_without_its_file() {
    let app = TestApp::spawn_durable();
    app.deploy_canary().done();
    app.predict_times(100);
    let before = app.standing();
    let setup = app.stop();
    fs::remove_file(setup.models().join("model_v2.bin")).unwrap();
    let app = setup.spawn();
    assert_eq!(app.standing(), before);
    assert_eq!(app.predict_times(100), 10);
}

#[test]
fn quarantine_and_history_survive_a_restart() {
    let app = TestApp::spawn_durable();
    app.deploy_canary().done();
    app.rollback_canary_with(&json!({ "reason": "leaks", "quarantine": true })).done();
    let history = app.history();
    let app = app.restart();
    assert_eq!(app.history(), history);
    assert_eq!(app.deploy_canary().body["code"], "quarantined");
}

#[test]
fn requests_in_flight_are_answered_and_counted_before_the_end() {
    let slow = |setup: Setup| setup.given(|given| given.canary_deadline = Duration::from_secs(20));
    let app = slow(Setup::new().durable()).spawn();
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 100 })).done();
    app.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 600 })).done();
    let body = json!({ "features": CUSTOMER }).to_string();
    let mut streams: Vec<_> = (0..20).map(|_| raw::connect(app.address)).collect();
    for stream in &mut streams {
        // A quick request first, so that the server has accepted each connection before it stops.
        raw::send(stream, &raw::written(app.address, "GET /livez", &[], b""));
        raw::receive(stream).unwrap();
        raw::send(stream, &raw::written(app.address, "POST /predict", &[], body.as_bytes()));
    }
    std::thread::sleep(Duration::from_millis(200));
    let app = app.restart();
    for stream in &mut streams {
        assert_eq!(raw::receive(stream).unwrap().done()["model_used"], "canary");
    }
    let canary = &app.status()["tracks"]["canary"];
    assert_eq!((&canary["samples"], &canary["failures"]), (&json!(20), &json!(0)));
    assert!(canary["mean_ms"].as_f64().unwrap() >= 600.0, "{canary}");
}

#[test]
fn a_stop_does_not_wait_for_idle_connections() {
    let app = TestApp::spawn();
    let idle: Vec<_> = (0..10)
        .map(|_| {
            let mut stream = raw::connect(app.address);
            raw::send(&mut stream, &raw::written(app.address, "GET /livez", &[], b""));
            raw::receive(&mut stream).unwrap();
            stream
        })
        .collect();
    let begin = std::time::Instant::now();
    app.stop();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    drop(idle);
}

#[test]
fn a_store_has_one_server() {
    let app = TestApp::spawn_durable();
    let location = Location::Sqlite(app.database());
    let error = store::open(&location, steady()).err().unwrap();
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    let text = error.to_string();
    for word in [app.database().to_str().unwrap(), "in use by another serin", "--store"] {
        assert!(text.contains(word), "{word} is not in {text:?}");
    }
    let setup = app.stop();
    drop(store_once_free(&location));
    setup.spawn().predict().done();
}

#[test]
fn a_file_that_is_not_a_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    fs::write(&text, "this is not a database but a long text".repeat(100)).unwrap();
    let other = folder.path().join("photos.db");
    let connection = rusqlite::Connection::open(&other).unwrap();
    connection.execute_batch("CREATE TABLE photo (id INTEGER PRIMARY KEY)").unwrap();
    drop(connection);
    let newer = folder.path().join("newer.db");
    // A store that was never written leaves no file.
    let [name, file, digest] = ["v1", "v1.bin", "d"].map(str::to_owned);
    let first = Event::Initialized { stable: Version { name, file, digest } };
    let written = store::open(&Location::Sqlite(newer.clone()), steady()).unwrap();
    written.append(0, Timestamp::UNIX_EPOCH, &first).unwrap();
    drop(written);
    let connection = rusqlite::Connection::open(&newer).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    for (file, why) in [
        (&text, "not an SQLite file"),
        (&other, "another program's database"),
        (&newer, "schema 99, written by a newer serin"),
    ] {
        let before = fs::read(file).unwrap();
        let error =
            store::open(&Location::Sqlite(file.clone()), steady()).err().unwrap().to_string();
        for word in [file.to_str().unwrap(), why, "--store"] {
            assert!(error.contains(word), "{word} is not in {error:?}");
        }
        assert_eq!(fs::read(file).unwrap(), before, "{why}");
    }
    let folder_error =
        store::open(&Location::Sqlite(folder.path().to_owned()), steady()).err().unwrap();
    assert!(folder_error.to_string().contains("cannot open"), "{folder_error}");
}
