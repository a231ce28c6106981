//! What a plan does in every situation, and what holds in any life of a rollout.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::HealthPolicy;
use crate::canary::Policy;
use crate::canary::State;
use crate::canary::Version;
use crate::canary::evidence::Inputs;
use crate::canary::evidence::TrackInputs;
use crate::canary::journal::replay;
use crate::canary::judge::WatchEvidence;
use crate::canary::judge_policy::JudgePolicy;
use crate::canary::monitors::Monitors;
use crate::canary::policy::Mode;
use crate::canary::rollout::Transition;
use crate::canary::rollout::apply;
use crate::canary::state::Outcome;

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second as i64).unwrap()
}

fn version(name: &str) -> Version {
    Version { name: name.into(), file: format!("{name}.bin"), digest: format!("digest-{name}") }
}

fn step(percent: f64, bake: Option<u64>) -> PlannedStep {
    PlannedStep {
        weight: Weight::from_percent(percent).unwrap(),
        bake: bake.map(Duration::from_secs),
    }
}

/// 5 % for a minute, 50 % for two, within ten.
fn plan() -> Plan {
    Plan {
        steps: vec![step(5.0, Some(60)), step(50.0, Some(120))],
        deadline: Duration::from_secs(600),
        min_samples: 100,
        ..Plan::default()
    }
}

fn deployed(name: &str, plan: &Plan) -> Event {
    let weight = plan.steps[0].weight;
    let policy = Policy { mode: Mode::Automatic, plan: plan.clone(), weight, ..Policy::default() };
    Event::CanaryDeployed {
        canary: version(name),
        policy: Box::new(policy),
        salt: 7,
        reason: None,
        override_quarantine: false,
    }
}

/// A judgement of nothing. Made once, because monitors are large and tests many.
static OF_NOTHING: LazyLock<Judgement> = LazyLock::new(|| {
    let policy = JudgePolicy::default();
    let watch = WatchEvidence::new(&policy, &Monitors::new(&policy, &Default::default()));
    let nothing = TrackInputs { requests: 0, failures: 0, latency: Default::default() };
    let inputs = Inputs { stable: nothing, canary: nothing };
    let health = HealthPolicy::default();
    Judgement::new(1, 1, "", health, inputs, Mode::Automatic, Some(watch))
});

/// A judgement with this verdict after so many requests of each track, whatever the evidence.
fn judged(rollout: &Rollout, verdict: Verdict, requests: u64) -> Judgement {
    let mut judgement = OF_NOTHING.clone();
    (judgement.rollout, judgement.step) = (rollout.id, rollout.step);
    judgement.digest = rollout.canary.digest.clone();
    let inputs = &mut judgement.evidence.inputs;
    (inputs.stable.requests, inputs.canary.requests) = (requests, requests);
    Judgement { verdict, reasons: vec![format!("{verdict:?}").to_lowercase()], ..judgement }
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
        Action::RollBack(reason) => format!("roll back: {reason}"),
        Action::Hold(reason) => format!("hold: {reason}"),
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
        (0, Hold, 0, 0, "wait: the step bakes 1m more; canary has 0 of the 100 samples"),
        (0, Hold, 500, 59, "wait: the step bakes 1s more"),
        (0, Hold, 99, 60, "wait: canary has 99 of the 100 samples this step needs; stable has 99"),
        (0, Hold, 100, 60, "advance"),
        (0, Promote, 100, 60, "advance"),
        (0, Promote, 100, 59, "wait: the step bakes"),
        (0, Rollback, 0, 0, "roll back: rollback"),
        (0, Rollback, 100, 60, "roll back: rollback"),
        (1, Hold, 5000, 300, "wait: hold"),
        (1, Promote, 5000, 119, "wait: the step bakes 1s more"),
        (1, Promote, 0, 300, "wait: canary has 0 of the 100"),
        (1, Promote, 5000, 300, "promote"),
        (0, Hold, 0, 600, "roll back: no verdict within 10m"),
        (1, Hold, 5000, 600, "roll back: no verdict within 10m"),
        (1, Rollback, 5000, 700, "roll back: rollback"),
    ] {
        let mut rollout = running(&plan());
        rollout.position = position;
        rollout.policy.weight = rollout.policy.plan.steps[position].weight;
        let judgement = judged(&rollout, verdict, requests);
        let action = word(next(&rollout, &judgement, &Observation::default(), at(seconds)));
        assert!(action.starts_with(done), "{position} {verdict:?} {requests} {seconds}: {action}");
    }
}

#[test]
fn a_paused_or_waiting_rollout_is_still_guarded() {
    for phase in [Phase::Paused, Phase::AwaitingApproval] {
        let rollout = Rollout { phase, ..running(&plan()) };
        let none = Observation::default();
        let act = |verdict, seconds, seen: &Observation| {
            word(next(&rollout, &judged(&rollout, verdict, 1000), seen, at(seconds)))
        };
        assert!(act(Verdict::Promote, 300, &none).starts_with("wait"), "{phase:?}");
        assert!(act(Verdict::Rollback, 1, &none).starts_with("roll back"), "{phase:?}");
        assert!(act(Verdict::Hold, 600, &none).starts_with("roll back"), "{phase:?}");
        let tripped = Observation { tripped: Some("10 failed".into()), ..none.clone() };
        assert_eq!(act(Verdict::Promote, 1, &tripped), "roll back: 10 failed");
    }
}

#[test]
fn a_ceiling_takes_the_canary_back_whatever_stable_does() {
    let ceiling = Some(Duration::from_millis(50));
    let triggers = Triggers { p99_ceiling: ceiling, ..Triggers::default() };
    let rollout = running(&Plan { triggers, ..plan() });
    let act = |p99| {
        let seen = Observation { canary_p99_seconds: p99, ..Observation::default() };
        word(next(&rollout, &judged(&rollout, Verdict::Promote, 1000), &seen, at(1)))
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
        word(next(rollout, &judgement, &Observation::default(), at(seconds)))
    };
    let judgement =
        |state: &State, verdict| Box::new(judged(state.rollout.as_ref().unwrap(), verdict, 1000));
    state = after(&state, &deployed("v2", &plan), at(0));
    assert_eq!(
        act(&state, Verdict::Promote, 500),
        "wait: waiting for a person; resume it to go on"
    );
    state = after(&state, &Event::Resumed { rollout: 1 }, at(10));
    assert_eq!(act(&state, Verdict::Hold, 10), "advance");
    state = after(&state, &Event::Advanced { judgement: judgement(&state, Verdict::Hold) }, at(10));
    assert_eq!(state.rollout.as_ref().unwrap().weight().percent(), 50.0);
    assert_eq!(act(&state, Verdict::Hold, 300), "wait: hold");
    assert_eq!(act(&state, Verdict::Promote, 300), "awaitapproval");
    let asked = Event::ApprovalAwaited { judgement: judgement(&state, Verdict::Promote) };
    state = after(&state, &asked, at(300));
    assert!(act(&state, Verdict::Promote, 301).starts_with("wait"));
    let agreed = after(&state, &Event::Resumed { rollout: 1 }, at(302));
    assert_eq!(act(&agreed, Verdict::Promote, 302), "promote");
    // What has become unproven meanwhile is not promoted on an old approval.
    assert_eq!(act(&agreed, Verdict::Hold, 302), "wait: hold");
}

#[test]
fn nothing_goes_to_everybody_unproven() {
    let plan = Plan { steps: vec![step(50.0, Some(1)), step(100.0, Some(1))], ..plan() };
    let rollout = running(&plan);
    let act = |verdict| {
        word(next(&rollout, &judged(&rollout, verdict, 1000), &Observation::default(), at(60)))
    };
    assert_eq!(act(Verdict::Hold), "wait: hold");
    assert_eq!(act(Verdict::Promote), "advance");
}

#[test]
fn a_deadline_that_holds_holds_once_and_gives_whoever_resumes_as_long_again() {
    let plan = Plan { at_deadline: AtDeadline::Hold, ..plan() };
    let mut state = after(&State::initial(version("v1"), at(0)), &deployed("v2", &plan), at(0));
    let act = |state: &State, seconds| {
        let rollout = state.rollout.as_ref().unwrap();
        let judgement = judged(rollout, Verdict::Hold, 0);
        word(next(rollout, &judgement, &Observation::default(), at(seconds)))
    };
    assert_eq!(act(&state, 600), "hold: no verdict within 10m");
    let held = Event::Paused { rollout: 1, reason: Some("late".into()) };
    state = after(&state, &held, at(600));
    assert!(act(&state, 10_000).starts_with("wait: paused"));
    state = after(&state, &Event::Resumed { rollout: 1 }, at(10_000));
    assert!(act(&state, 10_599).starts_with("wait"));
    assert_eq!(act(&state, 10_600), "hold: no verdict within 10m");
}

#[test]
fn a_person_who_gave_more_traffic_is_not_overruled_downward() {
    let steps = vec![step(5.0, Some(1)), step(10.0, Some(1)), step(50.0, Some(1))];
    let mut state = State::initial(version("v1"), at(0));
    state = after(&state, &deployed("v2", &Plan { steps, ..plan() }), at(0));
    let judgement =
        |state: &State| Box::new(judged(state.rollout.as_ref().unwrap(), Verdict::Hold, 1000));
    let weight = Weight::from_percent(20.0).unwrap();
    let more = Event::TrafficSet { rollout: 1, weight, judgement: judgement(&state) };
    state = after(&state, &more, at(1));
    state = after(&state, &Event::Advanced { judgement: judgement(&state) }, at(2));
    let rollout = state.rollout.as_ref().unwrap();
    assert_eq!((rollout.weight().percent(), rollout.position), (50.0, 2));
    let further = Event::Advanced { judgement: judgement(&state) };
    assert!(apply(&state, &further, at(3)).is_err());
}

/// What befalls a rollout in a second of its life.
#[derive(Clone, Debug)]
enum Fate {
    /// A look, at this verdict and so many requests of each track since the step began.
    Look(Verdict, u64),
    /// A look, a trigger having fired.
    Tripped,
    /// Nobody looks.
    Nothing(u64),
    Pause,
    Resume,
    SetTraffic(u16),
    RollBack,
    Promote(Verdict, bool),
    Deploy(&'static str, bool),
    /// The journal cannot be written: what would have happened does not.
    StoreFails(Verdict),
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop::sample::select(vec![
        Verdict::Hold,
        Verdict::Hold,
        Verdict::Hold,
        Verdict::Promote,
        Verdict::Rollback,
    ])
}

fn any_fate() -> impl Strategy<Value = Fate> {
    let name = prop::sample::select(vec!["v1", "v2", "v3"]);
    prop_oneof![
        8 => (any_verdict(), 0_u64..400).prop_map(|(verdict, seen)| Fate::Look(verdict, seen)),
        1 => Just(Fate::Tripped),
        3 => (1_u64..200).prop_map(Fate::Nothing),
        1 => Just(Fate::Pause),
        2 => Just(Fate::Resume),
        1 => (0_u16..=10_000).prop_map(Fate::SetTraffic),
        1 => Just(Fate::RollBack),
        1 => (any_verdict(), any::<bool>()).prop_map(|(verdict, by_force)| Fate::Promote(verdict, by_force)),
        4 => (name, any::<bool>()).prop_map(|(name, is_override)| Fate::Deploy(name, is_override)),
        1 => any_verdict().prop_map(Fate::StoreFails),
    ]
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let rising = prop::collection::btree_set(1_u16..=10_000, 1..5);
    let bakes = prop::collection::vec(prop::option::weighted(0.85, 1_u64..100), 5);
    (rising, bakes, any::<bool>(), any::<bool>()).prop_map(|(weights, bakes, approval, hold)| {
        let steps: Vec<PlannedStep> = weights
            .into_iter()
            .zip(bakes)
            .map(|(weight, bake)| PlannedStep {
                weight: Weight::from_basis_points(weight).unwrap(),
                bake: bake.map(Duration::from_secs),
            })
            .collect();
        let at_deadline = if hold { AtDeadline::Hold } else { AtDeadline::RollBack };
        Plan { steps, approval, at_deadline, ..plan() }
    })
}

/// The event of an action, as the service makes it.
fn event_of(action: &Action, judgement: Judgement) -> Option<Event> {
    let (rollout, judgement, by) = (judgement.rollout, Box::new(judgement), Mode::Automatic);
    match action {
        Action::Wait(_) => None,
        Action::Advance => Some(Event::Advanced { judgement }),
        Action::AwaitApproval => Some(Event::ApprovalAwaited { judgement }),
        Action::Promote => Some(Event::Promoted { judgement, forced: false, reason: None, by }),
        Action::RollBack(reason) => Some(Event::RolledBack {
            rollout,
            reason: reason.clone(),
            quarantine: true,
            judgement: Some(judgement),
            by,
        }),
        Action::Hold(reason) => Some(Event::Paused { rollout, reason: Some(reason.clone()) }),
    }
}

fn look(
    state: &State,
    verdict: Verdict,
    requests: u64,
    tripped: bool,
    now: Timestamp,
) -> Option<(Action, Option<Event>)> {
    let rollout = state.rollout.as_ref()?;
    let judgement = judged(rollout, verdict, requests);
    let seen =
        Observation { tripped: tripped.then(|| "it failed".to_owned()), ..Observation::default() };
    let action = next(rollout, &judgement, &seen, now);
    let event = event_of(&action, judgement);
    Some((action, event))
}

/// Lives through these fates and checks every invariant after each.
fn live(plan: &Plan, fates: Vec<Fate>) -> Result<u64, TestCaseError> {
    let mut state = State::initial(version("v1"), at(0));
    let first = Event::Initialized { stable: version("v1") };
    let mut entries = vec![Entry { sequence: 1, at: at(0), event: first }];
    let mut second = 0;
    for fate in fates {
        second += 1;
        let running = state.rollout.clone();
        let judgement = |verdict| running.as_ref().map(|it| Box::new(judged(it, verdict, 150)));
        let id = running.as_ref().map_or(0, |rollout| rollout.id);
        let mut seen_requests = None;
        let event = match fate {
            Fate::Nothing(seconds) => {
                second += seconds;
                None
            }
            Fate::Look(verdict, requests) => {
                seen_requests = Some(requests);
                look(&state, verdict, requests, false, at(second)).and_then(|it| it.1)
            }
            Fate::Tripped => {
                let done = look(&state, Verdict::Promote, 150, true, at(second));
                prop_assert!(done.as_ref().is_none_or(|it| matches!(it.0, Action::RollBack(_))));
                done.and_then(|it| it.1)
            }
            Fate::StoreFails(verdict) => {
                let _unwritten = look(&state, verdict, 150, false, at(second));
                None
            }
            Fate::Pause => Some(Event::Paused { rollout: id, reason: None }),
            Fate::Resume => Some(Event::Resumed { rollout: id }),
            Fate::SetTraffic(weight) => judgement(Verdict::Hold).map(|judgement| {
                let weight = Weight::from_basis_points(weight).unwrap_or_default();
                Event::TrafficSet { rollout: id, weight, judgement }
            }),
            Fate::RollBack => Some(Event::RolledBack {
                rollout: id,
                reason: "by hand".into(),
                quarantine: false,
                judgement: None,
                by: Mode::Manual,
            }),
            Fate::Promote(verdict, forced) => judgement(verdict).map(|judgement| Event::Promoted {
                judgement,
                forced,
                reason: Some("urgent".into()),
                by: Mode::Manual,
            }),
            Fate::Deploy(name, override_quarantine) => {
                let Event::CanaryDeployed { canary, policy, salt, .. } = deployed(name, plan)
                else {
                    unreachable!()
                };
                let reason = override_quarantine.then(|| "mended".to_owned());
                Some(Event::CanaryDeployed { canary, policy, salt, reason, override_quarantine })
            }
        };
        let Some(event) = event else { continue };
        let Ok(Transition::Changed { state: next_state, .. }) = apply(&state, &event, at(second))
        else {
            continue;
        };
        check(&state, &event, &next_state, seen_requests, at(second))?;
        entries.push(Entry { sequence: entries.len() as u64 + 1, at: at(second), event });
        state = *next_state;
    }
    let replayed = replay(&entries).map_err(|cause| TestCaseError::fail(cause.to_string()))?;
    prop_assert_eq!(replayed.as_ref(), Some(&state));
    ends_by_itself(state, second)?;
    Ok(entries.iter().filter(|entry| matches!(entry.event, Event::CanaryDeployed { .. })).count()
        as u64)
}

fn check(
    before: &State,
    event: &Event,
    after: &State,
    requests: Option<u64>,
    now: Timestamp,
) -> Result<(), TestCaseError> {
    let was = before.rollout.as_ref();
    if let Some(rollout) = &after.rollout {
        // Weight and phase follow from the plan unless a person set them.
        let by_plan = rollout.policy.plan.steps.get(rollout.position);
        prop_assert!(by_plan.is_some());
        if let Event::Advanced { .. } = event {
            prop_assert_eq!(by_plan.map(|step| step.weight), Some(rollout.weight()));
            prop_assert!(was.is_some_and(|was| was.weight() < rollout.weight()));
            prop_assert!(was.is_some_and(|was| was.phase == Phase::Running));
            prop_assert!(requests.is_none_or(|requests| requests >= 100), "too few to advance");
        }
        let back = Event::RolledBack {
            rollout: rollout.id,
            reason: "any time".into(),
            quarantine: false,
            judgement: None,
            by: Mode::Manual,
        };
        let Ok(Transition::Changed { state: idle, .. }) = apply(after, &back, now) else {
            return Err(TestCaseError::fail("a rollback was refused"));
        };
        prop_assert!(idle.rollout.is_none());
        prop_assert_eq!(apply(&idle, &back, now), Ok(Transition::Unchanged));
    }
    match event {
        Event::Promoted { judgement, forced, reason, by } => {
            prop_assert_eq!(Some(&judgement.digest), was.map(|was| &was.canary.digest));
            prop_assert_eq!(Some(judgement.rollout), was.map(|was| was.id));
            prop_assert!(judgement.verdict == Verdict::Promote || (*forced && reason.is_some()));
            if *by == Mode::Automatic {
                prop_assert!(requests.is_none_or(|requests| requests >= 100));
                let plan = was.map(|was| &was.policy.plan);
                prop_assert!(
                    plan.is_some_and(|plan| !plan.approval) || was.is_some_and(|was| was.approved)
                );
            }
            prop_assert_eq!(after.last.as_ref().map(|last| last.outcome), Some(Outcome::Promoted));
        }
        Event::CanaryDeployed { canary, override_quarantine, .. } => {
            let quarantined = before.quarantine.contains_key(&canary.digest);
            let cooling = before.last.as_ref().and_then(|last| last.cool_down_until);
            let cooling = cooling.is_some_and(|until| now < until);
            prop_assert!(*override_quarantine || !(quarantined || cooling));
        }
        Event::RolledBack { by: Mode::Automatic, .. } => {
            let digest = was.map(|was| was.canary.digest.clone()).unwrap_or_default();
            prop_assert!(after.quarantine.contains_key(&digest));
        }
        _ => prop_assert_eq!(&before.stable, &after.stable),
    }
    Ok(())
}

/// Nobody does anything, and no evidence comes: the deadline ends it, or leaves it to a person, once.
fn ends_by_itself(mut state: State, second: u64) -> Result<(), TestCaseError> {
    for looks in 0..40 {
        let now = at(second + 100 * looks);
        let Some((_, event)) = look(&state, Verdict::Hold, 0, false, now) else { return Ok(()) };
        if let Some(event) = event {
            let Ok(Transition::Changed { state: next_state, .. }) = apply(&state, &event, now)
            else {
                return Err(TestCaseError::fail("the plan did what cannot be"));
            };
            state = *next_state;
        }
    }
    let rollout = state.rollout.as_ref();
    let held = rollout.is_some_and(|rollout| {
        rollout.phase == Phase::Paused && rollout.policy.plan.at_deadline == AtDeadline::Hold
    });
    prop_assert!(held, "{:?}", rollout);
    Ok(())
}

#[test]
fn in_a_hundred_thousand_rollouts_every_invariant_holds() {
    let strategy = (any_plan(), prop::collection::vec(any_fate(), 0..80));
    let mut runner = TestRunner::deterministic();
    let mut rollouts = 0;
    while rollouts < 100_000 {
        let (plan, fates) = strategy.new_tree(&mut runner).unwrap().current();
        rollouts +=
            live(&plan, fates.clone()).unwrap_or_else(|why| panic!("{why} {plan:?} {fates:?}"));
    }
}
