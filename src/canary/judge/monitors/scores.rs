//! Monitors of scores that are not one probability: of many classes, and of numbers of any size.

use super::metric::Monitored;
use super::metric::OneMonitor;
use super::metric::Tick;
use super::metric::margins;
use super::values::number;
use crate::canary::observed::outputs::Numbers;
use crate::canary::observed::outputs::OutputsIncrement;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::source::MonitorKind;
use crate::stats::Summary;
use crate::stats::sequential::Classes;
use crate::stats::sequential::PairMonitor;
use crate::stats::sequential::ScaledPairs;
use crate::stats::sequential::ScaledShift;
use crate::stats::sequential::ShiftMonitor;

impl Monitored {
    /// The monitor of a metric of scores for many classes.
    pub(super) fn of_classes(
        metric: &Metric,
        classes: &[String],
        before: &TrackSamples,
    ) -> Monitored {
        let (harm, margins) = (metric.harm, margins(metric));
        let past = before.numbers.as_deref().map_or(&[][..], Numbers::classes);
        let past = |class: usize| past.get(class).map(Summary::points);
        let monitor = match metric.source.properties().monitor {
            MonitorKind::Pairs => {
                OneMonitor::ClassPairs(Box::new(Classes::new(monitors(classes, |class| {
                    let mut monitor = PairMonitor::new(harm, margins);
                    past(class).iter().for_each(|past| monitor.remember(past.as_slice()));
                    monitor
                }))))
            }
            MonitorKind::Shift
            | MonitorKind::Values(_)
            | MonitorKind::Quantile(_)
            | MonitorKind::Averages
            | MonitorKind::Failures => {
                OneMonitor::Classes(Box::new(Classes::new(monitors(classes, |class| {
                    let mut monitor = ShiftMonitor::new(harm, margins);
                    past(class).iter().for_each(|past| monitor.remember(past.as_slice()));
                    monitor
                }))))
            }
        };
        Monitored { classes: classes.to_vec(), ..Monitored::with(metric, monitor) }
    }

    /// The same for scores of any size.
    pub(super) fn of_scores(metric: &Metric, before: &TrackSamples) -> Monitored {
        let (harm, margins) = (metric.harm, margins(metric));
        let past = before.numbers.as_deref().and_then(Numbers::score).map(Summary::points);
        let monitor = match metric.source.properties().monitor {
            MonitorKind::Pairs => {
                let mut monitor = ScaledPairs::new(harm, margins);
                past.iter().for_each(|past| monitor.remember(past.as_slice()));
                OneMonitor::ScorePairs(Box::new(monitor))
            }
            MonitorKind::Shift
            | MonitorKind::Values(_)
            | MonitorKind::Quantile(_)
            | MonitorKind::Averages
            | MonitorKind::Failures => {
                let mut monitor = ScaledShift::new(harm, margins);
                past.iter().for_each(|past| monitor.remember(past.as_slice()));
                OneMonitor::Scores(Box::new(monitor))
            }
        };
        Monitored::with(metric, monitor)
    }

    /// Takes in what both tracks have answered.
    pub(super) fn tick_scores(&mut self, tick: Tick<'_>) {
        let OutputsIncrement { stable, canary, .. } = &tick.unsegmented.outputs;
        match &mut self.monitor {
            OneMonitor::Classes(monitor) => {
                self.counts.stable = self.counts.stable.saturating_add(number(stable.class(0)));
                self.counts.canary = self.counts.canary.saturating_add(number(canary.class(0)));
                monitor.tick(|class, one| {
                    one.tick(tick.share, canary.class(class), stable.class(class));
                });
            }
            OneMonitor::Scores(_) => self.tick_values(tick.share, &stable.score, &canary.score),
            _ => self.tick_values(tick.share, &tick.stable.score, &tick.canary.score),
        }
    }

    /// Takes in how the answers to the same requests differ.
    pub(super) fn tick_score_pairs(&mut self, tick: Tick<'_>) {
        let OutputsIncrement { stable, pairs, .. } = &tick.unsegmented.outputs;
        let seen = match &mut self.monitor {
            OneMonitor::ClassPairs(monitor) => {
                monitor.tick(|class, one| one.tick(pairs.class(class), stable.class(class)));
                number(pairs.class(0))
            }
            OneMonitor::ScorePairs(monitor) => {
                monitor.tick(&pairs.score, &stable.score);
                number(&pairs.score)
            }
            _ => return self.tick_pairs(&tick.unsegmented.pairs.differences, 0, tick),
        };
        self.counts.stable = self.counts.stable.saturating_add(seen);
        self.counts.canary = self.counts.canary.saturating_add(seen);
    }
}

/// A monitor for each class.
fn monitors<M>(classes: &[String], monitor: impl FnMut(usize) -> M) -> Vec<M> {
    (0..classes.len()).map(monitor).collect()
}
