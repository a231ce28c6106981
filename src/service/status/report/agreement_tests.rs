//! One verdict: rows, headline and health status of the same evidence never contradict each other.

use serde_json::json;

use super::Condition;
use super::Report;
use super::rows::MetricRow;
use super::rows::MetricState;
use super::tests::report;
use super::tests::rollout;
use crate::canary::Increment;
use crate::canary::JudgePolicy;
use crate::canary::Judgement;
use crate::canary::Monitors;
use crate::canary::Samples;
use crate::canary::SequentialVerdict;
use crate::canary::Verdict;
use crate::canary::Weight;
use crate::canary::judge::bayesian::prior::EarlierEffects;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::health_check::Inputs;
use crate::canary::observed::increment::TrackIncrement;
use crate::canary::observed::samples::Failure;
use crate::canary::policy::Mode;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::metric::Role;
use crate::service::status::health::Health;
use crate::service::status::health::HealthStatus;

/// How a canary differs from stable.
#[derive(Clone, Copy, Debug)]
struct Canary {
    slower: f64,
    /// One request in this many fails.
    fails: Option<u32>,
    score: fn(f64) -> f64,
}

/// The ticks in which all requests come: how many requests each has.
const ARRIVALS: [&[u32]; 4] = [&[600], &[20, 580], &[25; 24], &[40, 40, 1000, 1000]];

const POLICIES: [&str; 3] =
    ["", "expect_shift = true", "[[metrics]]\nname = \"latency\"\nrole = \"signal\""];

const SCORES: [fn(f64) -> f64; 6] = [
    |score| score,
    |score| score + 0.06,
    |score| score + 0.25,
    |score| 1.0 - score,
    |_| 0.45,
    |score| f64::from(score > 0.45),
];

/// The samples, and the evidence after all ticks; half of the requests are the canary's.
fn observed(policy: &JudgePolicy, canary: Canary, arrivals: &[u32]) -> (Samples, Monitors) {
    let mut samples = Samples::default();
    let mut monitors = Monitors::new(policy, &Default::default());
    let mut number = 0_u32;
    for requests in arrivals {
        let [mut of_stable, mut of_canary] = [TrackIncrement::default(), TrackIncrement::default()];
        for _ in 0..*requests {
            number += 1;
            let pair = number / 2;
            let spread = f64::from(pair.wrapping_mul(2_654_435_761) % 1000) / 1000.0;
            let (latency, score) = (0.010 + 0.010 * spread, 0.2 + 0.5 * spread);
            let (tick, track) = match number % 2 {
                0 => (&mut of_stable, &mut samples.stable),
                _ => (&mut of_canary, &mut samples.canary),
            };
            tick.requests += 1;
            let is_canary = number % 2 == 1;
            if is_canary && canary.fails.is_some_and(|one_in| pair.is_multiple_of(one_in)) {
                tick.failures += 1;
                track.record_failure(Failure::Error);
                continue;
            }
            let (latency, score) = match is_canary {
                true => (latency * canary.slower, (canary.score)(score).clamp(0.0, 1.0)),
                false => (latency, score),
            };
            tick.latency.push((latency, 1));
            tick.score.push((score, 1));
            track.record(latency, &[score]);
        }
        let weight = Weight::from_percent(50.0).unwrap();
        let (stable, canary) = (of_stable, of_canary);
        monitors.tick(&Increment { weight, stable, canary, ..Increment::default() });
    }
    (samples, monitors)
}

fn agree(health: &Health, report: &Report, mode: Mode, accepts: bool) {
    let rows = |is_meant: fn(&&MetricRow) -> bool| -> Vec<&MetricRow> {
        report.metrics.iter().filter(is_meant).collect()
    };
    let failing = rows(|row| row.role.acts() && row.state == MetricState::Fail);
    let shifted = rows(|row| row.state == MetricState::Shifted);
    let condition = match health.status {
        HealthStatus::Harm => vec![Condition::Harm],
        HealthStatus::Warning => vec![Condition::Warning],
        HealthStatus::Ok => vec![Condition::Healthy],
        HealthStatus::InsufficientData => vec![Condition::Waiting, Condition::Holding],
    };
    assert!(condition.contains(&report.condition), "{:?}: {report:#?}", health.status);
    let is_harm = health.status == HealthStatus::Harm;
    assert_eq!(is_harm, !failing.is_empty(), "{:?}: {report:#?}", health.reasons);
    assert_eq!(is_harm, health.harm_detected);
    assert!(health.verdict != Verdict::Rollback || is_harm);
    let why = report.why.clone().unwrap_or_default().to_lowercase();
    for row in failing {
        assert!(why.contains(&row.metric), "{report:#?}");
        assert!(row.difference.is_some() || row.detail.is_some(), "{report:#?}");
    }
    // One difference has the same figures in the sentences and in the table.
    for (row, reason) in report.metrics.iter().flat_map(|row| {
        let is_of_row = move |reason: &&String| reason.starts_with(&format!("{}: ", row.metric));
        health.reasons.iter().filter(is_of_row).map(move |reason| (row, reason))
    }) {
        let says = |value: &Option<String>| value.as_ref().is_some_and(|it| reason.contains(it));
        if row.metric == "latency" && reason.contains("difference") && row.difference.is_some() {
            let is_same = says(&row.difference) || says(&row.stable) && says(&row.canary);
            assert!(is_same, "{reason}: {row:#?}");
        }
    }
    for row in &shifted {
        assert_eq!(row.detail.as_deref(), accepts.then_some("accepted"), "{report:#?}");
    }
    if health.status == HealthStatus::Warning {
        assert!(!shifted.is_empty() && !accepts, "{report:#?}");
    }
    if health.status == HealthStatus::Ok && mode.is_manual() {
        let waiting = rows(|row| row.is_open());
        assert!(waiting.is_empty() && report.missing.is_none(), "{report:#?}");
    }
    if !health.possible_harm.is_empty() && health.status == HealthStatus::InsufficientData {
        assert!(why.contains("possibly by chance"), "{report:#?}");
        assert!(!rows(|row| row.detail.as_deref() == Some("harm or chance")).is_empty());
    }
    if health.status == HealthStatus::Ok {
        assert!(shifted.is_empty() || accepts, "{report:#?}");
        let awaited = rows(|row| row.role == Role::Guardrail && row.required);
        let is_proven =
            |row: &&MetricRow| matches!(row.state, MetricState::Pass | MetricState::Shifted);
        assert!(mode == Mode::Manual || awaited.iter().all(is_proven), "{report:#?}");
    }
}

#[test]
fn harm_that_the_score_outweighs_is_a_warning_beside_the_promotion() {
    let health = HealthPolicy::default();
    let policy = toml::from_str("promote_score = 80").unwrap();
    let policy = JudgePolicy::new(&health, &policy).unwrap();
    let canary = Canary { slower: 1.0, fails: None, score: SCORES[0] };
    let (samples, monitors) = observed(&policy, canary, &[200; 60]);
    let mut evidence = SequentialEvidence::new(&policy, &monitors);
    for one in &mut evidence.measured {
        one.proven.observe(50.0);
        if one.metric.as_str() == "latency_p99" {
            one.harm.observe(50.0);
        }
    }
    evidence.conclusion = SequentialVerdict::new(&policy, 60, &evidence.measured);
    let inputs = Inputs::new(&health, Mode::Manual, &samples);
    let judgement = Judgement::new(3, 1, "d1", health, inputs, Mode::Manual, Some(evidence));
    let mut found = Health::new(&judgement, &samples, None, None, &EarlierEffects::default());
    assert_eq!((found.verdict, found.status), (Verdict::Promote, HealthStatus::Warning));
    assert!(!found.alert_triggered && !found.harm_detected);
    let message = &found.message;
    assert!(message.starts_with("outweighed by the score: latency_p99"), "{message}");
    let mut status = rollout("inconclusive", None, json!({}));
    found.forecast = status.health.take().and_then(|it| it.forecast);
    status.health = Some(found);
    status.rollout.as_mut().unwrap().metrics = policy.metrics.clone();
    let report = report(&status);
    assert_eq!(report.condition, Condition::Warning, "{report:#?}");
    assert_eq!(report.why.as_deref(), Some("The score outweighs the harm in latency_p99."));
}

#[test]
fn rows_headline_and_status_never_contradict_each_other() {
    let health = HealthPolicy { gross_shift: None, ..HealthPolicy::default() };
    let mut seen = Vec::new();
    for toml in POLICIES {
        let policy = JudgePolicy::new(&health, &toml::from_str(toml).unwrap()).unwrap();
        let health = HealthPolicy { gross_shift: policy.gross_shift(), ..health };
        for score in SCORES {
            for (slower, fails) in [(1.0, None), (1.5, None), (1.0, Some(4)), (1.04, Some(40))] {
                let canary = Canary { slower, fails, score };
                for arrivals in ARRIVALS {
                    let (samples, monitors) = observed(&policy, canary, arrivals);
                    for (mode, accepts) in
                        [(Mode::Manual, false), (Mode::Automatic, false), (Mode::Automatic, true)]
                    {
                        let evidence = SequentialEvidence::new(&policy, &monitors);
                        let evidence = Some(evidence.accepting_shift(accepts));
                        let inputs = Inputs::new(&health, mode, &samples);
                        let judgement = Judgement::new(3, 1, "d1", health, inputs, mode, evidence);
                        let mut status = rollout("inconclusive", None, json!({}));
                        let forecast = status.health.take().and_then(|it| it.forecast);
                        let mut found = Health::new(
                            &judgement,
                            &samples,
                            None,
                            None,
                            &EarlierEffects::default(),
                        );
                        found.forecast = forecast;
                        let kind = (found.status as u8, found.verdict.word());
                        status.health = Some(found.clone());
                        status.rollout.as_mut().unwrap().metrics = policy.metrics.clone();
                        agree(&found, &report(&status), mode, accepts);
                        seen.push(kind);
                    }
                }
            }
        }
    }
    for status in 0..4 {
        assert!(seen.iter().any(|(kind, _)| *kind == status), "{status} did not occur");
    }
}
