//! What has been learned of each metric, tick by tick? Constant in size, and a function of the policy,
//! of what stable did before, and of the increments alone: the same ones give the same bytes.

use serde::Deserialize;
use serde::Serialize;

use super::increment::Increment;
use super::increment::RecordedIncrement;
use super::judge_policy::JudgePolicy;
use super::metric::Metric;
use super::metric::MetricName;
use super::metric::Source;
use super::signals::TrackSamples;
use crate::stats::Layout;
use crate::stats::sequential::FailureMargins;
use crate::stats::sequential::FailureMonitor;
use crate::stats::sequential::Monitor;
use crate::stats::sequential::PairMonitor;
use crate::stats::sequential::Running;
use crate::stats::sequential::Score;
use crate::stats::sequential::TrackCounts;

/// The state of the judge that may be asked at any time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitors {
    /// How many increments were taken in.
    ticks: u64,
    /// In the order of the policy's metrics.
    metrics: Vec<Monitored>,
}

/// What has been learned of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Monitored {
    name: MetricName,
    source: Source,
    counts: Counts,
    monitor: OneMonitor,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OneMonitor {
    Values(Box<Monitor>),
    Failures(Box<FailureMonitor>),
    Pairs(Box<PairMonitor>),
}

/// How much was observed of a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Samples of the trusted version; of failures: its requests; in shadow: pairs.
    pub stable: u64,
    /// Samples of the version on trial.
    pub canary: u64,
    /// The trusted version's failures; 0 of other metrics.
    pub stable_failures: u64,
    /// The failures of the version on trial.
    pub canary_failures: u64,
}

/// The numbers that a metric is classified by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The metric.
    pub metric: MetricName,
    /// How much was observed of it.
    pub counts: Counts,
    /// The evidence against "no worse than is tolerated".
    pub harm: Running,
    /// The evidence against "worse than is accepted".
    pub proven: Running,
    /// The effect on the mean: canary minus stable, in the metric's unit.
    pub effect: Score,
    /// Stable's recent mean.
    pub stable_mean: Option<f64>,
    /// Of differences in shadow: the standard deviation of stable's recent values, in which their relative
    /// margins are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_spread: Option<f64>,
}

impl Monitors {
    /// Monitors that have seen nothing but what stable did before the canary came.
    pub fn new(policy: &JudgePolicy, before: &TrackSamples) -> Monitors {
        let metrics = policy.metrics.iter().map(|metric| Monitored::new(metric, before)).collect();
        Monitors { ticks: 0, metrics }
    }

    /// How many increments were taken in.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Takes in one tick.
    pub fn tick(&mut self, increment: &Increment) {
        self.ticks += 1;
        for metric in &mut self.metrics {
            metric.tick(increment);
        }
    }

    /// The numbers to judge by.
    pub fn measured(&self) -> Vec<Measured> {
        self.metrics.iter().map(Monitored::measured).collect()
    }
}

impl Monitored {
    fn new(metric: &Metric, before: &TrackSamples) -> Monitored {
        let values = |layout| {
            let Metric { harm, test, tolerated, accepted, .. } = *metric;
            Box::new(Monitor::new(layout, harm, test, tolerated, accepted))
        };
        let monitor = match metric.source {
            Source::Latency => {
                let mut monitor = values(Layout::SECONDS);
                monitor.remember(before.latency.points().as_slice());
                OneMonitor::Values(monitor)
            }
            Source::Score => {
                let mut monitor = values(Layout::UNIT_INTERVAL);
                monitor.remember(before.score.points().as_slice());
                OneMonitor::Values(monitor)
            }
            Source::Recorded => OneMonitor::Values(values(Layout::ANY)),
            Source::ShadowLatency => OneMonitor::Values(values(Layout::SECONDS)),
            Source::ShadowScore | Source::ShadowFlips | Source::ShadowFailures => {
                let Metric { harm, tolerated, accepted, .. } = *metric;
                let mut monitor = Box::new(PairMonitor::new(harm, tolerated, accepted));
                monitor.remember(before.score.points().as_slice());
                OneMonitor::Pairs(monitor)
            }
            Source::Failures => {
                OneMonitor::Failures(Box::new(FailureMonitor::new(FailureMargins {
                    harmful_ratio: 1.0 + metric.tolerated.relative,
                    accepted_difference: metric.accepted.absolute,
                })))
            }
        };
        let counts = Counts::default();
        Monitored { name: metric.name.clone(), source: metric.source, counts, monitor }
    }

    fn tick(&mut self, increment: &Increment) {
        let share = increment.weight.share();
        let (stable, canary) = (&increment.stable, &increment.canary);
        let (share, stable_values, canary_values) = match self.source {
            Source::Failures => {
                self.tick_failures(increment);
                return;
            }
            Source::Latency => (share, &stable.latency, &canary.latency),
            Source::Score => (share, &stable.score, &canary.score),
            Source::Recorded => match increment.recorded.get(&self.name) {
                Some(recorded) => (recorded.share(), &recorded.stable, &recorded.canary),
                None => return,
            },
            // Each pair has a value of either, and values of one request rise and fall together, which
            // makes the bet on two draws of even chance a cautious one.
            Source::ShadowLatency => {
                (0.5, &increment.pairs.stable_latency, &increment.pairs.canary_latency)
            }
            Source::ShadowScore | Source::ShadowFlips | Source::ShadowFailures => {
                self.tick_pairs(increment);
                return;
            }
        };
        self.counts.stable = self.counts.stable.saturating_add(number(stable_values));
        self.counts.canary = self.counts.canary.saturating_add(number(canary_values));
        if let OneMonitor::Values(monitor) = &mut self.monitor {
            monitor.tick(share, canary_values, stable_values);
        }
    }

    fn tick_failures(&mut self, increment: &Increment) {
        let (stable, canary) = (&increment.stable, &increment.canary);
        let counts = &mut self.counts;
        counts.stable = counts.stable.saturating_add(stable.requests);
        counts.canary = counts.canary.saturating_add(canary.requests);
        counts.stable_failures = counts.stable_failures.saturating_add(stable.failures);
        counts.canary_failures = counts.canary_failures.saturating_add(canary.failures);
        let of = |requests, failures| TrackCounts { requests, failures };
        if let OneMonitor::Failures(monitor) = &mut self.monitor {
            monitor.tick(
                increment.weight.share(),
                of(canary.requests, canary.failures),
                of(stable.requests, stable.failures),
            );
        }
    }

    fn tick_pairs(&mut self, increment: &Increment) {
        let (pairs, counts) = (&increment.pairs, &mut self.counts);
        let (answered, failed) = (pairs.answered(), pairs.failures);
        let is_failures = self.source == Source::ShadowFailures;
        let seen = if is_failures { answered.saturating_add(failed) } else { answered };
        counts.stable = counts.stable.saturating_add(seen);
        counts.canary = counts.canary.saturating_add(seen);
        if is_failures {
            counts.canary_failures = counts.canary_failures.saturating_add(failed);
        }
        let outcomes = [(1.0, failed), (0.0, answered)];
        let differences = match self.source {
            Source::ShadowScore => &pairs.differences[..],
            Source::ShadowFlips => &pairs.flips,
            Source::Latency
            | Source::Failures
            | Source::Score
            | Source::Recorded
            | Source::ShadowFailures
            | Source::ShadowLatency => &outcomes,
        };
        if let OneMonitor::Pairs(monitor) = &mut self.monitor {
            monitor.tick(differences, &increment.stable.score);
        }
    }

    fn measured(&self) -> Measured {
        let stable_spread = match (&self.monitor, self.source) {
            (OneMonitor::Pairs(monitor), Source::ShadowScore) => monitor.spread(),
            (OneMonitor::Pairs(_) | OneMonitor::Values(_) | OneMonitor::Failures(_), _) => None,
        };
        let (harm, proven, effect, stable_mean) = match &self.monitor {
            OneMonitor::Values(monitor) => {
                (*monitor.harm(), *monitor.proven(), *monitor.effect(), monitor.center())
            }
            OneMonitor::Failures(monitor) => {
                (*monitor.harm(), *monitor.proven(), *monitor.effect(), None)
            }
            OneMonitor::Pairs(monitor) => {
                (*monitor.harm(), *monitor.proven(), *monitor.effect(), None)
            }
        };
        let (metric, counts) = (self.name.clone(), self.counts);
        Measured { metric, counts, harm, proven, effect, stable_mean, stable_spread }
    }
}

impl RecordedIncrement {
    /// The canary's share of the values. Nobody but who recorded them knows the coin, so the share is
    /// the one observed: right if within the tick any of the values could have been either's.
    fn share(&self) -> f64 {
        let (stable, canary) = (number(&self.stable) as f64, number(&self.canary) as f64);
        canary / (stable + canary).max(1.0)
    }
}

fn number(values: &[(f64, u64)]) -> u64 {
    values.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
}
