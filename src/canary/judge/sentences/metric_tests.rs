//! Sentences about a metric that all visits of keys decided.

use super::*;
use crate::canary::judge::monitors::Monitors;
use crate::canary::judge::monitors::measured::LastLook;
use crate::canary::judge::sequential::SequentialVerdict;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::judge_policy::JudgePolicy;

/// The metric of this name and its evidence: first visits say nothing of it, and the last look saw this.
fn decided(
    name: &str,
    classification: Classification,
    (counts, difference, margins): (Counts, f64, [f64; 3]),
) -> (Metric, MetricEvidence) {
    let policy = JudgePolicy::default();
    let monitors = Monitors::new(&policy, &TrackSamples::default());
    let found = SequentialVerdict::new(&policy, 0, &monitors.measured());
    let mut metrics = policy.metrics.into_iter().zip(found.metrics);
    let (metric, evidence) = metrics.find(|(metric, _)| metric.name.as_str() == name).unwrap();
    let look = LastLook { counts, difference, margins, decided: [true; 3] };
    let evidence = MetricEvidence {
        classification,
        samples: Counts { stable: 270, canary: 30, ..Counts::default() },
        effect: Some(-0.001),
        interval: Some([-0.01, 0.02]),
        stable_mean: (name == "latency").then_some(0.050),
        stable_spread: (name == "score").then_some(0.2),
        by_visits: Some(look),
        ..evidence
    };
    (metric, evidence)
}

#[test]
fn failures_over_all_visits_have_the_counts_of_all_visits() {
    let counts =
        Counts { stable: 73_000, canary: 8_200, stable_failures: 20, canary_failures: 410 };
    let difference = 410.0 / 8_200.0 - 20.0 / 73_000.0;
    let seen = (counts, difference, [0.0, 0.0, 0.01]);
    let (one, evidence) = decided("failures", Classification::Fail, seen);
    assert_eq!(
        harm(&one, &evidence),
        "failures 4.97 points above stable over all visits of keys: 410 of 8,200 canary requests failed, \
         stable 20 of 73,000"
    );
    let text = metric(&one, &evidence);
    let expected = "failures: over all visits of keys: canary 410 of 8200, stable 20 of 73000 failed, \
                    +4.97 pt against stable; fails, ";
    assert!(text.starts_with(expected), "{text}");
    let first = MetricEvidence { by_visits: None, ..evidence };
    assert!(metric(&one, &first).contains("canary 0 of 30, stable 0 of 270"));
}

#[test]
fn a_mean_over_all_visits_has_their_difference_and_margins() {
    let counts = Counts { stable: 73_000, canary: 8_200, ..Counts::default() };
    let slower = (counts, 0.22, [0.0567, 0.0567, 0.12]);
    let (one, evidence) = decided("latency", Classification::Fail, slower);
    assert_eq!(
        harm(&one, &evidence),
        "latency 22.0 % above stable over all visits of keys (tolerated +5.67 %)"
    );
    let (one, evidence) = decided("latency", Classification::Pass, (counts, 0.02, slower.2));
    assert_eq!(
        metric(&one, &evidence),
        "latency: over all visits of keys: +2.00 % against stable; passes, accepted +12 %"
    );
    let higher = (counts, 0.06, [0.1, 0.05, 0.1]);
    let (one, evidence) = decided("score", Classification::Inconclusive, higher);
    let evidence = MetricEvidence { is_shifted: true, ..evidence };
    let expected = "score 0.300 sd (+0.060) above stable over all visits of keys (tolerated ";
    let text = shift(&one, &evidence);
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn harm_among_few_samples_names_the_rule_that_counts_it() {
    let early = ", clear enough to count before the 20 samples of a pass";
    for (canary, failed, clause) in [(6, 5, early), (40, 30, "")] {
        let counts = Counts { stable: 540, canary, stable_failures: 0, canary_failures: failed };
        let seen = (counts, failed as f64 / canary as f64, [0.0, 0.0, 0.01]);
        let (one, evidence) = decided("failures", Classification::Fail, seen);
        let text = harm(&one, &evidence);
        let expected =
            format!("{failed} of {canary} canary requests failed, stable 0 of 540{clause}");
        assert!(text.ends_with(&expected), "{text}");
    }
}

#[test]
fn one_of_something_is_not_several() {
    let counts = Counts { stable: 1, canary: 1, ..Counts::default() };
    assert_eq!(too_few(&counts), "canary 1, stable 1 sample");
    let (one, evidence) = decided("latency", Classification::Insufficient, (counts, 0.0, [0.0; 3]));
    let evidence = MetricEvidence { samples: counts, effect: None, by_visits: None, ..evidence };
    assert!(metric(&one, &evidence).contains("canary 1, stable 1 sample;"));
    let shadow = Metric { source: crate::canary::policy::metric::Source::ShadowFlips, ..one };
    assert!(
        metric(&shadow, &evidence).contains("1 pair in shadow;"),
        "{}",
        metric(&shadow, &evidence)
    );
}
