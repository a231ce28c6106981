//! Priors from rollouts with fixed patterns of traffic.

use super::*;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::health_check::Inputs;
use crate::canary::judge::monitors::Monitors;
use crate::canary::judge::sequential::tests::second;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::Mode;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::judge_policy::JudgePolicy;

/// What a minute of this canary showed.
fn judgement(canary: &str, slower: f64, failures: u64, policy: &JudgePolicy) -> Judgement {
    let mut monitors = Monitors::new(policy, &TrackSamples::default());
    (0..60).for_each(|number| monitors.tick(&second(number, slower, failures)));
    let evidence = SequentialEvidence::new(policy, &monitors);
    let (health, inputs) = (HealthPolicy::default(), Inputs::default());
    Judgement::new(1, 1, canary, health, inputs, Mode::Automatic, Some(evidence))
}

fn after(slowdowns: &[f64]) -> EarlierEffects {
    let mut earlier = EarlierEffects::default();
    for (number, slower) in slowdowns.iter().enumerate() {
        let canary = format!("canary {number}");
        earlier.learn(&judgement(&canary, *slower, 0, &JudgePolicy::default()));
    }
    earlier
}

fn latency() -> MetricName {
    MetricName::new("latency").unwrap()
}

#[test]
fn a_store_whose_versions_differ_little_has_a_narrow_prior_of_as_many_rollouts() {
    assert_eq!(after(&[]).of_mean(&latency()), Learned { prior: OF_MEAN, rollouts: 0 });
    assert_eq!(after(&[1.0; 4]).of_mean(&latency()), Learned { prior: OF_MEAN, rollouts: 0 });
    let equal = after(&[1.0, 0.98, 1.02, 1.0, 0.99, 1.01]).of_mean(&latency());
    assert_eq!(equal.rollouts, 6);
    // (0.2^4 * 0.02^6)^(1/10)
    assert!((0.045..0.06).contains(&equal.prior), "{equal:?}");
    let varied = after(&[1.0, 1.4, 0.7, 1.3, 0.8, 1.5]).of_mean(&latency());
    assert!((0.2..0.4).contains(&varied.prior), "{varied:?}");
}

#[test]
fn one_version_counts_once_and_the_oldest_are_forgotten() {
    let mut earlier = after(&[1.0; 60]);
    assert_eq!(earlier.of_mean(&latency()).rollouts, MAX_ROLLOUTS as u64);
    for _ in 0..3 {
        earlier.learn(&judgement("canary 59", 1.0, 0, &JudgePolicy::default()));
    }
    assert_eq!(earlier.of_mean(&latency()).rollouts, MAX_ROLLOUTS as u64);
    let mut again = EarlierEffects::default();
    for _ in 0..9 {
        again.learn(&judgement("the same", 1.0, 0, &JudgePolicy::default()));
    }
    assert_eq!(again.of_mean(&latency()).rollouts, 0);
}

#[test]
fn failures_are_expected_at_stables_rate() {
    let failures = MetricName::new("failures").unwrap();
    assert_eq!(after(&[1.0; 3]).failures(&failures), Learned { prior: FAILURES, rollouts: 0 });
    let Learned { prior, rollouts } = after(&[1.0; 12]).failures(&failures);
    assert_eq!(rollouts, 12);
    // A quarter of 1 %, as none of twelve stables failed.
    assert_eq!(prior.failures, 0.5);
    assert!((prior.answers - 0.5 * 0.9975 / 0.0025).abs() < 1e-9, "{prior:?}");
}

#[test]
fn nothing_is_learned_of_metrics_without_a_reading() {
    let mut earlier = EarlierEffects::default();
    let spans = JudgePolicy::default().of_threads(true);
    earlier.learn(&judgement("pooled", 1.0, 0, &spans));
    let names: Vec<&str> =
        earlier.0.iter().flat_map(|it| &it.effects).map(|it| it.metric.as_str()).collect();
    assert_eq!(names, ["score"]);
    let none = Judgement { sequential: None, ..judgement("none", 1.0, 0, &spans) };
    earlier.learn(&none);
    assert_eq!(earlier.0.len(), 1);
    // As the saved state has it.
    let saved = serde_json::to_string(&earlier).unwrap();
    assert_eq!(serde_json::from_str::<EarlierEffects>(&saved).unwrap(), earlier);
}
