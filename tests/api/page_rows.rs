//! Opened rows of the page, and the history of a metric behind them.

use serde_json::Value;
use serde_json::json;

use crate::client::Reply;
use crate::harness::TestApp;
use crate::problem::refused;
use crate::raw;

const HTML: &str = "accept: text/html";

fn page(app: &TestApp, query: &str) -> String {
    raw::request(app.address, &format!("GET /{query}"), &[HTML], b"").text
}

/// What is in the row that opens for a metric.
fn opened(page: &str, metric: &str) -> String {
    let (_, row) = page.split_once(&format!("id=\"o-{metric}\"")).unwrap();
    row.split_once("</tr>\n<tr role=\"row\" id=\"m-").map_or(row, |(row, _)| row).to_owned()
}

fn history(app: &TestApp, metric: &str) -> Reply {
    app.get(&format!("/admin/metric-history?metric={metric}"))
}

fn moments(history: &Value) -> &Vec<Value> {
    history["moments"].as_array().unwrap()
}

/// A canary with 20 % of the traffic, whose evidence is in.
fn compared() -> TestApp {
    let app = TestApp::spawn_durable();
    app.predict_times(200);
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "traffic_percent": 20 })).done();
    for _ in 0..3 {
        app.predict_times(100);
        app.settled_health();
    }
    app
}

#[test]
fn a_name_opens_its_row_without_javascript() {
    let app = compared();
    let closed = page(&app, "");
    assert!(closed.contains("<a href=\"./?open=latency\" data-row=\"latency\" aria-expanded=\"false\" aria-controls=\"o-latency\" data-keep>"), "{closed}");
    assert!(
        closed
            .contains("<tr role=\"row\" class=\"opened\" id=\"o-latency\" hidden data-keep></tr>"),
        "{closed}"
    );
    let open = page(&app, "?open=latency");
    assert!(open.contains("<a href=\"./\" data-row=\"latency\" aria-expanded=\"true\""), "{open}");
    let row = opened(&open, "latency");
    for expected in [
        "<svg class=\"band\" role=\"img\" aria-label=\"By requests of the canary. latency: ",
        "class=\"mean\"",
        "as stable",
        "accepted",
        "Since the rollout began",
        "p95, this step",
        "Decided by bets on means, ranks and tails: harm at p ≤ ",
        "at most 1 of 20 rollouts",
        "The engine for values",
    ] {
        assert!(row.contains(expected), "{expected:?} is not in {row}");
    }
    assert!(!row.contains("style="), "{row}");
    // One row is open, and the others are closed.
    assert_eq!(open.matches("aria-expanded=\"true\"").count(), 1);
}

#[test]
fn a_fragment_is_what_the_row_shows_and_is_small() {
    let app = compared();
    for metric in ["latency", "failures", "score", "latency_p99", "log_loss"] {
        let fragment = app.get(&format!("/bands/{metric}"));
        assert_eq!((fragment.status, fragment.header("cache-control")), (200, "no-store"));
        assert!(fragment.header("content-security-policy").starts_with("default-src 'none'"));
        assert!(fragment.text.starts_with("<td role=\"cell\" colspan=\"6\">"), "{}", fragment.text);
        assert!(fragment.text.len() < 40_000, "{metric}: {}", fragment.text.len());
    }
    let quantile = app.get("/bands/latency_p99").text;
    assert!(
        quantile.contains("No band: a quantile has no interval here.")
            && !quantile.contains("class=\"fill\""),
        "{quantile}"
    );
    let nothing = app.get("/bands/log_loss").text;
    assert!(
        nothing.contains("Nothing has been compared yet") && nothing.contains("class=\"accepted\""),
        "{nothing}"
    );
}

#[test]
fn a_history_is_of_one_metric_and_continues_after_a_restart() {
    let app = compared();
    let before = history(&app, "latency").done();
    assert_eq!((&before["metric"], &before["harm"]), (&json!("latency"), &json!("higher")));
    assert!(moments(&before).len() > 1 && moments(&before).len() <= 200, "{before}");
    for moment in moments(&before) {
        assert_eq!((&moment["step"], &moment["traffic_percent"]), (&json!(1), &json!(20.0)));
        assert!(moment["accepted"].as_f64() > moment["harmful"].as_f64(), "{moment}");
    }
    let app = app.restart();
    assert_eq!(history(&app, "latency").done(), before, "to the last digit");
    app.predict_times(100);
    app.settled_health();
    let after = history(&app, "latency").done();
    let (was, is) = (moments(&before), moments(&after));
    assert_eq!((&is[..was.len()], is.len() > was.len()), (&was[..], true));
    assert!(moments(&history(&app, "log_loss").done()).is_empty());
}

#[test]
fn what_is_no_metric_is_refused_and_opens_nothing() {
    let app = TestApp::spawn();
    let path = "/admin/metric-history";
    history(&app, "latency").assert_refused(refused(409, "no_canary", &["no canary"]), path, "");
    app.deploy_canary().done();
    let unknown = refused(404, "no_such_metric", &["\"revenue\"", "latency"]);
    history(&app, "revenue").assert_refused(unknown, path, "");
    for query in ["", "?metric=latency&metric=score", "?name=latency"] {
        let invalid = refused(400, "invalid_query", &["metric"]);
        app.get(&format!("{path}{query}")).assert_refused(invalid, path, query);
    }
    let hostile = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let fragment = app.get(&format!("/bands/{hostile}"));
    assert_eq!(
        (fragment.status, fragment.header("content-type")),
        (404, "application/problem+json")
    );
    assert_eq!(fragment.body["code"], "no_such_metric");
    for query in [format!("?open={hostile}"), "?open=revenue".to_owned(), "?open=%ff".to_owned()] {
        let text = page(&app, &query);
        assert!(text.contains("id=\"verdict\"") && !text.contains("<script>alert"), "{text}");
        assert_eq!(text.matches("aria-expanded=\"true\"").count(), 0, "{query}");
    }
}
