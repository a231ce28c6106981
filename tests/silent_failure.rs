//! Silent failures: models that answer fast, never fail, and are wrong. None of them is promoted without a person,
//! neither by plan nor by hand; an equal and a normally retrained model are.
//!
//! Scores are those of the default models for synthetic customers; requests, split, ticks, judge and rollout are the
//! server's own.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]
#![expect(clippy::panic, reason = "so they may")]

use std::sync::LazyLock;
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
use serin::canary::Rollout;
use serin::canary::Samples;
use serin::canary::Split;
use serin::canary::State;
use serin::canary::Track;
use serin::canary::Verdict;
use serin::canary::Version;
use serin::canary::Weight;
use serin::canary::judge::coverage::Coverage;
use serin::canary::judge::evidence::SequentialEvidence;
use serin::canary::judge::health_check::Inputs;
use serin::canary::judge::sentences;
use serin::canary::judge::verdict::Concern;
use serin::canary::observed::pairs::Answers;
use serin::canary::observed::pairs::Pair;
use serin::canary::observed::samples::TrackSamples;
use serin::canary::policy::Mode;
use serin::canary::policy::judge_policy::PairSource;
use serin::canary::policy::metric_overrides::JudgePolicyOverride;
use serin::canary::policy::plan::Template;
use serin::canary::rollout::apply::Transition;
use serin::canary::rollout::apply::apply;
use serin::canary::rollout::next_action::Action;
use serin::canary::rollout::next_action::Observation;
use serin::canary::rollout::next_action::next_action;
use serin::canary::rollout::state::Outcome;
use serin::model::Features;
use serin::model::Model;
use serin::model::Value;
use serin::model::training::TrainingOptions;
use serin::model::training::defaults::train_default_models;
use serin::model::training::synthetic::Churn;
use serin::model::training::synthetic::churn;

/// A version of the model: its scores for the same customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Canary {
    Equal,
    Retrained,
    InvertedLabels,
    Constant,
    SwappedFeatures,
    OtherScale,
    /// As many customers leave as stay: mean and spread of the scores are stable's.
    InvertedBalancedLabels,
    /// The scores of other customers.
    Unrelated,
}

const WRONG: [Canary; 5] = [
    Canary::InvertedLabels,
    Canary::Constant,
    Canary::SwappedFeatures,
    Canary::OtherScale,
    Canary::InvertedBalancedLabels,
];

const CUSTOMERS: usize = 4000;

/// Requests in a second.
const REQUESTS: u64 = 20;

/// Stable's scores, and those of each canary but the last two in the order of the variants.
static SCORES: LazyLock<(Vec<f64>, [Vec<f64>; 6])> = LazyLock::new(|| {
    let customers = churn(&Churn { rows: CUSTOMERS, ..Churn::v1(77) }).unwrap();
    let [(_, first), (_, second)] = train_default_models(&TrainingOptions::default()).unwrap();
    let score = |model: &dyn Model, change: &dyn Fn(&mut Vec<f64>)| -> Vec<f64> {
        let of_row = |row| {
            let Features::Ordered(values) = customers.features(row) else { unreachable!() };
            let number = |value: &Value<'_>| match value {
                Value::Number(number) => *number,
                _ => unreachable!("the customers are numbers"),
            };
            let mut numbers: Vec<f64> = values.iter().map(number).collect();
            change(&mut numbers);
            let row = Features::Ordered(numbers.into_iter().map(Value::Number).collect());
            model.predict(&model.schema().row(row).unwrap()).unwrap().score()
        };
        (0..CUSTOMERS).map(of_row).collect()
    };
    let (first, second) = (first.model(), second.model());
    let stable = score(&*first, &|_| {});
    let mean = stable.iter().sum::<f64>() / stable.len() as f64;
    let canaries = [
        stable.clone(),
        score(&*second, &|_| {}),
        stable.iter().map(|score| 1.0 - score).collect(),
        vec![mean; CUSTOMERS],
        // The share of late bills in place of the usage, and the reverse.
        score(&*first, &|row| row.swap(2, 3)),
        // Tenure in months instead of years.
        score(&*first, &|row| row[0] *= 12.0),
    ];
    (stable, canaries)
});

/// The scores of both versions for a customer.
fn scores(canary: Canary, customer: usize) -> [f64; 2] {
    let (stable, canaries) = &*SCORES;
    let score = stable[customer];
    match canaries.get(canary as usize) {
        Some(scores) => [score, scores[customer]],
        None if canary == Canary::Unrelated => [score, stable[(customer + 1) % CUSTOMERS]],
        None if customer.is_multiple_of(2) => [score, 1.0 - score],
        None => [1.0 - score, score],
    }
}

/// The requests of a rollout, as the server records them.
struct Traffic {
    canary: Canary,
    random: StdRng,
    samples: Samples,
    pairs: Option<Pairs>,
    number: u64,
}

impl Traffic {
    fn new(canary: Canary, seed: u64) -> Traffic {
        let random = StdRng::seed_from_u64(seed);
        Traffic { canary, random, samples: Samples::default(), pairs: None, number: 0 }
    }

    fn requests(&mut self, count: u64, split: &Split, shadow: Weight) {
        for _ in 0..count {
            let customer = self.random.random_range(0..CUSTOMERS);
            let seconds = 0.001 * (1.0 + self.random.random::<f64>());
            let scores = scores(self.canary, customer);
            let track = split.assign(self.number);
            self.number += 1;
            let answer = if track == Track::Canary { scores[1] } else { scores[0] };
            self.samples.of_mut(track).record(seconds, &[answer]);
            if track == Track::Stable && !shadow.is_zero() {
                self.pairs.get_or_insert_default().record(&Pair {
                    stable: Answers::Probability { rows: &scores[..1], threshold: 0.5 },
                    canary: Answers::Probability { rows: &scores[1..], threshold: 0.5 },
                    stable_seconds: seconds,
                    canary_seconds: seconds,
                });
            }
        }
    }
}

/// The monitors, and what they have seen of the step.
struct Judge {
    monitors: Monitors,
    seen: (Samples, Option<Pairs>),
}

impl Judge {
    fn tick(&mut self, weight: Weight, traffic: &Traffic) {
        let increment = Increment::between(weight, &self.seen.0, &traffic.samples).unwrap();
        let increment = increment.with_pairs(self.seen.1.as_ref(), traffic.pairs.as_ref()).unwrap();
        self.monitors.tick(&increment);
        self.seen = (traffic.samples.clone(), traffic.pairs.clone());
    }

    fn judged(&self, rollout: &Rollout, traffic: &Traffic) -> Judgement {
        let evidence = SequentialEvidence::new(&rollout.policy.judge, &self.monitors);
        let evidence = evidence.accepting_shift(rollout.accepts_shift());
        Judgement::new(
            rollout.id,
            rollout.step,
            &rollout.canary.digest,
            rollout.policy.health,
            Inputs::new(&rollout.policy.health, rollout.mode(), &traffic.samples),
            rollout.mode(),
            Some(evidence),
        )
    }
}

fn version(name: &str) -> Version {
    Version { name: name.into(), file: name.into(), digest: name.into() }
}

fn deployed(policy: &Policy, now: Timestamp) -> State {
    let event = Event::CanaryDeployed {
        canary: version("v2"),
        policy: Box::new(policy.clone()),
        salt: 7,
        reason: None,
        override_quarantine: false,
        features: serin::canary::rollout::state::FeatureChange::default(),
        library: None,
    };
    match apply(&State::initial(version("v1"), now), &event, now).unwrap() {
        Transition::Changed { state, .. } => *state,
        other => panic!("{other:?}"),
    }
}

fn policy(mode: Mode, shadow: bool, given: &JudgePolicyOverride) -> Policy {
    let mut plan = Template::Fast.plan();
    plan.steps.retain(|step| shadow || !step.weight.is_zero());
    plan.steps
        .iter_mut()
        .filter(|step| !step.weight.is_zero())
        .for_each(|step| step.bake = Some(Duration::from_secs(60)));
    let default = Policy::default();
    let pairs =
        if shadow { PairSource::InShadow { is_required: false } } else { PairSource::Never };
    let judge = default.judge.clone().changed(&default.health, given).unwrap();
    let judge = judge.of_rollout(&default.health, given, pairs).unwrap();
    let (weight, shadow) = match mode {
        Mode::Automatic => (plan.steps[0].weight, plan.steps[0].shadow),
        Mode::Manual => {
            let all = Weight::from_percent(100.0).unwrap();
            (default.weight, if shadow { all } else { Weight::ZERO })
        }
    };
    Policy { mode, plan, judge, weight, shadow, ..default }
}

/// The end of a rollout by plan.
struct Life {
    /// `None` if it is held, or waits for approval.
    outcome: Option<Outcome>,
    /// How long the shadow lasted, if it ended.
    shadow_seconds: Option<u64>,
    why: String,
}

fn by_plan(canary: Canary, seed: u64, policy: &Policy, requests: u64) -> Life {
    by_plan_at(canary, seed, policy, |_| requests)
}

/// With one request every `seconds` seconds.
fn by_plan_slowly(canary: Canary, seed: u64, policy: &Policy, seconds: i64) -> Life {
    by_plan_at(canary, seed, policy, |second| u64::from(second % seconds == 0))
}

fn by_plan_at(canary: Canary, seed: u64, policy: &Policy, requests: impl Fn(i64) -> u64) -> Life {
    let start = Timestamp::from_second(1_800_000_000).unwrap();
    let mut state = deployed(policy, start);
    let mut traffic = Traffic::new(canary, seed);
    let before = TrackSamples::default();
    let monitors = Monitors::new(&policy.judge, &before);
    let mut judge = Judge { monitors, seen: Default::default() };
    let mut shadow_seconds = None;
    for second in 1..90_000 {
        let Some(rollout) = state.rollout.clone() else { unreachable!() };
        let now = start + SignedDuration::from_secs(second);
        let split = Split::new(rollout.weight(), u128::from(seed), rollout.step);
        let come = requests(second);
        traffic.requests(come, &split, rollout.shadow());
        // Looks without a new request change nothing but the time.
        if come == 0 && second % 30 != 0 {
            continue;
        }
        judge.tick(rollout.weight(), &traffic);
        let judgement = judge.judged(&rollout, &traffic);
        let shadowed = traffic.pairs.as_ref().map_or(0, Pairs::asked);
        let observed = Observation { shadowed, ..Observation::default() };
        let action = next_action(&rollout, &judgement, &observed, now);
        if let Action::Wait(_) = action {
            continue;
        }
        let (by, why) = (Mode::Automatic, sentences::why(&judgement));
        let judgement = Box::new(judgement);
        let event = match action {
            Action::Advance => Event::Advanced { judgement },
            Action::Promote => Event::Promoted { judgement, forced: false, reason: None, by },
            Action::RollBack(cause) => {
                let (rollout, judgement) = (rollout.id, Some(judgement));
                Event::RolledBack { rollout, cause, quarantine: true, judgement, by }
            }
            Action::HoldFor(concerns) => {
                assert_eq!(concerns, [Concern::Shift]);
                return Life { outcome: None, shadow_seconds, why };
            }
            Action::AwaitApproval => {
                let why = sentences::why_to_promote(&judgement);
                return Life { outcome: None, shadow_seconds, why };
            }
            other => panic!("{other:?}"),
        };
        if rollout.weight().is_zero() && matches!(event, Event::Advanced { .. }) {
            shadow_seconds = Some(second as u64);
        }
        let Transition::Changed { state: next, .. } = apply(&state, &event, now).unwrap() else {
            panic!("{event:?} changed nothing");
        };
        state = *next;
        if let Some(last) = &state.last {
            return Life { outcome: Some(last.outcome), shadow_seconds, why };
        }
        // Each step starts new samples.
        (traffic.samples, traffic.pairs) = Default::default();
        judge.seen = Default::default();
    }
    panic!("{canary:?} {seed}: no decision within a day");
}

/// The judgement of a promotion by hand after these requests.
fn by_hand(canary: Canary, seed: u64, shadow: bool, requests: u64) -> Judgement {
    let start = Timestamp::from_second(1_800_000_000).unwrap();
    let policy = policy(Mode::Manual, shadow, &JudgePolicyOverride::default());
    let state = deployed(&policy, start);
    let rollout = state.rollout.unwrap();
    let mut traffic = Traffic::new(canary, seed);
    let monitors = Monitors::new(&policy.judge, &TrackSamples::default());
    let mut judge = Judge { monitors, seen: Default::default() };
    // Two ticks: the sequential judge bets on the second.
    for _ in 0..2 {
        let split = Split::new(rollout.weight(), u128::from(seed), rollout.step);
        traffic.requests(requests / 2, &split, rollout.shadow());
        judge.tick(rollout.weight(), &traffic);
    }
    judge.judged(&rollout, &traffic)
}

#[test]
fn no_wrong_model_is_promoted_by_plan_without_a_person() {
    let policy = policy(Mode::Automatic, true, &JudgePolicyOverride::default());
    for canary in WRONG {
        for seed in 0..20 {
            let life = by_plan(canary, seed, &policy, REQUESTS);
            assert_ne!(life.outcome, Some(Outcome::Promoted), "{canary:?} {seed}: {}", life.why);
            assert_eq!(life.shadow_seconds, None, "{canary:?} {seed} has met users");
        }
    }
}

#[test]
fn an_equal_and_a_retrained_model_are_promoted_by_plan_and_held_no_longer_than_the_shadow() {
    let policy = policy(Mode::Automatic, true, &JudgePolicyOverride::default());
    for canary in [Canary::Equal, Canary::Retrained] {
        let lives: Vec<Life> =
            (0..40).map(|seed| by_plan(canary, seed, &policy, REQUESTS)).collect();
        let count = |outcome| lives.iter().filter(|life| life.outcome == outcome).count();
        assert_eq!(count(None), 0, "{canary:?} was held");
        // Alpha is 5 %.
        assert!(count(Some(Outcome::RolledBack)) <= 2, "{canary:?}");
        let longest = lives.iter().filter_map(|life| life.shadow_seconds).max();
        assert!(longest.is_some_and(|longest| longest <= 120), "{canary:?}: {longest:?}");
    }
}

#[test]
fn no_model_is_promoted_by_a_plan_without_shadow_and_labels_unless_a_person_agrees() {
    let mut asked = 0;
    let policy = policy(Mode::Automatic, false, &JudgePolicyOverride::default());
    for canary in WRONG.into_iter().chain([Canary::Equal]) {
        for seed in 0..20 {
            let life = by_plan(canary, seed, &policy, REQUESTS);
            assert_ne!(life.outcome, Some(Outcome::Promoted), "{canary:?} {seed}: {}", life.why);
            // Neither mean nor spread differs: what serin says is all that a person has.
            if matches!(canary, Canary::InvertedBalancedLabels | Canary::Equal) {
                let waits = life.outcome.is_none();
                assert!(waits || life.outcome == Some(Outcome::RolledBack), "{}", life.why);
                asked += u32::from(waits);
                assert!(
                    !waits || life.why.ends_with("wrong answers may be missed"),
                    "{}",
                    life.why
                );
            }
        }
    }
    // Alpha is 5 %: at most two of forty are rolled back.
    assert!(asked >= 38, "{asked}");
}

/// Answers of another customer: mean and spread are stable's, and nothing else.
#[test]
fn unrelated_answers_are_not_promoted_after_few_pairs() {
    let mut policy = policy(Mode::Automatic, true, &JudgePolicyOverride::default());
    policy.plan.min_samples = 20;
    policy.plan.deadline = Duration::from_secs(100_000);
    // In two minutes of shadow some 24 pairs come.
    for seed in 0..20 {
        let life = by_plan_slowly(Canary::Unrelated, seed, &policy, 5);
        assert_ne!(life.outcome, Some(Outcome::Promoted), "{seed}: {}", life.why);
    }
}

#[test]
fn a_shadow_with_too_little_traffic_ends_after_two_minutes() {
    let policy = policy(Mode::Automatic, true, &JudgePolicyOverride::default());
    let mut policy = policy;
    policy.plan.min_samples = 10_000;
    policy.plan.steps.truncate(2);
    let start = Timestamp::from_second(1_800_000_000).unwrap();
    let rollout = deployed(&policy, start).rollout.unwrap();
    let traffic = Traffic::new(Canary::Equal, 1);
    let monitors = Monitors::new(&policy.judge, &TrackSamples::default());
    let judge = Judge { monitors, seen: Default::default() };
    let judgement = judge.judged(&rollout, &traffic);
    let act = |seconds| {
        let now = start + SignedDuration::from_secs(seconds);
        next_action(&rollout, &judgement, &Observation::default(), now)
    };
    assert!(matches!(act(119), Action::Wait(_)));
    assert_eq!(act(120), Action::Advance);
    let sentence = Event::Advanced { judgement: Box::new(judgement) }.sentence();
    assert_eq!(
        sentence,
        "rollout 1: step 1 ended with 0 pairs, too few to compare; pairs were not checked"
    );
}

#[test]
fn no_wrong_model_passes_by_hand() {
    for canary in WRONG {
        // Only pairs show that single answers differ where mean and spread are stable's.
        let shadow = matches!(canary, Canary::SwappedFeatures | Canary::InvertedBalancedLabels);
        for seed in 0..20 {
            let judgement = by_hand(canary, seed, shadow, 600);
            let why = sentences::why(&judgement);
            assert_ne!(judgement.verdict, Verdict::Promote, "{canary:?} {seed}: {why}");
        }
    }
}

#[test]
fn an_equal_and_a_retrained_model_pass_by_hand() {
    for canary in [Canary::Equal, Canary::Retrained] {
        let judgements = (0..40).map(|seed| by_hand(canary, seed, false, 600));
        let verdicts: Vec<Verdict> = judgements.map(|one| one.verdict).collect();
        let count = |verdict| verdicts.iter().filter(|one| **one == verdict).count();
        let (alerts, passes) = (count(Verdict::Rollback), count(Verdict::Promote));
        assert!(alerts <= 2 && passes >= 38, "{canary:?}: {alerts} alerts, {passes} of 40 pass");
    }
}

#[test]
fn ok_says_what_was_checked_and_what_was_not() {
    let judgement = by_hand(Canary::Equal, 3, false, 600);
    assert_eq!(judgement.verdict, Verdict::Promote);
    assert_eq!(
        Coverage::of(&judgement).sentence(),
        "no harm found in latency, failures and score; not checked: labels (none so far), pairs (no shadow)"
    );
}

#[test]
fn an_expected_shift_decides_nothing() {
    let given = JudgePolicyOverride { expect_shift: Some(true), ..Default::default() };
    let policy = policy(Mode::Automatic, true, &given);
    let life = by_plan(Canary::InvertedLabels, 1, &policy, REQUESTS);
    assert_eq!(life.outcome, Some(Outcome::Promoted), "{}", life.why);
}
