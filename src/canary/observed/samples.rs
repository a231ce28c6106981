//! Samples of each track: requests, failures by kind, latencies and scores. Constant in memory; samples of
//! several workers merge.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::outputs::Means;
use super::outputs::Numbers;
use crate::canary::traffic::track::Track;
use crate::stats::Layout;
use crate::stats::LayoutMismatch;
use crate::stats::Summary;

/// The ways in which a prediction fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The model returned an error.
    Error,
    /// The model panicked.
    Panic,
    /// The model returned NaN, an infinity, or as a probability a number outside 0 to 1.
    NotAProbability,
    /// The model did not answer in time.
    Deadline,
    /// Predictions hang in every inference thread.
    Busy,
    /// The circuit breaker was open, so the model was not called.
    BreakerOpen,
}

impl Failure {
    /// All kinds, in their order.
    pub const ALL: [Failure; 6] = [
        Failure::Error,
        Failure::Panic,
        Failure::NotAProbability,
        Failure::Deadline,
        Failure::Busy,
        Failure::BreakerOpen,
    ];

    /// The word for programs, as in [`Failures`].
    pub fn name(self) -> &'static str {
        match self {
            Failure::Error => "error",
            Failure::Panic => "panic",
            Failure::NotAProbability => "not_a_probability",
            Failure::Deadline => "deadline",
            Failure::Busy => "busy",
            Failure::BreakerOpen => "breaker_open",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Error => "returned an error",
            Failure::Panic => "panicked",
            Failure::NotAProbability => {
                "returned a number that is not a probability, or not finite"
            }
            Failure::Deadline => "missed its deadline",
            Failure::Busy => "hangs in every inference thread",
            Failure::BreakerOpen => "was not called, because its circuit breaker is open",
        })
    }
}

/// Failed predictions by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Failures {
    /// The model returned an error.
    pub error: u64,
    /// The model panicked.
    pub panic: u64,
    /// The model returned NaN, an infinity, or as a probability a number outside 0 to 1.
    pub not_a_probability: u64,
    /// The model did not answer in time.
    pub deadline: u64,
    /// Predictions hang in every inference thread.
    pub busy: u64,
    /// The circuit breaker was open, so the model was not called.
    pub breaker_open: u64,
}

impl Failures {
    /// The sum of all kinds.
    pub fn total(&self) -> u64 {
        let Failures { error, panic, not_a_probability, deadline, busy, breaker_open } = *self;
        [error, panic, not_a_probability, deadline, busy, breaker_open]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// How many there were of one kind.
    pub fn of(&self, failure: Failure) -> u64 {
        match failure {
            Failure::Error => self.error,
            Failure::Panic => self.panic,
            Failure::NotAProbability => self.not_a_probability,
            Failure::Deadline => self.deadline,
            Failure::Busy => self.busy,
            Failure::BreakerOpen => self.breaker_open,
        }
    }

    pub(crate) fn count(&mut self, failure: Failure) {
        *match failure {
            Failure::Error => &mut self.error,
            Failure::Panic => &mut self.panic,
            Failure::NotAProbability => &mut self.not_a_probability,
            Failure::Deadline => &mut self.deadline,
            Failure::Busy => &mut self.busy,
            Failure::BreakerOpen => &mut self.breaker_open,
        } += 1;
    }

    pub(crate) fn merge(&mut self, other: &Failures) {
        self.error = self.error.saturating_add(other.error);
        self.panic = self.panic.saturating_add(other.panic);
        self.not_a_probability = self.not_a_probability.saturating_add(other.not_a_probability);
        self.deadline = self.deadline.saturating_add(other.deadline);
        self.busy = self.busy.saturating_add(other.busy);
        self.breaker_open = self.breaker_open.saturating_add(other.breaker_open);
    }
}

/// Samples of one track.
///
/// A failed request counts in `requests` and `failures`. It has no latency, which a deadline would cut off,
/// and no score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackSamples {
    /// Requests assigned to the track.
    pub requests: u64,
    /// Requests that it failed to answer.
    pub failures: Failures,
    /// Seconds from the start of the inference to the answer, injected delays included.
    pub latency: Summary,
    /// The mean of the probabilities predicted for the rows of a request: one value per request, because its
    /// rows were assigned to the track together.
    pub score: Summary,
    /// The same for outputs that are not one probability; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Box<Numbers>>,
}

impl Default for TrackSamples {
    fn default() -> TrackSamples {
        TrackSamples {
            requests: 0,
            failures: Failures::default(),
            latency: Summary::new(Layout::Seconds),
            score: Summary::new(Layout::UnitInterval),
            numbers: None,
        }
    }
}

impl TrackSamples {
    /// Counts a request that was answered after `latency_seconds` with these probabilities.
    pub fn record(&mut self, latency_seconds: f64, scores: &[f64]) {
        self.requests += 1;
        self.latency.record(latency_seconds);
        if !scores.is_empty() {
            self.score.record(scores.iter().sum::<f64>() / scores.len() as f64);
        }
    }

    /// Counts a request that was answered after `latency_seconds` with outputs of these means.
    pub fn record_means(&mut self, latency_seconds: f64, means: Means<'_>) {
        self.requests += 1;
        self.latency.record(latency_seconds);
        match means {
            Means::Probability(mean) => self.score.record(mean),
            Means::Probabilities(means) => {
                let begin = || Box::new(Numbers::of_classes(means.len(), Layout::UnitInterval));
                let numbers = self.numbers.get_or_insert_with(begin);
                numbers.record_classes(means.iter().copied());
            }
            Means::Score(mean) => {
                let begin = || Box::new(Numbers::of_scores());
                self.numbers.get_or_insert_with(begin).record_score(mean);
            }
        }
    }

    /// Counts a request that this track failed to answer.
    pub fn record_failure(&mut self, failure: Failure) {
        self.requests += 1;
        self.failures.count(failure);
    }

    /// Adds the samples of another worker.
    ///
    /// # Errors
    /// When the other's histograms have other buckets.
    pub fn merge(&mut self, other: &TrackSamples) -> Result<(), LayoutMismatch> {
        self.latency.merge(&other.latency)?;
        self.score.merge(&other.score)?;
        Numbers::merge_into(&mut self.numbers, other.numbers.as_deref())?;
        self.requests = self.requests.saturating_add(other.requests);
        self.failures.merge(&other.failures);
        Ok(())
    }
}

/// Samples of both tracks since the current step began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Samples {
    /// Stable.
    pub stable: TrackSamples,
    /// The canary.
    pub canary: TrackSamples,
}

impl Samples {
    /// The samples of one track.
    pub fn of(&self, track: Track) -> &TrackSamples {
        match track {
            Track::Stable => &self.stable,
            Track::Canary => &self.canary,
        }
    }

    /// The samples of one track, to record into.
    pub fn of_mut(&mut self, track: Track) -> &mut TrackSamples {
        match track {
            Track::Stable => &mut self.stable,
            Track::Canary => &mut self.canary,
        }
    }

    /// Adds the samples of another worker.
    ///
    /// # Errors
    /// When the other's histograms have other buckets.
    pub fn merge(&mut self, other: &Samples) -> Result<(), LayoutMismatch> {
        self.stable.merge(&other.stable)?;
        self.canary.merge(&other.canary)
    }

    /// Whether every request was either answered or failed.
    pub fn adds_up(&self) -> bool {
        [&self.stable, &self.canary].into_iter().all(|track| {
            track.latency.count().checked_add(track.failures.total()) == Some(track.requests)
        })
    }

    /// Whether outputs that are not one probability have their layouts.
    pub fn has_sound_numbers(&self) -> bool {
        [&self.stable, &self.canary]
            .into_iter()
            .filter_map(|track| track.numbers.as_deref())
            .all(|numbers| numbers.is_sound(Layout::UnitInterval))
    }

    /// Requests of both tracks.
    pub fn requests(&self) -> u64 {
        self.stable.requests.saturating_add(self.canary.requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_failed_request_counts_as_a_request_without_a_latency() {
        let mut samples = Samples::default();
        samples.of_mut(Track::Canary).record(0.002, &[0.4]);
        samples.of_mut(Track::Canary).record_failure(Failure::Panic);
        samples.of_mut(Track::Canary).record_failure(Failure::Deadline);
        assert_eq!(samples.canary.requests, 3);
        assert_eq!(samples.canary.failures.total(), 2);
        assert_eq!(samples.canary.latency.count(), 1);
        assert_eq!(samples.stable.requests, 0);
        assert_eq!(samples.requests(), 3);
    }

    #[test]
    fn samples_of_two_workers_merge() {
        let (mut one, mut two) = (Samples::default(), Samples::default());
        one.of_mut(Track::Stable).record(0.001, &[0.25, 0.75]);
        two.of_mut(Track::Stable).record(0.003, &[0.5]);
        two.of_mut(Track::Canary).record_failure(Failure::Busy);
        one.merge(&two).unwrap();
        assert_eq!(one.stable.requests, 2);
        assert_eq!(one.stable.score.count(), 2, "the rows of a request are one value");
        assert_eq!(one.stable.score.mean(), Some(0.5));
        assert_eq!(one.stable.latency.mean(), Some(0.002));
        assert_eq!(one.canary.failures.busy, 1);
    }

    #[test]
    fn samples_are_read_back_as_written() {
        let mut samples = Samples::default();
        for n in 0..100 {
            samples.of_mut(Track::Stable).record(f64::from(n) * 1e-6, &[f64::from(n) / 100.0]);
        }
        samples.of_mut(Track::Canary).record_failure(Failure::Error);
        let text = serde_json::to_string(&samples).unwrap();
        assert_eq!(serde_json::from_str::<Samples>(&text).unwrap(), samples);
    }

    proptest! {
        // serin could not start with a checkpoint or a journal entry that it cannot read.
        #[test]
        fn merged_samples_can_be_read_back(
            latencies in prop::collection::vec(prop::collection::vec(any_latency(), 0..40), 1..6),
        ) {
            let mut merged = Samples::default();
            for shard in &latencies {
                let mut samples = Samples::default();
                for &latency in shard {
                    samples.of_mut(Track::Canary).record(latency, &[(latency / 100.0).fract()]);
                }
                merged.merge(&samples).unwrap();
            }
            let text = serde_json::to_string(&merged).unwrap();
            let read: Samples = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &merged);
            let inputs = crate::canary::judge::health_check::Inputs::from(&merged);
            let text = serde_json::to_string(&inputs).unwrap();
            prop_assert_eq!(serde_json::from_str::<crate::canary::judge::health_check::Inputs>(&text).unwrap(), inputs);
        }
    }

    fn any_latency() -> impl Strategy<Value = f64> {
        prop_oneof![
            Just(0.0),
            Just(0.1),
            Just(1e-7),
            Just(3.3e-7),
            1e-9..1e-6,
            1e-6..1.0,
            0.0999999..0.1000001,
            1.0..1e6_f64,
        ]
    }
}
