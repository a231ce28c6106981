//! Invariants of random rollouts: steps, pauses, failures and commands in any order.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;
use crate::canary::judge::judgement::tests::prose;
use crate::canary::judge::verdict::Classification;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::post_promotion::HarmAction;
use crate::canary::policy::post_promotion::PostPromotionPolicy;
use crate::canary::rollout::journal::Entry;
use crate::canary::rollout::journal::replay;
use crate::canary::rollout::post_promotion::PostPromotionAction;
use crate::canary::rollout::state::FeatureChange;
use crate::canary::rollout::state::Outcome;
use crate::canary::rollout::state::PostPromotion;

/// What befalls a rollout in a second of its life.
#[derive(Clone, Debug)]
enum Fate {
    /// A look at this verdict, with this number of requests per track since the step began.
    Look(Verdict, u64),
    /// A look, a trigger having fired.
    Tripped,
    /// No look.
    Nothing(u64),
    Pause,
    Resume,
    SetTraffic(u16),
    RollBack,
    Promote(Verdict, bool),
    Deploy(&'static str, bool),
    /// A look at the monitored promotion, with labels that show harm or do not.
    Labels(bool),
    /// A person takes the promotion back.
    Revert,
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
        4 => any::<bool>().prop_map(Fate::Labels),
        1 => Just(Fate::Revert),
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
                shadow: Weight::ZERO,
                bake: bake.map(Duration::from_secs),
                at_most: None,
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
        Action::RollBack(cause) => Some(Event::RolledBack {
            rollout,
            cause: cause.clone(),
            quarantine: cause.is_harm(),
            judgement: Some(judgement),
            by,
        }),
        Action::HoldFor(concerns) => Some(Event::Held { judgement, concerns: concerns.clone() }),
        Action::Hold(cause) => Some(Event::Paused { rollout, cause: cause.clone() }),
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
    let reason = TripReason::Failures { failed: 10, in_a_row: 10 };
    let seen = Observation { tripped: tripped.then_some(reason), ..Observation::default() };
    let action = next_action(rollout, &judgement, &seen, now);
    let event = event_of(&action, judgement);
    Some((action, event))
}

/// Half of the promotions are monitored, with either action.
fn post_promotion(second: u64) -> PostPromotionPolicy {
    let monitor = Duration::from_secs(60 * (second % 2));
    let action = if second % 4 == 1 { HarmAction::Report } else { HarmAction::Revert };
    PostPromotionPolicy { monitor, action }
}

/// The metric of labels fails in it, whatever the evidence.
fn show_harm(judgement: &mut Judgement) {
    let Some(sequential) = &mut judgement.sequential else { unreachable!() };
    for (metric, evidence) in
        sequential.policy.metrics.iter().zip(&mut sequential.conclusion.metrics)
    {
        if metric.source.is_of_labels() {
            evidence.classification = Classification::Fail;
        }
    }
}

// So a changed sentence changes no journal entry.
#[test]
fn the_journal_of_a_rollout_holds_causes_and_no_prose_of_serin() {
    let plan = plan();
    let rollout = running(&plan);
    let judgement = || judged(&rollout, Verdict::Rollback, 150);
    let limit = Duration::from_secs(600);
    let causes = [
        Cause::Trigger(TripReason::Failures { failed: 10, in_a_row: 3 }),
        Cause::Trigger(TripReason::SlowAnswers { slow: 8, ceiling: limit }),
        Cause::LatencyCeiling { p99_seconds: 0.3, ceiling: limit },
        Cause::Harm,
        Cause::LateHarm(vec![MetricName::new("brier").unwrap()]),
        Cause::Deadline { missing: Missing::Verdict, limit, is_forgotten: false },
        Cause::Deadline { missing: Missing::Approval, limit, is_forgotten: true },
        Cause::ArtifactLost,
    ];
    let concerns = vec![Concern::SampleRatio];
    let mut events = vec![deployed("v2", &plan), Event::MonitoringEnded { rollout: 1 }];
    for action in [Action::Advance, Action::AwaitApproval, Action::Promote] {
        events.extend(event_of(&action, judgement()));
    }
    events.extend(event_of(&Action::HoldFor(concerns), judgement()));
    events.push(Event::HarmReported { judgement: Box::new(judgement()) });
    for cause in causes {
        assert!(cause.sentence(None).contains(' '));
        events.extend(event_of(&Action::Hold(cause.clone()), judgement()));
        events.extend(event_of(&Action::RollBack(cause.clone()), judgement()));
        let (rollout, judgement, by) = (1, Some(Box::new(judgement())), Mode::Automatic);
        events.push(Event::Reverted { rollout, cause, judgement, by });
    }
    for event in events {
        assert_eq!(prose(&event), Vec::<String>::new(), "{}", event.name());
        assert!(event.sentence().contains(' '));
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }
}

/// What the service makes of a look at a promotion.
fn reacted(monitored: &PostPromotion, harm: bool, now: Timestamp) -> Option<Event> {
    let mut judgement = judged(&monitored.rollout, Verdict::Hold, 0);
    if harm {
        show_harm(&mut judgement);
    }
    let (rollout, judgement) = (monitored.rollout.id, Box::new(judgement));
    match monitored.next(&judgement, true, now) {
        PostPromotionAction::Wait => None,
        PostPromotionAction::End => Some(Event::MonitoringEnded { rollout }),
        PostPromotionAction::Report => Some(Event::HarmReported { judgement }),
        PostPromotionAction::Revert(cause) => {
            let by = Mode::Automatic;
            Some(Event::Reverted { rollout, cause, judgement: Some(judgement), by })
        }
    }
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
            Fate::Labels(harm) => state
                .post_promotion
                .as_deref()
                .and_then(|monitored| reacted(monitored, harm, at(second))),
            Fate::Revert => Some(Event::Reverted {
                rollout: state.post_promotion.as_ref().map_or(0, |monitored| monitored.rollout.id),
                cause: Cause::Person(None),
                judgement: None,
                by: Mode::Manual,
            }),
            Fate::Pause => Some(Event::Paused { rollout: id, cause: Cause::Person(None) }),
            Fate::Resume => Some(Event::Resumed { rollout: id }),
            Fate::SetTraffic(weight) => judgement(Verdict::Hold).map(|judgement| {
                let weight = Weight::from_basis_points(weight).unwrap_or_default();
                Event::TrafficSet { rollout: id, weight, shadow: Weight::ZERO, judgement }
            }),
            Fate::RollBack => Some(Event::RolledBack {
                rollout: id,
                cause: Cause::Person(None),
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
                let Event::CanaryDeployed { canary, mut policy, salt, .. } = deployed(name, plan)
                else {
                    unreachable!()
                };
                policy.post_promotion = post_promotion(second);
                let reason = override_quarantine.then(|| "mended".to_owned());
                let features = FeatureChange::default();
                Some(Event::CanaryDeployed {
                    canary,
                    policy,
                    salt,
                    reason,
                    override_quarantine,
                    features,
                    library: None,
                })
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
    prop_assert!(after.rollout.is_none() || after.post_promotion.is_none(), "two things at once");
    if let Some(monitored) = &after.post_promotion {
        prop_assert_eq!(&monitored.rollout.canary, &after.stable);
        let back = Event::Reverted {
            rollout: monitored.rollout.id,
            cause: Cause::Person(None),
            judgement: None,
            by: Mode::Manual,
        };
        let Ok(Transition::Changed { state: back, .. }) = apply(after, &back, now) else {
            return Err(TestCaseError::fail("a revert was refused"));
        };
        prop_assert_eq!(&back.stable, &monitored.previous);
        prop_assert!(back.post_promotion.is_none());
    }
    if let Some(rollout) = &after.rollout {
        // Weight and phase follow from the plan unless a person set them.
        let by_plan = rollout.policy.plan.steps.get(rollout.position);
        prop_assert!(by_plan.is_some());
        if let Event::Advanced { .. } = event {
            prop_assert_eq!(by_plan.map(|step| step.weight), Some(rollout.weight()));
            prop_assert!(was.is_some_and(|was| was.weight() < rollout.weight()));
            prop_assert!(
                was.is_some_and(|was| was.phase == Phase::Running || was.waits_for_answers_alone())
            );
            prop_assert!(requests.is_none_or(|requests| requests >= 100), "too few to advance");
        }
        let back = Event::RolledBack {
            rollout: rollout.id,
            cause: Cause::Person(None),
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
        Event::Advanced { .. } => {
            prop_assert!(was.is_some_and(|was| was.bake().is_some() || was.approved));
            prop_assert!(after.rollout.as_ref().is_some_and(|it| !it.approved));
            prop_assert_eq!(&before.stable, &after.stable);
        }
        Event::RolledBack { by: Mode::Automatic, cause, .. } => {
            let digest = was.map(|was| was.canary.digest.clone()).unwrap_or_default();
            prop_assert_eq!(after.quarantine.contains_key(&digest), cause.is_harm());
            let outcome = if cause.is_harm() { Outcome::RolledBack } else { Outcome::NoVerdict };
            prop_assert_eq!(after.last.as_ref().map(|last| last.outcome), Some(outcome));
        }
        Event::Reverted { cause, by, .. } => {
            let monitored = before.post_promotion.as_ref();
            prop_assert_eq!(monitored.map(|monitored| &monitored.previous), Some(&after.stable));
            if *by == Mode::Automatic {
                let action =
                    monitored.map(|monitored| monitored.rollout.policy.post_promotion.action);
                prop_assert_eq!(action, Some(HarmAction::Revert));
                prop_assert!(matches!(cause, Cause::LateHarm(_)));
            }
            prop_assert_eq!(after.last.as_ref().map(|last| last.outcome), Some(Outcome::Reverted));
        }
        Event::HarmReported { .. } => {
            prop_assert!(
                before.post_promotion.as_ref().is_some_and(|monitored| !monitored.is_reported)
            );
            prop_assert_eq!(&before.stable, &after.stable);
        }
        _ => prop_assert_eq!(&before.stable, &after.stable),
    }
    Ok(())
}

/// Without any action or evidence a rollout ends within twice its deadline.
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
    Err(TestCaseError::fail(format!("it goes on for ever: {:?}", state.rollout)))
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
