//! The judge of a simulated hour.
//!
//! The only place where the simulation calls a judge: the server's own, under the served policy or the
//! stricter one of the calibration.

use crate::canary::Increment;
use crate::canary::JudgePolicy;
use crate::canary::Monitors;
use crate::canary::Track;
use crate::canary::Verdict;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::monitors::Measured;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::observed::visits::Cells;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::Role;
use crate::canary::policy::metric::Source;
use crate::stats::Margin;

/// The policy without margins: latency, failures and score are guardrails, and any difference is
/// harm. This is the hardest null hypothesis, and the policy of the calibration.
///
/// Alpha must be more than 0 and less than 1.
pub fn strict_policy(alpha: f64) -> JudgePolicy {
    let mut policy = JudgePolicy { alpha, ..JudgePolicy::default() };
    let is_judged = |source: Source| source.is_of_requests() && !source.is_tail();
    policy.metrics.retain(|metric| is_judged(metric.source));
    for metric in &mut policy.metrics {
        metric.role = Role::Guardrail;
        (metric.tolerated, metric.harmful) = (Margin::default(), None);
        if metric.source == Source::Latency {
            metric.accepted = Margin::relative(0.1);
        } else if metric.source == Source::Failures {
            metric.accepted = Margin::absolute(0.005);
        } else {
            metric.accepted = Margin::absolute(0.02);
        }
        // A variance needs two.
        metric.min_samples = 2;
    }
    policy
}

/// The judge of one simulated hour.
#[derive(Clone, Debug)]
pub struct Judge {
    policy: JudgePolicy,
    monitors: Monitors,
    measured: Vec<Measured>,
    /// What the last verdict rests on.
    known: Option<Known>,
    verdict: Verdict,
}

/// All that a verdict rests on.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    /// Of each metric whether harm, non-inferiority, a shift and harm by requests are shown, whether there are enough
    /// samples, and whether a promotion waits for more.
    metrics: Vec<[bool; 6]>,
    is_ratio_off: bool,
}

impl Judge {
    /// A judge before the first tick, which knows stable's observations from before the canary.
    pub fn new(policy: &JudgePolicy, before: &TrackSamples) -> Judge {
        let monitors = Monitors::new(policy, before);
        let measured = monitors.measured();
        Judge { policy: policy.clone(), monitors, measured, known: None, verdict: Verdict::Hold }
    }

    /// Whether to take in these visits of keys with the next tick.
    pub fn wants(&self, visits: &Cells) -> bool {
        self.monitors.wants_visits([Track::Stable, Track::Canary].map(|track| visits.visits(track)))
    }

    /// Takes in one tick and updates the verdict.
    pub fn tick(&mut self, increment: &Increment) {
        self.monitors.tick(increment);
        self.measured = self.monitors.measured();
        // Intervals make a verdict more expensive than a tick. It only changes when one of these does.
        let known = Some(self.known());
        if known != self.known {
            (self.verdict, _) = self.evidence().verdict();
            self.known = known;
        }
    }

    fn known(&self) -> Known {
        let Judge { policy, measured, .. } = self;
        let state = |(metric, measured): (&Metric, &Measured)| {
            let shift = measured.shift.filter(|_| metric.holds());
            [
                measured.harm.reached(policy.harm_alpha(metric)),
                measured.proven.reached(policy.alpha),
                shift.is_some_and(|shift| shift.reached(policy.shift_alpha(metric))),
                measured.by_request.is_some_and(|it| it.is_above(policy.harm_alpha(metric))),
                measured.has_enough(metric),
                measured.awaits(metric).is_some(),
            ]
        };
        let metrics = policy.metrics.iter().zip(measured).map(state).collect();
        Known { metrics, is_ratio_off: self.monitors.ratio().is_off() }
    }

    /// Everything measured so far, with its conclusions.
    pub fn evidence(&self) -> SequentialEvidence {
        SequentialEvidence::new(&self.policy, &self.monitors)
    }

    /// What should happen to the canary under the whole policy.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether a metric of this source, judged alone at the whole alpha, does harm.
    pub fn is_harmful_alone(&self, source: Source) -> bool {
        let mut metrics = self.policy.metrics.iter().zip(&self.measured);
        metrics.any(|(metric, measured)| {
            metric.source == source && measured.harm.reached(self.policy.alpha)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::Weight;
    use crate::canary::observed::increment::TrackIncrement;

    /// A second of 100 requests at 10 %; values are spread by a fixed pattern.
    fn second(number: u32, slower: f64, canary_failures: u64, shift: f64) -> Increment {
        let mut increment =
            Increment { weight: Weight::from_percent(10.0).unwrap(), ..Increment::default() };
        for place in 0..100 {
            let spread = f64::from((100 * number + place).wrapping_mul(2_654_435_761) % 1000) / 1e3;
            let (track, factor, shift): (&mut TrackIncrement, f64, f64) = match place % 10 {
                3 => (&mut increment.canary, slower, shift),
                _ => (&mut increment.stable, 1.0, 0.0),
            };
            track.requests += 1;
            track.latency.push((0.01 * (1.0 + spread) * factor, 1));
            track.score.push((0.2 + 0.5 * spread + shift, 1));
        }
        increment.canary.failures = canary_failures;
        increment
    }

    #[test]
    fn the_verdict_equals_that_of_the_server_at_every_tick() {
        let before = TrackSamples::default();
        let (mut seen, mut held_for_shift) = (Vec::new(), false);
        for policy in [JudgePolicy::default(), strict_policy(0.05)] {
            for (slower, failures, shift) in
                [(1.0, 0, 0.0), (1.3, 0, 0.0), (1.08, 0, 0.0), (1.0, 1, 0.0), (1.0, 0, 0.08)]
            {
                let mut judge = Judge::new(&policy, &before);
                let mut monitors = Monitors::new(&policy, &before);
                for number in 0..300 {
                    let tick = second(number, slower, failures, shift);
                    judge.tick(&tick);
                    monitors.tick(&tick);
                    let evidence = SequentialEvidence::new(&policy, &monitors);
                    let (server, _) = evidence.verdict();
                    assert_eq!(judge.verdict(), server, "{slower} {failures} {shift} {number}");
                    held_for_shift |=
                        evidence.conclusion.verdict == Verdict::Promote && server == Verdict::Hold;
                    seen.push(server);
                }
            }
        }
        for verdict in [Verdict::Rollback, Verdict::Promote, Verdict::Hold] {
            assert!(seen.contains(&verdict), "{verdict:?} did not occur");
        }
        assert!(held_for_shift, "a tolerated shift holds a promotion");
    }

    #[test]
    fn the_strict_policy_has_no_margins_and_splits_alpha_by_three() {
        let policy = strict_policy(0.05);
        for metric in &policy.metrics {
            assert_eq!((metric.tolerated.relative, metric.tolerated.absolute), (0.0, 0.0));
            assert!((policy.harm_alpha(metric) - 0.05 / 3.0).abs() < 1e-15);
        }
    }

    #[test]
    fn a_judge_without_observations_holds() {
        let judge = Judge::new(&JudgePolicy::default(), &TrackSamples::default());
        assert_eq!(judge.verdict(), Verdict::Hold);
        assert!(!Source::ALL.into_iter().any(|source| judge.is_harmful_alone(source)));
    }
}
