//! `serin replay`: recomputes the journal's verdicts, detects changed evidence, and answers what-if questions.

use std::path::Path;
use std::process::Output;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;

use crate::binary::serin;
use crate::harness::Setup;
use crate::harness::TestApp;

/// Runs `serin replay` on a store.
pub fn replay(database: &Path, args: &[&str]) -> Output {
    let store = format!("sqlite:{}", database.display());
    serin(database.parent().unwrap())
        .args(["replay", "--store", &store])
        .args(args)
        .stdout(Stdio::piped())
        .output()
        .unwrap()
}

/// The JSON that a command printed; it must end with this code.
#[track_caller]
pub fn answer(output: &Output, code: i32) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A manual rollout that is promoted, and an automatic one that is slow and rolled back.
pub fn recorded() -> TestApp {
    let app = TestApp::spawn_durable();
    app.predict_times(50);
    app.deploy_canary().done();
    for percent in [50, 75] {
        app.predict_times(100);
        app.set_traffic(percent).done();
    }
    app.predict_times(600);
    app.post("/admin/promote-canary", &json!({ "force": true, "reason": "a test" })).done();
    let plan = json!({
        "steps": [{ "weight": 20, "bake": "1h" }], "warm_up": "0s", "look": "100ms",
    });
    app.deploy_canary_with(&json!({ "model_path": "model_v1.bin", "plan": plan })).done();
    app.toggle_slowdown_with(&json!({ "enabled": true, "delay_ms": 5 })).done();
    for _ in 0..200 {
        if app.status()["canary"].is_null() {
            break;
        }
        app.predict_times(50);
    }
    assert_eq!(app.status()["last_rollout"]["outcome"], "rolled_back");
    app
}

/// Changes the database of a stopped server.
fn change(database: &Path, statement: &str) {
    let connection = rusqlite::Connection::open(database).unwrap();
    assert!(connection.execute(statement, []).unwrap() > 0, "{statement} changes nothing");
    // As a program that knows the format would do it: otherwise the store refuses the entry.
    let mut select = connection.prepare("SELECT sequence, at, event FROM journal").unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let rows: Vec<(u64, String, String)> =
        select.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap();
    for (sequence, at, event) in rows {
        let checksum = serin::store::checksum(sequence, &at, &event);
        let update = "UPDATE journal SET checksum = ?2 WHERE sequence = ?1";
        connection.execute(update, rusqlite::params![sequence, checksum]).unwrap();
    }
}

#[test]
fn every_verdict_is_recomputed_with_and_without_a_running_server() {
    let app = recorded();
    let check = |database: &Path| {
        let all = answer(&replay(database, &["--json"]), 0);
        let verdicts = all["verdicts"].as_array().unwrap();
        let events: Vec<_> = verdicts.iter().map(|one| one["event"].as_str().unwrap()).collect();
        assert_eq!(events, ["traffic_set", "traffic_set", "promoted", "rolled_back"], "{all}");
        assert!(verdicts.iter().all(|one| one["outcome"] == "equal" && one["ticks"] != 0), "{all}");
        assert_eq!(answer(&replay(database, &["--json", "--rollout", "2"]), 0)["equal"], 1);
        let shown = replay(database, &[]);
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(text.contains("4 verdicts recomputed: all equal to the journal"), "{text}");
        let store = format!("sqlite:{}", database.display());
        assert_eq!(all["store"], store);
        let words = |text: &str| text.split_whitespace().collect::<Vec<&str>>().join(" ");
        assert!(words(&text).starts_with(&format!("From the store {store}. rollout 1")), "{text}");
        let with_a_server = serin(database.parent().unwrap())
            .args(["replay", "--store", &store, "--tolerated", "5%"])
            .env("SERIN_URL", "http://127.0.0.1:1")
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        let text = words(&String::from_utf8(with_a_server.stdout).unwrap());
        let said = format!("From the store {store}, not the server at SERIN_URL;");
        let error = String::from_utf8_lossy(&with_a_server.stderr);
        assert!(text.starts_with(&said), "{text}{error}");
    };
    check(&app.database());
    let setup = app.stop();
    check(&setup.database());
}

#[test]
fn a_changed_entry_and_changed_evidence_are_found() {
    let setup = recorded().stop();
    let database = setup.database();
    let original = std::fs::read(&database).unwrap();
    let last = "sequence = (SELECT max(sequence) FROM journal)";
    for (statement, named) in [
        (
            format!(
                "UPDATE journal SET event = json_set(event, '$.judgement.verdict', 'hold') WHERE {last}"
            ),
            "judgement.verdict is \"hold\" in the journal, and comes to \"rollback\"",
        ),
        (
            format!(
                "UPDATE journal SET event = \
                 json_set(event, '$.judgement.sequential.conclusion.metrics[0].harm_p_value', 0.5) WHERE {last}"
            ),
            "judgement.sequential.conclusion.metrics[0].harm_p_value is 0.5 in the journal",
        ),
        (
            "DELETE FROM evidence_tick WHERE rollout = 2 AND number = 1".to_owned(),
            "tick 2 where tick 1 belongs",
        ),
    ] {
        std::fs::write(&database, &original).unwrap();
        change(&database, &statement);
        let all = answer(&replay(&database, &["--json"]), 1);
        assert_eq!((&all["equal"], &all["differ"]), (&json!(3), &json!(1)), "{statement}: {all}");
        let detail = all["verdicts"][3]["detail"].as_str().unwrap();
        assert!(detail.contains(named), "{statement}: {detail}");
    }
}

#[test]
fn missing_evidence_and_another_judge_are_reported() {
    let setup = recorded().stop();
    let database = setup.database();
    let version = "UPDATE evidence_snapshot SET monitors = json_set(monitors, '$.algorithm', 99)
                   WHERE rollout = 2";
    let entry = "UPDATE journal SET event = \
                 json_set(event, '$.judgement.sequential.conclusion.score', 12.5) \
                 WHERE sequence = (SELECT max(sequence) FROM journal)";
    change(&database, version);
    assert_eq!(answer(&replay(&database, &["--json"]), 0)["equal"], 4, "the same is the same");
    change(&database, entry);
    let all = answer(&replay(&database, &["--json"]), 3);
    assert_eq!(all["other_version"], 1);
    let detail = all["verdicts"][3]["detail"].as_str().unwrap();
    assert!(detail.starts_with("recorded by judge version 99, this is 5"), "{detail}");

    change(&database, "DELETE FROM evidence_snapshot WHERE rollout = 1");
    let all = answer(&replay(&database, &["--json", "--rollout", "1"]), 3);
    assert_eq!((&all["not_kept"], &all["differ"]), (&json!(3), &json!(0)), "{all}");
    let what_if = replay(&database, &["--rollout", "1", "--tolerated", "5%"]);
    assert_eq!(what_if.status.code(), Some(3));
    let error = String::from_utf8(what_if.stderr).unwrap();
    assert!(error.contains("a what-if needs all ticks since the deployment"), "{error}");
}

#[test]
fn what_if_with_another_margin() {
    let setup = recorded().stop();
    let database = setup.database();
    let folder = database.parent().unwrap();
    std::fs::write(
        folder.join("wide.toml"),
        "[[metrics]]\nname = \"latency\"\ntolerated = { absolute = 1.0 }\naccepted = { absolute = 1.0 }\n",
    )
    .unwrap();
    let wide = answer(&replay(&database, &["--json", "--policy", "wide.toml"]), 0);
    assert_eq!(wide["rollout"], 2);
    assert_eq!(wide["what_if"]["rollback"], Value::Null, "{wide}");
    // The tail waits for more requests than were made.
    let tail = "[[metrics]]\nname = \"latency_p99\"\nrole = \"advisory\"\n";
    std::fs::write(folder.join("tail.toml"), tail).unwrap();
    let promoted = ["--json", "--rollout", "1", "--alpha", "0.5", "--policy", "tail.toml"];
    let promoted = answer(&replay(&database, &promoted), 0);
    // Nothing waits for the labels, under another policy as before.
    assert_eq!(promoted["what_if"]["promote"]["verdict"], "promote", "{promoted}");
    let required = |name: &str| {
        let metrics = wide["policy"]["metrics"].as_array().unwrap();
        metrics.iter().find(|metric| metric["name"] == name).unwrap()["required"].clone()
    };
    assert_eq!((required("latency"), required("log_loss")), (json!(true), json!(false)));
    assert_eq!(wide["as_it_was"]["end"]["verdict"], "rollback");
    let happened = wide["happened"].as_array().unwrap();
    assert_eq!(happened.last().unwrap()["event"], "rolled_back");
    assert_eq!(wide["policy"]["metrics"][0]["tolerated"]["absolute"], 1.0);

    let narrow = answer(&replay(&database, &["--json", "--tolerated", "0%", "--alpha", "0.5"]), 0);
    let tick = |course: &str| narrow[course]["rollback"]["tick"].as_u64().unwrap();
    assert!(tick("what_if") <= tick("as_it_was"), "{narrow}");
    // The deployed policy gives the verdict of the journal, at a tick between the first with this verdict and the
    // last: a request in flight at the verdict adds one tick.
    let all = answer(&replay(&database, &["--json", "--rollout", "2"]), 0);
    let said = all["verdicts"].as_array().unwrap().last().unwrap();
    assert_eq!((&said["event"], &said["outcome"]), (&json!("rolled_back"), &json!("equal")));
    let ticks = tick("as_it_was")..=wide["as_it_was"]["ticks"].as_u64().unwrap();
    assert!(ticks.contains(&said["ticks"].as_u64().unwrap()), "{said} {ticks:?}");
    let shown = replay(&database, &["--tolerated", "5%"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("What happened:") && text.contains("first rollback"), "{text}");
}

#[test]
fn a_replay_that_is_not_possible_is_refused_with_a_remedy() {
    let setup = Setup::new().durable();
    let (database, missing) = (setup.database(), replay(&setup.database(), &[]));
    assert_eq!(missing.status.code(), Some(2));
    assert!(!database.exists(), "reading makes no store");
    let app = recorded();
    for (args, named) in [
        (vec!["--rollout", "9"], "--rollout: 9 is not in the journal; use 1 to 2"),
        (vec!["--tolerated", "5"], "--tolerated: \"5\" is not a percentage"),
        (
            vec!["--tolerated", "5%", "--metric", "speed"],
            "--metric: \"speed\" was not judged; use latency",
        ),
        (vec!["--alpha", "2"], "--alpha: 2 is out of range"),
        (vec!["--min-samples", "1"], "--min-samples: 1 is out of range; use 2 or more"),
        (vec!["--policy", "none.toml"], "cannot read none.toml"),
    ] {
        let output = replay(&app.database(), &args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(named), "{args:?}: {error}");
    }
}
