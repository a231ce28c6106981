//! Monitor of one metric: its e-processes and its counts.

use serde::Deserialize;
use serde::Serialize;

use super::by_key::Keyed;
use super::lasting::Lasting;
use super::lasting::failure_margins;
use super::measured::Counts;
use super::values::above;
use super::values::doubled;
use super::values::number;
use super::values::squared;
use crate::canary::observed::increment::Increment;
use crate::canary::observed::increment::Observation;
use crate::canary::observed::increment::TrackIncrement;
use crate::canary::observed::labels::LossIncrement;
use crate::canary::observed::outputs::ErrorIncrement;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::source::History;
use crate::canary::policy::source::MonitorKind;
use crate::canary::policy::source::Outputs;
use crate::canary::policy::source::Source;
use crate::stats::Layout;
use crate::stats::Points;
use crate::stats::sequential::AverageMonitor;
use crate::stats::sequential::Classes;
use crate::stats::sequential::FailureMonitor;
use crate::stats::sequential::GroupValues;
use crate::stats::sequential::Monitor;
use crate::stats::sequential::PairMonitor;
use crate::stats::sequential::QuantileMonitor;
use crate::stats::sequential::ScaledPairs;
use crate::stats::sequential::ScaledShift;
use crate::stats::sequential::ShiftMargins;
use crate::stats::sequential::ShiftMonitor;
use crate::stats::sequential::TrackCounts;

/// The monitor of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Monitored {
    pub(crate) name: MetricName,
    pub(crate) source: Source,
    pub(super) counts: Counts,
    pub(super) monitor: OneMonitor,
    /// The same metric in units of time; its evidence acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lasting: Option<Lasting>,
    /// The same metric over all visits of keys; `None` where they say nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keyed: Option<Box<Keyed>>,
    /// The names of the classes that a monitor of classes compares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) classes: Vec<String>,
    /// The time that slow requests exceed, where they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) above_seconds: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OneMonitor {
    Values(Box<Monitor>),
    Failures(Box<FailureMonitor>),
    Pairs(Box<PairMonitor>),
    Shift(Box<ShiftMonitor>),
    Classes(Box<Classes<ShiftMonitor>>),
    ClassPairs(Box<Classes<PairMonitor>>),
    Scores(Box<ScaledShift>),
    ScorePairs(Box<ScaledPairs>),
    Quantile(Box<QuantileMonitor>),
    Averages(Box<AverageMonitor>),
}

/// The observations of one tick, in the whole traffic or in one segment.
#[derive(Clone, Copy)]
pub(crate) struct Tick<'a> {
    /// How long it was.
    pub(crate) seconds: f64,
    /// The canary's share of the requests.
    pub(crate) share: f64,
    pub(crate) stable: &'a TrackIncrement,
    pub(crate) canary: &'a TrackIncrement,
    /// Observations that do not belong to a segment: recorded values, labels, pairs.
    pub(crate) unsegmented: &'a Increment,
}

impl Monitored {
    /// The monitor of a metric where the versions answer `outputs`, and stable has answered `before`.
    pub(crate) fn new(metric: &Metric, outputs: &Outputs, before: &TrackSamples) -> Monitored {
        let Metric { harm, test, tolerated, accepted, .. } = *metric;
        let margins = margins(metric);
        let properties = metric.source.properties();
        if properties.history == History::Score && !metric.source.has_share_of_rows() {
            match outputs {
                Outputs::Probability => {}
                Outputs::Probabilities { classes } => {
                    return Monitored::of_classes(metric, classes, before);
                }
                Outputs::Score => return Monitored::of_scores(metric, before),
            }
        }
        let past = match properties.history {
            History::None => None,
            History::Latency => Some(before.latency.points()),
            History::Score => Some(before.score.points()),
        };
        let past = past.as_ref().map(Points::as_slice);
        let monitor = match properties.monitor {
            MonitorKind::Values(layout) => {
                let layout = match (metric.source, outputs) {
                    // The Brier score of many classes goes to 2.
                    (Source::Brier, Outputs::Probabilities { .. }) => Layout::Seconds,
                    (_, _) => layout,
                };
                let mut monitor = Box::new(Monitor::new(layout, harm, test, tolerated, accepted));
                past.into_iter().for_each(|past| monitor.remember(past));
                OneMonitor::Values(monitor)
            }
            MonitorKind::Quantile(quantile) => {
                let margins = [tolerated, accepted];
                let mut monitor =
                    Box::new(QuantileMonitor::new(Layout::Seconds, quantile, margins));
                past.into_iter().for_each(|past| monitor.remember(past));
                OneMonitor::Quantile(monitor)
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
            MonitorKind::Averages => {
                OneMonitor::Averages(Box::new(AverageMonitor::new(harm, tolerated, accepted)))
            }
            MonitorKind::Failures => {
                OneMonitor::Failures(Box::new(FailureMonitor::new(failure_margins(metric))))
            }
        };
        Monitored::with(metric, monitor).in_units_of_time(metric)
    }

    /// Adds the test with spans of time as draws, where the metric says so.
    fn in_units_of_time(mut self, metric: &Metric) -> Monitored {
        self.lasting = match &self.monitor {
            OneMonitor::Values(monitor) => Lasting::of_values(metric, monitor),
            OneMonitor::Failures(_) => Lasting::of_failures(metric),
            OneMonitor::Quantile(_) => Lasting::of_quantile(metric),
            _ => None,
        };
        self
    }

    pub(super) fn with(metric: &Metric, monitor: OneMonitor) -> Monitored {
        let (name, source) = (metric.name.clone(), metric.source);
        Monitored {
            name,
            source,
            counts: Counts::default(),
            monitor,
            lasting: None,
            keyed: None,
            classes: Vec::new(),
            above_seconds: metric.above_seconds,
        }
    }

    /// A monitor for a metric of the same source that has learned what this one has before its first tick.
    pub(crate) fn restarted(&self, metric: &Metric) -> Monitored {
        let Metric { harm, test, tolerated, accepted, .. } = *metric;
        let margins = margins(metric);
        let quantile = match metric.source.properties().monitor {
            MonitorKind::Quantile(quantile) => quantile,
            _ => 0.5,
        };
        let monitor = match &self.monitor {
            OneMonitor::Quantile(monitor) => {
                OneMonitor::Quantile(Box::new(monitor.restarted(quantile, [tolerated, accepted])))
            }
            OneMonitor::Values(monitor) if metric.source != self.source => {
                OneMonitor::Quantile(Box::new(monitor.of_quantile(quantile, [tolerated, accepted])))
            }
            OneMonitor::Values(monitor) => {
                OneMonitor::Values(Box::new(monitor.restarted(harm, test, tolerated, accepted)))
            }
            OneMonitor::Pairs(monitor) => {
                OneMonitor::Pairs(Box::new(monitor.restarted(harm, margins)))
            }
            OneMonitor::Shift(monitor) => {
                OneMonitor::Shift(Box::new(monitor.restarted(harm, margins)))
            }
            OneMonitor::Classes(monitor) => OneMonitor::Classes(Box::new(Classes::new(
                monitor.monitors().iter().map(|one| one.restarted(harm, margins)).collect(),
            ))),
            OneMonitor::ClassPairs(monitor) => OneMonitor::ClassPairs(Box::new(Classes::new(
                monitor.monitors().iter().map(|one| one.restarted(harm, margins)).collect(),
            ))),
            OneMonitor::Scores(monitor) => {
                OneMonitor::Scores(Box::new(monitor.restarted(harm, margins)))
            }
            OneMonitor::ScorePairs(monitor) => {
                OneMonitor::ScorePairs(Box::new(monitor.restarted(harm, margins)))
            }
            OneMonitor::Failures(_) | OneMonitor::Averages(_) => {
                return Monitored::new(metric, &Outputs::Probability, &TrackSamples::default());
            }
        };
        let classes = self.classes.clone();
        Monitored { classes, ..Monitored::with(metric, monitor).in_units_of_time(metric) }
    }

    /// Takes in the values that a tick has for the source of this metric.
    pub(crate) fn tick(&mut self, tick: Tick<'_>) {
        let Tick { share, stable, canary, unsegmented, seconds } = tick;
        let pairs = &unsegmented.pairs;
        match self.source {
            Source::Latency => {
                self.tick_lasting(seconds, &stable.latency, &canary.latency);
                let groups = &unsegmented.groups;
                if groups.is_empty() && !self.has_groups() {
                    self.tick_values(share, &stable.latency, &canary.latency);
                } else {
                    self.tick_in_groups(share, &groups.values(&stable.latency, &canary.latency));
                }
            }
            Source::LatencyP95 | Source::LatencyP99 => self.tick_quantile(tick),
            Source::LatencyAbove => {
                let above = |values: &[(f64, u64)]| above(values, self.above_seconds);
                self.tick_failures(tick, above(&canary.latency), above(&stable.latency));
            }
            Source::Failures => {
                let of = |track: &TrackIncrement| TrackCounts {
                    requests: track.requests,
                    failures: track.failures,
                };
                self.tick_failures(tick, of(canary), of(stable));
            }
            Source::Score => self.tick_scores(tick),
            Source::Prometheus => self.tick_averages(&unsegmented.queried),
            Source::Recorded => match unsegmented.recorded.get(&self.name) {
                Some(recorded) => {
                    self.tick_lasting(seconds, &recorded.stable, &recorded.canary);
                    self.tick_values(recorded.share(), &recorded.stable, &recorded.canary);
                }
                None => self.pass(seconds),
            },
            // A label counts with the share at which its prediction was made, however late it arrives.
            Source::LogLoss => {
                for LossIncrement { weight, stable, canary } in &unsegmented.losses {
                    self.tick_values(weight.share(), &stable.log_loss, &canary.log_loss);
                }
            }
            Source::Brier => {
                for LossIncrement { weight, stable, canary } in &unsegmented.losses {
                    // Of many classes it was halved, to fit between 0 and 1.
                    let [stable, canary] = match self.takes_many_classes() {
                        true => [doubled(&stable.brier), doubled(&canary.brier)],
                        false => [stable.brier.clone(), canary.brier.clone()],
                    };
                    self.tick_values(weight.share(), &stable, &canary);
                }
            }
            Source::SquaredError => {
                for ErrorIncrement { weight, stable, canary } in &unsegmented.outputs.errors {
                    self.tick_values(weight.share(), &squared(stable), &squared(canary));
                }
            }
            Source::AbsoluteError => {
                for ErrorIncrement { weight, stable, canary } in &unsegmented.outputs.errors {
                    self.tick_values(weight.share(), stable, canary);
                }
            }
            Source::ShadowScore => self.tick_score_pairs(tick),
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

    pub(super) fn tick_values(&mut self, share: f64, stable: &[(f64, u64)], canary: &[(f64, u64)]) {
        self.counts.stable = self.counts.stable.saturating_add(number(stable));
        self.counts.canary = self.counts.canary.saturating_add(number(canary));
        match &mut self.monitor {
            OneMonitor::Values(monitor) => monitor.tick(share, canary, stable),
            OneMonitor::Shift(monitor) => monitor.tick(share, canary, stable),
            OneMonitor::Scores(monitor) => monitor.tick(share, canary, stable),
            OneMonitor::Failures(_)
            | OneMonitor::Pairs(_)
            | OneMonitor::Classes(_)
            | OneMonitor::ClassPairs(_)
            | OneMonitor::Quantile(_)
            | OneMonitor::Averages(_)
            | OneMonitor::ScorePairs(_) => {}
        }
    }

    /// Whether requests are compared by group.
    fn has_groups(&self) -> bool {
        matches!(&self.monitor, OneMonitor::Values(monitor) if monitor.has_groups())
    }

    fn tick_in_groups(&mut self, share: f64, groups: &[GroupValues]) {
        for GroupValues { canary, stable, .. } in groups {
            self.counts.stable = self.counts.stable.saturating_add(number(stable));
            self.counts.canary = self.counts.canary.saturating_add(number(canary));
        }
        if let OneMonitor::Values(monitor) = &mut self.monitor {
            monitor.tick_in_groups(share, groups);
        }
    }

    /// Lets time pass in which neither track had a value.
    pub(super) fn pass(&mut self, seconds: f64) {
        match self.source {
            Source::Failures | Source::LatencyP95 | Source::LatencyP99 | Source::LatencyAbove => {
                let none = TrackCounts { requests: 0, failures: 0 };
                let lasting = self.lasting.iter_mut();
                lasting.for_each(|lasting| lasting.tick_failures(seconds, none, none));
            }
            _ => self.tick_lasting(seconds, &[], &[]),
        }
    }

    fn tick_quantile(&mut self, tick: Tick<'_>) {
        let (stable, canary) = (&tick.stable.latency, &tick.canary.latency);
        self.counts.stable = self.counts.stable.saturating_add(number(stable));
        self.counts.canary = self.counts.canary.saturating_add(number(canary));
        let OneMonitor::Quantile(monitor) = &mut self.monitor else { return };
        let Some(found) = monitor.tick(tick.share, canary, stable) else { return };
        self.count_failures(found.canary.failures, found.stable.failures);
        if let Some(lasting) = &mut self.lasting {
            lasting.tick_quantile(tick.seconds, found);
        }
    }

    fn count_failures(&mut self, canary: u64, stable: u64) {
        let counts = &mut self.counts;
        counts.stable_failures = counts.stable_failures.saturating_add(stable);
        counts.canary_failures = counts.canary_failures.saturating_add(canary);
    }

    fn tick_lasting(&mut self, seconds: f64, stable: &[(f64, u64)], canary: &[(f64, u64)]) {
        if let (OneMonitor::Values(monitor), Some(lasting)) = (&self.monitor, &mut self.lasting) {
            lasting.tick_values(monitor, seconds, canary, stable);
        }
    }

    fn tick_failures(&mut self, tick: Tick<'_>, canary: TrackCounts, stable: TrackCounts) {
        self.counts.stable = self.counts.stable.saturating_add(stable.requests);
        self.counts.canary = self.counts.canary.saturating_add(canary.requests);
        self.count_failures(canary.failures, stable.failures);
        if let Some(lasting) = &mut self.lasting {
            lasting.tick_failures(tick.seconds, canary, stable);
        }
        if let OneMonitor::Failures(monitor) = &mut self.monitor {
            monitor.tick(tick.share, canary, stable);
        }
        if let Some(keyed) = &mut self.keyed {
            keyed.tick_users(tick.share, canary, stable);
        }
    }

    fn tick_averages(&mut self, queried: &[Observation]) {
        let OneMonitor::Averages(monitor) = &mut self.monitor else { return };
        for Observation { stable, canary, .. } in queried.iter().filter(|it| it.metric == self.name)
        {
            self.counts.stable = self.counts.stable.saturating_add(1);
            self.counts.canary = self.counts.canary.saturating_add(1);
            monitor.tick(*stable, *canary);
        }
    }

    pub(super) fn tick_pairs(&mut self, differences: &[(f64, u64)], failures: u64, tick: Tick<'_>) {
        let (counts, seen) = (&mut self.counts, number(differences));
        counts.stable = counts.stable.saturating_add(seen);
        counts.canary = counts.canary.saturating_add(seen);
        counts.canary_failures = counts.canary_failures.saturating_add(failures);
        if let OneMonitor::Pairs(monitor) = &mut self.monitor {
            monitor.tick(differences, &tick.stable.score);
        }
    }

    /// Whether it judges the Brier score of many classes, whose buckets are those of durations.
    fn takes_many_classes(&self) -> bool {
        match &self.monitor {
            OneMonitor::Values(one) => one.layout() == Layout::Seconds,
            _ => false,
        }
    }
}

pub(super) fn margins(metric: &Metric) -> ShiftMargins {
    let Metric { tolerated, accepted, .. } = *metric;
    ShiftMargins { harmful: metric.harm_margin(), tolerated, accepted }
}

#[cfg(test)]
#[path = "metric_tests.rs"]
mod tests;
