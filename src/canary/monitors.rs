//! What has been learned of each metric, tick by tick? Constant in size, and a function of the policy,
//! of what stable did before, and of the increments alone: the same ones give the same bytes.

use serde::Deserialize;
use serde::Serialize;

use super::increment::Increment;
use super::increment::RecordedIncrement;
use super::increment::TrackIncrement;
use super::judge_policy::JudgePolicy;
use super::labels;
use super::labels::LossIncrement;
use super::metric::Metric;
use super::metric::MetricName;
use super::metric::Source;
use super::ratio::RatioMeasured;
use super::ratio::RatioMonitor;
use super::segment_monitors::SegmentMeasured;
use super::segment_monitors::SegmentMonitors;
use super::segments::SegmentName;
use super::signals::TrackSamples;
use super::stalls::StallMonitor;
use super::stalls::Stalls;
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
    /// Which [`ALGORITHM`] takes increments in; left out in stores: the first.
    #[serde(default = "first_algorithm", skip_serializing_if = "is_first_algorithm")]
    algorithm: u32,
    /// How many increments were taken in.
    ticks: u64,
    /// In the order of the policy's metrics.
    metrics: Vec<Monitored>,
    /// `None` where no segments are declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    segments: Option<SegmentMonitors>,
    /// `None` of monitors from before this was watched: replayed, they stay what they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ratio: Option<RatioMonitor>,
    /// `None` of monitors from before this was watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stalls: Option<StallMonitor>,
}

/// Raised whenever the same increments come to other monitors, another conclusion or other sentences than
/// before, so that a verdict of another program is known from one that was tampered with. A test holds
/// the results of this one.
pub const ALGORITHM: u32 = 1;

/// What has been learned of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Monitored {
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
        Monitors {
            algorithm: ALGORITHM,
            ticks: 0,
            metrics,
            segments: SegmentMonitors::of(policy),
            ratio: Some(RatioMonitor::default()),
            stalls: Some(StallMonitor::default()),
        }
    }

    /// Monitors that have seen what these had before their first tick, for another policy. `None` after
    /// the first tick, or for a metric whose values these know nothing of.
    pub fn anew(&self, policy: &JudgePolicy) -> Option<Monitors> {
        if self.ticks > 0 {
            return None;
        }
        let anew = |metric: &Metric| {
            let same = |one: &&Monitored| one.source == metric.source;
            let mut known = self.metrics.iter().filter(same);
            let of_this =
                |one: &&Monitored| metric.source != Source::Recorded || one.name == metric.name;
            let known = known.find(of_this);
            // Failures and labels have no past.
            match (metric.source, known) {
                (Source::Failures | Source::LogLoss | Source::Brier | Source::ShadowLatency, _) => {
                    Some(Monitored::new(metric, &TrackSamples::default()))
                }
                (
                    Source::Latency
                    | Source::Score
                    | Source::Recorded
                    | Source::ShadowScore
                    | Source::ShadowFlips
                    | Source::ShadowFailures,
                    known,
                ) => known?.anew(metric),
            }
        };
        let metrics = policy.metrics.iter().map(anew).collect::<Option<_>>()?;
        Some(Monitors { metrics, ..Monitors::new(policy, &TrackSamples::default()) })
    }

    /// Which [`ALGORITHM`] has taken in the ticks since the base that these were.
    pub fn algorithm(&self) -> u32 {
        self.algorithm
    }

    /// The same, as the algorithm of this program goes on with them.
    pub fn taken_over(self) -> Monitors {
        Monitors { algorithm: ALGORITHM, ..self }
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
        if let Some(segments) = &mut self.segments {
            segments.tick(increment);
        }
        if let Some(ratio) = &mut self.ratio {
            ratio.tick(increment);
        }
        if let Some(stalls) = &mut self.stalls {
            stalls.tick(increment);
        }
    }

    /// The numbers to judge by.
    pub fn measured(&self) -> Vec<Measured> {
        self.metrics.iter().map(Monitored::measured).collect()
    }

    /// The numbers of each segment that had a request.
    pub fn by_segment(&self) -> Vec<SegmentMeasured> {
        self.segments.as_ref().map_or_else(Vec::new, SegmentMonitors::measured)
    }

    /// The segments that had a request.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentName> {
        self.segments.iter().flat_map(SegmentMonitors::names)
    }

    /// Whether all requests were counted.
    pub fn ratio(&self) -> Option<RatioMeasured> {
        self.ratio.as_ref().map(RatioMonitor::measured)
    }

    /// How often the machine itself was slow.
    pub fn stalls(&self) -> Option<Stalls> {
        self.stalls.as_ref().map(StallMonitor::counts)
    }
}

impl Monitored {
    pub(super) fn new(metric: &Metric, before: &TrackSamples) -> Monitored {
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

    fn anew(&self, metric: &Metric) -> Option<Monitored> {
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

    fn tick(&mut self, increment: &Increment) {
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
            // Each label is bet on with the share that drew its prediction, however late it comes.
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
            // Each pair has a value of either, and values of one request rise and fall together, which
            // makes the bet on two draws of even chance a cautious one.
            Source::ShadowLatency => {
                let pairs = &increment.pairs;
                self.tick_values(0.5, &pairs.stable_latency, &pairs.canary_latency);
            }
            Source::ShadowScore | Source::ShadowFlips | Source::ShadowFailures => {
                self.tick_pairs(increment);
            }
        }
    }

    /// Takes in what serin observed itself of these tracks. Recorded values are not of a request.
    pub(super) fn tick_tracks(
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

    pub(super) fn measured(&self) -> Measured {
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

fn first_algorithm() -> u32 {
    1
}

fn is_first_algorithm(algorithm: &u32) -> bool {
    *algorithm == first_algorithm()
}

fn number(values: &[(f64, u64)]) -> u64 {
    values.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::always_valid::tests::second;
    use crate::canary::judge::WatchEvidence;

    /// If this fails because the judge was changed on purpose, raise [`ALGORITHM`] and write down what it
    /// comes to now. To nine digits: the last ones depend on the machine's logarithm.
    #[test]
    fn what_the_algorithm_comes_to_is_that_of_its_number() {
        let policy = JudgePolicy::default();
        let mut monitors = Monitors::new(&policy, &TrackSamples::default());
        (0..40).for_each(|number| monitors.tick(&second(number, 1.1, u64::from(number == 20))));
        let conclusion = WatchEvidence::new(&policy, &monitors).conclusion;
        let rounded = |p: f64| format!("{p:.8e}");
        let found: Vec<[String; 2]> = conclusion
            .metrics
            .iter()
            .map(|one| [rounded(one.harm_p_value), rounded(one.proven_p_value)])
            .collect();
        let expected = [
            ["3.38405846e-10", "1.74957235e-1"],
            ["2.68729886e-1", "1.88253923e-1"],
            ["8.22666770e-1", "4.12821024e-1"],
        ];
        assert_eq!(
            (ALGORITHM, found.as_slice()),
            (1, &expected.map(|pair| pair.map(str::to_owned))[..])
        );
        let sentence = "latency: mean +8.87 % against stable (+1.33 ms; interval +5.29 to +12.4 %), canary \
                        399, stable 3600 samples; tolerated 5 % + 100 µs, accepted 10 % + 200 µs above; p if \
                        it did no harm 3.4e-10 (fails below 0.025), p if it were worse than accepted 0.1750 \
                        (passes below 0.05): fails";
        assert_eq!(conclusion.metrics[0].sentence, sentence);
    }
}
