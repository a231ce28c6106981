//! Commands of the command line that change or report something: they do what the routes do, and say so.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tempfile::tempdir;

use crate::binary::serin;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::shadow::varied;

/// The command line, asking this server.
struct Terminal<'a> {
    app: &'a TestApp,
    folder: TempDir,
}

impl Terminal<'_> {
    fn of(app: &TestApp) -> Terminal<'_> {
        Terminal { app, folder: tempdir().unwrap() }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Exit code and all output.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = serin(self.folder());
        command.args(arguments).args(["--url", &format!("http://{}", self.app.address)]);
        let output = command.stdout(Stdio::piped()).output().unwrap();
        let all = [&output.stdout[..], &output.stderr[..]].concat();
        (output.status.code().unwrap(), String::from_utf8(all).unwrap())
    }

    fn done(&self, arguments: &[&str]) -> String {
        let (code, words) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {words}");
        words
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[arguments, &["--json"]].concat())).unwrap()
    }
}

#[test]
fn traffic_and_faults_are_set() {
    let app = Setup::new().given(|settings| settings.allow_injection = true).spawn();
    let terminal = Terminal::of(&app);
    app.deploy_canary().done();
    terminal.done(&["set-traffic", "25", "--shadow", "50"]);
    let status = app.status();
    assert_eq!(status["traffic_percent"], 25.0);
    assert_eq!(status["shadow"]["percent"], 50.0, "{}", status["shadow"]);
    let (code, words) = terminal.run(&["set-traffic", "101"]);
    assert!(code == 2 && words.contains("percent: 101 is out of range"), "{words}");

    terminal.done(&["inject", "--delay", "5ms", "--error-rate", "20%", "--score-shift", "-0.1"]);
    let injection = &app.status()["injection"];
    assert_eq!(injection["delay_ms"], 5, "{injection}");
    assert_eq!(injection["error_rate"], 0.2, "{injection}");
    assert_eq!(injection["score_shift"], -0.1, "{injection}");
    for wrong in ["nan", "inf", "much"] {
        let (code, words) = terminal.run(&["inject", "--score-shift", wrong]);
        assert!(code == 2 && words.contains("--score-shift"), "{words}");
    }
    assert_eq!(app.status()["injection"]["delay_ms"], 5, "nothing has changed");
    terminal.done(&["inject", "--score-shift", "-1e-3"]);
    let (code, words) = terminal.run(&["inject"]);
    assert!(code == 2 && words.contains("--off"), "{words}");
    terminal.done(&["inject", "--off"]);
    assert_eq!(app.status()["injection"], Value::Null);

    let on = terminal.done(&["toggle-slowdown"]);
    assert_eq!(on, "The slowdown is on: each answer of the canary takes 25 ms longer.\n");
    assert_eq!(terminal.json(&["toggle-slowdown", "on", "--delay", "40ms"])["delay_ms"], 40);
    assert_eq!(terminal.done(&["toggle-slowdown", "off"]), "The slowdown is off.\n");
}

#[test]
fn model_files_are_listed_with_what_they_serve_as() {
    let app = Setup::new().model("broken.bin", b"not a model").spawn();
    let terminal = Terminal::of(&app);
    app.deploy_canary().done();
    let words = terminal.done(&["models"]);
    let line = |name: &str| words.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("model_v1").ends_with("stable"), "{words}");
    assert!(line("model_v2").ends_with("canary"), "{words}");
    assert!(line("broken").contains("not a model"), "{words}");
    assert_eq!(terminal.json(&["models"])["models"].as_array().unwrap().len(), 3);
}

#[test]
fn outcomes_and_values_are_reported() {
    let app = TestApp::spawn();
    let terminal = Terminal::of(&app);
    app.deploy_canary().done();
    let id = |_| app.predict().done()["prediction_id"].as_str().unwrap().to_owned();
    let ids: Vec<String> = (0..1200).map(id).collect();
    let one = terminal.done(&["feedback", &ids[0], "1"]);
    assert!(one.starts_with("The outcome is recorded; it counts for "), "{one}");
    let rows: String = ids[1..].iter().map(|id| format!("{id},0\n")).collect();
    let file = terminal.folder().join("outcomes.csv");
    fs::write(&file, format!("prediction_id,outcome\n{rows}not-an-id,1\n")).unwrap();
    let (code, words) = terminal.run(&["feedback", "--file", file.to_str().unwrap()]);
    assert_eq!(code, 1, "{words}");
    assert!(words.starts_with("1,199 outcomes recorded, 0 not counted, 1 refused.\n"), "{words}");
    assert!(words.contains("row 1200"), "{words}");
    fs::write(&file, "id,outcome\n").unwrap();
    let (code, words) = terminal.run(&["feedback", "--file", file.to_str().unwrap()]);
    assert!(
        code == 2 && words.contains("no column prediction_id; it has `id`, `outcome`"),
        "{words}"
    );

    terminal.done(&["record", "canary", "-0.5", "--metric", "revenue"]);
    terminal.done(&["record", "baseline", "41.5", "--metric", "revenue"]);
    assert_eq!(app.recorded()["metrics"]["revenue"], json!({ "baseline": 1, "canary": 1 }));
    let (code, words) = terminal.run(&["record", "other", "1"]);
    assert!(code == 2 && words.contains("is not a version"), "{words}");
}

#[test]
fn disagreements_are_shown_and_recent_requests_are_replayed() {
    let app = Setup::new().given(|settings| settings.recent_requests.capacity = 50).spawn();
    let terminal = Terminal::of(&app);
    let none = terminal.done(&["disagreements"]);
    assert!(none.starts_with("No rollout has shadow traffic."), "{none}");
    for number in 0..50 {
        app.post("/predict", &json!({ "features": varied(number) })).done();
    }
    let (code, words) = terminal.run(&["replay-recent"]);
    assert!(code == 2 && words.contains("canary"), "{words}");
    app.deploy_canary_with(
        &json!({ "model_path": "model_v2.bin", "traffic_percent": 0, "shadow_percent": 100 }),
    )
    .done();
    let replayed = terminal.done(&["replay-recent"]);
    assert!(replayed.starts_with("Rollout 1: both versions answer "), "{replayed}");
    let start = Instant::now();
    while terminal.json(&["disagreements"])["disagreements"].as_array().unwrap().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20), "nothing was compared");
        std::thread::sleep(Duration::from_millis(100));
    }
    let shown = terminal.done(&["disagreements"]);
    assert!(
        shown.starts_with("Rollout 1: the largest differences, canary minus stable.\n"),
        "{shown}"
    );
    assert!(shown.contains("tenure_years"), "{shown}");
}

#[test]
fn a_deployment_waits_for_the_verdict_of_a_rollout_by_hand() {
    let app = TestApp::spawn();
    let terminal = Terminal::of(&app);
    let on = terminal.done(&["toggle-slowdown"]);
    assert!(on.starts_with("The slowdown is on. There is no canary;"), "{on}");
    let mut command = serin(terminal.folder());
    command.args(["deploy", "model_v2.bin", "--traffic", "50", "--wait"]);
    command.args(["--url", &format!("http://{}", app.address)]);
    let mut deploying = command.stdout(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while deploying.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(60), "no verdict");
        app.predict_times(20);
    }
    let output = deploying.wait_with_output().unwrap();
    let words = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("gets 50 % of the traffic"), "{words}");

    let (code, markdown) = terminal.run(&["wait", "--for", "verdict", "--markdown"]);
    assert_eq!(code, 1, "{markdown}");
    assert!(markdown.starts_with("### "), "{markdown}");
    assert!(markdown.contains("\n| metric | role | difference |"), "{markdown}");
    assert!(!markdown.contains('\u{1b}') && !markdown.contains("u{1b}"), "{markdown}");
    assert_eq!(terminal.run(&["check", "--markdown"]).0, 1);
    app.rollback_canary().done();
    let (code, ended) = terminal.run(&["wait", "--for", "verdict", "--markdown"]);
    assert!(code == 1 && ended.contains("ended ") && ended.contains("### Rolled back"), "{ended}");
}

#[test]
fn without_a_verdict_a_wait_ends_at_its_timeout() {
    let app = TestApp::spawn();
    let terminal = Terminal::of(&app);
    app.deploy_canary().done();
    let (code, words) = terminal.run(&["wait", "--for", "verdict", "--timeout", "0s"]);
    assert!(code == 3 && words.contains("no verdict yet"), "{words}");
}

#[test]
fn a_wait_says_what_it_waits_for_and_when_that_changes() {
    let app = TestApp::spawn();
    let terminal = Terminal::of(&app);
    app.deploy_canary().done();
    let mut command = serin(terminal.folder());
    command.args(["wait", "--for", "verdict", "--url", &format!("http://{}", app.address)]);
    let mut waiting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(waiting.stderr.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let begins =
        "serin: waiting for a verdict; Ctrl-C ends the wait, and the rollout goes on; waiting: ";
    assert!(first.starts_with(begins), "{first}");
    assert!(first.contains("model_v2 gets 10 % of the traffic. No requests yet"), "{first}");
    app.post("/admin/pause-canary", &json!({})).done();
    let paused = lines.next().unwrap();
    assert!(paused.starts_with("serin: paused: model_v2 gets 10 %"), "{paused}");
    assert!(paused.contains("You decide: resume (serin resume)"), "{paused}");
    app.rollback_canary().done();
    assert_eq!(waiting.wait().unwrap().code(), Some(1));
    assert_eq!(lines.next(), None, "nothing else is printed");
}
