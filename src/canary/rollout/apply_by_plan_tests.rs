//! Every event in every state of a rollout by plan.

use super::*;
use crate::canary::judge::verdict::Concern;
use crate::canary::policy::plan::Plan;
use crate::canary::policy::plan::PlannedStep;
use crate::canary::policy::plan::Template;

/// 10 % for ten seconds, 25 % until a person agrees, 50 % for ten; then a person agrees to the promotion.
fn by_plan(name: &str) -> Event {
    let step = |basis_points, bake: Option<u64>| PlannedStep {
        weight: Weight::try_from(basis_points).unwrap(),
        bake: bake.map(std::time::Duration::from_secs),
        shadow: Weight::ZERO,
    };
    let steps = vec![step(1000, Some(10)), step(2500, None), step(5000, Some(10))];
    let cool_down = std::time::Duration::from_secs(3600);
    let plan = Plan { steps, approval: true, cool_down, ..Template::Fast.plan() };
    let policy = Policy { mode: Mode::Automatic, plan, ..Policy::default() };
    Event::CanaryDeployed {
        canary: version(name),
        policy: Box::new(policy),
        salt: 7,
        reason: None,
        override_quarantine: false,
    }
}

/// The same with the reason that lets it pass.
fn overriding(event: Event) -> Event {
    let Event::CanaryDeployed { canary, policy, salt, .. } = event else { unreachable!() };
    let reason = Some("mended".to_owned());
    Event::CanaryDeployed { canary, policy, salt, reason, override_quarantine: true }
}

#[test]
fn every_event_in_every_state_of_a_plan() {
    let advanced = |step| Event::Advanced { judgement: passing(1, step, "v2") };
    let awaited = |step| Event::ApprovalAwaited { judgement: passing(1, step, "v2") };
    let paused = Event::Paused { rollout: 1, reason: None };
    let held = Event::Paused { rollout: 1, reason: Some("no verdict within 1h".into()) };
    let shown =
        Event::Held { judgement: passing(1, 1, "v2"), concerns: vec![Concern::SampleRatio] };
    let resumed = Event::Resumed { rollout: 1 };
    let promoted = |step, forced: bool, by| Event::Promoted {
        judgement: passing(1, step, "v2"),
        forced,
        reason: forced.then(|| "urgent".to_owned()),
        by,
    };
    let failing = |by| Event::Promoted {
        judgement: judgement(1, 1, "v2", 3),
        forced: false,
        reason: None,
        by,
    };
    let rolled_back = |by| Event::RolledBack {
        rollout: 1,
        reason: "bad".into(),
        quarantine: by == Mode::Automatic,
        judgement: None,
        by,
    };
    let traffic = |basis_points| Event::TrafficSet {
        rollout: 1,
        weight: Weight::try_from(basis_points).unwrap(),
        shadow: Weight::ZERO,
        judgement: passing(1, 1, "v2"),
    };
    let to_the_second = [by_plan("v2"), advanced(1), awaited(2)];
    let to_the_last = [&to_the_second[..], &[resumed.clone(), advanced(2)]].concat();
    let states = [
        ("the first step", after(&[by_plan("v2")])),
        ("paused", after(&[by_plan("v2"), paused.clone()])),
        ("a step that waits for a person", after(&to_the_second)),
        ("the last step", after(&to_the_last)),
        ("all is over but the approval", after(&[&to_the_last[..], &[awaited(3)]].concat())),
        ("taken back by serin", after(&[by_plan("v2"), rolled_back(Mode::Automatic)])),
    ];
    let busy = "CanaryActive";
    let none = "NoCanary";
    let stale = "StaleJudgement";
    let table: Vec<(&str, Event, [&str; 6])> = vec![
        ("deploy v3 by plan", by_plan("v3"), [busy, busy, busy, busy, busy, "CoolingDown"]),
        ("deploy v2 again", by_plan("v2"), [busy, busy, busy, busy, busy, "Quarantined"]),
        (
            "deploy v3 by hand",
            deployed("v3"),
            [busy, busy, busy, busy, busy, "v1 running 10 % anew"],
        ),
        (
            "deploy v2 again, by name and reason",
            overriding(by_plan("v2")),
            [busy, busy, busy, busy, busy, "v1 running 10 % anew"],
        ),
        (
            "advance from the first step",
            advanced(1),
            ["v1 running 25 % anew", "IsPaused", stale, stale, stale, none],
        ),
        ("advance from the second", advanced(2), [stale, stale, "IsPaused", stale, stale, none]),
        ("advance from the last", advanced(4), [stale, stale, stale, stale, stale, none]),
        (
            "advance from the third",
            advanced(3),
            [stale, stale, stale, "LastStep", "IsPaused", none],
        ),
        (
            "ask a person at the first step",
            awaited(1),
            ["v1 awaitingapproval 10 % keep", "IsPaused", stale, stale, stale, none],
        ),
        (
            "ask a person at the last",
            awaited(3),
            [stale, stale, stale, "v1 awaitingapproval 50 % keep", "unchanged", none],
        ),
        (
            "pause",
            paused,
            [
                "v1 paused 10 % keep",
                "unchanged",
                "v1 paused 25 % keep",
                "v1 paused 50 % keep",
                "v1 paused 50 % keep",
                none,
            ],
        ),
        (
            "hold",
            held,
            [
                "v1 paused 10 % keep",
                "unchanged",
                "v1 paused 25 % keep",
                "v1 paused 50 % keep",
                "v1 paused 50 % keep",
                none,
            ],
        ),
        (
            "show a person harm in a segment",
            shown,
            ["v1 paused 10 % keep", "v1 paused 10 % keep", stale, stale, stale, none],
        ),
        (
            "resume",
            resumed,
            [
                "unchanged",
                "v1 running 10 % keep",
                "v1 running 25 % keep",
                "unchanged",
                "v1 running 50 % keep",
                none,
            ],
        ),
        (
            "more traffic by hand at the first step",
            traffic(3000),
            ["v1 running 30 % anew", "v1 paused 30 % anew", stale, stale, stale, none],
        ),
        (
            "promote by hand at the first step",
            promoted(1, false, Mode::Manual),
            ["v2 idle anew", "IsPaused", stale, stale, stale, none],
        ),
        (
            "promote by serin at the last step",
            promoted(3, false, Mode::Automatic),
            [stale, stale, stale, "NotApproved", "NotApproved", none],
        ),
        (
            "promote by hand at the last step",
            promoted(3, false, Mode::Manual),
            [stale, stale, stale, "v2 idle anew", "v2 idle anew", none],
        ),
        (
            "promote by override at the first step",
            promoted(1, true, Mode::Manual),
            ["v2 idle anew", "v2 idle anew", stale, stale, stale, none],
        ),
        (
            "promote by hand what does not pass",
            failing(Mode::Manual),
            ["NotPassing", "IsPaused", stale, stale, stale, none],
        ),
        (
            "promote by serin before the last step",
            failing(Mode::Automatic),
            ["NotApproved", "IsPaused", stale, stale, stale, none],
        ),
        (
            "roll back by hand",
            rolled_back(Mode::Manual),
            [
                "v1 idle anew",
                "v1 idle anew",
                "v1 idle anew",
                "v1 idle anew",
                "v1 idle anew",
                "unchanged",
            ],
        ),
        (
            "roll back by serin",
            rolled_back(Mode::Automatic),
            [
                "v1 idle anew",
                "v1 idle anew",
                "v1 idle anew",
                "v1 idle anew",
                "v1 idle anew",
                "unchanged",
            ],
        ),
    ];
    for (what, event, expected) in &table {
        for ((name, state), expected) in states.iter().zip(expected) {
            assert_eq!(&word(state, event), expected, "{what}: {name}");
        }
    }
}

#[test]
fn what_people_do_by_hand_does_not_end_a_cool_down() {
    let rolled_back = |rollout, by| Event::RolledBack {
        rollout,
        reason: "bad".into(),
        quarantine: by == Mode::Automatic,
        judgement: None,
        by,
    };
    let mut history = vec![
        by_plan("v2"),
        rolled_back(1, Mode::Automatic),
        deployed("v3"),
        rolled_back(2, Mode::Manual),
    ];
    assert_eq!(word(&after(&history), &by_plan("v4")), "CoolingDown");
    // An override with a reason does.
    history.extend([overriding(by_plan("v4")), rolled_back(3, Mode::Manual)]);
    assert_eq!(word(&after(&history), &by_plan("v5")), "v1 running 10 % anew");
}

#[test]
fn a_rollout_by_hand_takes_no_steps_of_a_plan() {
    let running = after(&[deployed("v2")]);
    for event in [
        Event::Advanced { judgement: passing(1, 1, "v2") },
        Event::ApprovalAwaited { judgement: passing(1, 1, "v2") },
        Event::Held { judgement: passing(1, 1, "v2"), concerns: vec![] },
        Event::Promoted {
            judgement: passing(1, 1, "v2"),
            forced: false,
            reason: None,
            by: Mode::Automatic,
        },
    ] {
        assert_eq!(word(&running, &event), "NotByPlan");
    }
}
