//! What commands answer, and how the command line follows them.

use std::process::Output;
use std::process::Stdio;

use serde_json::json;
use tempfile::tempdir;

use crate::binary::serin;
use crate::harness::TestApp;

#[test]
fn a_command_answers_with_what_it_changed_and_the_status_has_the_same() {
    let app = TestApp::spawn();
    let whole = app.status().to_string().len();
    let deployed = app.deploy_canary();
    let commands = [
        deployed,
        app.pause_canary(),
        app.resume_canary(),
        app.set_traffic(20),
        app.rollback_canary(),
    ];
    let newest = commands.last().unwrap().body.clone();
    assert_eq!(newest["condition"], "rolled_back");
    for (place, reply) in commands.into_iter().enumerate() {
        let answer = reply.done();
        assert_eq!(answer["revision"], place + 2);
        assert!(answer.to_string().len() < 1200.min(whole), "{answer}");
        for words in ["headline", "next"] {
            assert!(answer[words].as_str().unwrap().contains(' '), "{answer}");
        }
    }
    let status = app.status();
    for field in ["revision", "state", "stable", "canary", "traffic_percent", "last_rollout"] {
        assert_eq!(newest[field], status[field], "{field}");
    }
}

#[test]
fn wait_ends_with_the_rollout_and_its_exit_code_says_how() {
    let app = TestApp::spawn();
    let folder = tempdir().unwrap();
    let wait = |flags: &[&str]| {
        let mut command = serin(folder.path());
        command.args(["wait", "--url", &format!("http://{}", app.address)]).args(flags);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let ended = |flags: &[&str]| wait(flags).wait_with_output().unwrap();
    let words = |output: &Output| {
        let all = [&output.stdout[..], &output.stderr[..]].concat();
        String::from_utf8(all).unwrap()
    };
    let none = ended(&[]);
    assert_eq!(none.status.code(), Some(2));
    assert!(words(&none).contains("no rollout was started yet"), "{}", words(&none));

    app.deploy_canary().done();
    let early = ended(&["--timeout", "0s"]);
    assert_eq!(early.status.code(), Some(3));
    assert!(words(&early).contains("has not ended yet"), "{}", words(&early));

    let mut waiting = wait(&[]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(waiting.try_wait().unwrap().is_none(), "it waits as long as the rollout takes");
    app.rollback_canary().done();
    let rolled_back = waiting.wait_with_output().unwrap();
    assert_eq!(rolled_back.status.code(), Some(1), "{}", words(&rolled_back));
    assert!(words(&rolled_back).contains("model_v2"), "{}", words(&rolled_back));

    let over = words(&ended(&[]));
    assert!(over.starts_with("No rollout is under way. Rollout 1 of model_v2 ended "), "{over}");
    assert!(over.contains(" ago:\nRolled back  model_v2"), "{over}");

    app.deploy_canary().done();
    app.promote_canary_with(&json!({ "force": true, "reason": "a test" })).done();
    let promoted = ended(&["--json"]);
    assert_eq!(promoted.status.code(), Some(0), "{}", words(&promoted));
    let last: serde_json::Value = serde_json::from_slice(&promoted.stdout).unwrap();
    assert_eq!(last["outcome"], "promoted");
}
