//! Recording, comparing and resetting numbers that were measured elsewhere.

use serde_json::Value;
use serde_json::json;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::problem::Refused;
use crate::problem::refused;
use crate::raw;

/// The fifty scores of the baseline and of the canary, in hundredths.
const BASELINE: [u32; 7] = [82, 83, 84, 85, 86, 87, 88];
const CANARY: [u32; 8] = [85, 86, 87, 88, 89, 90, 91, 92];

/// Posts a body as curl does in a shell: the number as text, a `Content-Type`, a new connection.
fn record_as_a_shell_does(app: &TestApp, version: &str, hundredths: u32) {
    let body = format!(r#"{{"version": "{version}", "score": 0.{hundredths}}}"#);
    let headers = ["content-type: application/json", "connection: close"];
    let reply = raw::request(app.address, "POST /record", &headers, body.as_bytes());
    assert_eq!(reply.done(), json!({ "status": "recorded" }));
}

#[test]
fn fifty_scores_of_each_recorded_with_curl_promote_the_better_canary() {
    let app = TestApp::spawn();
    for score in BASELINE.into_iter().cycle().take(50) {
        record_as_a_shell_does(&app, "baseline", score);
    }
    for score in CANARY.into_iter().cycle().take(50) {
        record_as_a_shell_does(&app, "canary", score);
    }
    let counts = app.recorded();
    assert_eq!((&counts["baseline"], &counts["canary"]), (&json!(50), &json!(50)));
    assert_eq!(counts["metrics"]["score"], json!({ "baseline": 50, "canary": 50 }));

    // Neither a body nor a Content-Type, as with `curl -X POST`.
    let analysis = app.post_with("/analyze", b"", &[]).done();
    assert_eq!(analysis["decision"], "promote", "{analysis}");
    assert!(analysis["reason"].as_str().unwrap().contains("better"), "{analysis}");
    assert_eq!(analysis["sample_counts"], json!({ "baseline": 50, "canary": 50 }));
    let stats = &analysis["stats"];
    let number = |name: &str| stats[name].as_f64().unwrap();
    assert!(number("mann_whitney_pvalue") < 1e-6 && number("ks_pvalue") < 1e-3, "{stats}");
    assert!(number("welch_pvalue") < 1e-6 && number("cohens_d") > 1.0, "{stats}");
    assert!(number("canary_mean") > number("baseline_mean"), "{stats}");
    let [low, high] = [0, 1].map(|end| stats["bootstrap_ci_95"][end].as_f64().unwrap());
    let difference = number("canary_mean") - number("baseline_mean");
    assert!(0.0 < low && low < difference && difference < high, "{stats}");

    assert_eq!(app.analyze(&json!({})).done(), analysis, "asked again, it says the same");
    let lower = app.analyze(&json!({ "higher_is_better": false })).done();
    assert_eq!(lower["decision"], "rollback", "{lower}");
    assert_eq!(app.reset().done(), json!({ "status": "cleared" }));
    assert_eq!(app.recorded(), json!({ "baseline": 0, "canary": 0, "metrics": {} }));
}

#[test]
fn without_recorded_values_the_decision_is_to_wait() {
    let app = TestApp::spawn();
    assert_eq!(app.recorded(), json!({ "baseline": 0, "canary": 0, "metrics": {} }));
    let analysis = app.post_with("/analyze", b"", &[]).done();
    assert_eq!(analysis["decision"], "wait");
    assert_eq!(analysis["sample_counts"], json!({ "baseline": 0, "canary": 0 }));
    assert!(analysis["stats"].as_object().unwrap().values().all(Value::is_null), "{analysis}");
    app.record("baseline", 0.5).done();
    let other = app.analyze(&json!({ "metric": "scores" })).done();
    assert!(other["reason"].as_str().unwrap().contains("only for score"), "{other}");
}

#[test]
fn values_in_the_body_are_compared_instead_of_the_recorded_ones() {
    let app = TestApp::spawn();
    app.record("canary", 100.0).done();
    let (faster, slower): (Vec<i32>, Vec<i32>) = ((0..40).collect(), (20..60).collect());
    let body = json!({ "baseline": faster, "canary": slower, "higher_is_better": false });
    let analysis = app.analyze(&body).done();
    assert_eq!(analysis["decision"], "rollback", "a slower canary is not promoted: {analysis}");
    assert_eq!(analysis["stats"]["baseline_mean"], 19.5);
    assert_eq!(analysis["sample_counts"], json!({ "baseline": 40, "canary": 40 }));
    let with_the_other_name = json!({ "stable": faster, "canary": slower });
    assert_eq!(app.analyze(&with_the_other_name).done()["decision"], "promote");
    let options = json!({
        "baseline": [1, 2, 3], "canary": [2, 3, 4], "min_samples": 3, "p_threshold": 0.9,
        "effect_threshold": 0.1,
    });
    assert_eq!(app.analyze(&options).done()["decision"], "promote");
    assert_eq!(app.recorded()["canary"], 1);
}

#[test]
fn with_a_margin_a_canary_that_is_not_worse_is_promoted() {
    let app = TestApp::spawn();
    let values = |shift: f64| -> Vec<f64> {
        (0..400_u32).map(|i| 20.0 + (f64::from(i) * 0.618_034).fract() * 4.0 + shift).collect()
    };
    let ask = |shift: f64, margin: Value| {
        let body = json!({
            "baseline": values(0.0), "canary": values(shift), "higher_is_better": false,
            "margin": margin,
        });
        app.analyze(&body).done()
    };
    for (shift, margin, decision, verdict) in [
        (0.1, json!("5%"), "promote", "pass"),
        (0.1, json!(1), "promote", "pass"),
        (0.1, json!(0.1), "wait", "inconclusive"),
        (3.0, json!("5%"), "rollback", "fail"),
    ] {
        let analysis = ask(shift, margin);
        assert_eq!(analysis["decision"], decision, "{analysis}");
        assert_eq!(analysis["verdict"], verdict, "{analysis}");
        let [low, high] = [0, 1].map(|end| analysis["stats"]["margin"]["interval"][end].as_f64());
        let margin = analysis["stats"]["margin"]["margin"].as_f64();
        assert_eq!(high < margin, verdict == "pass", "{analysis}");
        assert_eq!(low > margin, verdict == "fail", "{analysis}");
    }
    let stats = &ask(0.1, json!("5%"))["stats"];
    assert_eq!(stats["margin"]["is_relative"], true);
    assert_eq!(stats["drift"]["level"], "chance", "{stats}");
    assert!(stats["quantiles"]["p99"]["ci_95"].is_array(), "{stats}");
    assert!(stats["rates"].is_null(), "{stats}");
}

#[test]
fn a_table_of_metrics_has_a_verdict_each_and_one_decision() {
    let app = TestApp::spawn();
    for i in 0..60 {
        for version in ["baseline", "canary"] {
            let score = f64::from(i % 7);
            let body = json!({ "version": version, "score": score, "metric": "revenue" });
            app.post("/record", &body).done();
        }
    }
    let latencies: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
    let slower: Vec<f64> = latencies.iter().map(|value| value + 5.0).collect();
    let converted: Vec<u8> = (0..100).map(|i| u8::from(i % 2 == 0)).collect();
    let ask = |canary: &Vec<f64>, critical: bool| {
        let body = json!({
            "metrics": [
                { "metric": "latency_ms", "baseline": latencies, "canary": canary,
                  "higher_is_better": false, "margin": 2, "critical": critical },
                { "metric": "converted", "stable": converted, "canary": converted, "margin": 0.3,
                  "weight": 2 },
                { "metric": "revenue", "margin": "40%", "weight": 2 },
            ],
        });
        app.analyze(&body).done()
    };
    let verdicts = |table: &Value| -> Vec<String> {
        let metrics = table["metrics"].as_array().unwrap();
        metrics.iter().map(|metric| metric["verdict"].as_str().unwrap().to_owned()).collect()
    };
    let good = ask(&latencies, false);
    assert_eq!((&good["decision"], &good["score"]), (&json!("promote"), &json!(100.0)), "{good}");
    assert_eq!(verdicts(&good), ["pass"; 3]);
    assert!(good["metrics"][1]["stats"]["rates"]["fisher_pvalue"].is_number(), "{good}");
    assert_eq!(good["metrics"][2]["sample_counts"], json!({ "baseline": 60, "canary": 60 }));
    let mixed = ask(&slower, false);
    assert_eq!((&mixed["decision"], &mixed["score"]), (&json!("wait"), &json!(80.0)), "{mixed}");
    assert_eq!(verdicts(&mixed), ["fail", "pass", "pass"]);
    assert!(mixed["metrics"][0]["adjusted_pvalue"].as_f64() < Some(0.001), "{mixed}");
    assert_eq!(ask(&slower, true)["decision"], "rollback");
}

#[test]
fn metrics_are_separate_and_stable_means_baseline() {
    let app = TestApp::spawn();
    for (version, metric) in [
        ("stable", "revenue"),
        ("baseline", "revenue"),
        ("canary", "revenue"),
        ("canary", "p99_ms"),
    ] {
        let body = json!({ "version": version, "score": -1, "metric": metric });
        app.post("/record", &body).done();
    }
    let counts = app.recorded();
    assert_eq!((&counts["baseline"], &counts["canary"]), (&json!(2), &json!(2)));
    assert_eq!(counts["metrics"]["revenue"], json!({ "baseline": 2, "canary": 1 }));
    let revenue = app.analyze(&json!({ "metric": "revenue" })).done();
    assert_eq!(revenue["sample_counts"], json!({ "baseline": 2, "canary": 1 }));
    assert_eq!(revenue["stats"]["baseline_mean"], -1.0);
}

#[test]
fn values_recorded_for_one_canary_do_not_count_for_the_next() {
    let app = TestApp::spawn();
    app.record("canary", 0.1).done();
    app.deploy_canary().done();
    assert_eq!(app.recorded()["canary"], 0);
    app.record("canary", 0.2).done();
    app.set_traffic(25).done();
    assert_eq!(app.deploy_canary().status, 409);
    app.rollback_canary().done();
    assert_eq!(app.recorded()["canary"], 1, "it can still be looked at");
    app.deploy_canary().done();
    assert_eq!(app.recorded()["canary"], 0);
}

#[test]
fn the_number_of_metrics_is_limited() {
    let app = TestApp::spawn();
    let record = |metric: String| {
        app.post("/record", &json!({ "version": "canary", "score": 1, "metric": metric }))
    };
    (0..64).for_each(|i| drop(record(format!("m{i}")).done()));
    let full = refused(409, "too_many_metrics", &["metric", "\"m64\"", "64", "/reset"]);
    record("m64".to_owned()).assert_refused(full, "/record", "the 65th metric");
    record("m0".to_owned()).done();
    app.reset().done();
    record("m64".to_owned()).done();
}

#[test]
fn bad_records_are_refused_with_field_value_and_remedy() {
    let bad = |named| refused(422, "invalid_body", named);
    let syntax = |named| refused(400, "invalid_json", named);
    let long = format!(r#"{{"version": "canary", "score": 1, "metric": "{}"}}"#, "m".repeat(65));
    assert_all_refused(
        "/record",
        &[
            ("", refused(400, "empty_body", &[r#"{"version": "#])),
            ("{}", bad(&["version is missing", r#"{"version": "#])),
            (r#"{"version": "canary"}"#, bad(&["score is missing"])),
            (r#"{"score": 1}"#, bad(&["version is missing"])),
            (r#"{"version": "blue", "score": 1}"#, bad(&["version", "\"blue\"", "baseline"])),
            (r#"{"version": "Canary", "score": 1}"#, bad(&["version", "\"Canary\""])),
            (r#"{"version": 1, "score": 1}"#, bad(&["version: 1 is not a text"])),
            (r#"{"version": null, "score": 1}"#, bad(&["version: null is not a text"])),
            (r#"{"version": canary, "score": 1}"#, syntax(&["line 1 column"])),
            (r#"{"version": "canary", "score": "0.9"}"#, bad(&["score", "0.9", "without quotes"])),
            (r#"{"version": "canary", "score": "NaN"}"#, bad(&["score", "NaN"])),
            (r#"{"version": "canary", "score": null}"#, bad(&["score: null is not a number"])),
            (r#"{"version": "canary", "score": true}"#, bad(&["score: true is not a number"])),
            (r#"{"version": "canary", "score": [1]}"#, bad(&["score: a list is not a number"])),
            (r#"{"version": "canary", "score": NaN}"#, syntax(&["line 1 column"])),
            (r#"{"version": "canary", "score": Infinity}"#, syntax(&["line 1 column"])),
            (r#"{"version": "canary", "score": 1e999}"#, syntax(&["out of range"])),
            (r#"{"version": "canary", "score": -1e200}"#, bad(&["score: -1e200", "1e144"])),
            (
                r#"{"version": "canary", "score": 1, "metric": ""}"#,
                bad(&["metric: \"\"", "1 to 64"]),
            ),
            (r#"{"version": "canary", "score": 1, "metric": "a b"}"#, bad(&["metric: \"a b\""])),
            (
                r#"{"version": "canary", "score": 1, "metric": 5}"#,
                bad(&["metric: 5 is not a text"]),
            ),
            (&long, bad(&["metric: \"mmm", "1 to 64"])),
            (r#"{"version": "canary", "score": 1, "scores": 2}"#, bad(&["scores", "score"])),
            (r#"{"version": "canary", "score": 1, "score": 2}"#, bad(&["duplicate", "score"])),
            (r#"[{"version": "canary", "score": 1}]"#, bad(&["array"])),
            ("5", bad(&["5"])),
        ],
    );
}

#[test]
fn bad_requests_to_analyze_are_refused_with_field_value_and_remedy() {
    let bad = |named| refused(422, "invalid_body", named);
    let syntax = |named| refused(400, "invalid_json", named);
    assert_all_refused(
        "/analyze",
        &[
            (r#"{"baseline": [1, 2]}"#, bad(&["canary is missing", "both"])),
            (r#"{"canary": [1, 2]}"#, bad(&["baseline is missing", "both"])),
            (r#"{"baseline": [], "canary": [1]}"#, bad(&["baseline has no values"])),
            (r#"{"baseline": [1], "canary": []}"#, bad(&["canary has no values"])),
            (r#"{"baseline": [1, "2"], "canary": [1]}"#, bad(&["baseline[1]", "\"2\""])),
            (r#"{"baseline": [1], "canary": [1, 2, null]}"#, bad(&["canary[2]", "null"])),
            (
                r#"{"baseline": [[1]], "canary": [1]}"#,
                bad(&["baseline[0]: a list is not a number"]),
            ),
            (r#"{"baseline": [1], "canary": 1}"#, bad(&["canary: 1 is not a list"])),
            (r#"{"baseline": null, "canary": [1]}"#, bad(&["baseline: null is not a list"])),
            (r#"{"baseline": "1,2", "canary": [1]}"#, bad(&["baseline: \"1,2\" is not a list"])),
            (r#"{"baseline": [NaN], "canary": [1]}"#, syntax(&["line 1 column"])),
            (r#"{"baseline": [1e999], "canary": [1]}"#, syntax(&["out of range"])),
            (r#"{"baseline": [1, 1e200], "canary": [1]}"#, bad(&["baseline: value 2", "1e144"])),
            (r#"{"baseline": [1], "stable": [1], "canary": [1]}"#, bad(&["duplicate", "baseline"])),
            (
                r#"{"baseline": [1], "canary": [1], "metric": "m"}"#,
                bad(&["metric", "one or the other"]),
            ),
            (r#"{"metric": "ä"}"#, bad(&["metric: \"ä\""])),
            (r#"{"p_threshold": 0}"#, bad(&["p_threshold: 0 is", "more than 0"])),
            (r#"{"p_threshold": 1.5}"#, bad(&["p_threshold: 1.5", "less than 1"])),
            (r#"{"p_threshold": "0.05"}"#, bad(&["p_threshold", "\"0.05\"", "without quotes"])),
            (r#"{"effect_threshold": -0.2}"#, bad(&["effect_threshold: -0.2", "0 or more"])),
            (r#"{"min_samples": 1}"#, bad(&["min_samples: 1 ", "2 or more"])),
            (r#"{"min_samples": 30.5}"#, bad(&["min_samples: 30.5", "whole"])),
            (r#"{"min_samples": -3}"#, bad(&["min_samples: -3", "whole"])),
            (r#"{"min_samples": 1e300}"#, bad(&["min_samples: 1", "whole"])),
            (r#"{"higher_is_better": "no"}"#, bad(&["higher_is_better: \"no\" is not true"])),
            (r#"{"alpha": 0.05}"#, bad(&["alpha", "p_threshold"])),
            (r#"{"margin": "5 percent"}"#, bad(&["margin: 5 percent is", "5%"])),
            (r#"{"margin": -1}"#, bad(&["margin: -1 is", "0 or more"])),
            (r#"{"margin": "100%"}"#, bad(&["margin: 100% is", "below 100%"])),
            (r#"{"margin": true}"#, bad(&["margin: not a margin; use a number"])),
            (r#"{"margin": 1, "effect_threshold": 0.2}"#, bad(&["margin and effect_threshold"])),
            (r#"{"weight": 2}"#, bad(&["weight", "metrics"])),
            (r#"{"metrics": []}"#, bad(&["metrics: 0", "1 to 64"])),
            (r#"{"metrics": 5}"#, bad(&["metrics: 5 is not a list"])),
            (r#"{"metrics": [{}]}"#, bad(&["metrics[0]: metric is missing"])),
            (r#"{"metrics": [{"metric": "a"}, {"metric": "a"}]}"#, bad(&["\"a\" appears twice"])),
            (r#"{"metrics": [{"metric": "a", "canary": [1]}]}"#, bad(&["metrics[0]: baseline is"])),
            (r#"{"metrics": [{"metric": "a", "p_threshold": 0.1}]}"#, bad(&["next to metrics"])),
            (r#"{"metrics": [{"metric": "a", "weight": 0}]}"#, bad(&["\"a\"", "weight: 0 is"])),
            (r#"{"metrics": [{"metric": "a"}], "correction": "bonferroni"}"#, bad(&["`holm`"])),
            (
                r#"{"metrics": [{"metric": "a"}], "promote_score": 101}"#,
                bad(&["promote_score: 101"]),
            ),
            (r#"{"metrics": [{"metric": "a"}], "metric": "b"}"#, bad(&["metric"])),
            ("[]", bad(&["array"])),
        ],
    );
}

#[test]
fn other_methods_bodies_and_sites_are_refused() {
    let app = TestApp::spawn();
    app.record("canary", 0.5).done();
    let not_get = refused(405, "method_not_allowed", &["POST"]);
    for path in ["/record", "/analyze", "/reset"] {
        app.get(path).assert_refused(not_get, path, "a question where an order belongs");
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let reply = app.post_with(path, b"version=canary&score=1", &form);
        reply.assert_refused(refused(415, "unsupported_media_type", &["json"]), path, "a form");
        let page = [("origin", "http://evil.example"), ("content-type", "text/plain")];
        let reply = app.post_with(path, br#"{"version": "canary", "score": 1}"#, &page);
        assert!(matches!(reply.status, 403 | 415), "{path}: {}", reply.body);
    }
    let not_post = refused(405, "method_not_allowed", &["GET"]);
    app.post("/status", &json!({})).assert_refused(not_post, "/status", "an order");
    let page = [("origin", "http://evil.example")];
    let other_site = refused(403, "forbidden", &["other sites"]);
    app.post_with("/reset", b"", &page).assert_refused(other_site, "/reset", "another site's page");
    app.post("/reset", &json!({ "metric": "score" })).assert_refused(
        refused(422, "invalid_body", &["metric"]),
        "/reset",
        "a field that it does not have",
    );
    assert_eq!(app.recorded()["canary"], 1, "nothing has happened");
}

/// An analysis of a hundred thousand values runs on its own thread, so a single worker still answers
/// predictions meanwhile.
#[test]
fn a_large_analysis_does_not_delay_predictions() {
    let app = Setup::new().given(|given| (given.workers, given.body_limit) = (1, 8 << 20)).spawn();
    let client = app.client();
    let values = |shift: f64| -> Vec<f64> {
        (0..100_000_u32).map(|i| (f64::from(i) * 0.618_033_988_75).fract() + shift).collect()
    };
    // Prepared beforehand: answers during the upload of a body would prove nothing.
    let body = json!({ "baseline": values(0.0), "canary": values(0.01) }).to_string();
    std::thread::scope(|scope| {
        let analyses: Vec<_> = (0..4)
            .map(|_| {
                let (client, body) = (app.client(), &body);
                scope.spawn(move || client.post_text("/analyze", body).done())
            })
            .collect();
        let mut answered = 0;
        while !analyses.iter().all(|analysis| analysis.is_finished()) {
            client.predict().done();
            answered += 1;
        }
        // If the only worker computed the analyses, it would answer 4 to 7 predictions; now it answers hundreds,
        // and on a busy machine both slow down.
        assert!(answered > 20, "{answered} predictions were answered meanwhile");
        for analysis in analyses {
            let analysis = analysis.join().unwrap();
            assert_eq!(analysis["decision"], "wait", "{analysis}");
            assert!(analysis["reason"].as_str().unwrap().contains("too small to matter"));
        }
    });
}

#[track_caller]
fn assert_all_refused(path: &str, cases: &[(&str, Refused<'_>)]) {
    let app = TestApp::spawn();
    app.record("canary", 0.5).done();
    for (body, expected) in cases {
        app.post_text(path, body).assert_refused(*expected, path, body);
    }
    assert_eq!(app.recorded()["canary"], 1, "nothing was recorded");
    app.predict().done();
}
