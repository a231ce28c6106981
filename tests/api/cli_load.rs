//! `serin load`: its traffic is that of users, and it goes on when the server does not.

use std::fs;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;
use tempfile::tempdir;

use crate::binary::serin;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::raw;

const TOKEN: &str = "correct-horse-battery-staple";

/// `serin load` in an empty folder, against this server.
fn load(app: &TestApp, folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = serin(folder.path());
    command.arg("load").args(arguments).args(["--url", &app.address.to_string()]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Exit code and all output.
fn ended(mut command: Command) -> (i32, String) {
    let output = command.output().unwrap();
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code().unwrap(), String::from_utf8(all).unwrap())
}

fn summary(app: &TestApp, folder: &TempDir, arguments: &[&str]) -> Value {
    let (code, text) = ended(load(app, folder, &[arguments, &["--json"]].concat()));
    assert_eq!(code, 0, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn interrupted(child: Child) -> (i32, String) {
    let done = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(done.success());
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Customers of the default models, every third of whom leaves.
fn customers(folder: &TempDir) -> String {
    let row = |row: usize| {
        let label = if row.is_multiple_of(3) { "yes" } else { "no" };
        format!("{label},{},1.2,0.8,0.3,1.{}\n", row % 7, row % 10)
    };
    let head = "churned,tenure_years,charge_ratio,usage_ratio,late_payment_share,support_calls\n";
    let path = folder.path().join("customers.csv");
    fs::write(&path, head.to_owned() + &(0..60).map(row).collect::<String>()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn random_rows_are_answered_and_look_like_those_of_training() {
    let (app, folder) = (TestApp::spawn(), tempdir().unwrap());
    app.deploy_canary().done();
    app.set_traffic(50).done();
    let sent = summary(&app, &folder, &["--rate", "400", "--for", "2s"]);
    let counts = ["sent", "left_out_busy", "by_stable", "by_canary"];
    let [all, left_out, stable, canary] = counts.map(|name| sent[name].as_u64().unwrap());
    // Within seven standard deviations of 800, however slow the answers are.
    assert!((600..1000).contains(&(all + left_out)), "{sent}");
    assert!(stable + canary == all && canary > all / 3, "{sent}");
    assert_eq!(sent["errors"], serde_json::json!({}), "{sent}");
    let inputs = &app.status()["inputs"]["against_training"][0];
    for feature in inputs["features"].as_array().unwrap() {
        assert!(feature["psi"].as_f64().unwrap() < 0.25, "{inputs}");
    }
    let (code, text) = ended(load(&app, &folder, &["--for", "1200ms", "--keys", "1"]));
    assert!(code == 0 && text.contains("50 requests per second to "), "{text}");
    assert!(text.contains(" answers ") && text.contains(" canary "), "{text}");
    let tracks = app.status()["totals"].clone();
    let again = summary(&app, &folder, &["--for", "500ms", "--keys", "1", "--seed", "2"]);
    let by = ["by_stable", "by_canary"].map(|name| again[name].as_u64().unwrap());
    assert!(by.contains(&0), "one key, one version: {again} {tracks}");
}

#[test]
fn rows_of_a_file_are_sent_with_labels_that_come_later() {
    let (app, folder) = (TestApp::spawn(), tempdir().unwrap());
    app.deploy_canary().done();
    let data = customers(&folder);
    let flags = ["--data", &data, "--labels", "churned", "--label-delay", "100ms..300ms"];
    let sent = summary(&app, &folder, &[&flags[..], &["--for", "1s", "--rate", "100"]].concat());
    let labels = &sent["labels"];
    assert!(labels["recorded"].as_u64().unwrap() > 30, "{sent}");
    assert_eq!((&labels["refused"], &labels["not_sent"]), (&0.into(), &0.into()), "{sent}");

    let wrong = |arguments: &[&str], named: &[&str]| {
        let (code, text) = ended(load(&app, &folder, arguments));
        assert_eq!(code, 2, "{text}");
        assert!(named.iter().all(|name| text.contains(name)), "{text}");
    };
    wrong(&["--data", &data, "--labels", "churn"], &["no column `churn`", "`churned`"]);
    wrong(&["--labels", "churned"], &["--data"]);
    wrong(&[&flags[..4], &["--label-delay", "3s..1s"]].concat(), &["--label-delay", "3s..1s"]);
    wrong(&["--rate", "0"], &["--rate: 0", "0.01"]);
    fs::write(folder.path().join("other.csv"), "tenure_year,charge_ratio\n1,2\n").unwrap();
    let other = folder.path().join("other.csv");
    wrong(&["--data", other.to_str().unwrap()], &["`tenure_years`", "did you mean `tenure_year`?"]);
}

#[test]
fn a_server_that_goes_away_is_tried_again_and_the_end_is_a_summary() {
    let (app, folder) = (TestApp::spawn(), tempdir().unwrap());
    let child = load(&app, &folder, &["--rate", "100"]).spawn().unwrap();
    let requests = |app: &TestApp| app.status()["tracks"]["stable"]["requests"].as_u64().unwrap();
    until("no request arrives", || requests(&app) > 0);
    let address = app.address.to_string();
    let setup = app.stop();
    std::thread::sleep(Duration::from_millis(1500));
    let app = setup.given(|settings| settings.listen = address).spawn();
    until("the server is not tried again", || requests(&app) > 20);
    std::thread::sleep(Duration::from_secs(1));
    let (code, text) = interrupted(child);
    assert_eq!(code, 0, "{text}");
    for said in ["; trying again every second", " answers again", "no answer, ", "requests sent in"]
    {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }
    drop(app);
}

#[test]
fn a_server_with_a_token_tells_strangers_no_more_than_names() {
    let setup = Setup::new();
    let setup = setup.given(|it| it.admin_token = Some(TOKEN.to_owned().try_into().unwrap()));
    let (app, folder) = (setup.spawn(), tempdir().unwrap());
    let (code, text) = ended(load(&app, &folder, &["--for", "1s"]));
    assert!(code == 2 && text.contains("--admin-token") && text.contains("--data"), "{text}");
    let data = customers(&folder);
    let sent = summary(&app, &folder, &["--data", &data, "--for", "300ms"]);
    assert!(sent["by_stable"].as_u64().unwrap() > 0, "{sent}");
    let sent = summary(&app, &folder, &["--admin-token", TOKEN, "--for", "300ms"]);
    assert!(sent["by_stable"].as_u64().unwrap() > 0, "{sent}");
}

#[test]
fn without_a_server_nothing_is_sent() {
    let (app, folder) = (TestApp::spawn(), tempdir().unwrap());
    let command = load(&app, &folder, &["--for", "1s"]);
    drop(app);
    let (code, text) = ended(command);
    assert!(code == 2 && text.contains("no answer from http://127.0.0.1:"), "{text}");
}

#[test]
fn the_page_offers_the_command_while_no_request_comes() {
    let (app, folder) = (TestApp::spawn(), tempdir().unwrap());
    let page = || raw::request(app.address, "GET /", &["accept: text/html"], b"").text;
    let deploy = format!("serin deploy MODEL --plan standard --url {}", app.address);
    assert!(page().contains(&deploy), "{}", page());
    app.deploy_canary().done();
    let offered = format!("serin load --url {}", app.address);
    let text = page();
    assert!(text.contains(&offered) && text.contains("without requests serin"), "{text}");
    assert_eq!(app.status()["report"]["start"]["command"], "serin load");
    let mut command = serin(folder.path());
    command.args(offered.split(' ').skip(1)).args(["--for", "1s"]);
    assert_eq!(ended(command).0, 0);
    assert!(!page().contains(&offered), "{}", page());
}
