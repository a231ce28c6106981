//! The pages of the past, their JSON, and the report in a file.

use std::process::Stdio;

use serde_json::Value;
use serde_json::json;

use crate::binary::serin;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::problem::refused;
use crate::raw;
use crate::replay::recorded;

const HTML: &str = "accept: text/html,application/xhtml+xml";

fn page(app: &TestApp, path: &str) -> String {
    let reply = raw::request(app.address, &format!("GET {path}"), &[HTML], b"");
    assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    let policy = reply.header("content-security-policy").to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    reply.text
}

#[track_caller]
fn has(text: &str, expected: &[&str]) {
    for expected in expected {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}

/// One rollout that was promoted by override, one that a plan rolled back, and one under way.
fn with_history() -> TestApp {
    let app = recorded();
    app.deploy_canary_with(
        &json!({ "model_path": "model_v1.bin", "override_quarantine": true, "reason": "again" }),
    )
    .done();
    app.predict_times(100);
    app
}

#[test]
fn all_rollouts_are_listed_with_their_ends_and_the_one_under_way_first() {
    let app = with_history();
    let all = app.get("/admin/rollouts").done();
    let rollouts = all["rollouts"].as_array().unwrap();
    let ids: Vec<&Value> = rollouts.iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, [3, 2, 1]);
    let counts =
        json!({ "promoted": 1, "rolled_back": 1, "no_verdict": 0, "reverted": 0, "under_way": 1 });
    assert_eq!((&all["total"], &all["counts"]), (&json!(3), &counts));
    let [running, rolled_back, promoted] = &rollouts[..] else { panic!("{all}") };
    assert_eq!(promoted["outcome"], "promoted");
    assert_eq!((&promoted["reason"], &promoted["by"]), (&json!("a test"), &json!("manual")));
    assert_eq!(promoted["largest_percent"], 75.0);
    // 10 % and 50 % of 100, and 75 % of 600.
    assert_eq!(promoted["canary_requests"], 10 + 50 + 450, "{promoted}");
    assert_eq!(
        (&rolled_back["outcome"], &rolled_back["by"]),
        (&json!("rolled_back"), &json!("automatic"))
    );
    let last = &app.history().into_iter().rev().find(|it| it["event"] == "rolled_back").unwrap();
    let requests = &last["judgement"]["evidence"]["inputs"]["canary"]["requests"];
    assert_eq!(&rolled_back["canary_requests"], requests);
    assert_eq!(running["outcome"], Value::Null);
    assert_eq!(running["canary_requests"], 10);
    assert_eq!(running["reason"], app.status()["report"]["why"]);

    let text = page(&app, "/rollouts");
    let shown = [
        "href=\"rollouts/3\"",
        "promoted",
        "rolled back",
        "3 since ",
        "a test",
        ">100 %",
        "so far",
    ];
    has(&text, &shown);
    let rows = text.find("rollouts/3\"").unwrap()..text.find("rollouts/1\"").unwrap();
    assert!(rows.start < rows.end);
    assert!(!text.contains("in memory"), "{text}");
    assert_eq!(page(&app, "/rollouts?before=3").matches("scope=\"row\"").count(), 2);
    let one = app.get("/admin/rollouts?limit=1&before=3").done();
    assert_eq!(one["rollouts"].as_array().unwrap().len(), 1);
    assert_eq!(one["rollouts"][0]["id"], 2);
    for query in ["limit=1001", "limit=", "before=x", "after=1", "limit=1&limit=1"] {
        let reply = app.get(&format!("/admin/rollouts?{query}"));
        reply.assert_refused(refused(400, "invalid_query", &[]), "/admin/rollouts", query);
    }
    // After a restart the journal is read anew.
    let before = app.get("/admin/rollouts?before=3").done();
    let app = app.restart();
    assert_eq!(app.get("/admin/rollouts?before=3").done(), before);
}

#[test]
fn without_a_rollout_the_pages_say_so() {
    let app = TestApp::spawn();
    has(&page(&app, "/rollouts"), &["There has been no rollout yet", "in memory"]);
    let latest = app.get("/admin/rollouts/latest");
    let none = refused(404, "no_such_rollout", &["no rollout yet", "serin deploy"]);
    latest.assert_refused(none, "/admin/rollouts/latest", "");
}

#[test]
fn a_rollout_is_shown_as_it_ended() {
    let app = with_history();
    let rolled_back = app.get("/admin/rollouts/2").done();
    let report = &rolled_back["report"];
    assert_eq!(report["condition"], "rolled_back");
    let failing = report["metrics"].as_array().unwrap().iter().find(|it| it["metric"] == "latency");
    assert_eq!(failing.unwrap()["state"], "fail", "{report}");
    assert_eq!(rolled_back["stored_ticks"], "all");
    let events: Vec<&Value> =
        rolled_back["entries"].as_array().unwrap().iter().map(|it| &it["event"]).collect();
    assert_eq!(events, ["canary_deployed", "slowdown_set", "rolled_back"]);
    let text = page(&app, "/rollouts/2");
    has(
        &text,
        &[
            "Rolled back",
            "Rollout 2",
            "id=\"m-latency\"",
            "class=\"estimate\"",
            "as it was when the rollout ended",
            "is rolled back by serin",
            "Timeline",
            "Tolerated",
            "serin, by plan",
            "20 % for",
            "href=\"../rollouts\"",
            "../admin/rollouts/2",
            "name=\"accepted\"",
        ],
    );
    for forbidden in ["style=", "<style", "onclick", "http://", "https://", "page.js"] {
        assert!(!text.contains(forbidden), "{forbidden} is in {text}");
    }
    let promoted = page(&app, "/rollouts/1");
    has(
        &promoted,
        &["Promoted", "model_v2, in place of model_v1", "A test.", "100 %", "by a person"],
    );
    let running = page(&app, "/rollouts/latest");
    has(&running, &["Rollout 3", "as it is at", "so far", "<b>Next</b>"]);
    assert_eq!(app.get("/admin/rollouts/latest").done()["id"], 3);
}

#[test]
fn a_rollout_that_is_not_there_is_a_page_with_a_way_back() {
    let app = recorded();
    for (path, word) in [("/rollouts/9", "not in the journal"), ("/rollouts/x", "not a rollout")] {
        let reply = raw::request(app.address, &format!("GET {path}"), &[HTML], b"");
        assert_eq!((reply.status, reply.header("content-type")), (404, "text/html; charset=utf-8"));
        has(&reply.text, &["No such rollout", word, "href=\"../rollouts\"", "style.css"]);
        // Programs get a problem.
        let reply = app.get(path);
        reply.assert_refused(refused(404, "no_such_rollout", &[word]), path, "");
    }
    let reply = raw::request(app.address, "GET /rollouts?before=x", &[HTML], b"");
    assert_eq!(reply.status, 400, "{}", reply.text);
    has(&reply.text, &["before: &#34;x&#34; is not a number"]);
}

#[test]
fn verdicts_are_recomputed_and_other_margins_are_tried() {
    let app = recorded();
    let replayed = app.get("/admin/rollouts/2?recompute=true").done();
    let outcomes = replayed["recomputed"].as_array().unwrap();
    assert!(
        !outcomes.is_empty() && outcomes.iter().all(|it| it["outcome"] == "equal"),
        "{replayed}"
    );
    has(&page(&app, "/rollouts/2?recompute=true"), &["1 verdict recomputed: equal to the journal"]);

    // Nothing is harm beyond a doubt this small.
    let sure = app.get("/admin/rollouts/2?alpha=1e-300").done()["what_if"].clone();
    assert!(sure["as_it_was"]["rollback"].is_object(), "{sure}");
    assert_eq!(sure["what_if"]["rollback"], Value::Null, "{sure}");
    let narrow =
        app.get("/admin/rollouts/2?tolerated=0%25&accepted=2%25").done()["what_if"].clone();
    let tick = |course: &str| narrow[course]["rollback"]["tick"].as_u64().unwrap();
    assert!(tick("what_if") <= tick("as_it_was"), "{narrow}");
    let text =
        page(&app, "/rollouts/2?metric=latency&tolerated=1000&accepted=1000&alpha=&min_samples=");
    has(
        &text,
        &[
            "With 1000 % of latency tolerated, 1000 % of latency accepted:",
            "As it was",
            "What if",
            "never",
        ],
    );
    has(&text, &["value=\"1000\"", "serin replay --rollout 2 --metric latency --tolerated 1000%"]);

    // The empty fields show the margins of the metric that is chosen.
    for (query, tolerated) in
        [("", "5 % + 100 µs"), ("?metric=latency_p99&accepted=5", "20 % + 100 µs")]
    {
        let text = page(&app, &format!("/rollouts/2{query}"));
        let (_, form) = text.split_once("name=\"tolerated\"").unwrap();
        assert!(form.contains(&format!("placeholder=\"{tolerated}\"")), "{query}: {form}");
        has(
            &text,
            &[
                "data-tolerated=\"20 % + 100 µs\" data-accepted=\"50 % + 200 µs\">latency_p99",
                "replay.js",
            ],
        );
    }

    for (query, said) in [
        ("accepted=wide", "accepted: &#34;wide&#34; is not a percentage"),
        ("metric=speed&accepted=5", "was not judged"),
        ("alpha=2", "alpha: 2 is out of range; use more than 0 and less than 1"),
        ("alpha=1e-400", "alpha: 1e-400 is out of range; use more than 0 and less than 1"),
        ("alpha=inf", "alpha: &#34;inf&#34; is not a number; use one such as 0.01"),
        ("min_samples=1", ">min_samples: 1 is out of range; use 2 or more"),
        (
            "min_samples=9223372036854775808",
            "9223372036854775808 is out of range; use at most 9223372036854775807",
        ),
        (
            "min_samples=99999999999999999999",
            "99999999999999999999 is out of range; use at most 9223372036854775807",
        ),
    ] {
        let reply = raw::request(app.address, &format!("GET /rollouts/2?{query}"), &[HTML], b"");
        has(&reply.text, &[said]);
        let reply = app.get(&format!("/admin/rollouts/2?{query}"));
        let said = said.replace("&#34;", "\"");
        let invalid = refused(400, "invalid_query", &[]);
        reply.assert_refused(invalid, "/admin/rollouts/2", query);
        has(reply.body["detail"].as_str().unwrap(), &[said.trim_start_matches('>')]);
    }
}

#[test]
fn what_the_store_no_longer_has_is_said() {
    let app = recorded();
    let database = app.database();
    let setup = app.stop();
    let connection = rusqlite::Connection::open(&database).unwrap();
    assert!(connection.execute("DELETE FROM evidence_snapshot WHERE rollout = 2", []).unwrap() > 0);
    drop(connection);
    let app = setup.spawn();
    assert_eq!(app.get("/admin/rollouts/2").done()["stored_ticks"], "none");
    let text = page(&app, "/rollouts/2");
    has(&text, &["The store has no ticks of this rollout", "id=\"m-latency\""]);
    assert!(!text.contains("<form"), "{text}");
    let tried = app.get("/admin/rollouts/2?accepted=20%25").done()["what_if"].clone();
    has(tried["message"].as_str().unwrap(), &["Unknown: ", "no longer has them"]);
    let replayed = app.get("/admin/rollouts/2?recompute=true").done();
    assert_eq!(replayed["recomputed"][0]["outcome"], "not_kept");
}

#[test]
fn reasons_and_names_are_escaped() {
    let app = TestApp::spawn();
    let hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    app.deploy_canary_with(&json!({ "model_path": "models/model_v2.bin", "reason": hostile }))
        .done();
    app.rollback_canary_with(&json!({ "reason": hostile })).done();
    for path in [
        "/rollouts",
        "/rollouts/1",
        "/rollouts/1?form=file",
        "/rollouts/1?metric=%3Cscript%3Ealert(3)&accepted=5",
    ] {
        let text = page(&app, path);
        has(&text, &["alert("]);
        for forbidden in ["<script>alert", "<img", "\"'>"] {
            assert!(!text.contains(forbidden), "{path}: {forbidden} is in {text}");
        }
    }
}

#[test]
fn the_past_is_open_and_closed_as_the_page_is() {
    let token = "only-for-metrics-and-pages";
    let closed = Setup::new().given(|settings| {
        settings.metrics_token = Some(token.to_owned().try_into().unwrap());
    });
    let app = closed.spawn();
    app.deploy_canary().done();
    let with = format!("authorization: Bearer {token}");
    for path in ["GET /rollouts", "GET /rollouts/1", "GET /rollouts/1?form=file"] {
        assert_eq!(raw::request(app.address, path, &[HTML], b"").status, 401, "{path}");
        assert_eq!(raw::request(app.address, path, &[&with, HTML], b"").status, 200, "{path}");
        let cross = "sec-fetch-site: cross-site";
        assert_eq!(
            raw::request(app.address, path, &[&with, HTML, cross], b"").status,
            403,
            "{path}"
        );
    }
}

#[test]
fn a_report_is_a_file_that_needs_nothing_else() {
    let app = recorded();
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = serin(folder.path());
        command.args(arguments).args(["--url", &format!("http://{}", app.address)]);
        let output = command.stdout(Stdio::piped()).output().unwrap();
        let all = [&output.stdout[..], &output.stderr[..]].concat();
        (output.status.code().unwrap(), String::from_utf8(all).unwrap())
    };
    let (code, words) = run(&["report", "2", "-o", "two.html"]);
    assert_eq!(code, 0, "{words}");
    has(&words, &["two.html is written"]);
    let text = std::fs::read_to_string(folder.path().join("two.html")).unwrap();
    has(
        &text,
        &[
            "<style>",
            "Rolled back",
            "Rollout 2",
            "id=\"m-latency\"",
            "default-src 'none'; style-src 'unsafe-inline'",
        ],
    );
    for forbidden in ["<script", "href=\"../", "href=\"2", "http://", "https://", "<form", "src="] {
        assert!(
            !text
                .replace("default-src", "")
                .replace("style-src", "")
                .replace("img-src", "")
                .contains(forbidden),
            "{forbidden} is in {text}"
        );
    }
    // Each reference leads into the file.
    let links = text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    assert!(
        links.clone().all(|link| link.starts_with('#') || link == "data:,"),
        "{:?}",
        links.collect::<Vec<_>>()
    );
    let (code, words) = run(&["report", "latest"]);
    assert_eq!((code, folder.path().join("report.html").exists()), (0, true), "{words}");
    let (code, words) = run(&["report", "9"]);
    assert_eq!(code, 2, "{words}");
    has(&words, &["rollout 9 is not in the journal"]);
    has(&run(&["report", "newest"]).1, &["is not a rollout; use its number"]);
    has(&run(&["report", "2", "--json"]).1, &["\"stored_ticks\""]);
}
