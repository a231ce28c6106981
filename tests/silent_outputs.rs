//! Silent failures of models with many classes and of regressions: models that answer fast, never fail, and are wrong.
//! None is promoted by plan; an equal and a normally retrained model are. Requests, split, ticks, judge and rollout are
//! the server's own.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]
#![expect(clippy::panic, reason = "so they may")]

use std::time::Duration;

use jiff::SignedDuration;
use jiff::Timestamp;
use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serin::canary::Event;
use serin::canary::Increment;
use serin::canary::Judgement;
use serin::canary::Monitors;
use serin::canary::Pairs;
use serin::canary::Policy;
use serin::canary::Samples;
use serin::canary::Split;
use serin::canary::State;
use serin::canary::Track;
use serin::canary::Version;
use serin::canary::judge::evidence::SequentialEvidence;
use serin::canary::judge::health_check::Inputs;
use serin::canary::judge::sentences;
use serin::canary::observed::outputs::Means;
use serin::canary::observed::pairs::Answers;
use serin::canary::observed::pairs::Pair;
use serin::canary::observed::samples::TrackSamples;
use serin::canary::policy::Mode;
use serin::canary::policy::judge_policy::PairSource;
use serin::canary::policy::metric_overrides::JudgePolicyOverride;
use serin::canary::policy::plan::Template;
use serin::canary::policy::source::Outputs;
use serin::canary::rollout::apply::Transition;
use serin::canary::rollout::apply::apply;
use serin::canary::rollout::next_action::Action;
use serin::canary::rollout::next_action::Observation;
use serin::canary::rollout::next_action::next_action;
use serin::canary::rollout::state::Outcome;

/// What stable and the canary answer to a customer.
type Answer = fn(&mut StdRng) -> [Vec<f64>; 2];

/// Requests in a second.
const REQUESTS: u64 = 20;

/// A sum of uniforms: near enough to a bell of standard deviation 1.
fn bell(random: &mut StdRng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

/// Probabilities of three classes of which the first is the most frequent one.
fn classes(random: &mut StdRng) -> [f64; 3] {
    [0.7 + bell(random), bell(random), bell(random) - 0.4]
}

fn softmax(logits: [f64; 3]) -> Vec<f64> {
    let powers = logits.map(f64::exp);
    powers.iter().map(|power| power / powers.iter().sum::<f64>()).collect()
}

/// A price: mean 100, standard deviation 30.
fn price(random: &mut StdRng) -> f64 {
    100.0 + 30.0 * bell(random)
}

fn outputs(answer: Answer) -> Outputs {
    match answer(&mut StdRng::seed_from_u64(0))[0].len() {
        1 => Outputs::Score,
        _ => Outputs::Probabilities {
            classes: ["basic", "silver", "gold"].map(str::to_owned).to_vec(),
        },
    }
}

fn policy(answer: Answer) -> Policy {
    let mut plan = Template::Fast.plan();
    plan.steps
        .iter_mut()
        .filter(|step| !step.weight.is_zero())
        .for_each(|step| step.bake = Some(Duration::from_secs(60)));
    let (default, given) = (Policy::default(), JudgePolicyOverride::default());
    let pairs = PairSource::InShadow { is_required: false };
    let judge = default.judge.clone().of_rollout(&default.health, &given, pairs).unwrap();
    let judge = judge.of_outputs(outputs(answer), &default.health, &given).unwrap();
    let (weight, shadow) = (plan.steps[0].weight, plan.steps[0].shadow);
    Policy { mode: Mode::Automatic, plan, judge, weight, shadow, ..default }
}

fn answers(numbers: &[f64]) -> Answers<'_> {
    match numbers.len() {
        1 => Answers::Score { rows: numbers },
        classes => Answers::Probabilities { numbers, classes },
    }
}

fn means(numbers: &[f64]) -> Means<'_> {
    match numbers {
        [score] => Means::Score(*score),
        classes => Means::Probabilities(classes),
    }
}

/// The end of a rollout by plan: the outcome, or `None` if a person has to look; and why.
fn by_plan(answer: Answer, seed: u64) -> (Option<Outcome>, String) {
    let policy = policy(answer);
    let start = Timestamp::from_second(1_800_000_000).unwrap();
    let version =
        |name: &str| Version { name: name.into(), file: name.into(), digest: name.into() };
    let deployed = Event::CanaryDeployed {
        canary: version("v2"),
        policy: Box::new(policy.clone()),
        salt: 7,
        reason: None,
        override_quarantine: false,
        features: serin::canary::rollout::state::FeatureChange::default(),
        library: None,
    };
    let changed = |state: &State, event: &Event, now| match apply(state, event, now).unwrap() {
        Transition::Changed { state, .. } => *state,
        other => panic!("{other:?}"),
    };
    let mut state = changed(&State::initial(version("v1"), start), &deployed, start);
    let mut random = StdRng::seed_from_u64(seed);
    let mut monitors = Monitors::new(&policy.judge, &TrackSamples::default());
    let mut observed = (Samples::default(), None::<Pairs>);
    let mut seen = observed.clone();
    let mut number = 0;
    for second in 1..10_000 {
        let rollout = state.rollout.clone().unwrap();
        let now = start + SignedDuration::from_secs(second);
        let split = Split::new(rollout.weight(), u128::from(seed), rollout.step);
        for _ in 0..REQUESTS {
            let [stable, canary] = answer(&mut random);
            let seconds = 0.001 * (1.0 + random.random::<f64>());
            let track = split.assign(number);
            number += 1;
            let given = if track == Track::Canary { &canary } else { &stable };
            observed.0.of_mut(track).record_means(seconds, means(given));
            if track == Track::Stable && !rollout.shadow().is_zero() {
                observed.1.get_or_insert_default().record(&Pair {
                    stable: answers(&stable),
                    canary: answers(&canary),
                    stable_seconds: seconds,
                    canary_seconds: seconds,
                });
            }
        }
        let increment = Increment::between(rollout.weight(), &seen.0, &observed.0).unwrap();
        let increment = increment.with_pairs(seen.1.as_ref(), observed.1.as_ref()).unwrap();
        // As the tick log keeps it.
        let increment = Increment::from_bytes(&increment.to_bytes()).unwrap();
        monitors.tick(&increment);
        seen = observed.clone();
        let evidence = SequentialEvidence::new(&rollout.policy.judge, &monitors);
        let judgement = Judgement::new(
            rollout.id,
            rollout.step,
            &rollout.canary.digest,
            rollout.policy.health,
            Inputs::new(&rollout.policy.health, rollout.mode(), &observed.0),
            rollout.mode(),
            Some(evidence.accepting_shift(rollout.accepts_shift())),
        );
        let shadowed = observed.1.as_ref().map_or(0, Pairs::asked);
        let looked = Observation { shadowed, ..Observation::default() };
        let (by, why) = (Mode::Automatic, sentences::why(&judgement));
        let action = next_action(&rollout, &judgement, &looked, now);
        let judgement = Box::new(judgement);
        let event = match action {
            Action::Wait(_) => continue,
            Action::Advance => Event::Advanced { judgement },
            Action::Promote => Event::Promoted { judgement, forced: false, reason: None, by },
            Action::RollBack(cause) => {
                let (rollout, judgement) = (rollout.id, Some(judgement));
                Event::RolledBack { rollout, cause, quarantine: true, judgement, by }
            }
            Action::HoldFor(_) | Action::AwaitApproval => return (None, why),
            other => panic!("{other:?}"),
        };
        state = changed(&state, &event, now);
        if let Some(last) = &state.last {
            return (Some(last.outcome), why);
        }
        // Each step starts new samples.
        (observed, seen) = Default::default();
    }
    panic!("{seed}: no decision within three hours");
}

#[test]
fn wrong_models_of_many_classes_are_not_promoted() {
    let wrong: [(&str, Answer); 5] = [
        ("another order of the classes", |random| {
            let [a, b, c] = classes(random);
            [softmax([a, b, c]), softmax([b, c, a])]
        }),
        ("a constant", |random| [softmax(classes(random)), vec![0.5, 0.3, 0.2]]),
        ("always the most frequent class", |random| {
            [softmax(classes(random)), vec![1.0, 0.0, 0.0]]
        }),
        ("one against all", |random| {
            let stable = softmax(classes(random));
            [stable.clone(), stable.iter().map(|one| 1.0 - one).collect()]
        }),
        ("other customers", |random| [softmax(classes(random)), softmax(classes(random))]),
    ];
    for (what, answer) in wrong {
        for seed in 0..5 {
            let (outcome, why) = by_plan(answer, seed);
            assert_ne!(outcome, Some(Outcome::Promoted), "{what} {seed}: {why}");
            let names_a_class = ["basic", "silver", "gold"].iter().any(|class| why.contains(class));
            assert!(names_a_class || why.contains("flips"), "{what}: {why}");
        }
    }
}

#[test]
fn wrong_regressions_are_not_promoted() {
    let wrong: [(&str, Answer); 5] = [
        ("cents", |random| {
            let price = price(random);
            [vec![price], vec![100.0 * price]]
        }),
        ("a constant", |random| [vec![price(random)], vec![100.0]]),
        ("the other way round", |random| {
            let price = price(random);
            [vec![price], vec![200.0 - price]]
        }),
        ("a fifth too high", |random| {
            let price = price(random);
            [vec![price], vec![1.2 * price]]
        }),
        ("other customers", |random| [vec![price(random)], vec![price(random)]]),
    ];
    for (what, answer) in wrong {
        for seed in 0..5 {
            let (outcome, why) = by_plan(answer, seed);
            assert_ne!(outcome, Some(Outcome::Promoted), "{what} {seed}: {why}");
            assert!(why.contains("score"), "{what} {seed}: {why}");
        }
    }
}

#[test]
fn equal_and_retrained_models_are_promoted() {
    let good: [(&str, Answer); 4] = [
        ("equal classes", |random| {
            let stable = softmax(classes(random));
            [stable.clone(), stable]
        }),
        ("retrained classes", |random| {
            let logits = classes(random);
            let noisy = logits.map(|logit| logit + 0.1 * bell(random));
            [softmax(logits), softmax(noisy)]
        }),
        ("an equal regression", |random| {
            let price = price(random);
            [vec![price], vec![price]]
        }),
        ("a retrained regression", |random| {
            let price = price(random);
            [vec![price], vec![price + 3.0 * bell(random)]]
        }),
    ];
    for (what, answer) in good {
        let ends: Vec<_> = (0..10).map(|seed| by_plan(answer, seed)).collect();
        let promoted = ends.iter().filter(|end| end.0 == Some(Outcome::Promoted)).count();
        // Alpha is 5 %.
        assert!(promoted >= 9, "{what}: {promoted} of 10; {:?}", ends.last());
    }
}
