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
use crate::stats::sequential::Test;
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
            latency: Monitor::new(Layout::SECONDS, Harm::Higher, Test::Combined, harmful, accepted),
            failures: FailureMonitor::new(failures),
            score: Monitor::new(Layout::UNIT_INTERVAL, Harm::Either, Test::Combined, none, shift),
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
