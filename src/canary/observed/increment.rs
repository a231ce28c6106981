//! Increment: what was observed between two moments of one step. The judge takes in one per tick.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use super::gaps::Any;
use super::gaps::Gaps;
use super::gaps::Seconds;
use super::gaps::UnitInterval;
use super::groups::GroupsIncrement;
use super::inputs::InputsIncrement;
use super::labels::LossIncrement;
use super::outputs::OutputsIncrement;
use super::outputs::PairOutputs;
use super::outputs::TrackOutputs;
use super::pairs::Pairs;
use super::pairs::PairsIncrement;
use super::samples::Samples;
use super::samples::TrackSamples;
use super::visits::VisitsIncrement;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::segments::SegmentName;
use crate::canary::traffic::weight::Weight;

/// A tick that lasted this long counts as a second.
const USUAL_MILLIS: std::ops::RangeInclusive<u128> = 900..=1100;

/// The observations of one tick.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Increment {
    /// The canary's share of traffic during the tick.
    pub weight: Weight,
    /// Stable.
    pub stable: TrackIncrement,
    /// The canary.
    pub canary: TrackIncrement,
    /// Values that clients recorded, by metric.
    pub recorded: BTreeMap<MetricName, RecordedIncrement>,
    /// Requests that named a segment, by segment. A request counts in one segment of each key it names, and
    /// may have ended a moment before or after the tick's others.
    pub segments: BTreeMap<SegmentName, SegmentIncrement>,
    /// Losses of predictions whose labels arrived, by the weight at the time of the prediction.
    pub losses: Vec<LossIncrement>,
    /// Pairs of answers in shadow.
    pub pairs: PairsIncrement,
    /// Outputs that are not one probability. Not part of the serde format: the codec writes them after the rest, where
    /// there are any, so that older increments stay readable.
    #[serde(skip)]
    pub outputs: OutputsIncrement,
    /// Milliseconds since the tick before, where it was not about a second; else 0. Written after the outputs by the
    /// codec.
    #[serde(skip)]
    pub millis: u32,
    /// Visits of keys, of this tick and of earlier ones that had none. Written after the length by the codec, where there
    /// are any.
    #[serde(skip)]
    pub visits: VisitsIncrement,
    /// Latencies by group of requests. Written after the visits by the codec, where a request is of another group than the
    /// default one.
    #[serde(skip)]
    pub groups: GroupsIncrement,
    /// Inputs of the drawn requests, of this tick and of earlier ones that had none. Written after the groups by the codec,
    /// where there are any.
    #[serde(skip)]
    pub inputs: InputsIncrement,
    /// Observations of queries in order of time. Written after the inputs by the codec, where there are any.
    #[serde(skip)]
    pub queried: Vec<Observation>,
}

/// What a query found of both tracks at one moment, to the bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The metric that it is for.
    pub metric: MetricName,
    /// Stable's value.
    pub stable: f64,
    /// The canary's value.
    pub canary: f64,
}

/// Observations of one track. Values have counts; each is the middle of its bucket, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrackIncrement {
    /// Requests assigned to the track.
    pub requests: u64,
    /// Requests that it failed to answer.
    pub failures: u64,
    /// Latencies in seconds.
    #[serde(with = "Gaps::<Seconds>")]
    pub latency: Vec<(f64, u64)>,
    /// Predicted probabilities.
    #[serde(with = "Gaps::<UnitInterval>")]
    pub score: Vec<(f64, u64)>,
}

/// Observations of one segment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SegmentIncrement {
    /// Stable.
    pub stable: TrackIncrement,
    /// The canary.
    pub canary: TrackIncrement,
}

/// Recorded values of one metric, as in [`TrackIncrement`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordedIncrement {
    /// Stable.
    #[serde(with = "Gaps::<Any>")]
    pub stable: Vec<(f64, u64)>,
    /// The canary.
    #[serde(with = "Gaps::<Any>")]
    pub canary: Vec<(f64, u64)>,
}

impl Observation {
    /// Whether its values can be compared.
    pub(super) fn is_sound(&self) -> bool {
        self.stable.is_finite() && self.canary.is_finite()
    }
}

impl Increment {
    /// The requests between two moments of one step; `None` if `earlier` is not earlier, which happens when
    /// two ticks are closed at the same time.
    pub fn between(weight: Weight, earlier: &Samples, now: &Samples) -> Option<Increment> {
        Some(Increment {
            weight,
            stable: TrackIncrement::between(&earlier.stable, &now.stable)?,
            canary: TrackIncrement::between(&earlier.canary, &now.canary)?,
            outputs: OutputsIncrement {
                stable: outputs_of(&earlier.stable, &now.stable)?,
                canary: outputs_of(&earlier.canary, &now.canary)?,
                ..OutputsIncrement::default()
            },
            ..Increment::default()
        })
    }

    /// Adds the pairs between the two moments; `None` if `earlier` is not earlier.
    pub fn with_pairs(self, earlier: Option<&Pairs>, now: Option<&Pairs>) -> Option<Increment> {
        let none = Pairs::default();
        let (earlier, now) = match (earlier, now) {
            (None, None) => return Some(self),
            (Some(_), None) => return None,
            (earlier, Some(now)) => (earlier.unwrap_or(&none), now),
        };
        let pairs = PairsIncrement::between(earlier, now)?;
        let of_outputs = PairOutputs::between(earlier.numbers.as_deref(), now.numbers.as_deref())?;
        let outputs = OutputsIncrement { pairs: of_outputs, ..self.outputs };
        Some(Increment { pairs, outputs, ..self })
    }

    /// The same increment of a tick of this many milliseconds.
    pub fn lasting(self, millis: u128) -> Increment {
        let is_usual = USUAL_MILLIS.contains(&millis);
        let millis = if is_usual { 0 } else { u32::try_from(millis.max(1)).unwrap_or(u32::MAX) };
        Increment { millis, ..self }
    }

    /// How long the tick was, in seconds.
    pub fn seconds(&self) -> f64 {
        if self.millis == 0 { 1.0 } else { f64::from(self.millis) / 1e3 }
    }

    /// Whether nothing was observed.
    pub fn is_empty(&self) -> bool {
        *self == Increment { weight: self.weight, ..Increment::default() }
    }
}

fn outputs_of(earlier: &TrackSamples, now: &TrackSamples) -> Option<TrackOutputs> {
    TrackOutputs::between(earlier.numbers.as_deref(), now.numbers.as_deref())
}

impl TrackIncrement {
    fn between(earlier: &TrackSamples, now: &TrackSamples) -> Option<TrackIncrement> {
        Some(TrackIncrement {
            requests: now.requests.checked_sub(earlier.requests)?,
            failures: now.failures.total().checked_sub(earlier.failures.total())?,
            latency: now.latency.values_since(&earlier.latency)?,
            score: now.score.values_since(&earlier.score)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::observed::samples::Failure;
    use crate::canary::traffic::track::Track;

    #[test]
    fn an_increment_is_the_difference_of_two_samples() {
        let mut samples = Samples::default();
        samples.of_mut(Track::Stable).record(0.010, &[0.25]);
        samples.of_mut(Track::Canary).record_failure(Failure::Error);
        let earlier = samples.clone();
        samples.of_mut(Track::Stable).record(0.020, &[0.25, 0.75]);
        samples.of_mut(Track::Canary).record_failure(Failure::Deadline);
        let weight = Weight::from_percent(10.0).unwrap();
        let increment = Increment::between(weight, &earlier, &samples).unwrap();
        assert_eq!((increment.stable.requests, increment.stable.failures), (1, 0));
        assert_eq!((increment.canary.requests, increment.canary.failures), (1, 1));
        assert_eq!(increment.stable.latency.len(), 1);
        assert!((increment.stable.latency[0].0 - 0.020).abs() < 0.0001);
        assert_eq!(increment.stable.score.iter().map(|point| point.1).sum::<u64>(), 1);
        assert!(increment.canary.latency.is_empty() && !increment.is_empty());
        assert!(Increment::between(weight, &samples, &samples).unwrap().is_empty());
        assert_eq!(Increment::between(weight, &samples, &earlier), None);
    }
}
