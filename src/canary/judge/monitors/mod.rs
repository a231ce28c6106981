//! What has been learned of each metric, tick by tick? Constant in size, and a function of the policy,
//! of what stable did before, and of the increments alone: the same ones give the same bytes.

use serde::Deserialize;
use serde::Serialize;

use super::monitor::Monitored;
use super::sample_ratio::RatioMeasured;
use super::sample_ratio::RatioMonitor;
use super::segment_monitors::SegmentMeasured;
use super::segment_monitors::SegmentMonitors;
use super::stalls::StallMonitor;
use super::stalls::Stalls;
use crate::canary::observed::increment::Increment;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::Source;
use crate::canary::policy::segments::SegmentName;

pub use super::monitor::Counts;
pub use super::monitor::Measured;

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

/// The version of the judge. Raise it when the same increments lead to different monitors or conclusions, so
/// that a verdict of another version can be told from one that was tampered with. A test pins its results.
/// Sentences are not part of it.
pub const ALGORITHM: u32 = 1;

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

fn first_algorithm() -> u32 {
    1
}

fn is_first_algorithm(algorithm: &u32) -> bool {
    *algorithm == first_algorithm()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::judge::evidence::SequentialEvidence;
    use crate::canary::judge::sequential::tests::second;

    /// If this fails because the judge was changed on purpose, raise [`ALGORITHM`] and write down what it
    /// comes to now. To nine digits: the last ones depend on the machine's logarithm.
    #[test]
    fn what_the_algorithm_comes_to_is_that_of_its_number() {
        let policy = JudgePolicy::default();
        let mut monitors = Monitors::new(&policy, &TrackSamples::default());
        (0..40).for_each(|number| monitors.tick(&second(number, 1.1, u64::from(number == 20))));
        let conclusion = SequentialEvidence::new(&policy, &monitors).conclusion;
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
    }
}
