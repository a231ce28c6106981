//! Monitors of a shadow: a retrained model passes, a shifted one fails, and an equal one is rarely rolled back.

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::monitors::Monitors;
use crate::canary::judge::sentences;
use crate::canary::judge::sequential::SequentialVerdict;
use crate::canary::judge::verdict::Classification;
use crate::canary::judge::verdict::Verdict;
use crate::canary::observed::increment::Increment;
use crate::canary::observed::pairs::Answers;
use crate::canary::observed::pairs::Pair;
use crate::canary::observed::pairs::Pairs;
use crate::canary::observed::samples::Failure;
use crate::canary::observed::samples::Samples;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::judge_policy::PairSource;
use crate::canary::traffic::track::Track;
use crate::canary::traffic::weight::Weight;

fn shadowing() -> JudgePolicy {
    let health = HealthPolicy::default();
    JudgePolicy::default()
        .of_rollout(&health, &Default::default(), PairSource::InShadow { is_required: true })
        .unwrap()
}

/// How a canary answers.
#[derive(Clone, Copy)]
struct Canary {
    /// By how much its logit is moved.
    shift: f64,
    /// How far it scatters around that.
    noise: f64,
    /// How often it fails.
    failures: f64,
}

fn bell(random: &mut StdRng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A tick of twenty requests, all answered by stable, and asked of the canary, too. Stable's scores vary by
/// about 0.28.
fn tick(random: &mut StdRng, canary: Canary) -> Increment {
    let (mut samples, mut pairs) = (Samples::default(), Pairs::default());
    for _ in 0..20 {
        let logit = 1.6 * bell(random) - 0.5;
        let stable = logistic(logit);
        samples.of_mut(Track::Stable).record(1e-6, &[stable]);
        if random.random::<f64>() < canary.failures {
            pairs.record_failure(Failure::Error);
            continue;
        }
        let probability = logistic(logit + canary.shift + canary.noise * bell(random));
        pairs.record(&Pair {
            stable: Answers::Probability { rows: &[stable], threshold: 0.5 },
            canary: Answers::Probability { rows: &[probability], threshold: 0.5 },
            stable_seconds: 1e-6 * (1.0 + random.random::<f64>()),
            canary_seconds: 1e-6 * (1.0 + random.random::<f64>()),
        });
    }
    let increment = Increment::between(Weight::ZERO, &Samples::default(), &samples).unwrap();
    increment.with_pairs(None, Some(&pairs)).unwrap()
}

/// Runs rollouts of this many ticks with a look after each. Returns how many were rolled back and how many passed.
fn outcomes(rollouts: u64, ticks: u64, canary: Canary) -> (u64, u64) {
    let policy = shadowing();
    let (mut rolled_back, mut passed) = (0, 0);
    for seed in 0..rollouts {
        let mut random = StdRng::seed_from_u64(seed);
        let mut monitors = Monitors::new(&policy, &Default::default());
        let mut is_harmful = false;
        for _ in 0..ticks {
            monitors.tick(&tick(&mut random, canary));
            let found = SequentialVerdict::new(&policy, monitors.ticks(), &monitors.measured());
            is_harmful |= found.verdict == Verdict::Rollback;
        }
        let sequential = SequentialEvidence::new(&policy, &monitors);
        rolled_back += u64::from(is_harmful);
        passed += u64::from(!is_harmful && sequential.not_passed_in_shadow().is_empty());
    }
    (rolled_back, passed)
}

const EQUAL: Canary = Canary { shift: 0.0, noise: 0.0, failures: 0.0 };

#[test]
fn an_equal_canary_and_a_retrained_one_pass_and_are_not_rolled_back() {
    assert_eq!(outcomes(20, 40, EQUAL), (0, 20));
    // As two models of two samples of some thousand rows: 4 % of the labels differ.
    let retrained = Canary { shift: 0.1, noise: 0.2, ..EQUAL };
    assert_eq!(outcomes(40, 60, retrained), (0, 40));
}

#[test]
fn a_noisy_canary_with_the_same_mean_is_rolled_back_less_often_than_alpha() {
    // 10 % of the labels differ: as many as are tolerated.
    let (rolled_back, _) = outcomes(100, 150, Canary { noise: 0.5, ..EQUAL });
    assert!(rolled_back <= 5, "{rolled_back} of 100");
}

#[test]
fn single_answers_that_differ_by_the_harmful_margin_are_harm_less_often_than_alpha() {
    // By 0.137 on average, half of stable's standard deviation, while 18 % of the labels differ.
    let (rolled_back, _) = outcomes(100, 150, Canary { noise: 1.09, ..EQUAL });
    assert!(rolled_back <= 5, "{rolled_back} of 100");
}

#[test]
fn a_gross_shift_is_found_within_some_hundred_pairs() {
    // 0.26 of probability on average, or a standard deviation.
    for shift in [1.9, -1.9] {
        assert_eq!(outcomes(20, 20, Canary { shift, noise: 0.1, ..EQUAL }), (20, 0));
    }
}

#[test]
fn a_canary_that_fails_every_twentieth_request_is_found() {
    assert_eq!(outcomes(20, 40, Canary { failures: 0.05, ..EQUAL }), (20, 0));
}

#[test]
fn sentences_name_pairs_and_margins() {
    let policy = shadowing();
    let mut monitors = Monitors::new(&policy, &Default::default());
    let mut random = StdRng::seed_from_u64(1);
    let shifted = Canary { shift: 1.9, noise: 0.1, failures: 0.0 };
    (0..40).for_each(|_| monitors.tick(&tick(&mut random, shifted)));
    let sequential = SequentialEvidence::new(&policy, &monitors);
    let harms = sequential.metrics().filter(|(_, one)| one.classification == Classification::Fail);
    let harms: Vec<String> = harms.map(|(metric, one)| sentences::metric(metric, one)).collect();
    let harms = harms.join("; ");
    for said in [
        "shadow_score: 800 pairs in shadow, +1.",
        " sd against stable (interval +1.",
        "fails, harmful ±0.5 sd",
        "shadow_flips: 800 pairs in shadow, +",
        " pt); fails, harmful +20 pt",
    ] {
        assert!(harms.contains(said), "{said}: {harms}");
    }
    let latency = sequential.conclusion.metrics.last().unwrap();
    assert_eq!(latency.metric.as_str(), "shadow_latency");
    assert_eq!(latency.classification, Classification::Pass, "{latency:?}");
    let failures = sentences::metric(&policy.metrics[7], &sequential.conclusion.metrics[7]);
    assert!(failures.starts_with("shadow_failures: 800 pairs in shadow"), "{failures}");
}

#[test]
fn monitors_of_a_shadow_replay_to_the_bit() {
    let policy = shadowing();
    let mut random = StdRng::seed_from_u64(3);
    let mut lived = Monitors::new(&policy, &Default::default());
    let mut replayed = lived.clone();
    for _ in 0..30 {
        let increment = tick(&mut random, Canary { shift: 0.3, noise: 0.4, failures: 0.02 });
        lived.tick(&increment);
        replayed.tick(&Increment::from_bytes(&increment.to_bytes()).unwrap());
        let text = serde_json::to_string(&replayed).unwrap();
        replayed = serde_json::from_str(&text).unwrap();
    }
    let bytes = |monitors: &Monitors| serde_json::to_string(monitors).unwrap();
    assert_eq!(bytes(&lived), bytes(&replayed));
}
