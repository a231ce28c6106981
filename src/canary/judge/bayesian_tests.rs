//! Readings of evidence from fixed patterns of traffic.

use super::*;
use crate::canary::judge::health_check::Inputs;
use crate::canary::judge::judgement::Judgement;
use crate::canary::judge::monitors::Monitors;
use crate::canary::judge::sequential::tests::second;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::Mode;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::judge_policy::JudgePolicy;

fn after(seconds: u32, slower: f64, failures: u64, policy: &JudgePolicy) -> Vec<Reading> {
    let mut monitors = Monitors::new(policy, &TrackSamples::default());
    (0..seconds).for_each(|number| monitors.tick(&second(number, slower, failures)));
    readings(&SequentialEvidence::new(policy, &monitors), &EarlierEffects::default())
}

#[test]
fn a_slow_canary_is_probably_worse_and_an_equal_one_is_not() {
    let policy = JudgePolicy::default();
    let probability = |slower: f64, failures, place: usize| {
        let found = after(60, slower, failures, &policy);
        let names: Vec<&str> = found.iter().map(|it| it.metric.as_str()).collect();
        assert_eq!(names, ["latency", "failures", "score"]);
        (found[place].probability_worse, found[place].expected_loss)
    };
    let (equal, loss) = probability(1.0, 0, 0);
    assert!(equal < 0.01 && loss < 0.0005, "{equal} {loss}");
    let (slow, loss) = probability(1.5, 0, 0);
    // Latency spreads evenly from 10 to 20 ms.
    assert!(slow > 0.99 && (0.006..0.009).contains(&loss), "{slow} {loss}");
    let (failing, loss) = probability(1.0, 1, 1);
    assert!(failing > 0.99 && (0.05..0.11).contains(&loss), "{failing} {loss}");
    assert!(probability(1.0, 0, 1).0 < 0.9);
}

#[test]
fn there_is_no_reading_without_data_or_with_spans_of_time_as_draws() {
    assert_eq!(after(0, 1.0, 0, &JudgePolicy::default()), []);
    let spans = JudgePolicy::default().of_threads(true);
    let names: Vec<String> =
        after(30, 1.0, 0, &spans).iter().map(|it| it.metric.to_string()).collect();
    assert_eq!(names, ["score"]);
}

#[test]
fn a_reading_says_from_how_many_rollouts_its_prior_is() {
    let policy = JudgePolicy::default();
    let mut monitors = Monitors::new(&policy, &TrackSamples::default());
    (0..60).for_each(|number| monitors.tick(&second(number, 1.0, 0)));
    let evidence = SequentialEvidence::new(&policy, &monitors);
    let mut earlier = EarlierEffects::default();
    for number in 0..6 {
        let (canary, health, inputs) =
            (number.to_string(), HealthPolicy::default(), Inputs::default());
        let evidence = Some(evidence.clone());
        earlier.learn(&Judgement::new(1, 1, &canary, health, inputs, Mode::Automatic, evidence));
    }
    let before = readings(&evidence, &EarlierEffects::default());
    let after = readings(&evidence, &earlier);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((before.prior_rollouts, after.prior_rollouts), (0, 6));
        assert!(after.probability_worse < before.probability_worse, "{before:?} {after:?}");
    }
}
