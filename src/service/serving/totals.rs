//! Totals since the start of the process: unlike the samples of a step, they never fall.

pub mod distribution;
pub mod exemplars;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use self::distribution::Distribution;
use self::distribution::LATENCY_SECONDS;
use self::distribution::PROBABILITY;
use self::distribution::SCORE;
use crate::canary::Pairs;
use crate::canary::observed::outputs::Numbers;
use crate::canary::observed::samples::Failure;
use crate::canary::observed::samples::Failures;
use crate::canary::observed::samples::TrackSamples;

/// Counts since the process started. The status has only some of them; metrics have all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Totals {
    /// Requests of stable.
    pub stable: TrackTotals,
    /// Requests of the canaries.
    pub canary: TrackTotals,
    /// Requests of the canaries that stable answered.
    pub fallbacks: u64,
    /// The same by reason, in the order of [`FallbackReason::ALL`].
    #[serde(skip)]
    pub fallbacks_by_reason: [u64; FallbackReason::ALL.len()],
    /// Requests without an answer because no inference thread became free.
    #[serde(skip)]
    pub overloaded: u64,
    /// Requests that the canaries were to answer in shadow.
    #[serde(skip)]
    pub shadow: ShadowTotals,
    /// How often circuit breakers have opened.
    #[serde(skip)]
    pub breaker_opened: u64,
}

/// Counts of one track.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrackTotals {
    /// Requests assigned to the track.
    pub requests: u64,
    /// Failed requests, by kind.
    pub failures: Failures,
    /// Seconds per request, divided by its rows.
    #[serde(skip)]
    pub latency: Distribution,
    /// Mean predicted probability of the rows of a request, or their mean score.
    #[serde(skip)]
    pub score: Distribution,
    /// For many classes: the sum of the probabilities of each class.
    #[serde(skip)]
    pub classes: Vec<f64>,
}

/// Requests in shadow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShadowTotals {
    /// Answered by the canary.
    pub answered: u64,
    /// Failed by the canary.
    pub failed: u64,
    /// Not sent, because the queue was full.
    pub dropped: u64,
}

/// Why stable answers a request of the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackReason {
    /// The canary failed.
    Failed(Failure),
    /// No inference thread became free, or the request exceeds a limit of the server.
    Overloaded,
}

impl FallbackReason {
    /// All reasons, in the order of their index.
    pub const ALL: [FallbackReason; Failure::ALL.len() + 1] = [
        FallbackReason::Failed(Failure::Error),
        FallbackReason::Failed(Failure::Panic),
        FallbackReason::Failed(Failure::NotAProbability),
        FallbackReason::Failed(Failure::Deadline),
        FallbackReason::Failed(Failure::Busy),
        FallbackReason::Failed(Failure::BreakerOpen),
        FallbackReason::Overloaded,
    ];

    /// Its place in [`ALL`](Self::ALL).
    pub fn index(self) -> usize {
        match self {
            FallbackReason::Failed(failure) => failure as usize,
            FallbackReason::Overloaded => Failure::ALL.len(),
        }
    }

    /// The word for programs.
    pub fn name(self) -> &'static str {
        match self {
            FallbackReason::Failed(failure) => failure.name(),
            FallbackReason::Overloaded => "overloaded",
        }
    }
}

impl Totals {
    /// Adds others.
    pub(crate) fn add(&mut self, other: &Totals) {
        self.stable.add(&other.stable);
        self.canary.add(&other.canary);
        self.fallbacks = self.fallbacks.saturating_add(other.fallbacks);
        let by_reason = self.fallbacks_by_reason.iter_mut().zip(other.fallbacks_by_reason);
        by_reason.for_each(|(sum, count)| *sum = sum.saturating_add(count));
        self.overloaded = self.overloaded.saturating_add(other.overloaded);
        self.shadow.answered = self.shadow.answered.saturating_add(other.shadow.answered);
        self.shadow.failed = self.shadow.failed.saturating_add(other.shadow.failed);
        self.shadow.dropped = self.shadow.dropped.saturating_add(other.shadow.dropped);
        self.breaker_opened = self.breaker_opened.saturating_add(other.breaker_opened);
    }

    /// Adds pairs.
    pub(super) fn count_pairs(&mut self, pairs: &Pairs) {
        let answered = pairs.answered();
        self.shadow.answered = self.shadow.answered.saturating_add(answered);
        self.shadow.failed = self.shadow.failed.saturating_add(pairs.asked() - answered);
    }

    /// Keeps sums of real numbers from falling below earlier ones: in another order of addition, the same values can give
    /// a sum that is smaller in its last digit.
    pub(super) fn at_least(&mut self, earlier: &Totals) {
        let tracks = [(&mut self.stable, &earlier.stable), (&mut self.canary, &earlier.canary)];
        for (track, earlier) in tracks {
            let sums = [(&mut track.latency, &earlier.latency), (&mut track.score, &earlier.score)];
            for (now, earlier) in sums {
                *now.sum_mut() = now.sum().max(earlier.sum());
            }
            let classes = track.classes.iter_mut().zip(&earlier.classes);
            classes.for_each(|(sum, earlier)| *sum = sum.max(*earlier));
        }
    }
}

impl TrackTotals {
    /// Adds the samples of a thread.
    pub(super) fn count(&mut self, samples: &TrackSamples) {
        self.requests = self.requests.saturating_add(samples.requests);
        self.failures.merge(&samples.failures);
        self.latency.count(&samples.latency, LATENCY_SECONDS);
        match samples.numbers.as_deref() {
            None => self.score.count(&samples.score, PROBABILITY),
            Some(Numbers::Score(scores)) => self.score.count(scores, SCORE),
            Some(Numbers::Classes(classes)) => {
                let sum = |one: &crate::stats::Summary| {
                    one.mean().map_or(0.0, |mean| mean * one.count() as f64)
                };
                self.add_classes(&classes.iter().map(sum).collect::<Vec<f64>>());
            }
        }
    }

    fn add(&mut self, other: &TrackTotals) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failures.merge(&other.failures);
        self.latency.add(&other.latency);
        self.score.add(&other.score);
        self.add_classes(&other.classes);
    }

    fn add_classes(&mut self, sums: &[f64]) {
        self.classes.resize(self.classes.len().max(sums.len()), 0.0);
        self.classes.iter_mut().zip(sums).for_each(|(sum, more)| *sum += more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stand_at_their_index() {
        for (index, reason) in FallbackReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index);
        }
        for (index, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(
                (failure as usize, FallbackReason::ALL[index].name()),
                (index, failure.name())
            );
            assert_eq!(serde_json::to_value(failure).unwrap(), failure.name());
        }
    }

    #[test]
    fn sums_do_not_fall_when_they_are_added_in_another_order() {
        let samples = |latencies: &[f64]| {
            let mut samples = TrackSamples::default();
            latencies.iter().for_each(|latency| samples.record(*latency, &[0.1]));
            samples
        };
        let parts = [samples(&[0.1]), samples(&[0.2]), samples(&[0.3])];
        let mut earlier = Totals::default();
        parts.iter().rev().for_each(|part| earlier.canary.count(part));
        let mut later = Totals::default();
        parts.iter().for_each(|part| later.canary.count(part));
        later.at_least(&earlier);
        assert!(later.canary.latency.sum() >= earlier.canary.latency.sum());
        assert!(later.canary.score.sum() >= earlier.canary.score.sum());
    }
}
