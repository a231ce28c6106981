//! Monitor of one metric: its e-processes and its counts.

use serde::Deserialize;
use serde::Serialize;

use crate::canary::observed::increment::Increment;
use crate::canary::observed::increment::RecordedIncrement;
use crate::canary::observed::increment::TrackIncrement;
use crate::canary::observed::labels;
use crate::canary::observed::labels::LossIncrement;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::metric::Source;
use crate::stats::Layout;
use crate::stats::sequential::EProcess;
use crate::stats::sequential::FailureMargins;
use crate::stats::sequential::FailureMonitor;
use crate::stats::sequential::Monitor;
use crate::stats::sequential::PairMonitor;
use crate::stats::sequential::Score;
use crate::stats::sequential::TrackCounts;

/// The monitor of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Monitored {
    pub(crate) name: MetricName,
    pub(crate) source: Source,
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

/// How many samples of a metric were observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Stable's samples; for failures its requests, in shadow the pairs.
    pub stable: u64,
    /// The canary's samples.
    pub canary: u64,
    /// Stable's failures; 0 for other metrics.
    pub stable_failures: u64,
    /// The canary's failures; 0 for other metrics.
    pub canary_failures: u64,
}

/// The numbers that classify a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The metric.
    pub metric: MetricName,
    /// How many samples were observed.
    pub counts: Counts,
    /// The e-process against "no worse than tolerated" (harm).
    pub harm: EProcess,
    /// The e-process against "worse than accepted" (non-inferiority).
    pub proven: EProcess,
    /// The effect on the mean: canary minus stable, in the metric's unit.
    pub effect: Score,
    /// Stable's recent mean.
    pub stable_mean: Option<f64>,
    /// For differences in shadow: the standard deviation of stable's recent values, the unit of their
    /// relative margins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_spread: Option<f64>,
}

impl Monitored {
    pub(crate) fn new(metric: &Metric, before: &TrackSamples) -> Monitored {
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
            Source::LogLoss => OneMonitor::Values(values(labels::LOG_LOSS)),
            Source::Brier => OneMonitor::Values(values(labels::BRIER)),
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

    pub(crate) fn anew(&self, metric: &Metric) -> Option<Monitored> {
        let Metric { harm, test, tolerated, accepted, .. } = *metric;
        let monitor = match &self.monitor {
            OneMonitor::Values(monitor) => {
                OneMonitor::Values(Box::new(monitor.anew(harm, test, tolerated, accepted)))
            }
            OneMonitor::Pairs(monitor) => {
                OneMonitor::Pairs(Box::new(monitor.anew(harm, tolerated, accepted)))
            }
            OneMonitor::Failures(_) => return None,
        };
        Some(Monitored {
            name: metric.name.clone(),
            source: metric.source,
            counts: Counts::default(),
            monitor,
        })
    }

    pub(crate) fn tick(&mut self, increment: &Increment) {
        match self.source {
            Source::Latency | Source::Failures | Source::Score => {
                let share = increment.weight.share();
                self.tick_tracks(share, &increment.stable, &increment.canary);
            }
            Source::Recorded => {
                if let Some(recorded) = increment.recorded.get(&self.name) {
                    self.tick_values(recorded.share(), &recorded.stable, &recorded.canary);
                }
            }
            // A label counts with the share at which its prediction was made, however late it arrives.
            Source::LogLoss => {
                for LossIncrement { weight, stable, canary } in &increment.losses {
                    self.tick_values(weight.share(), &stable.log_loss, &canary.log_loss);
                }
            }
            Source::Brier => {
                for LossIncrement { weight, stable, canary } in &increment.losses {
                    self.tick_values(weight.share(), &stable.brier, &canary.brier);
                }
            }
            // A pair has a value of each track. Values of the same request are positively correlated, so
            // treating them as two independent draws at even odds is conservative.
            Source::ShadowLatency => {
                let pairs = &increment.pairs;
                self.tick_values(0.5, &pairs.stable_latency, &pairs.canary_latency);
            }
            Source::ShadowScore | Source::ShadowFlips | Source::ShadowFailures => {
                self.tick_pairs(increment);
            }
        }
    }

    /// Takes in serin's own observations of these tracks; recorded values do not belong to a request.
    pub(crate) fn tick_tracks(
        &mut self,
        share: f64,
        stable: &TrackIncrement,
        canary: &TrackIncrement,
    ) {
        match self.source {
            Source::Failures => self.tick_failures(share, stable, canary),
            Source::Latency => self.tick_values(share, &stable.latency, &canary.latency),
            Source::Score => self.tick_values(share, &stable.score, &canary.score),
            Source::Recorded
            | Source::LogLoss
            | Source::Brier
            | Source::ShadowScore
            | Source::ShadowFlips
            | Source::ShadowFailures
            | Source::ShadowLatency => {}
        }
    }

    fn tick_values(&mut self, share: f64, stable: &[(f64, u64)], canary: &[(f64, u64)]) {
        self.counts.stable = self.counts.stable.saturating_add(number(stable));
        self.counts.canary = self.counts.canary.saturating_add(number(canary));
        if let OneMonitor::Values(monitor) = &mut self.monitor {
            monitor.tick(share, canary, stable);
        }
    }

    fn tick_failures(&mut self, share: f64, stable: &TrackIncrement, canary: &TrackIncrement) {
        let counts = &mut self.counts;
        counts.stable = counts.stable.saturating_add(stable.requests);
        counts.canary = counts.canary.saturating_add(canary.requests);
        counts.stable_failures = counts.stable_failures.saturating_add(stable.failures);
        counts.canary_failures = counts.canary_failures.saturating_add(canary.failures);
        let of = |requests, failures| TrackCounts { requests, failures };
        if let OneMonitor::Failures(monitor) = &mut self.monitor {
            monitor.tick(
                share,
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
            | Source::LogLoss
            | Source::Brier
            | Source::ShadowFailures
            | Source::ShadowLatency => &outcomes,
        };
        if let OneMonitor::Pairs(monitor) = &mut self.monitor {
            monitor.tick(differences, &increment.stable.score);
        }
    }

    pub(crate) fn measured(&self) -> Measured {
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
    /// The canary's share of the values. The client that recorded them made the assignment, so serin uses
    /// the observed share; that is valid if within a tick each value could have come from either track.
    fn share(&self) -> f64 {
        let (stable, canary) = (number(&self.stable) as f64, number(&self.canary) as f64);
        canary / (stable + canary).max(1.0)
    }
}

fn number(values: &[(f64, u64)]) -> u64 {
    values.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
}
