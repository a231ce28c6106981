//! What does the judge make of the ticks of a simulated hour?
//!
//! The one place where the simulation meets a judge: the rest of it asks a [`Judge`] and no monitor.

use crate::canary::HealthPolicy;
use crate::canary::Verdict;
use crate::stats::Layout;
use crate::stats::sequential::FailureMargins;
use crate::stats::sequential::FailureMonitor;
use crate::stats::sequential::Harm;
use crate::stats::sequential::Margin;
use crate::stats::sequential::Monitor;
use crate::stats::sequential::Running;
use crate::stats::sequential::TrackCounts;

/// What a judge decides by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Policy {
    /// The server's always-valid judgement: latency and failures share alpha and have margins, the
    /// score advises.
    Served(HealthPolicy),
    /// Latency, failures and score share alpha, and no harm is forgiven: the hardest null hypothesis,
    /// no difference at all.
    Strict {
        /// The accepted probability of a false rollback.
        alpha: f64,
    },
}

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// How long an answer takes.
    Latency,
    /// Whether there is none.
    Failures,
    /// What it says.
    Score,
}

/// What one track did in one tick.
#[derive(Clone, Debug, Default)]
pub struct Increment {
    /// Requests and failures.
    pub counts: TrackCounts,
    /// The latencies of those that were answered, in seconds, each with its count.
    pub latencies: Vec<(f64, u64)>,
    /// Their scores.
    pub scores: Vec<(f64, u64)>,
}

/// The judge of one simulated hour.
#[derive(Clone, Debug)]
pub struct Judge {
    alpha: f64,
    guardrails: &'static [Metric],
    latency: Monitor,
    failures: FailureMonitor,
    score: Monitor,
}

impl Metric {
    /// All of them, in the order of the reports.
    pub const ALL: [Metric; 3] = [Metric::Latency, Metric::Failures, Metric::Score];
}

impl Policy {
    /// The accepted probability of a false rollback.
    pub fn alpha(&self) -> f64 {
        match self {
            Policy::Served(health) => health.alpha,
            Policy::Strict { alpha } => *alpha,
        }
    }

    /// The metrics that can roll back, and that must all be proven for a promotion.
    pub fn guardrails(&self) -> &'static [Metric] {
        match self {
            Policy::Served(_) => &[Metric::Latency, Metric::Failures],
            Policy::Strict { .. } => &Metric::ALL,
        }
    }
}

/// As in the server: a shift of the mean score by so much is accepted.
const ACCEPTED_SCORE_SHIFT: Margin = Margin { relative: 0.0, absolute: 0.02 };

/// As in the server: a slowdown of a tenth is accepted.
const ACCEPTED_SLOWDOWN: f64 = 0.1;

impl Judge {
    /// A judge that has seen nothing.
    pub fn new(policy: &Policy) -> Judge {
        let forgiving = |accepted_difference| FailureMargins {
            accepted_difference,
            ..FailureMargins::default()
        };
        let (harmful, accepted, failures) = match policy {
            Policy::Served(health) => {
                let absolute = health.absolute_margin_seconds;
                let relative = ACCEPTED_SLOWDOWN.max(health.relative_margin);
                (
                    Margin { relative: health.relative_margin, absolute },
                    Margin { relative, absolute: 2.0 * absolute },
                    forgiving(health.failure_margin),
                )
            }
            Policy::Strict { .. } => (
                Margin::default(),
                Margin { relative: ACCEPTED_SLOWDOWN, absolute: 0.0 },
                FailureMargins::default(),
            ),
        };
        let (none, shift) = (Margin::default(), ACCEPTED_SCORE_SHIFT);
        Judge {
            alpha: policy.alpha(),
            guardrails: policy.guardrails(),
            latency: Monitor::new(Layout::SECONDS, Harm::Higher, harmful, accepted),
            failures: FailureMonitor::new(failures),
            score: Monitor::new(Layout::UNIT_INTERVAL, Harm::Either, none, shift),
        }
    }

    /// Takes in what stable did before the canary came.
    pub fn remember(&mut self, latencies: &[(f64, u64)], scores: &[(f64, u64)]) {
        self.latency.remember(latencies);
        self.score.remember(scores);
    }

    /// Takes in one tick at the canary's share.
    pub fn tick(&mut self, share: f64, canary: &Increment, stable: &Increment) {
        self.latency.tick(share, &canary.latencies, &stable.latencies);
        self.score.tick(share, &canary.scores, &stable.scores);
        self.failures.tick(share, canary.counts, stable.counts);
    }

    /// What should become of the canary, as the whole policy says.
    pub fn verdict(&self) -> Verdict {
        let part = self.alpha / self.guardrails.len() as f64;
        if self.guardrails.iter().any(|metric| self.harm(*metric).reached(part)) {
            Verdict::Rollback
        } else if self.guardrails.iter().all(|metric| self.proven(*metric).reached(self.alpha)) {
            Verdict::Promote
        } else {
            Verdict::Hold
        }
    }

    /// Whether this metric, judged alone at the whole alpha, does harm.
    pub fn is_harmful_alone(&self, metric: Metric) -> bool {
        self.harm(metric).reached(self.alpha)
    }

    fn harm(&self, metric: Metric) -> &Running {
        match metric {
            Metric::Latency => self.latency.harm(),
            Metric::Failures => self.failures.harm(),
            Metric::Score => self.score.harm(),
        }
    }

    fn proven(&self, metric: Metric) -> &Running {
        match metric {
            Metric::Latency => self.latency.proven(),
            Metric::Failures => self.failures.proven(),
            Metric::Score => self.score.proven(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::Samples;
    use crate::canary::Track;
    use crate::canary::always_valid::AlwaysValidStatus;
    use crate::canary::always_valid::Sequential;
    use crate::canary::signals::Failure;
    use crate::canary::signals::TrackSamples;

    /// The judge of the simulation and the server's, side by side on the same ticks: (verdict, status)
    /// after each. Values are spread by a fixed pattern.
    fn side_by_side(slower: f64, failing: u32) -> Vec<(Verdict, AlwaysValidStatus)> {
        let health = HealthPolicy::default();
        let mut judge = Judge::new(&Policy::Served(health));
        let mut server = Sequential::new(&health, &TrackSamples::default());
        let (mut samples, mut number) = (Samples::default(), 0_u32);
        (0..400)
            .map(|_| {
                let before = samples.clone();
                let mut ticks = [Increment::default(), Increment::default()];
                for place in 0..100 {
                    number += 1;
                    let is_canary = place % 10 == 3;
                    let spread = f64::from(number.wrapping_mul(2_654_435_761) % 1000) / 1000.0;
                    let latency = (0.01 + 0.01 * spread) * if is_canary { slower } else { 1.0 };
                    let (track, tick) = match (is_canary, &mut ticks) {
                        (true, [canary, _]) => (Track::Canary, canary),
                        (false, [_, stable]) => (Track::Stable, stable),
                    };
                    tick.counts.requests += 1;
                    if is_canary && number.is_multiple_of(failing) {
                        tick.counts.failures += 1;
                        samples.of_mut(track).record_failure(Failure::Error);
                    } else {
                        tick.latencies.push((latency, 1));
                        tick.scores.push((0.2 + 0.5 * spread, 1));
                        samples.of_mut(track).record(latency, &[0.2 + 0.5 * spread]);
                    }
                }
                let [canary, stable] = &ticks;
                judge.tick(0.1, canary, stable);
                server.tick(0.1, &before, &samples);
                (judge.verdict(), server.conclude(health.alpha).status)
            })
            .collect()
    }

    #[test]
    fn the_served_policy_decides_as_the_server_does_at_every_tick() {
        let mut seen = Vec::new();
        for (slower, failing) in [(1.0, u32::MAX), (1.3, u32::MAX), (1.08, u32::MAX), (1.0, 20)] {
            for (verdict, status) in side_by_side(slower, failing) {
                let expected = match status {
                    AlwaysValidStatus::Alert => Verdict::Rollback,
                    AlwaysValidStatus::Ok => Verdict::Promote,
                    AlwaysValidStatus::Undecided | AlwaysValidStatus::Unavailable => Verdict::Hold,
                };
                assert_eq!(verdict, expected, "slower {slower}, failing {failing}");
                seen.push(verdict);
            }
        }
        for verdict in [Verdict::Rollback, Verdict::Promote, Verdict::Hold] {
            assert!(seen.contains(&verdict), "{verdict:?} never came up");
        }
    }

    #[test]
    fn a_judge_that_has_seen_nothing_holds() {
        for policy in [Policy::Served(HealthPolicy::default()), Policy::Strict { alpha: 0.05 }] {
            let judge = Judge::new(&policy);
            assert_eq!(judge.verdict(), Verdict::Hold);
            assert!(!Metric::ALL.iter().any(|metric| judge.is_harmful_alone(*metric)));
        }
    }
}
