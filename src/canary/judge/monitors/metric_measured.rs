//! The numbers that classify a metric, read from its monitor.

use super::lasting::InSpans;
use super::lasting::Lasting;
use super::measured::Measured;
use super::metric::Monitored;
use super::metric::OneMonitor;
use crate::canary::policy::source::MarginKind;
use crate::stats::sequential::EProcess;
use crate::stats::sequential::Score;

impl Monitored {
    pub(crate) fn measured(&self) -> Measured {
        let mut measured = self.measured_first();
        if let Some([harm, shift, proven]) = self.keyed.as_ref().and_then(|it| it.evidence()) {
            (measured.harm, measured.proven) = (harm, proven);
            measured.shift = measured.shift.map(|_| shift);
        }
        measured
    }

    /// The numbers of requests without a key and of first visits.
    pub(super) fn measured_first(&self) -> Measured {
        let mut measured = Measured {
            metric: self.name.clone(),
            counts: self.counts,
            harm: EProcess::default(),
            shift: None,
            proven: EProcess::default(),
            by_request: None,
            span_seconds: None,
            effect: Score::default(),
            quantile_effect: None,
            stable_mean: None,
            stable_spread: None,
            canary_spread: None,
            distance: None,
            class: None,
            visits: None,
            last_look: None,
        };
        match &self.monitor {
            OneMonitor::Values(one) => {
                measured.judged([&one.harm, &one.harm, &one.proven], one.effect);
                measured.shift = None;
                measured.stable_mean = one.center();
            }
            OneMonitor::Failures(one) => {
                measured.judged([&one.harm, &one.harm, &one.proven], one.effect);
                measured.shift = None;
            }
            OneMonitor::Quantile(one) => {
                measured.judged([&one.harm, &one.harm, &one.proven], one.effect);
                measured.shift = None;
                measured.stable_mean = one.threshold();
                measured.quantile_effect = one.difference();
            }
            OneMonitor::Averages(one) => {
                measured.judged([&one.harm, &one.harm, &one.proven], one.effect);
                measured.shift = None;
                measured.stable_mean = one.center();
            }
            OneMonitor::Pairs(one) => measured.of_pairs(one),
            OneMonitor::Shift(one) => measured.of_shift(one),
            OneMonitor::Classes(classes) => {
                if let Some((class, one)) = classes.worst() {
                    measured.of_shift(one);
                    measured.class = self.classes.get(class).cloned();
                }
                measured.harm = classes.harm;
                measured.shift = Some(classes.shift);
                measured.proven = classes.proven;
            }
            OneMonitor::ClassPairs(classes) => {
                if let Some((class, one)) = classes.worst() {
                    measured.of_pairs(one);
                    measured.class = self.classes.get(class).cloned();
                }
                measured.harm = classes.harm;
                measured.shift = Some(classes.shift);
                measured.proven = classes.proven;
            }
            OneMonitor::Scores(one) => {
                measured.judged(one.evidence(), *one.effect());
                measured.stable_mean = one.center();
                measured.stable_spread = one.spread();
                measured.canary_spread = one.canary_spread();
            }
            OneMonitor::ScorePairs(one) => {
                measured.judged(one.evidence(), *one.effect());
                measured.stable_spread = one.spread();
                measured.distance = one.distance();
            }
        }
        let is_of_spread = self.source.properties().margin == MarginKind::OfSpread;
        measured.shift = measured.shift.filter(|_| self.source.is_of_scores());
        measured.stable_spread = measured.stable_spread.filter(|_| is_of_spread);
        if let Some(InSpans { harm, proven, span_seconds }) =
            self.lasting.as_ref().map(Lasting::evidence)
        {
            // A span holds few failures or exceedances. Before the first one their variance is not known, so requests
            // have to prove it as well.
            measured.proven = match &self.monitor {
                OneMonitor::Quantile(_) | OneMonitor::Failures(_) => measured.proven.weaker(proven),
                _ => proven,
            };
            measured.by_request = Some(measured.harm);
            measured.harm = harm;
            measured.span_seconds = span_seconds;
        }
        measured
    }
}
