//! What was observed between two moments of one step: what a tick of the judge takes in.

use std::collections::BTreeMap;

use super::labels::LossIncrement;
use super::pairs::Pairs;
use super::pairs::PairsIncrement;
use super::samples::Samples;
use super::samples::TrackSamples;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::segments::SegmentName;
use crate::canary::traffic::weight::Weight;
use crate::stats::Summary;

/// What both tracks observed while the canary's share was this.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Increment {
    /// The canary's share of traffic during the tick.
    pub weight: Weight,
    /// Of the trusted version.
    pub stable: TrackIncrement,
    /// Of the version on trial.
    pub canary: TrackIncrement,
    /// Values that were measured elsewhere, by metric.
    pub recorded: BTreeMap<MetricName, RecordedIncrement>,
    /// What was observed of the requests that named a segment, by segment. A request counts in one
    /// segment of each key it names, and may have ended a moment before or after the tick's others.
    pub segments: BTreeMap<SegmentName, SegmentIncrement>,
    /// What labels that came meanwhile say of predictions, each at the share that drew it.
    pub losses: Vec<LossIncrement>,
    /// What both versions said to the same requests, in shadow.
    pub pairs: PairsIncrement,
}

/// What one track observed. Values stand with their counts, each as the middle of its bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrackIncrement {
    /// Requests that it was asked to answer.
    pub requests: u64,
    /// Those that it did not answer.
    pub failures: u64,
    /// Seconds.
    pub latency: Vec<(f64, u64)>,
    /// Predicted probabilities.
    pub score: Vec<(f64, u64)>,
}

/// What both tracks observed in one segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SegmentIncrement {
    /// Of the trusted version.
    pub stable: TrackIncrement,
    /// Of the version on trial.
    pub canary: TrackIncrement,
}

/// Values of one metric that were measured elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordedIncrement {
    /// The trusted version's.
    pub stable: Vec<(f64, u64)>,
    /// The version's on trial.
    pub canary: Vec<(f64, u64)>,
}

impl Increment {
    /// What came between two moments of one step; `None` if the first is not the earlier one, because
    /// of two who looked at once the other was quicker.
    pub fn between(weight: Weight, earlier: &Samples, now: &Samples) -> Option<Increment> {
        Some(Increment {
            weight,
            stable: TrackIncrement::between(&earlier.stable, &now.stable)?,
            canary: TrackIncrement::between(&earlier.canary, &now.canary)?,
            ..Increment::default()
        })
    }

    /// The same with the pairs that came between the two moments; `None` if the first is not the earlier
    /// one.
    pub fn with_pairs(self, earlier: Option<&Pairs>, now: Option<&Pairs>) -> Option<Increment> {
        let pairs = match (earlier, now) {
            (None, None) => PairsIncrement::default(),
            (Some(_), None) => return None,
            (None, Some(now)) => PairsIncrement::between(&Pairs::default(), now)?,
            (Some(earlier), Some(now)) => PairsIncrement::between(earlier, now)?,
        };
        Some(Increment { pairs, ..self })
    }

    /// Whether nothing was observed.
    pub fn is_empty(&self) -> bool {
        let nothing_elsewhere = self.recorded.is_empty() && self.losses.is_empty();
        let no_part = self.segments.is_empty() && self.pairs.is_empty();
        self.stable.requests == 0 && self.canary.requests == 0 && nothing_elsewhere && no_part
    }
}

impl TrackIncrement {
    fn between(earlier: &TrackSamples, now: &TrackSamples) -> Option<TrackIncrement> {
        let since = |earlier: &Summary, now: &Summary| {
            let since = now.histogram().subtract(earlier.histogram())?;
            Some(since.points().as_slice().to_vec())
        };
        Some(TrackIncrement {
            requests: now.requests.checked_sub(earlier.requests)?,
            failures: now.failures.total().checked_sub(earlier.failures.total())?,
            latency: since(&earlier.latency, &now.latency)?,
            score: since(&earlier.score, &now.score)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::observed::samples::Failure;
    use crate::canary::traffic::track::Track;

    #[test]
    fn an_increment_is_what_came_since() {
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
