//! Reports of typical statuses, as a table: what the server observed, and how the report reads.

use jiff::tz::TimeZone;
use serde_json::Value;
use serde_json::json;

use super::Condition;
use super::Report;
use super::next::missing;
use super::rows::MetricState;
use super::words::Times;
use super::words::duration;
use crate::canary::JudgePolicy;
use crate::canary::judge::verdict::Classification;
use crate::service::status::Status;
use crate::text::lists::list;

fn version(name: &str) -> Value {
    json!({ "version": name, "file": format!("models/{name}.bin"), "digest": "d1" })
}

/// A status without a canary, with these members in place of its own.
pub(crate) fn status(changes: Value) -> Status {
    let track = json!({
        "requests": 1000, "samples": 1000, "failures": 0, "failure_rate": 0.0,
        "failures_by_kind": crate::canary::observed::samples::Failures::default(),
    });
    let mut status = json!({
        "revision": 1, "at": "2026-11-25T14:06:00Z", "state": "idle", "traffic_percent": 0.0,
        "stable": { "version": "model_v1", "file": "models/model_v1.bin", "digest": "d0",
                    "since": "2026-11-25T14:02:09Z" },
        "tracks": { "stable": track.clone(), "canary": track },
        "quarantine": {}, "simulate_slowdown": false, "delay_ms": 0,
        "notifications": [], "uptime_seconds": 10.0,
        "totals": crate::service::serving::totals::Totals::default(),
    });
    merge(&mut status, changes);
    serde_json::from_value(status).unwrap()
}

/// Sets these members in place of those that are there.
pub(crate) fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (name, value) in changes {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, changes) => *into = changes,
    }
}

/// A rollout by hand at 10 %, in which latency is like this and failures pass.
pub(crate) fn rollout(latency: &str, effect: Option<f64>, changes: Value) -> Status {
    let metrics = JudgePolicy::default().metrics;
    let evidence = |metric: &str, classification: &str, effect: Option<f64>| {
        let seen = if classification == "insufficient" { 8 } else { 1200 };
        json!({
            "metric": metric, "role": "guardrail",
            "classification": classification,
            "samples": { "stable": seen, "canary": seen, "stable_failures": 0, "canary_failures": 0 },
            "harm_p_value": 1.0, "harm_threshold": 0.025, "proven_p_value": 1.0, "proven_threshold": 0.05,
            "effect": effect, "interval": effect.map(|x| [x - 0.0008, x + 0.0008]),
            "stable_mean": if metric == "latency" { Some(0.01) } else { None },
        })
    };
    let judged = [
        evidence("latency", latency, effect),
        evidence("failures", "pass", Some(-0.0004)),
        evidence("score", "pass", Some(0.0)),
        evidence("log_loss", "insufficient", None),
    ];
    let (verdict, is_harm, word) = match latency {
        "fail" => ("rollback", true, "harm"),
        "pass" => ("promote", false, "ok"),
        _ => ("hold", false, "insufficient_data"),
    };
    let outcome = |metric: &str, outcome: &str| json!({ "metric": metric, "is_estimated": true, "outcome": outcome });
    let track = json!({
        "requests": 1200, "samples": 1200, "failures": 0, "failure_rate": 0.0,
        "failures_by_kind": crate::canary::observed::samples::Failures::default(),
    });
    let mut all = json!({
        "state": "running", "canary": version("model_v2"), "traffic_percent": 10.0,
        "rollout": {
            "id": 3, "step": 1, "mode": "manual", "started_at": "2026-11-25T14:00:00Z",
            "step_started_at": "2026-11-25T14:00:00Z", "elapsed_seconds": 360.0,
            "bake_seconds": 600.0, "remaining_bake_seconds": 240.0, "metrics": metrics,
        },
        "health": {
            "alert_triggered": is_harm, "status": word, "checked": ["latency", "failures", "score"],
            "not_checked": ["labels (none so far)"], "message": "", "verdict": verdict, "reasons": [],
            "harm_detected": is_harm, "test": "welch_t", "alpha": 0.05, "min_samples": 20,
            "failure_p_value": 1.0, "stable": track.clone(), "canary": track,
            "sequential": { "verdict": verdict, "alpha": 0.05, "ticks": 5,
                            "metrics": judged },
            "forecast": {
                "requests_per_second": 12.0, "weight": 10, "remaining_bake_seconds": 240.0,
                "message": "", "verdict": { "verdict": "promote", "requests": 4300, "seconds": 358.0 },
                "metrics": [outcome("latency", "pass"), outcome("failures", "pass"),
                            outcome("score", "pass"), outcome("log_loss", "none")],
            },
        },
    });
    merge(&mut all, changes);
    status(all)
}

/// Changes to a status that make the rollout one by plan, at its second step of 10 %.
pub(crate) fn plan(changes: Value) -> Value {
    let mut plan = json!({
        "position": 2, "deadline_at": "2026-11-26T14:00:00Z", "min_samples": 1088,
        "warm_up_until": "2026-11-25T14:00:00Z", "at_deadline": "roll_back", "approval": false,
        "lacks_compared_answers": false,
        "next": "wait", "reasons": [],
        "steps": [{ "weight": 1, "bake": "10m" }, { "weight": 10, "bake": "10m" },
                  { "weight": 25, "bake": "10m" }],
    });
    merge(&mut plan, changes);
    json!({ "rollout": { "mode": "automatic", "plan": plan } })
}

pub(crate) fn ended(outcome: &str, reason: &str) -> Value {
    json!({ "last_rollout": { "rollout": 3, "canary": version("model_v2"), "outcome": outcome,
                              "at": "2026-11-25T14:05:00Z", "reason": reason } })
}

pub(crate) fn report(status: &Status) -> Report {
    Report::new(status, &Times { zone: TimeZone::UTC, now: status.at })
}

#[test]
fn a_report_says_how_it_is_going_why_and_what_comes_next() {
    let holding = || rollout("inconclusive", Some(0.0003), plan(json!({})));
    let silent = json!({ "health": { "forecast": { "requests_per_second": 0.0 } } });
    let new = |changes: Value| {
        let mut all = json!({ "rollout": { "elapsed_seconds": 0.5 } });
        merge(&mut all, silent.clone());
        merge(&mut all, changes);
        rollout("insufficient", None, all)
    };
    let empty = json!({ "requests": 0 });
    let monitored = json!({
        "last_rollout": { "rollout": 3, "canary": version("model_v2"), "outcome": "promoted",
                          "at": "2026-11-25T14:05:00Z", "reason": "" },
        "post_promotion": { "rollout": 3, "previous": "model_v1", "until": "2026-11-26T14:05:00Z",
                            "action": "revert", "metrics": [] },
    });
    for (status, condition, headline, why, next) in [
        (
            status(json!({})),
            Condition::Stable,
            "model_v1 since 14:02:09 UTC",
            "",
            "serin deploy MODEL",
        ),
        (
            status(ended("rolled_back", "failures +17.4 points")),
            Condition::RolledBack,
            "model_v2 at 14:05:00 UTC: failures +17.4 points",
            "model_v1 answers all requests.",
            "Nothing happens until somebody deploys: serin deploy MODEL.",
        ),
        (
            status(ended("no_verdict", "no verdict within 24h")),
            Condition::NoVerdict,
            "model_v2 ended at 14:05:00 UTC: no verdict within 24h",
            "model_v1 answers all requests. The canary is not quarantined.",
            "serin deploy",
        ),
        (
            status(monitored),
            Condition::Monitoring,
            "until 2026-11-26 14:05:00 UTC",
            "if they show harm, serin goes back to model_v1 by itself",
            "Late labels are judged until 2026-11-26 14:05:00 UTC. To undo the promotion now: serin revert",
        ),
        (
            rollout("inconclusive", Some(0.0), silent.clone()),
            Condition::Waiting,
            "model_v2 gets 10 % of the traffic",
            "No requests for 30 s; without requests serin neither promotes nor rolls back.",
            "serin rollback",
        ),
        (
            rollout("inconclusive", Some(0.0), {
                let mut silent = silent.clone();
                merge(
                    &mut silent,
                    json!({ "rollout": { "last_request_at": "2026-11-25T14:05:19Z" } }),
                );
                silent
            }),
            Condition::Waiting,
            "model_v2 gets 10 % of the traffic",
            "No requests for 41 s; without requests serin neither promotes nor rolls back.",
            "serin rollback",
        ),
        (
            new(json!({ "tracks": { "stable": empty.clone(), "canary": empty } })),
            Condition::Waiting,
            "model_v2",
            "No requests yet; without requests serin neither promotes nor rolls back.",
            "You decide",
        ),
        (
            new(json!({})),
            Condition::Waiting,
            "model_v2",
            "Too few samples to judge latency.",
            "You decide",
        ),
        (
            rollout("insufficient", None, json!({})),
            Condition::Waiting,
            "model_v2",
            "Too few samples to judge latency.",
            "You decide",
        ),
        (
            rollout("pass", Some(0.0), json!({})),
            Condition::Healthy,
            "model_v2",
            "No harm found in latency, failures and score; not checked: labels (none so far).",
            "serin promote",
        ),
        (
            holding(),
            Condition::Holding,
            "model_v2",
            "Not settled yet: latency; about 6 min more.",
            "25 % at 14:10:00 UTC at the earliest if no guardrail fails; a rollback as soon as harm is found.",
        ),
        (
            rollout("fail", Some(0.004), json!({})),
            Condition::Harm,
            "model_v2",
            "Latency +40.0 % (tolerated +6 %) against model_v1.",
            "serin rollback",
        ),
        (
            rollout(
                "fail",
                Some(0.004),
                json!({ "simulate_slowdown": true, "delay_ms": 100,
                        "injection": { "error_rate": 0.2 } }),
            ),
            Condition::Harm,
            "model_v2",
            "against model_v1, with an injected delay of 100 ms and an injected fault (errors in 20 % of its requests).",
            "serin rollback",
        ),
        (
            rollout("inconclusive", Some(0.0), json!({ "state": "paused" })),
            Condition::Paused,
            "model_v2",
            "The canary keeps its share until you decide.",
            "serin resume",
        ),
        (
            rollout("pass", Some(0.0), json!({ "state": "awaiting_approval" })),
            Condition::AwaitingApproval,
            "model_v2",
            "every guardrail passes",
            "You decide",
        ),
        (
            rollout("pass", Some(0.0), {
                let mut waiting = plan(json!({ "lacks_compared_answers": true }));
                merge(&mut waiting, json!({ "state": "awaiting_approval" }));
                waiting
            }),
            Condition::AwaitingApproval,
            "model_v2",
            "every guardrail passes. No answer was compared with stable's or with a label",
            "You decide",
        ),
        (
            rollout("pass", Some(0.0), {
                let last = json!({ "traffic_percent": 25.0 });
                let mut all = plan(json!({ "position": 3, "lacks_compared_answers": true }));
                merge(&mut all, last);
                all
            }),
            Condition::Healthy,
            "model_v2",
            "not checked: labels (none so far)",
            "Your approval, then promotion at 14:10:00 UTC",
        ),
        (
            rollout(
                "inconclusive",
                Some(0.0),
                json!({ "breaker": {
                "state": "open", "consecutive_failures": 5, "opened": 1 } }),
            ),
            Condition::BreakerOpen,
            "model_v2 gets probes only; model_v1 answers",
            "failed 5 requests in a row",
            "Its traffic returns once it answers a probe",
        ),
        (
            rollout(
                "inconclusive",
                Some(0.0),
                json!({ "traffic_percent": 0.0, "shadow": {
                "percent": 100.0, "judged": true, "pairs": 9, "largest_difference": 0.0,
                "failures": 0, "waiting": 0, "dropped": 0, "message": "", "stable": {},
                "failures_by_kind": crate::canary::observed::samples::Failures::default(),
                "canary": {} } }),
            ),
            Condition::Holding,
            "model_v2 gets 0 % of the traffic and 100 % in shadow",
            "Not settled yet",
            "You decide",
        ),
    ] {
        let report = report(&status);
        assert_eq!(report.condition, condition, "{report:#?}");
        assert!(report.headline.contains(headline), "{report:#?}");
        assert!(report.why.clone().unwrap_or_default().contains(why), "{report:#?}");
        assert!(report.next.contains(next), "{report:#?}");
    }
    let waiting = rollout("insufficient", None, plan(json!({})));
    let Report { condition, mut metrics, .. } = report(&waiting);
    let detail = metrics[0].detail.clone();
    (metrics[1].state, metrics[1].detail) = (MetricState::Waiting, detail);
    let grouped = missing(&waiting, condition, &metrics).unwrap();
    assert!(grouped.contains("; samples of latency and failures (8 of 20); 4 min of"), "{grouped}");
    let first = json!({ "remaining_bake_seconds": 600.0 });
    let mut beginning = plan(json!({}));
    merge(&mut beginning, json!({ "rollout": first }));
    let missing = report(&rollout("insufficient", None, beginning)).missing.unwrap();
    assert!(
        missing.ends_with("; samples of latency (8 of 20); the 10 min of this step."),
        "{missing}"
    );
    let missing = report(&holding()).missing.unwrap();
    assert_eq!(
        missing,
        "Waiting for 88 more canary and 88 more stable requests; 4 min of this step's 10 min."
    );
}

#[test]
fn after_a_rollout_nothing_happens_until_somebody_deploys() {
    let deploy = "Nothing happens until somebody deploys: serin deploy MODEL.";
    for (outcome, seconds, more) in [
        (
            "rolled_back",
            Some(500),
            " A deployment by plan is refused for another 8 min 20 s (cool-down).",
        ),
        ("rolled_back", Some(0), ""),
        ("rolled_back", None, ""),
        ("no_verdict", None, ""),
        ("promoted", None, ""),
    ] {
        let mut status = status(ended(outcome, "too slow"));
        let until = seconds.map(|seconds| status.at + jiff::SignedDuration::from_secs(seconds));
        status.last_rollout.as_mut().unwrap().cool_down_until = until;
        let report = report(&status);
        assert_eq!(report.next, format!("{deploy}{more}"), "{outcome}");
        let start = report.start.expect(outcome);
        assert_eq!(start.command, "serin deploy MODEL --plan standard");
        assert_eq!(start.words.contains("cool-down"), !more.is_empty(), "{}", start.words);
    }
}

#[test]
fn by_hand_the_next_sentence_begins_with_that_nothing_happens_by_itself() {
    let paused = json!({ "state": "paused" });
    let or_back = "or roll back (serin rollback).";
    for (status, choice) in [
        (
            rollout("insufficient", None, json!({})),
            format!("promote once it is Passing (serin promote), {or_back}"),
        ),
        (rollout("pass", Some(0.0), json!({})), format!("promote (serin promote), {or_back}")),
        (rollout("inconclusive", Some(0.0), paused), format!("resume (serin resume), {or_back}")),
        (rollout("fail", Some(0.004), json!({})), "roll back (serin rollback).".to_owned()),
    ] {
        let next = report(&status).next;
        let expected = format!("Nothing happens by itself. You decide: {choice}");
        assert!(next.starts_with(&expected), "{next}");
        assert!(
            choice.starts_with("roll") || next.ends_with(" Intended duration: 10 min, 4 min left.")
        );
    }
}

#[test]
fn by_hand_nothing_is_waited_for_once_a_promotion_would_be_accepted() {
    let ok = json!({ "rollout": { "elapsed_seconds": 3.0, "bake_seconds": 3600.0,
                                  "remaining_bake_seconds": 3597.0 },
                     "health": { "status": "ok", "verdict": "promote", "p_value": 0.4 } });
    let report = report(&rollout("inconclusive", Some(0.0003), ok));
    assert_eq!((report.condition, &report.missing), (Condition::Healthy, &None), "{report:#?}");
    assert_eq!(report.metrics[0].state, MetricState::NoHarm);
    assert!(report.next.ends_with("Intended duration: 1 h."), "{report:#?}");
}

#[test]
fn a_possible_shift_is_the_reason_to_wait() {
    let reason = "shadow_score: shifted beyond the harmful margin, but possibly by chance";
    let status = rollout(
        "inconclusive",
        Some(0.0003),
        json!({ "health": { "reasons": [reason], "possible_harm": ["score"], "p_value": 0.4 } }),
    );
    let report = report(&status);
    // A name stays as it is at the start of a sentence.
    assert_eq!(report.why, Some(format!("{reason}.")));
    let score = report.metrics.iter().find(|row| row.metric == "score").unwrap();
    assert_eq!(score.state, MetricState::Pass, "the sequential judge knows better");
    let mut status = status;
    let judged = &mut status.health.as_mut().unwrap().sequential.as_mut().unwrap().metrics[2];
    judged.classification = Classification::Inconclusive;
    let report = super::tests::report(&status);
    assert_eq!(report.metrics[2].detail.as_deref(), Some("harm or chance"));
    assert_eq!(report.missing.as_deref(), Some("Waiting for score (harm or chance)."));
}

#[test]
fn a_row_keeps_one_unit_and_its_interval_agrees_with_its_state() {
    let row =
        |latency: &str, effect| report(&rollout(latency, effect, json!({}))).metrics[0].clone();
    let waiting = row("inconclusive", Some(0.0006));
    assert_eq!(waiting.state, MetricState::Waiting);
    assert_eq!(waiting.difference.as_deref(), Some("+6.0 %"));
    assert_eq!(waiting.interval.as_deref(), Some("-2.0 .. +14.0 %"));
    assert_eq!(waiting.margin.as_deref(), Some("accepted +12 %"));
    let pass = row("pass", Some(0.0006));
    assert_eq!(pass.interval.as_deref(), Some("-2.0 .. +12.0 %"), "cut at what is accepted");
    let pass = row("pass", Some(0.002));
    assert_eq!((pass.difference, pass.detail.as_deref()), (None, Some("without outliers")));
    let none = row("insufficient", None);
    assert_eq!((none.difference, none.detail.as_deref()), (None, Some("8 of 20 samples")));
}

#[test]
fn durations_and_lists_read_as_people_say_them() {
    let said = [0.2, 89.0, 360.0, 7800.0, 7200.0, 200_000.0].map(duration);
    assert_eq!(said, ["1 s", "89 s", "6 min", "2 h 10 min", "2 h", "2 days"]);
    let items = ["a", "b", "c"].map(str::to_owned);
    let said = [list(&items[..0]), list(&items[..1]), list(&items[..2]), list(&items)];
    assert_eq!(said, ["", "a", "a and b", "a, b and c"]);
}

#[test]
fn the_time_of_what_happens_next_is_also_there_for_programs() {
    let at = |status: &Status| report(status).next_at.map(|at| at.to_string());
    let holding = |changes: Value| {
        let mut all = plan(json!({}));
        merge(&mut all, changes);
        rollout("inconclusive", Some(0.0003), all)
    };
    let end_of_step = Some("2026-11-25T14:10:00Z".to_owned());
    assert_eq!(at(&holding(json!({}))), end_of_step);
    assert!(report(&holding(json!({}))).next.contains("14:10:00"), "the sentence has it, too");
    let over = json!({ "rollout": { "remaining_bake_seconds": 0.0 } });
    assert_eq!(at(&holding(over)), None);
    let deadline = Some("2026-11-26T14:00:00Z".to_owned());
    for state in ["paused", "awaiting_approval"] {
        assert_eq!(at(&holding(json!({ "state": state }))), deadline, "{state}");
    }
    let lost = json!({ "store_lost": { "since": "2026-11-25T14:05:00Z", "cause": "disk full" } });
    for nothing in [holding(lost), rollout("pass", Some(0.0), json!({})), status(json!({}))] {
        assert_eq!(at(&nothing), None);
    }
}

#[test]
fn a_difference_that_cannot_be_is_unknown() {
    // Of 10 ms nothing can be 15 ms faster.
    let impossible = report(&rollout("pass", Some(-0.015), json!({})));
    let row = &impossible.metrics[0];
    assert_eq!((row.difference.as_deref(), row.canary.as_deref()), (Some("unknown so far"), None));
    assert_eq!(row.interval.as_deref(), Some("-100 .. -100 %"));
    assert_eq!(row.numbers.map(|it| it.interval), Some(Some([-0.01; 2])));
    // What leaves the axis on both sides says nothing; with one end on it, it says something.
    let with = |interval: [f64; 2]| {
        let mut status = rollout("insufficient", Some(0.0003), json!({}));
        let verdict = status.health.as_mut().and_then(|health| health.sequential.as_mut());
        verdict.unwrap().metrics[0].interval = Some(interval);
        report(&status).metrics.remove(0)
    };
    let wide = with([-0.05, 0.05]);
    assert_eq!((wide.difference.as_deref(), wide.interval), (Some("unknown so far"), None));
    let narrow = with([-0.05, 0.002]);
    assert_eq!(narrow.difference.as_deref(), Some("+3.0 %"));
    assert_eq!(narrow.interval.as_deref(), Some("-100 .. +20 %"));
}
