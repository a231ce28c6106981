//! Settings: suggestions for unknown words, `serin config show` and `serin config check`.

use std::path::Path;
use std::process::Output;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;

use crate::binary::serin;
use crate::harness::TestApp;

fn config(folder: &Path, args: &[&str]) -> Output {
    serin(folder).arg("config").args(args).stdout(Stdio::piped()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_body_with_a_typing_error_is_refused_with_what_was_meant() {
    let app = TestApp::spawn();
    for (body, named) in [
        (json!({ "modle_path": "model_v2.bin" }), "`modle_path` (did you mean `model_path`?)"),
        (
            json!({ "model_path": "model_v2.bin", "plan": { "mim_samples": 5 } }),
            "`mim_samples` (did you mean `min_samples`?)",
        ),
        (
            json!({ "model_path": "model_v2.bin", "plan": { "template": "carefull" } }),
            "`carefull` (did you mean `careful`?)",
        ),
        (
            json!({ "model_path": "model_v2.bin", "policy": { "promot_score": 5 } }),
            "`promot_score` (did you mean `promote_score`?)",
        ),
        (json!({ "model_path": "model_v2.bin", "mode": "auto" }), "use `manual` or `automatic`"),
        (json!({ "x".repeat(100_000): 1 }), "unknown field"),
    ] {
        let reply = app.deploy_canary_with(&body);
        let detail = reply.body["detail"].as_str().unwrap();
        assert_eq!(reply.status, 422, "{detail}");
        assert!(detail.contains(named), "{named}: {detail}");
    }
}

#[test]
fn what_is_shown_can_be_used_as_a_file_and_names_the_templates() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("serin.toml"),
        "workers = 3\nadmin_token = \"hidden-and-never-shown\"\n",
    )
    .unwrap();
    let shown = text(&config(folder.path(), &["show", "--bake", "10m"]));
    assert!(shown.starts_with("# admin_token is set and not shown (serin.toml)\n"), "{shown}");
    for expected in [
        "workers = 3  # serin.toml",
        "bake = \"10m\"  # --bake",
        "template = \"careful\"",
        "template = \"fast\"",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    assert!(!shown.contains("hidden"), "{shown}");
    std::fs::write(folder.path().join("serin.toml"), &shown).unwrap();
    let again = text(&config(folder.path(), &["show"]));
    let values = |text: &str| {
        text.lines().filter_map(|l| Some(l.split_once("  # ")?.0.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(values(&again), values(&shown));
    let all: Value =
        serde_json::from_slice(&config(folder.path(), &["show", "--json"]).stdout).unwrap();
    assert_eq!(all["settings"]["workers"], 3);
    assert_eq!(all["origins"]["workers"], "serin.toml");
    let steps = &all["templates"]["fast"]["steps"];
    assert_eq!(
        (&steps[0]["weight"], &steps[1]["weight"]),
        (&json!(0.0), &json!(10.0)),
        "shadow first"
    );
    assert_eq!(config(folder.path(), &["check"]).status.code(), Some(0));
}

#[test]
fn a_check_lists_all_fields_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.toml");
    std::fs::write(&file, "wrokers = 2\nalpha = 7.0\n[plan]\nmim_samples = 5\n").unwrap();
    let output = config(folder.path(), &["check", "other.toml"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for expected in [
        "other.toml, line 1, column 1: wrokers: ",
        "other.toml, line 2, column 1: alpha: 7 is out of range",
        "line 4, column 1: plan.mim_samples: ",
        "did you mean `min_samples`?",
        "3 problems",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(config(folder.path(), &["check", "none.toml"]).status.code(), Some(2));
    // What serves with these settings says the first of it.
    let output = config(folder.path(), &["show", "--config", "other.toml"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("did you mean"), "{error}");
}

#[test]
fn the_paths_of_webhooks_are_not_shown_and_nested_values_have_their_origin() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("serin.toml");
    let file = "[[notify]]\nurl = \"https://a.example/hidden/1\"\n[[notify]]\n\
                url = \"https://a.example/hidden/2\"\n[[metrics]]\nname = \"latency\"\n\
                tolerated = { relative = 0.2 }\n[plan]\nsteps = [{ weight = 5, bake = \"1m\" }]\n";
    std::fs::write(&path, file).unwrap();
    let shown = text(&config(folder.path(), &["show"]));
    for expected in [
        "# notify[0].url is set and not shown (serin.toml)",
        "url = \"https://a.example/...1\"  # serin.toml",
        "url = \"https://a.example/...2\"  # serin.toml",
        "relative = 0.2  # serin.toml",
        "relative = 0.1  # default",
        "weight = 5.0  # serin.toml",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    assert!(!shown.contains("hidden"), "{shown}");
    std::fs::write(&path, &shown).unwrap();
    assert_eq!(config(folder.path(), &["check"]).status.code(), Some(0));
    for url in
        ["https://user:hidden@a.example/", "a.example/T000/hidden/more", "http://a.example/hidden"]
    {
        std::fs::write(&path, format!("[[notify]]\nurl = \"{url}\"\n")).unwrap();
        let output = config(folder.path(), &["show"]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{error}");
        assert!(error.contains("line 2, column 1: notify[0].url: "), "{error}");
        assert!(!error.contains("hidden"), "{error}");
    }
}

#[test]
fn the_file_to_check_may_be_named_as_other_commands_name_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("other.toml"), "bake = \"soon\"\n").unwrap();
    let check = |args: &[&str], variable: &str| {
        let mut command = serin(folder.path());
        command.args(["config", "check"]).args(args).env("SERIN_CONFIG", variable);
        command.stdout(Stdio::piped()).output().unwrap()
    };
    for (args, variable) in [
        (&["other.toml"][..], ""),
        (&["--config", "other.toml"], ""),
        (&[], "other.toml"),
        (&["other.toml"], "absent.toml"),
    ] {
        let output = check(args, variable);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(text(&output).ends_with("other.toml: 1 problem\n"), "{}", text(&output));
    }
    let twice = check(&["other.toml", "--config", "other.toml"], "");
    assert_eq!(twice.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&twice.stderr).contains("named twice"));
}
