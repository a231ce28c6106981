//! Monitor of one metric: its e-processes and its counts.

use serde::Deserialize;
use serde::Serialize;

use crate::canary::observed::increment::Increment;
use crate::canary::observed::increment::RecordedIncrement;
use crate::canary::observed::increment::TrackIncrement;
use crate::canary::observed::labels::LossIncrement;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::source::History;
use crate::canary::policy::source::MarginKind;
use crate::canary::policy::source::MonitorKind;
use crate::canary::policy::source::Source;
use crate::stats::Points;
use crate::stats::sequential::EProcess;
use crate::stats::sequential::FailureMargins;
use crate::stats::sequential::FailureMonitor;
use crate::stats::sequential::Monitor;
use crate::stats::sequential::PairMonitor;
use crate::stats::sequential::Score;
use crate::stats::sequential::ShiftMargins;
use crate::stats::sequential::ShiftMonitor;
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
    Shift(Box<ShiftMonitor>),
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

impl Counts {
    /// Samples of the track that has fewer.
    pub fn fewest(&self) -> u64 {
        self.stable.min(self.canary)
    }
}

/// The numbers that classify a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The metric.
    pub metric: MetricName,
    /// How many samples were observed.
    pub counts: Counts,
    /// The e-process against "no worse than tolerated" (harm); for scores "within the harmful margin".
    pub harm: EProcess,
    /// For scores: the e-process against "within what is tolerated".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<EProcess>,
    /// The e-process against "worse than accepted" (non-inferiority).
    pub proven: EProcess,
    /// The effect on the mean: canary minus stable, in the metric's unit.
    pub effect: Score,
    /// Stable's recent mean.
    pub stable_mean: Option<f64>,
    /// For scores: the standard deviation of stable's recent values, the unit of their
    /// relative margins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_spread: Option<f64>,
    /// For scores of split traffic: the same of the canary's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_spread: Option<f64>,
    /// For scores in shadow: the recent mean size of the differences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
}

/// The observations of one tick, in the whole traffic or in one segment.
#[derive(Clone, Copy)]
pub(crate) struct Tick<'a> {
    /// The canary's share of the requests.
    pub(crate) share: f64,
    pub(crate) stable: &'a TrackIncrement,
    pub(crate) canary: &'a TrackIncrement,
    /// Observations that do not belong to a segment: recorded values, labels, pairs.
    pub(crate) unsegmented: &'a Increment,
}

impl Monitored {
    pub(crate) fn new(metric: &Metric, before: &TrackSamples) -> Monitored {
        let Metric { harm, test, tolerated, accepted, .. } = *metric;
        let margins = margins(metric);
        let properties = metric.source.properties();
        let past = match properties.history {
            History::None => None,
            History::Latency => Some(before.latency.points()),
            History::Score => Some(before.score.points()),
        };
        let past = past.as_ref().map(Points::as_slice);
        let monitor = match properties.monitor {
            MonitorKind::Values(layout) => {
                let mut monitor = Box::new(Monitor::new(layout, harm, test, tolerated, accepted));
                past.into_iter().for_each(|past| monitor.remember(past));
                OneMonitor::Values(monitor)
            }
            MonitorKind::Pairs => {
                let mut monitor = Box::new(PairMonitor::new(harm, margins));
                past.into_iter().for_each(|past| monitor.remember(past));
                OneMonitor::Pairs(monitor)
            }
            MonitorKind::Shift => {
                let mut monitor = Box::new(ShiftMonitor::new(harm, margins));
                past.into_iter().for_each(|past| monitor.remember(past));
                OneMonitor::Shift(monitor)
            }
            MonitorKind::Failures => {
                OneMonitor::Failures(Box::new(FailureMonitor::new(FailureMargins {
                    harmful_ratio: 1.0 + tolerated.relative,
                    accepted_difference: accepted.absolute,
                })))
            }
        };
        Monitored::with(metric, monitor)
    }

    fn with(metric: &Metric, monitor: OneMonitor) -> Monitored {
        let counts = Counts::default();
        Monitored { name: metric.name.clone(), source: metric.source, counts, monitor }
    }

    /// A monitor for a metric of the same source that has learned what this one has before its first tick.
    pub(crate) fn restarted(&self, metric: &Metric) -> Monitored {
        let Metric { harm, test, tolerated, accepted, .. } = *metric;
        let margins = margins(metric);
        let monitor = match &self.monitor {
            OneMonitor::Values(monitor) => {
                OneMonitor::Values(Box::new(monitor.restarted(harm, test, tolerated, accepted)))
            }
            OneMonitor::Pairs(monitor) => {
                OneMonitor::Pairs(Box::new(monitor.restarted(harm, margins)))
            }
            OneMonitor::Shift(monitor) => {
                OneMonitor::Shift(Box::new(monitor.restarted(harm, margins)))
            }
            OneMonitor::Failures(_) => return Monitored::new(metric, &TrackSamples::default()),
        };
        Monitored::with(metric, monitor)
    }

    /// Takes in the values that a tick has for the source of this metric.
    pub(crate) fn tick(&mut self, tick: Tick<'_>) {
        let Tick { share, stable, canary, unsegmented } = tick;
        let pairs = &unsegmented.pairs;
        match self.source {
            Source::Latency => self.tick_values(share, &stable.latency, &canary.latency),
            Source::Failures => self.tick_failures(share, stable, canary),
            Source::Score => self.tick_values(share, &stable.score, &canary.score),
            Source::Recorded => {
                if let Some(recorded) = unsegmented.recorded.get(&self.name) {
                    self.tick_values(recorded.share(), &recorded.stable, &recorded.canary);
                }
            }
            // A label counts with the share at which its prediction was made, however late it arrives.
            Source::LogLoss => {
                for LossIncrement { weight, stable, canary } in &unsegmented.losses {
                    self.tick_values(weight.share(), &stable.log_loss, &canary.log_loss);
                }
            }
            Source::Brier => {
                for LossIncrement { weight, stable, canary } in &unsegmented.losses {
                    self.tick_values(weight.share(), &stable.brier, &canary.brier);
                }
            }
            Source::ShadowScore => self.tick_pairs(&pairs.differences, 0, tick),
            Source::ShadowFlips => self.tick_pairs(&pairs.flips, 0, tick),
            Source::ShadowFailures => {
                let outcomes = [(1.0, pairs.failures), (0.0, pairs.answered())];
                self.tick_pairs(&outcomes, pairs.failures, tick);
            }
            // A pair has a value of each track. Values of the same request are positively correlated, so
            // treating them as two independent draws at even odds is conservative.
            Source::ShadowLatency => {
                self.tick_values(0.5, &pairs.stable_latency, &pairs.canary_latency);
            }
        }
    }

    fn tick_values(&mut self, share: f64, stable: &[(f64, u64)], canary: &[(f64, u64)]) {
        self.counts.stable = self.counts.stable.saturating_add(number(stable));
        self.counts.canary = self.counts.canary.saturating_add(number(canary));
        match &mut self.monitor {
            OneMonitor::Values(monitor) => monitor.tick(share, canary, stable),
            OneMonitor::Shift(monitor) => monitor.tick(share, canary, stable),
            OneMonitor::Failures(_) | OneMonitor::Pairs(_) => {}
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

    fn tick_pairs(&mut self, differences: &[(f64, u64)], failures: u64, tick: Tick<'_>) {
        let (counts, seen) = (&mut self.counts, number(differences));
        counts.stable = counts.stable.saturating_add(seen);
        counts.canary = counts.canary.saturating_add(seen);
        counts.canary_failures = counts.canary_failures.saturating_add(failures);
        if let OneMonitor::Pairs(monitor) = &mut self.monitor {
            monitor.tick(differences, &tick.stable.score);
        }
    }

    pub(crate) fn measured(&self) -> Measured {
        let (harm, proven, effect) = match &self.monitor {
            OneMonitor::Values(one) => (&one.harm, &one.proven, &one.effect),
            OneMonitor::Failures(one) => (&one.harm, &one.proven, &one.effect),
            OneMonitor::Pairs(one) => (&one.harm, &one.proven, &one.effect),
            OneMonitor::Shift(one) => (&one.harm, &one.proven, &one.effect),
        };
        let shift = match &self.monitor {
            OneMonitor::Pairs(one) => Some(one.shift),
            OneMonitor::Shift(one) => Some(one.shift),
            OneMonitor::Values(_) | OneMonitor::Failures(_) => None,
        };
        let (stable_mean, spread) = match &self.monitor {
            OneMonitor::Values(one) => (one.center(), None),
            OneMonitor::Failures(_) => (None, None),
            OneMonitor::Pairs(one) => (None, one.spread()),
            OneMonitor::Shift(one) => (one.center(), one.spread()),
        };
        let is_of_spread = self.source.properties().margin == MarginKind::OfSpread;
        Measured {
            metric: self.name.clone(),
            counts: self.counts,
            harm: *harm,
            shift: shift.filter(|_| self.source.is_of_scores()),
            proven: *proven,
            effect: *effect,
            stable_mean,
            stable_spread: spread.filter(|_| is_of_spread),
            distance: match &self.monitor {
                OneMonitor::Pairs(one) => one.distance(),
                OneMonitor::Values(_) | OneMonitor::Failures(_) | OneMonitor::Shift(_) => None,
            },
            canary_spread: match &self.monitor {
                OneMonitor::Shift(one) => one.canary_spread(),
                OneMonitor::Values(_) | OneMonitor::Failures(_) | OneMonitor::Pairs(_) => None,
            },
        }
    }
}

impl Measured {
    /// Whether both tracks have the samples that a pass takes, and some were compared. The samples of the first tick
    /// are only counted where nothing was known of stable before.
    pub(crate) fn has_enough(&self, metric: &Metric) -> bool {
        self.counts.fewest() >= metric.min_samples && self.is_compared()
    }

    /// Whether anything was bet on.
    pub(crate) fn is_compared(&self) -> bool {
        self.effect.effect().is_some()
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

fn margins(metric: &Metric) -> ShiftMargins {
    let Metric { tolerated, accepted, .. } = *metric;
    ShiftMargins { harmful: metric.harm_margin(), tolerated, accepted }
}

fn number(values: &[(f64, u64)]) -> u64 {
    values.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
}

#[cfg(test)]
#[path = "metric_tests.rs"]
mod tests;
