//! Outlines of short journals.

use super::*;
use crate::canary::judge::health_check::Inputs;
use crate::canary::judge::health_check::TrackInputs;
use crate::canary::policy::Policy;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::post_promotion::HarmAction;
use crate::canary::policy::post_promotion::PostPromotionPolicy;
use crate::canary::rollout::cause::Cause;
use crate::canary::rollout::state::FeatureChange;

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second as i64).unwrap()
}

fn version(name: &str) -> Version {
    Version { name: name.into(), file: format!("{name}.bin"), digest: format!("digest-{name}") }
}

fn deployed(name: &str) -> Event {
    let monitor = std::time::Duration::from_secs(3600);
    let post_promotion = PostPromotionPolicy { monitor, action: HarmAction::Report };
    Event::CanaryDeployed {
        canary: version(name),
        policy: Box::new(Policy { post_promotion, ..Policy::default() }),
        salt: 7,
        reason: None,
        override_quarantine: false,
        features: FeatureChange::default(),
        library: None,
    }
}

/// A judgement of a step with this many canary requests, and others of keys that came back.
fn judgement(rollout: u64, step: u32, name: &str, requests: u64, repeated: u64) -> Box<Judgement> {
    let track = TrackInputs { requests, ..TrackInputs::default() };
    let inputs = Inputs { canary: track, repeated, ..Inputs::default() };
    let (digest, policy, mode) = (version(name).digest, HealthPolicy::default(), Mode::Manual);
    Box::new(Judgement::new(rollout, step, &digest, policy, inputs, mode, None))
}

fn promoted(judgement: Box<Judgement>) -> Event {
    let reason = Some("looks good".to_owned());
    Event::Promoted { judgement, forced: true, reason, by: Mode::Manual }
}

fn traffic(percent: f64, judgement: Box<Judgement>) -> Event {
    let weight = Weight::from_percent(percent).unwrap();
    Event::TrafficSet { rollout: judgement.rollout, weight, shadow: Weight::ZERO, judgement }
}

/// The outlines of these events, which are a second apart.
fn outlines(events: &[Event]) -> Vec<Outline> {
    let mut outlines = Outlines::default();
    let first = Event::Initialized { stable: version("v1") };
    for (sequence, event) in (1..).zip(std::iter::once(&first).chain(events)) {
        let entry = Entry { sequence, at: at(sequence), event: event.clone() };
        outlines.follow(&entry).unwrap();
        assert_eq!(outlines.revision(), sequence);
    }
    outlines.all().to_vec()
}

#[test]
fn requests_of_all_steps_are_counted_and_the_largest_share_stays() {
    let lowered = [
        deployed("v2"),
        traffic(25.0, judgement(1, 1, "v2", 100, 0)),
        traffic(5.0, judgement(1, 2, "v2", 300, 0)),
        Event::Paused { rollout: 1, cause: Cause::Person(None) },
        promoted(judgement(1, 3, "v2", 50, 0)),
    ];
    let one = outlines(&lowered).remove(0);
    assert_eq!((one.canary_requests, one.more_requests), (450, false));
    assert_eq!((one.largest_percent.percent(), one.reached()), (25.0, 100.0));
    assert_eq!((one.started_at, one.ended_at), (at(2), Some(at(6))));
    assert_eq!((one.first_entry, one.last_entry), (2, 6));
    assert_eq!((one.outcome, one.by), (Some(Outcome::Promoted), Some(Mode::Manual)));
    assert_eq!(one.reason.as_deref(), Some("looks good"));
    assert_eq!((one.canary.name.as_str(), one.stable.name.as_str()), ("v2", "v1"));
}

#[test]
fn requests_that_no_judgement_has_counted_are_said_to_be_missing() {
    let rolled_back = |judgement| Event::RolledBack {
        rollout: 1,
        cause: Cause::ArtifactLost,
        quarantine: false,
        judgement,
        by: Mode::Automatic,
    };
    let lost = outlines(&[deployed("v2"), rolled_back(None)]).remove(0);
    assert_eq!((lost.canary_requests, lost.more_requests), (0, true));
    assert_eq!((lost.outcome, lost.reached()), (Some(Outcome::RolledBack), 10.0));
    let repeated = judgement(1, 1, "v2", 30, 5);
    let repeated = outlines(&[deployed("v2"), rolled_back(Some(repeated))]).remove(0);
    assert_eq!((repeated.canary_requests, repeated.more_requests), (30, true));
}

#[test]
fn a_revert_belongs_to_its_rollout_and_the_next_one_is_under_way() {
    let all = outlines(&[
        deployed("v2"),
        promoted(judgement(1, 1, "v2", 20, 0)),
        Event::Reverted {
            rollout: 1,
            cause: Cause::Person(Some("worse".to_owned())),
            judgement: None,
            by: Mode::Manual,
        },
        deployed("v3"),
    ]);
    let [reverted, running] = &all[..] else { panic!("{all:?}") };
    assert_eq!(reverted.outcome, Some(Outcome::Reverted));
    assert_eq!((reverted.ended_at, reverted.reverted_at), (Some(at(3)), Some(at(4))));
    assert_eq!((reverted.reason.as_deref(), reverted.last_entry), (Some("worse"), 4));
    assert_eq!((reverted.canary_requests, reverted.more_requests), (20, false));
    assert_eq!((running.id, running.stable.name.as_str()), (2, "v1"));
    assert_eq!((running.outcome, running.ended_at, running.reached()), (None, None, 10.0));
}

#[test]
fn a_journal_that_could_not_have_happened_is_refused() {
    let mut outlines = Outlines::default();
    let entry = Entry { sequence: 1, at: at(1), event: deployed("v2") };
    assert_eq!(outlines.follow(&entry), Err(ReplayError::NoBeginning { sequence: 1 }));
}
