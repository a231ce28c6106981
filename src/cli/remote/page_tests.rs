//! Pages of typical statuses at the usual widths.

use serde_json::Value;
use serde_json::json;
use textwrap::core::display_width;

use super::explain;
use super::history;
use super::status;
use crate::canary::JudgePolicy;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::judge_policy::PairSource;
use crate::canary::policy::metric_overrides::JudgePolicyOverride;
use crate::service::status::Status;
use crate::service::status::report::tests;
use crate::service::status::report::words::Times;

fn times(status: &Status) -> Times {
    Times { zone: jiff::tz::TimeZone::UTC, now: status.at }
}

/// A rollout in shadow with long numbers, in which each metric is classified like this.
fn in_shadow(classification: &str) -> Status {
    let pairs = PairSource::InShadow { is_required: true };
    let given: JudgePolicyOverride = toml::from_str(
        "[[metrics]]\nname = \"revenue_per_customer\"\nharm = \"lower\"\nrole = \"signal\"",
    )
    .unwrap();
    let health = HealthPolicy::default();
    let policy = JudgePolicy::default().changed(&health, &given).unwrap();
    let policy = policy.of_rollout(&health, &given, pairs).unwrap();
    let evidence = |metric: &crate::canary::Metric| {
        json!({
            "metric": metric.name, "role": metric.role, "classification": classification,
            "samples": { "stable": 1_234_567, "canary": 123_456, "stable_failures": 1234,
                         "canary_failures": 123 },
            "harm_p_value": 1.2345e-7, "harm_threshold": 0.00625, "proven_p_value": 0.98765,
            "proven_threshold": 0.0125, "effect": 0.012345, "interval": [-0.0234, 0.04567],
            "stable_mean": 0.0567, "stable_spread": 0.204, "canary_spread": 0.199, "distance": 0.345,
        })
    };
    let judged: Vec<Value> = policy.metrics.iter().map(evidence).collect();
    let mut status = tests::rollout("inconclusive", None, json!({}));
    status.rollout.as_mut().unwrap().metrics.clone_from(&policy.metrics);
    let sequential = status.health.as_mut().unwrap().sequential.as_mut().unwrap();
    sequential.metrics = serde_json::from_value(json!(judged)).unwrap();
    status
}

fn fits(lines: &[String], width: usize) {
    for line in lines {
        assert!(display_width(line) <= width, "{line:?} in\n{}", lines.join("\n"));
    }
}

#[test]
fn pages_fit_in_the_terminal() {
    let mut quarantined = tests::status(tests::ended("rolled_back", &"slow and ".repeat(20)));
    quarantined.quarantine = serde_json::from_value(json!({
        "0123456789abcdef0123": { "version": "models/model_v2", "reason": "too slow ".repeat(15) },
    }))
    .unwrap();
    let rollouts = ["pass", "fail", "inconclusive", "insufficient"].map(in_shadow);
    for status in rollouts.iter().chain([&quarantined]) {
        for width in [80, 100, 120] {
            for verbose in [false, true] {
                fits(&status::page(status, &times(status), verbose, width).lines, width);
            }
            let report = tests::report(status);
            for place in 0..report.metrics.len() {
                fits(&explain::page(status, &report, place, width).lines, width);
            }
        }
    }
}

#[test]
fn a_long_version_does_not_widen_the_history() {
    let name = "churn/2026-11-25/candidate-with-a-very-long-name-indeed_v2";
    let history = json!({ "revision": 1, "entries": [{
        "sequence": 1, "at": "2026-11-25T14:05:00Z", "event": "initialized",
        "stable": { "version": name, "file": "m.bin", "digest": "d" }, "sentence": "x",
    }] });
    let history = serde_json::from_value(history).unwrap();
    fits(&history::page(&history, &jiff::tz::TimeZone::UTC, true, 80).lines, 80);
}

#[test]
fn what_is_in_quarantine_is_named_without_verbose() {
    let mut status = tests::status(tests::ended("rolled_back", "too slow"));
    status.quarantine = serde_json::from_value(json!({
        "0123456789abcdef0123": { "version": "model_v2", "reason": "too slow" },
    }))
    .unwrap();
    let until = status.at + jiff::SignedDuration::from_secs(500);
    status.last_rollout.as_mut().unwrap().cool_down_until = Some(until);
    let page = |verbose| status::page(&status, &times(&status), verbose, 80).lines.join("\n");
    let text = page(false);
    assert!(text.contains("  model_v2") && text.contains("Quarantine"), "{text}");
    assert!(
        text.replace("\n         ", "").contains("for another 8 min 20 s (cool-down)"),
        "{text}"
    );
    assert!(page(true).contains("model_v2 (digest 0123456789ab): too slow"));
}

#[test]
fn explain_shows_both_margins_by_their_names() {
    let status = tests::rollout("inconclusive", Some(0.0006), json!({}));
    let text = explain::page(&status, &tests::report(&status), 0, 80).lines.join("\n");
    assert!(text.contains("beyond tolerated +6 %: if the harm p-value"), "{text}");
    assert!(text.contains("within accepted +12 %: if the non-inferiority p-value"), "{text}");
}
