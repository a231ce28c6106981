//! `GET /metrics`: its forms, who may read it, and that nothing a client sends becomes a series.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::client::CUSTOMER;
use crate::client::Client;
use crate::client::Reply;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::outputs::against_itself;
use crate::outputs::predicted;
use crate::outputs::rows;
use crate::problem::refused;
use crate::raw;

const ADMIN: &str = "correct-horse-battery-staple";
const SCRAPER: &str = "battery-staple-horse-correct";

/// What Prometheus 2.42 and 3.5 send.
const PROMETHEUS: [&str; 2] = [
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
     text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
     application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
     text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
];

fn scrape(app: &TestApp, headers: &[&str]) -> Reply {
    raw::request(app.address, "GET /metrics", headers, b"")
}

fn names(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[test]
fn the_form_is_the_one_that_the_client_prefers() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.predict_times(20);
    let text = "text/plain; version=0.0.4; charset=utf-8";
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let json = "application/json";
    let cases = [
        (PROMETHEUS[0], open),
        (PROMETHEUS[1], open),
        ("text/plain;version=0.0.4", text),
        ("*/*", text),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", text),
        ("application/json", json),
        ("application/json;q=0.5, text/plain", text),
        ("application/vnd.google.protobuf", text),
        ("image/png", text),
        ("nonsense", text),
        ("application/json;q=0, text/plain;q=0.1", text),
        ("application/openmetrics-text;q=0", text),
        ("", text),
    ];
    for (accept, content_type) in cases {
        let reply = scrape(&app, &[&format!("accept: {accept}")]);
        assert_eq!((reply.status, reply.header("content-type")), (200, content_type), "{accept}");
        assert_eq!(reply.header("vary"), "accept");
        assert_eq!(reply.text.ends_with("# EOF\n"), content_type == open, "{accept}");
        assert_eq!(reply.body.is_object(), content_type == json, "{accept}");
    }
    let plain = scrape(&app, &[]);
    assert_eq!(plain.header("content-type"), text);
    let of = |accept: &str| names(&scrape(&app, &[&format!("accept: {accept}")]).text);
    assert_eq!(of("text/plain"), of(PROMETHEUS[0]), "both forms have the same series");
    assert!(plain.text.contains("\nserin_requests_total{track=\"canary\"} 2\n"), "{}", plain.text);
}

#[test]
fn both_tracks_are_there_as_json_with_the_names_of_the_guide() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.predict_times(40);
    let both = scrape(&app, &["accept: application/json"]).done();
    for (track, version, requests) in [("stable", "model_v1", 36), ("canary", "model_v2", 4)] {
        let of = &both[track];
        assert_eq!((&of["version"], &of["request_count"]), (&version.into(), &requests.into()));
        assert_eq!(of["error_rate"], 0.0);
        assert!(of["avg_latency_ms"].as_f64().unwrap() > 0.0);
        let shares = of["prediction_distribution"].as_object().unwrap();
        assert_eq!(shares.values().filter_map(Value::as_f64).sum::<f64>(), 1.0);
    }
}

#[test]
fn classes_and_scores_have_their_own_metrics() {
    let app = against_itself("lgb_multiclass.txt");
    let features = rows("lgb_multiclass.case.json");
    features.iter().for_each(|row| drop(predicted(&app, row)));
    let text = scrape(&app, &[]).text;
    let sum = |track: &str| -> f64 {
        let series = format!("serin_class_probability_total{{track=\"{track}\",class=\"");
        let lines = text.lines().filter(|line| line.starts_with(&series));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    let all = features.len() as f64;
    assert!(
        (sum("stable") + sum("canary") - all).abs() < 1e-9,
        "the probabilities of a row add up to 1"
    );
    assert!(!text.contains("serin_score"), "{text}");
    let both = scrape(&app, &["accept: application/json"]).done();
    let shares = both["canary"]["prediction_distribution"].as_object().unwrap();
    assert_eq!(shares.keys().collect::<Vec<_>>(), ["0", "1", "2"]);

    let app = against_itself("lgb_regression.txt");
    let before = names(&scrape(&app, &[]).text);
    rows("lgb_regression.case.json").iter().for_each(|row| drop(predicted(&app, row)));
    let text = scrape(&app, &[]).text;
    let scores = |names: &BTreeSet<String>| -> BTreeSet<String> {
        names.iter().filter(|name| name.starts_with("serin_score")).cloned().collect()
    };
    assert_eq!(
        scores(&names(&text)),
        scores(&before),
        "the bounds are those of scores from the start"
    );
    assert!(text.contains("serin_score_bucket{track=\"stable\",le=\"-1000.0\"}"), "{text}");
    assert!(!text.contains("serin_score_sum"), "a sum of negative scores could fall");
    let both = scrape(&app, &["accept: application/json"]).done();
    let quantiles = both["stable"]["prediction_distribution"].as_object().unwrap();
    assert_eq!(quantiles.keys().collect::<Vec<_>>(), ["p10", "p50", "p90"]);
}

#[test]
fn nothing_that_clients_send_becomes_a_series() {
    let app = Setup::new()
        .given(|given| given.segments = serde_json::from_str(r#"{"region": ["north"]}"#).unwrap())
        .spawn();
    app.deploy_canary().done();
    app.predict_times(20);
    app.settled_status();
    // What the judge can say of a metric depends on the evidence so far.
    let names = |reply: Reply| {
        let said = ["difference", "interval", "limit", "stable_mean", "score"];
        let is_said =
            |name: &String| said.iter().any(|it| name.starts_with(&format!("serin_judge_{it}")));
        names(&reply.text).into_iter().filter(|name| !is_said(name)).collect::<BTreeSet<String>>()
    };
    let before = names(scrape(&app, &[]));
    let json = "content-type: application/json";
    for n in 0..300 {
        let odd = n * 2_654_435_761_u64 % 1_000_003;
        raw::request(app.address, &format!("GET /no/{odd}/path?x={odd}"), &[], b"");
        raw::request(app.address, &format!("M{odd} /predict"), &[json], b"{}");
        let user_agent = format!("user-agent: agent-{odd}");
        raw::request(app.address, &format!("GET /metrics?version={odd}"), &[&user_agent], b"");
        let body = format!(r#"{{"features": {CUSTOMER:?}, "key": "u{odd}", "id": "i{odd}"}}"#);
        app.post_text("/predict", &body).done();
        let body = format!(r#"{{"features": {CUSTOMER:?}, "segments": {{"region": "r{odd}"}}}}"#);
        app.post_text("/predict", &body);
        app.record(&format!("v{odd}"), 0.5);
        app.post_text("/feedback", format!(r#"{{"prediction_id": "{odd}", "outcome": 1}}"#));
        app.post_text("/admin/deploy-canary", format!(r#"{{"model_path": "m{odd}.bin"}}"#));
    }
    app.settled_status();
    assert_eq!(names(scrape(&app, &[])), before);
}

#[test]
fn metrics_are_open_unless_they_have_a_token() {
    let admin = |given: &mut serin::cli::settings::Settings| {
        given.admin_token = Some(ADMIN.to_owned().try_into().unwrap());
    };
    let own = |given: &mut serin::cli::settings::Settings| {
        given.metrics_token = Some(SCRAPER.to_owned().try_into().unwrap());
    };
    let public = Setup::new().given(|given| given.listen = "0.0.0.0:0".to_owned());
    for open in [Setup::new(), Setup::new().given(admin), public] {
        let app = open.spawn();
        assert_eq!(Client::new(app.address, None).get("/metrics").status, 200);
        // A proxy makes no difference: nothing can be changed here.
        assert_eq!(scrape(&app, &["x-forwarded-for: 203.0.113.9"]).status, 200);
    }
    let app = Setup::new().given(own).spawn();
    let (bearer, other) =
        (format!("authorization: Bearer {SCRAPER}"), "authorization: Bearer wrong");
    let expected = refused(401, "unauthorized", &["Authorization: Bearer"]);
    for headers in [&[][..], &[other]] {
        let reply = scrape(&app, headers);
        reply.assert_refused(expected, "/metrics", "no token, or another one");
        assert_eq!(reply.header("www-authenticate"), "Bearer");
    }
    assert_eq!(scrape(&app, &[&bearer]).status, 200);
    let app = Setup::new().given(own).given(admin).spawn();
    assert_eq!(scrape(&app, &[&bearer]).status, 200);
    assert_eq!(scrape(&app, &[&format!("authorization: Bearer {ADMIN}")]).status, 200);
    assert_eq!(scrape(&app, &[]).status, 401);
    let promote = raw::request(app.address, "GET /admin/status", &[&bearer], b"");
    assert_eq!(promote.status, 401, "the scraper's token reads metrics and nothing else");
}

#[test]
fn pages_of_other_sites_may_not_read_metrics() {
    let app = TestApp::spawn();
    let expected = refused(403, "forbidden", &["other sites"]);
    for headers in [["origin: http://evil.example"], ["sec-fetch-site: cross-site"]] {
        scrape(&app, &headers).assert_refused(expected, "/metrics", headers[0]);
    }
    let rebound = "GET /metrics HTTP/1.1\r\nhost: evil.example:8000\r\n\r\n";
    let reply = raw::exchange(app.address, rebound.as_bytes());
    reply.assert_refused(refused(403, "forbidden", &["Host"]), "/metrics", "a rebound name");
}
