//! What-if: the verdicts of a rollout's ticks under another policy.
//!
//! The ticks are observations and stay the same. The margins are part of the monitors, so those start over
//! from stable's observations before the first tick. How the rollout would have continued after another
//! verdict is unknown: the ticks end where it ended.

mod changes;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::evidence::SequentialEvidence;
use super::monitors::Monitors;
use super::sequential::SequentialVerdict;
use super::tick_log::LogError;
use super::tick_log::LoggedTick;
use super::tick_log::replay;
use super::verdict::Verdict;
use crate::canary::policy::judge_policy::JudgePolicy;

pub use changes::Changes;

/// The verdicts of the sequential judge over all ticks of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Course {
    /// The number of ticks.
    pub ticks: u64,
    /// The first rollback verdict. It stays.
    pub rollback: Option<Moment>,
    /// The first promote verdict.
    pub promote: Option<Moment>,
    /// The verdict after the last tick.
    pub end: Moment,
}

/// The verdict after one tick.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Moment {
    /// The number of ticks so far.
    pub tick: u64,
    /// The step of the rollout; 0 before the first tick.
    pub step: u32,
    /// When the tick was closed; `None` before the first.
    pub at: Option<Timestamp>,
    /// What should happen to the canary.
    pub verdict: Verdict,
    /// The evidence of each metric.
    pub conclusion: SequentialVerdict,
    /// Judged canary requests so far.
    pub canary_requests: u64,
}

/// A course under construction, tick by tick, so that a long log need not be in memory at once.
pub struct Following {
    policy: JudgePolicy,
    monitors: Option<Monitors>,
    course: Course,
    canary_requests: u64,
    shift_accepted_at: Option<Timestamp>,
}

impl Following {
    /// Starts before the first tick of a rollout with this snapshot. `None` if the snapshot has taken in ticks,
    /// or does not know a metric of the policy. `shift_accepted_at`: from when on a shift of the scores holds nothing.
    pub fn beginning(
        snapshot: &Monitors,
        policy: &JudgePolicy,
        shift_accepted_at: Option<Timestamp>,
    ) -> Option<Following> {
        let monitors = snapshot.restarted(policy)?;
        let end = moment(SequentialEvidence::new(policy, &monitors), None, 0);
        let course = Course { ticks: 0, rollback: None, promote: None, end };
        let (policy, monitors, canary_requests) = (policy.clone(), Some(monitors), 0);
        Some(Following { policy, monitors, course, canary_requests, shift_accepted_at })
    }

    /// Takes in the next tick.
    ///
    /// # Errors
    /// When a tick is missing or cannot be read.
    pub fn follow(&mut self, tick: &LoggedTick) -> Result<(), LogError> {
        // `None` only after an error.
        let Some(before) = self.monitors.take() else { return Ok(()) };
        let monitors = replay(before, std::slice::from_ref(tick), tick.number)?;
        let accepts = self.shift_accepted_at.is_some_and(|accepted| accepted <= tick.at);
        let evidence = SequentialEvidence::new(&self.policy, &monitors).accepting_shift(accepts);
        self.monitors = Some(monitors);
        // Latency misses failed requests, and a policy need not judge failures: take the larger.
        let requests = evidence.measured.iter().map(|one| one.counts.canary).max();
        self.canary_requests = self.canary_requests.max(requests.unwrap_or(0));
        let now = moment(evidence, Some(tick), self.canary_requests);
        let first = match now.verdict {
            Verdict::Rollback => Some(&mut self.course.rollback),
            Verdict::Promote => Some(&mut self.course.promote),
            Verdict::Hold => None,
        };
        if let Some(first @ None) = first {
            *first = Some(now.clone());
        }
        self.course.ticks = tick.number;
        self.course.end = now;
        Ok(())
    }

    /// The finished course.
    pub fn course(self) -> Course {
        self.course
    }
}

fn moment(evidence: SequentialEvidence, tick: Option<&LoggedTick>, canary_requests: u64) -> Moment {
    let (verdict, _) = evidence.verdict();
    let conclusion = evidence.conclusion;
    Moment {
        tick: conclusion.ticks,
        step: tick.map_or(0, |tick| tick.step),
        at: tick.map(|tick| tick.at),
        verdict,
        canary_requests,
        conclusion,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::judge::sequential::tests::second;
    use crate::canary::observed::increment::Increment;
    use crate::canary::policy::health::HealthPolicy;

    fn policy(toml: &str) -> JudgePolicy {
        JudgePolicy::new(&HealthPolicy::default(), &toml::from_str(toml).unwrap()).unwrap()
    }

    fn tolerating(relative: f64) -> JudgePolicy {
        policy(&format!(
            "[[metrics]]\nname = \"latency\"\ntolerated = {{ relative = {relative} }}\n\
             accepted = {{ relative = {} }}",
            relative.max(0.02)
        ))
    }

    /// Minutes in which the canary was slower by this factor, under a policy.
    fn course(factor: f64, policy: &JudgePolicy) -> Course {
        course_of(|number| second(number, factor, 0), policy, None)
    }

    fn course_of(
        second: impl Fn(u32) -> Increment,
        policy: &JudgePolicy,
        accepted: Option<Timestamp>,
    ) -> Course {
        let before = Monitors::new(&JudgePolicy::default(), &Default::default());
        let mut following = Following::beginning(&before, policy, accepted).unwrap();
        for number in 1..=400_u32 {
            let at = Timestamp::from_second(i64::from(number)).unwrap();
            let tick = LoggedTick::new(u64::from(number), 1, at, &second(number));
            following.follow(&tick).unwrap();
        }
        following.course()
    }

    #[test]
    fn a_wider_margin_does_not_roll_back_and_a_narrower_one_does_so_earlier() {
        let first = |policy| course(1.1, policy).rollback.map(|moment| moment.tick);
        let (none, five, fifty) = (tolerating(0.0), tolerating(0.05), tolerating(0.5));
        let (none, five) = (first(&none).unwrap(), first(&five).unwrap());
        assert!(none < five, "{none} {five}");
        assert_eq!(first(&fifty), None);
        let whole = course(1.1, &fifty);
        assert!(whole.promote.is_some(), "{whole:?}");
        assert_eq!(whole.ticks, 400);
    }

    #[test]
    fn a_shift_of_the_scores_holds_until_it_is_accepted() {
        let shifted = |number: u32| {
            let mut tick = second(number, 1.0, 0);
            tick.canary.score.iter_mut().for_each(|(score, _)| *score += 0.08);
            tick
        };
        let policy = JudgePolicy::default();
        let end = |accepted| {
            let end = course_of(shifted, &policy, accepted).end;
            (end.conclusion.verdict, end.verdict)
        };
        assert_eq!(end(None), (Verdict::Promote, Verdict::Hold));
        assert_eq!(end(Timestamp::from_second(401).ok()), (Verdict::Promote, Verdict::Hold));
        let accepted = Timestamp::from_second(399).ok();
        assert_eq!(end(accepted), (Verdict::Promote, Verdict::Promote));
    }

    #[test]
    fn restarted_monitors_equal_new_ones() {
        let mut before = crate::canary::observed::samples::Samples::default();
        for n in 0..500 {
            before.stable.record(0.010 + f64::from(n % 17) * 1e-4, &[f64::from(n % 10) / 10.0]);
        }
        for (one, other) in [(0.05, 0.2), (0.2, 0.0)] {
            let [one, other] = [one, other].map(tolerating);
            let restarted = Monitors::new(&one, &before.stable).restarted(&other).unwrap();
            assert_eq!(restarted, Monitors::new(&other, &before.stable));
        }
    }

    #[test]
    fn what_was_never_recorded_cannot_be_judged_afterwards() {
        let snapshot = Monitors::new(&JudgePolicy::default(), &Default::default());
        let revenue = policy("[[metrics]]\nname = \"revenue\"\nharm = \"lower\"");
        assert_eq!(snapshot.restarted(&revenue), None);
        assert!(Monitors::new(&revenue, &Default::default()).restarted(&revenue).is_some());
        let mut later = snapshot.clone();
        later.tick(&second(1, 1.0, 0));
        assert_eq!(later.restarted(&JudgePolicy::default()), None, "it has seen a tick");
    }

    #[test]
    fn a_missing_tick_is_an_error() {
        let snapshot = Monitors::new(&JudgePolicy::default(), &Default::default());
        let mut following = Following::beginning(&snapshot, &JudgePolicy::default(), None).unwrap();
        let tick = LoggedTick::new(2, 1, Timestamp::UNIX_EPOCH, &second(2, 1.0, 0));
        assert_eq!(following.follow(&tick), Err(LogError::Gap { expected: 1, found: 2 }));
    }
}
