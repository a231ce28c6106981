//! Monitors: the state of the sequential judge, updated at each tick.
//!
//! - [`metric`]: the e-processes and counts of one metric.
//! - [`measured`]: the numbers of a metric that classify it.
//! - `lasting`: the same with spans of time as draws.
//! - `by_key`: the same over all visits of keys that come back.
//! - `scores`: the same for outputs that are not one probability.
//! - [`segments`]: the same for every segment of the traffic.
//! - [`sample_ratio`]: whether the tracks got their shares of the requests. [`inputs`]: whether they get the same inputs.
//! - [`stalls`]: whether the machine itself was slow.
//!
//! The state is constant in size and a function of the policy, stable's observations before the rollout,
//! and the increments alone: equal increments give equal bytes.

mod by_key;
pub mod inputs;
mod keyed_metric;
mod lasting;
pub mod measured;
pub mod metric;
mod metric_measured;
pub mod sample_ratio;
mod scores;
pub mod segments;
pub mod stalls;
mod values;

use serde::Deserialize;
use serde::Serialize;

use self::by_key::KeyCells;
use self::by_key::Keyed;
use self::inputs::InputsMeasured;
use self::inputs::InputsMonitor;
use self::metric::Monitored;
use self::metric::Tick;
use self::sample_ratio::RatioMeasured;
use self::sample_ratio::RatioMonitor;
use self::segments::SegmentMeasured;
use self::segments::SegmentMonitors;
use self::stalls::StallMonitor;
use self::stalls::Stalls;
use crate::canary::observed::increment::Increment;
use crate::canary::observed::inputs::BinTable;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::segments::SegmentName;
use crate::canary::policy::source::History;
use crate::canary::policy::source::Source;

pub use self::by_key::judges_all_visits;
pub use self::measured::Counts;
pub use self::measured::KeyVisits;
pub use self::measured::LastLook;
pub use self::measured::Measured;

/// The state of the sequential judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitors {
    /// The [`ALGORITHM`] that takes the increments in.
    algorithm: u32,
    /// Increments taken in so far.
    ticks: u64,
    /// In the order of the policy's metrics.
    metrics: Vec<Monitored>,
    /// `None` where no segments are declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    segments: Option<SegmentMonitors>,
    /// `None` before the first visit of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<Box<KeyCells>>,
    ratio: RatioMonitor,
    /// `None` where the policy does not ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inputs: Option<Box<InputsMonitor>>,
    stalls: StallMonitor,
}

/// The version of the judge. Raise it when the same increments lead to different monitors or conclusions, to
/// distinguish a verdict of another version from one that was tampered with. A test pins its results. Sentences
/// are not part of it.
pub const ALGORITHM: u32 = 5;

impl Monitors {
    /// Monitors before the first tick, which know stable's observations from before the rollout.
    pub fn new(policy: &JudgePolicy, before: &TrackSamples) -> Monitors {
        let outputs = &policy.outputs;
        let metrics = policy.metrics.iter();
        let metrics = metrics.map(|metric| Monitored::new(metric, outputs, before)).collect();
        Monitors {
            algorithm: ALGORITHM,
            ticks: 0,
            metrics,
            segments: SegmentMonitors::of(policy),
            keys: None,
            ratio: RatioMonitor::default(),
            inputs: policy.judge_inputs.then(Box::default),
            stalls: StallMonitor::default(),
        }
        .by_key(policy)
    }

    /// The same monitors, which judge all visits of keys.
    fn by_key(mut self, policy: &JudgePolicy) -> Monitors {
        for (monitored, metric) in self.metrics.iter_mut().zip(&policy.metrics) {
            monitored.keyed = Keyed::of(policy, metric).map(Box::new);
        }
        self
    }

    /// Monitors for another policy, with what these have learned before their first tick. `None` after the first
    /// tick, or if the policy has a metric whose values these monitors do not know.
    pub fn restarted(&self, policy: &JudgePolicy) -> Option<Monitors> {
        if self.ticks > 0 {
            return None;
        }
        let restarted = |metric: &Metric| {
            let properties = metric.source.properties();
            let is_recorded = metric.source.is_from_outside();
            if properties.history == History::None && !is_recorded {
                return Some(Monitored::new(metric, &policy.outputs, &TrackSamples::default()));
            }
            let is_known = |one: &&Monitored| {
                one.source == metric.source && (!is_recorded || one.name == metric.name)
            };
            // A quantile of latency knows what the latency has learned of stable.
            let is_latency =
                |one: &&Monitored| metric.source.is_tail() && one.source == Source::Latency;
            let known = self.metrics.iter().find(is_known);
            let known = known.or_else(|| self.metrics.iter().find(is_latency));
            known.map(|known| known.restarted(metric))
        };
        let metrics = policy.metrics.iter().map(restarted).collect::<Option<_>>()?;
        let restarted = Monitors { metrics, ..Monitors::new(policy, &TrackSamples::default()) };
        Some(restarted.by_key(policy))
    }

    /// The [`ALGORITHM`] that has taken in the ticks since the snapshot.
    pub fn algorithm(&self) -> u32 {
        self.algorithm
    }

    /// The same monitors, continued with the current algorithm.
    pub fn taken_over(self) -> Monitors {
        Monitors { algorithm: ALGORITHM, ..self }
    }

    /// Increments taken in so far.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Takes in one tick.
    pub fn tick(&mut self, increment: &Increment) {
        self.ticks += 1;
        let Increment { weight, stable, canary, .. } = increment;
        let seconds = increment.seconds();
        let tick = Tick { share: weight.share(), stable, canary, unsegmented: increment, seconds };
        if self.keys.is_none() && !increment.visits.is_empty() {
            self.keys = Some(Box::new(KeyCells::beginning(increment)));
            self.metrics.iter_mut().for_each(Monitored::begin_keys);
        }
        for metric in &mut self.metrics {
            metric.tick(tick);
        }
        if let Some(cells) = &mut self.keys {
            let look = cells.tick(increment);
            self.metrics.iter_mut().for_each(|metric| metric.tick_keys(increment, cells, look));
        }
        if let Some(segments) = &mut self.segments {
            segments.tick(increment);
        }
        self.ratio.tick(increment);
        if let Some(inputs) = &mut self.inputs {
            inputs.tick(increment);
        }
        self.stalls.tick(increment);
    }

    /// Whether to take in the visits of keys that wait, given their numbers on stable and on the canary.
    pub fn wants_visits(&self, [stable, canary]: [u64; 2]) -> bool {
        match &self.keys {
            Some(cells) => {
                let [stable_missing, canary_missing] = cells.missing();
                stable >= stable_missing && canary >= canary_missing
            }
            None => stable.max(canary) > 0,
        }
    }

    /// The numbers to judge by.
    pub fn measured(&self) -> Vec<Measured> {
        let visits = self.keys.as_ref().map(|cells| cells.measured());
        let measured = self.metrics.iter().map(|metric| {
            // What is awaited of a tail is counted in visits as well, or few users would be awaited forever.
            let is_keyed = metric.keyed.as_ref().is_some_and(|keyed| keyed.has_begun())
                || metric.source.properties().decidable_after.is_some();
            let last_look = metric.keyed.as_ref().and_then(|keyed| keyed.last_look());
            Measured { visits: visits.filter(|_| is_keyed), last_look, ..metric.measured() }
        });
        measured.collect()
    }

    /// The numbers of each segment that had a request.
    pub fn by_segment(&self) -> Vec<SegmentMeasured> {
        self.segments.as_ref().map_or_else(Vec::new, SegmentMonitors::measured)
    }

    /// The segments that had a request.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentName> {
        self.segments.iter().flat_map(SegmentMonitors::names)
    }

    /// The tracks' shares of the requests.
    pub fn ratio(&self) -> RatioMeasured {
        self.ratio.measured()
    }

    /// The inputs of both tracks; `None` where the policy does not ask for them.
    pub fn inputs(&self) -> Option<InputsMeasured> {
        self.inputs.as_ref().map(|inputs| inputs.measured())
    }

    /// The bins of inputs that it knows; `None` where the policy does not ask for them.
    pub fn input_table(&self) -> Option<&BinTable> {
        self.inputs.as_ref().map(|inputs| inputs.table())
    }

    /// How often the machine itself was slow.
    pub fn stalls(&self) -> Stalls {
        self.stalls.counts()
    }
}

#[cfg(test)]
#[path = "averages_tests.rs"]
mod averages_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::judge::evidence::SequentialEvidence;
    use crate::canary::judge::sequential::tests::second;

    /// If this fails because of an intended change of the judge, raise [`ALGORITHM`] and update the numbers.
    /// Nine digits: the last ones depend on the machine's logarithm.
    #[test]
    fn the_algorithm_gives_the_results_of_its_version() {
        let policy = JudgePolicy::default();
        let mut monitors = Monitors::new(&policy, &TrackSamples::default());
        (0..40).for_each(|number| monitors.tick(&second(number, 1.1, u64::from(number == 20))));
        let conclusion = SequentialEvidence::new(&policy, &monitors).conclusion;
        let rounded = |p: f64| format!("{p:.8e}");
        let found: Vec<[String; 2]> = conclusion
            .metrics
            .iter()
            .map(|one| {
                [
                    rounded(one.harm_p_value.unwrap_or(1.0)),
                    rounded(one.proven_p_value.unwrap_or(1.0)),
                ]
            })
            .collect();
        let expected = [
            ["3.38405846e-10", "1.00000000e0"],
            ["2.68729886e-1", "1.88253923e-1"],
            ["1.00000000e0", "1.34737702e-24"],
            ["1.00000000e0", "1.00000000e0"],
            ["1.00000000e0", "3.76083119e-1"],
        ];
        assert_eq!(
            (ALGORITHM, found.as_slice()),
            (5, &expected.map(|pair| pair.map(str::to_owned))[..])
        );
    }
}
