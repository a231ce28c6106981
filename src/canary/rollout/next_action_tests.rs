//! The next action in every situation of a plan.

use std::sync::LazyLock;

use super::*;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::health_check::Inputs;
use crate::canary::judge::monitors::Monitors;
use crate::canary::judge::verdict::Classification;
use crate::canary::judge::verdict::Reason;
use crate::canary::policy::Mode;
use crate::canary::policy::Policy;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::plan::PlannedStep;
use crate::canary::policy::plan::Triggers;
use crate::canary::rollout::apply::Transition;
use crate::canary::rollout::apply::apply;
use crate::canary::rollout::event::Event;
use crate::canary::rollout::state::FeatureChange;
use crate::canary::rollout::state::State;
use crate::canary::rollout::state::Version;

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second as i64).unwrap()
}

fn version(name: &str) -> Version {
    Version { name: name.into(), file: format!("{name}.bin"), digest: format!("digest-{name}") }
}

fn step(percent: f64, bake: Option<u64>) -> PlannedStep {
    PlannedStep {
        weight: Weight::from_percent(percent).unwrap(),
        at_most: None,
        shadow: Weight::ZERO,
        bake: bake.map(Duration::from_secs),
    }
}

/// 5 % for a minute, 50 % for two, within ten.
fn plan() -> Plan {
    Plan {
        steps: vec![step(5.0, Some(60)), step(50.0, Some(120))],
        deadline: Duration::from_secs(600),
        min_samples: 100,
        warm_up: Duration::ZERO,
        ..Plan::default()
    }
}

fn deployed(name: &str, plan: &Plan) -> Event {
    let weight = plan.steps[0].weight;
    let (mode, plan, judge) = (Mode::Automatic, plan.clone(), POLICY.clone());
    let policy = Policy { mode, plan, weight, judge, ..Policy::default() };
    Event::CanaryDeployed {
        canary: version(name),
        policy: Box::new(policy),
        salt: 7,
        reason: None,
        override_quarantine: false,
        features: FeatureChange::default(),
        library: None,
    }
}

/// The default without scores, and labels.
static POLICY: LazyLock<JudgePolicy> = LazyLock::new(|| {
    let given = "[[metrics]]\nname = \"brier\"\n[[metrics]]\nname = \"score\"\nrole = \"advisory\"";
    JudgePolicy::new(&HealthPolicy::default(), &toml::from_str(given).unwrap()).unwrap()
});

/// A judgement of nothing. Made once, because monitors are large and tests many.
static OF_NOTHING: LazyLock<Judgement> = LazyLock::new(|| {
    let sequential = SequentialEvidence::new(&POLICY, &Monitors::new(&POLICY, &Default::default()));
    let (health, inputs) = (HealthPolicy::default(), Inputs::default());
    Judgement::new(1, 1, "", health, inputs, Mode::Automatic, Some(sequential))
});

/// A judgement with this verdict after this number of requests per track. Its evidence is arbitrary.
fn judged(rollout: &Rollout, verdict: Verdict, requests: u64) -> Judgement {
    let mut judgement = OF_NOTHING.clone();
    (judgement.rollout, judgement.step) = (rollout.id, rollout.step);
    judgement.digest = rollout.canary.digest.clone();
    let inputs = &mut judgement.evidence.inputs;
    (inputs.stable.requests, inputs.canary.requests) = (requests, requests);
    Judgement { verdict, reasons: vec![Reason::NoEvidence], ..judgement }
}

fn after(state: &State, event: &Event, now: Timestamp) -> State {
    match apply(state, event, now).unwrap() {
        Transition::Changed { state, .. } => *state,
        Transition::Unchanged => state.clone(),
    }
}

fn running(plan: &Plan) -> Rollout {
    let idle = State::initial(version("v1"), at(0));
    after(&idle, &deployed("v2", plan), at(0)).rollout.unwrap()
}

fn word(action: Action) -> String {
    match action {
        Action::Wait(reasons) => format!("wait: {}", reasons.join("; ")),
        Action::RollBack(cause) => format!("roll back: {}", cause.sentence(None)),
        Action::Hold(cause) => format!("hold: {}", cause.sentence(None)),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[test]
fn every_situation_of_a_step() {
    use Verdict::Hold;
    use Verdict::Promote;
    use Verdict::Rollback;
    // (the step, the verdict, requests of each track, seconds, what is done)
    for (position, verdict, requests, seconds, done) in [
        (0, Hold, 0, 0, "wait: 1m of the bake time left; canary has 0 of 100 samples"),
        (0, Hold, 500, 59, "wait: 1s of the bake time left"),
        (0, Hold, 99, 60, "wait: canary has 99 of 100 samples; stable has 99"),
        (0, Hold, 100, 60, "advance"),
        (0, Promote, 100, 60, "advance"),
        (0, Promote, 100, 59, "wait: 1s of the bake time left"),
        (0, Rollback, 0, 0, "roll back: harm was found"),
        (0, Rollback, 100, 60, "roll back: harm was found"),
        (1, Hold, 5000, 300, "wait: the sequential judge has no evidence"),
        (1, Promote, 5000, 119, "wait: 1s of the bake time left"),
        (1, Promote, 0, 300, "wait: canary has 0 of 100"),
        (1, Promote, 5000, 300, "promote"),
        (0, Hold, 0, 600, "roll back: no verdict within 10m"),
        (1, Hold, 5000, 600, "roll back: no verdict within 10m"),
        (1, Rollback, 5000, 700, "roll back: harm was found"),
    ] {
        let mut rollout = running(&plan());
        rollout.position = position;
        rollout.policy.weight = rollout.policy.plan.steps[position].weight;
        let judgement = judged(&rollout, verdict, requests);
        let action = word(next_action(&rollout, &judgement, &Observation::default(), at(seconds)));
        assert!(action.starts_with(done), "{position} {verdict:?} {requests} {seconds}: {action}");
    }
}

#[test]
fn a_paused_or_waiting_rollout_is_still_guarded() {
    for phase in [Phase::Paused, Phase::AwaitingApproval] {
        let rollout = Rollout { phase, ..running(&plan()) };
        let none = Observation::default();
        let act = |verdict, seconds, seen: &Observation| {
            word(next_action(&rollout, &judged(&rollout, verdict, 1000), seen, at(seconds)))
        };
        assert!(act(Verdict::Promote, 300, &none).starts_with("wait"), "{phase:?}");
        assert!(act(Verdict::Rollback, 1, &none).starts_with("roll back"), "{phase:?}");
        assert!(act(Verdict::Hold, 600, &none).starts_with("roll back"), "{phase:?}");
        let reason = TripReason::Failures { failed: 12, in_a_row: 10 };
        let tripped = Observation { tripped: Some(reason), ..none.clone() };
        let expected = "roll back: a trigger fired: 12 of the canary's last 64 requests failed";
        assert!(act(Verdict::Promote, 1, &tripped).starts_with(expected), "{phase:?}");
    }
}

#[test]
fn a_canary_above_the_latency_ceiling_is_rolled_back_whatever_stable_does() {
    let ceiling = Some(Duration::from_millis(50));
    let triggers = Triggers { p99_ceiling: ceiling, ..Triggers::default() };
    let rollout = running(&Plan { triggers, ..plan() });
    let act = |p99| {
        let seen = Observation { canary_p99_seconds: p99, ..Observation::default() };
        word(next_action(&rollout, &judged(&rollout, Verdict::Promote, 1000), &seen, at(1)))
    };
    assert!(act(Some(0.049)).starts_with("wait"));
    assert!(act(None).starts_with("wait"));
    assert_eq!(
        act(Some(0.051)),
        "roll back: the canary's p99 latency is 51.0 ms, above the ceiling of 50ms"
    );
}

#[test]
fn approval_comes_last_and_a_step_without_an_end_waits_for_a_person() {
    let steps = vec![step(5.0, None), step(50.0, Some(60))];
    let plan = Plan { steps, approval: true, ..plan() };
    let mut state = State::initial(version("v1"), at(0));
    let act = |state: &State, verdict, seconds| {
        let rollout = state.rollout.as_ref().unwrap();
        let judgement = judged(rollout, verdict, 1000);
        word(next_action(rollout, &judgement, &Observation::default(), at(seconds)))
    };
    let judgement =
        |state: &State, verdict| Box::new(judged(state.rollout.as_ref().unwrap(), verdict, 1000));
    state = after(&state, &deployed("v2", &plan), at(0));
    assert_eq!(act(&state, Verdict::Hold, 9), "awaitapproval");
    // A resume before the hold approves in advance.
    let early = after(&state, &Event::Resumed { rollout: 1 }, at(9));
    assert_eq!(act(&early, Verdict::Hold, 9), "advance");
    let asked = Event::ApprovalAwaited { judgement: judgement(&state, Verdict::Hold) };
    state = after(&state, &asked, at(9));
    assert_eq!(
        act(&state, Verdict::Promote, 500),
        "wait: waiting for approval; resume the rollout to continue"
    );
    state = after(&state, &Event::Resumed { rollout: 1 }, at(10));
    assert_eq!(act(&state, Verdict::Hold, 10), "advance");
    state = after(&state, &Event::Advanced { judgement: judgement(&state, Verdict::Hold) }, at(10));
    assert_eq!(state.rollout.as_ref().unwrap().weight().percent(), 50.0);
    assert_eq!(act(&state, Verdict::Hold, 300), "wait: the sequential judge has no evidence");
    assert_eq!(act(&state, Verdict::Promote, 300), "awaitapproval");
    let asked = Event::ApprovalAwaited { judgement: judgement(&state, Verdict::Promote) };
    state = after(&state, &asked, at(300));
    assert!(act(&state, Verdict::Promote, 301).starts_with("wait"));
    let agreed = after(&state, &Event::Resumed { rollout: 1 }, at(302));
    assert_eq!(act(&agreed, Verdict::Promote, 302), "promote");
    // What has become unproven meanwhile is not promoted on an old approval.
    assert_eq!(act(&agreed, Verdict::Hold, 302), "wait: the sequential judge has no evidence");
}

#[test]
fn nothing_goes_to_everybody_unproven() {
    let plan = Plan { steps: vec![step(50.0, Some(1)), step(100.0, Some(1))], ..plan() };
    let rollout = running(&plan);
    let act = |verdict| {
        word(next_action(
            &rollout,
            &judged(&rollout, verdict, 1000),
            &Observation::default(),
            at(60),
        ))
    };
    assert_eq!(act(Verdict::Hold), "wait: the sequential judge has no evidence");
    assert_eq!(act(Verdict::Promote), "advance");
}

#[test]
fn a_deadline_that_holds_gives_a_person_the_same_time_again() {
    let plan = Plan { at_deadline: AtDeadline::Hold, ..plan() };
    let mut state = after(&State::initial(version("v1"), at(0)), &deployed("v2", &plan), at(0));
    let act = |state: &State, seconds| {
        let rollout = state.rollout.as_ref().unwrap();
        let judgement = judged(rollout, Verdict::Hold, 0);
        word(next_action(rollout, &judgement, &Observation::default(), at(seconds)))
    };
    assert_eq!(act(&state, 600), "hold: no verdict within 10m");
    let held = Event::Paused { rollout: 1, cause: Cause::Harm };
    state = after(&state, &held, at(600));
    assert!(act(&state, 1199).starts_with("wait: paused"));
    let forgotten = "roll back: no verdict within 10m, and no decision within the same time again";
    assert_eq!(act(&state, 1200), forgotten);
    state = after(&state, &Event::Resumed { rollout: 1 }, at(1100));
    assert!(act(&state, 1699).starts_with("wait"));
    assert_eq!(act(&state, 1700), "hold: no verdict within 10m");
}

#[test]
fn a_person_who_gave_more_traffic_is_not_overruled_downward() {
    let steps = vec![step(5.0, Some(1)), step(10.0, Some(1)), step(50.0, Some(1))];
    let mut state = State::initial(version("v1"), at(0));
    state = after(&state, &deployed("v2", &Plan { steps, ..plan() }), at(0));
    let judgement =
        |state: &State| Box::new(judged(state.rollout.as_ref().unwrap(), Verdict::Hold, 1000));
    let weight = Weight::from_percent(20.0).unwrap();
    let more = Event::TrafficSet {
        rollout: 1,
        weight,
        shadow: Weight::ZERO,
        judgement: judgement(&state),
    };
    state = after(&state, &more, at(1));
    state = after(&state, &Event::Advanced { judgement: judgement(&state) }, at(2));
    let rollout = state.rollout.as_ref().unwrap();
    assert_eq!((rollout.weight().percent(), rollout.position), (50.0, 2));
    let further = Event::Advanced { judgement: judgement(&state) };
    assert!(apply(&state, &further, at(3)).is_err());
}

#[test]
fn a_person_who_took_the_traffic_away_is_not_overruled() {
    let steps = vec![step(5.0, Some(1)), step(10.0, Some(1)), step(50.0, Some(1))];
    let mut state = State::initial(version("v1"), at(0));
    state = after(&state, &deployed("v2", &Plan { steps, ..plan() }), at(0));
    let to = |state: &State, percent| Event::TrafficSet {
        rollout: 1,
        weight: Weight::from_percent(percent).unwrap(),
        shadow: Weight::ZERO,
        judgement: Box::new(judged(state.rollout.as_ref().unwrap(), Verdict::Promote, 1000)),
    };
    for second in [20, 30] {
        let advanced = Event::Advanced {
            judgement: Box::new(judged(state.rollout.as_ref().unwrap(), Verdict::Hold, 1000)),
        };
        state = after(&state, &advanced, at(second));
    }
    // At the last step, and all is proven: without users it is neither promoted nor given some.
    let without_users = after(&state, &to(&state, 0.0), at(40));
    let act = |state: &State| {
        let rollout = state.rollout.as_ref().unwrap();
        let judgement = judged(rollout, Verdict::Promote, 1000);
        word(next_action(rollout, &judgement, &Observation::default(), at(100)))
    };
    assert_eq!(
        act(&without_users),
        "wait: the canary has no traffic and no shadow traffic; give it some"
    );
    // With fewer it climbs again.
    let few = after(&state, &to(&state, 1.0), at(40));
    let (position, step) = few.rollout.as_ref().unwrap().following_step().unwrap();
    assert_eq!((position, step.weight.percent()), (0, 5.0));
    assert_eq!(act(&few), "advance");
}

#[test]
fn nothing_advances_while_it_is_warming_up() {
    let plan = Plan { warm_up: Duration::from_secs(90), ..plan() };
    let rollout = running(&plan);
    let judgement = judged(&rollout, Verdict::Promote, 1000);
    let act = |second| word(next_action(&rollout, &judgement, &Observation::default(), at(second)));
    assert_eq!(act(89), "wait: 1s of the warm-up left");
    assert_eq!(act(90), "advance");
}

#[test]
fn without_compared_answers_a_person_agrees_before_stable_is_gone() {
    let judge = Policy::default().judge;
    let act = |steps: Vec<PlannedStep>, position: usize, change: &dyn Fn(&mut Rollout)| {
        let mut rollout = running(&Plan { steps, ..plan() });
        rollout.position = position;
        rollout.policy.weight = rollout.policy.plan.steps[position].weight;
        change(&mut rollout);
        let mut judgement = judged(&rollout, Verdict::Promote, 5000);
        let sequential =
            SequentialEvidence::new(&judge, &Monitors::new(&judge, &Default::default()));
        judgement.sequential = Some(sequential);
        word(next_action(&rollout, &judgement, &Observation::default(), at(300)))
    };
    let to_half = || vec![step(5.0, Some(60)), step(50.0, Some(120))];
    let to_all = || vec![step(50.0, Some(60)), step(100.0, Some(120))];
    assert_eq!(act(to_half(), 0, &|_| ()), "advance");
    assert_eq!(act(to_half(), 1, &|_| ()), "awaitapproval");
    assert_eq!(act(to_half(), 1, &|rollout| rollout.approved = true), "promote");
    let accept = |rollout: &mut Rollout| rollout.concerns.extend([Concern::Shift]);
    assert_eq!(act(to_half(), 1, &accept), "promote");
    // At the step of 100 % the question was asked before; a person who sets 100 % was not asked.
    assert_eq!(act(to_all(), 0, &|_| ()), "awaitapproval");
    assert_eq!(act(to_all(), 0, &|rollout| rollout.approved = true), "advance");
    assert_eq!(act(to_all(), 1, &|_| ()), "promote");
    let all = Weight::from_percent(100.0).unwrap();
    assert_eq!(act(to_half(), 1, &|rollout| rollout.policy.weight = all), "awaitapproval");
}

#[test]
fn answers_that_are_compared_while_serin_waits_for_approval_end_the_wait() {
    let given = toml::from_str("[[metrics]]\nname = \"brier\"\nrole = \"guardrail\"").unwrap();
    let judge = JudgePolicy::new(&HealthPolicy::default(), &given).unwrap();
    let mut rollout = running(&plan());
    rollout.position = 1;
    rollout.policy.weight = rollout.policy.plan.steps[1].weight;
    rollout.phase = Phase::AwaitingApproval;
    let mut judgement = judged(&rollout, Verdict::Promote, 5000);
    let sequential = SequentialEvidence::new(&judge, &Monitors::new(&judge, &Default::default()));
    judgement.sequential = Some(sequential);
    let act = |judgement: &Judgement, rollout: &Rollout| {
        word(next_action(rollout, judgement, &Observation::default(), at(300)))
    };
    assert!(act(&judgement, &rollout).starts_with("wait: waiting for approval"));
    let with_labels = |classification, canary: u64| {
        let mut judgement = judgement.clone();
        let sequential = judgement.sequential.as_mut().unwrap();
        let metrics = sequential.policy.metrics.iter().zip(&mut sequential.conclusion.metrics);
        for (_, one) in metrics.filter(|(metric, _)| metric.source.is_of_labels()) {
            one.classification = classification;
            (one.samples.canary, one.samples.stable) = (canary, 1000);
        }
        judgement
    };
    use Classification::Inconclusive;
    use Classification::Insufficient;
    use Classification::Pass;
    for (classification, canary, done) in [
        (Inconclusive, 99, "wait"),
        (Insufficient, 1000, "wait"),
        (Inconclusive, 100, "promote"),
        (Pass, 20, "promote"),
    ] {
        let judgement = with_labels(classification, canary);
        let action = act(&judgement, &rollout);
        assert!(action.starts_with(done), "{classification:?} {canary}: {action}");
        // The journal accepts what follows, unless the plan itself asks.
        if done == "promote" {
            let mut asked = rollout.clone();
            asked.policy.plan.approval = true;
            assert!(act(&judgement, &asked).starts_with("wait: waiting for approval"));
            for (rollout, is_accepted) in [(&rollout, true), (&asked, false)] {
                let event = Event::Promoted {
                    judgement: Box::new(judgement.clone()),
                    forced: false,
                    reason: None,
                    by: Mode::Automatic,
                };
                let state = State {
                    rollout: Some(rollout.clone()),
                    ..State::initial(version("v1"), at(0))
                };
                assert_eq!(apply(&state, &event, at(300)).is_ok(), is_accepted);
            }
        }
    }
}

#[path = "next_action_lives_tests.rs"]
mod lives;

#[test]
fn a_concern_holds_until_a_person_has_seen_it_and_then_the_ramp_goes_on() {
    use crate::canary::judge::segment_scan::SegmentFinding;
    use crate::canary::judge::segment_scan::SegmentScan;
    use crate::canary::policy::metric::MetricName;
    use crate::canary::policy::segments::SegmentName;
    use crate::canary::policy::segments::Word;
    let found = |values: &[&str]| {
        let finding = |value: &&str| SegmentFinding {
            segment: SegmentName {
                key: Word::new("region").unwrap(),
                value: Word::new(value).unwrap(),
            },
            metric: MetricName::new("latency").unwrap(),
        };
        let findings = values.iter().map(finding).collect();
        Some(SegmentScan { alpha: 0.05, hypotheses: 6, findings })
    };
    let after = |state: &State, event: &Event| match apply(state, event, at(61)).unwrap() {
        Transition::Changed { state, .. } => *state,
        Transition::Unchanged => panic!("{event:?} changed nothing"),
    };
    let mut state = State::initial(version("v1"), at(0));
    state = after(&state, &deployed("v2", &plan()));
    let look = |state: &State, values: &[&str]| {
        let rollout = state.rollout.as_ref().unwrap();
        let mut judgement = judged(rollout, Verdict::Hold, 200);
        judgement.sequential.as_mut().unwrap().segments = found(values);
        (next_action(rollout, &judgement, &Observation::default(), at(200)), Box::new(judgement))
    };
    for seen in [&["north"][..], &["north", "south"]] {
        let (action, judgement) = look(&state, seen);
        let Action::HoldFor(concerns) = &action else { panic!("{action:?}") };
        // Only what is new.
        assert_eq!(concerns.len(), 1);
        let held = Event::Held { judgement, concerns: concerns.clone() };
        state = after(&state, &held);
        assert_eq!(state.rollout.as_ref().unwrap().phase, Phase::Paused);
        assert!(matches!(look(&state, seen).0, Action::Wait(_)));
        state = after(&state, &Event::Resumed { rollout: 1 });
    }
    assert_eq!(look(&state, &["north", "south"]).0, Action::Advance);
    // A rollout from before concerns were kept has none.
    let mut old = serde_json::to_value(state.rollout.as_ref().unwrap()).unwrap();
    old.as_object_mut().unwrap().remove("concerns").unwrap();
    assert!(serde_json::from_value::<Rollout>(old).unwrap().concerns.is_empty());
}

#[test]
fn nothing_is_promoted_on_evidence_that_stopped_growing() {
    let mut rollout = running(&plan());
    rollout.position = 1;
    rollout.policy.weight = rollout.policy.plan.steps[1].weight;
    let judgement = judged(&rollout, Verdict::Promote, 5000);
    let act = |canary_repeated, stable_repeated, second| {
        let seen = Observation { canary_repeated, stable_repeated, ..Observation::default() };
        word(next_action(&rollout, &judgement, &seen, at(second)))
    };
    // All users of this step were judged at the one before.
    let why = "wait: only 0 of 20 canary requests of this step were judged: users who come back count once";
    assert_eq!(act(5000, 5000, 300), why);
    assert!(act(4980, 4981, 300).starts_with("wait: only 19 of 20 stable requests"));
    assert_eq!(act(4980, 4980, 300), "promote");
    assert!(act(5000, 5000, 600).starts_with("roll back: no verdict within 10m"));
    // Earlier steps only need users.
    let first = running(&plan());
    let judgement = judged(&first, Verdict::Promote, 5000);
    let seen = Observation { canary_repeated: 5000, ..Observation::default() };
    assert_eq!(word(next_action(&first, &judgement, &seen, at(300))), "advance");
}

#[test]
fn a_promotion_that_gives_positions_another_meaning_waits_for_a_person_or_for_names() {
    let mut rollout = running(&plan());
    let seen = Observation { positions_change: true, ..Observation::default() };
    let cases = [(0, false, "advance"), (1, false, "awaitapproval"), (1, true, "promote")];
    for (position, approved, done) in cases {
        (rollout.position, rollout.approved) = (position, approved);
        rollout.policy.weight = rollout.policy.plan.steps[position].weight;
        let judgement = judged(&rollout, Verdict::Promote, 5000);
        assert_eq!(word(next_action(&rollout, &judgement, &seen, at(300))), done);
    }
}
