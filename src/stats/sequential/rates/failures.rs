//! Monitor of failures: does the canary fail more often than stable?

use serde::Deserialize;
use serde::Serialize;

use crate::stats::sequential::bets::betting::Bet;
use crate::stats::sequential::bets::betting::Stake;
use crate::stats::sequential::bets::events::Events;
use crate::stats::sequential::confidence_sequence::Score;
use crate::stats::sequential::e_process::EProcess;
use crate::stats::sequential::recent_mean::RecentMean;
use crate::stats::sequential::recent_spread::RecentSpread;

/// What one track did in one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackCounts {
    /// Requests assigned to the track.
    pub requests: u64,
    /// Failed requests; never more than the requests.
    pub failures: u64,
}

/// The margins of failures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureMargins {
    /// The ratio of failure rates beyond which the canary does harm; 1 forgives nothing.
    pub harmful_ratio: f64,
    /// The difference of failure rates within which it is non-inferior: 0.005 is half a percentage
    /// point. Where failures are rare, a ratio would take forever to prove.
    pub accepted_difference: f64,
}

impl Default for FailureMargins {
    fn default() -> Self {
        Self { harmful_ratio: 1.0, accepted_difference: 0.005 }
    }
}

/// The sequential test of failures.
///
/// Harm is tested by [`Events`], which asks whose failure it was and answers from the first failure
/// on. Non-inferiority is tested by a [`Bet`] on the 0/1 value against "more often by at least the
/// accepted difference".
///
/// ```
/// use serin::stats::sequential::FailureMargins;
/// use serin::stats::sequential::FailureMonitor;
/// use serin::stats::sequential::TrackCounts;
///
/// let mut failures = FailureMonitor::new(FailureMargins::default());
/// let stable = TrackCounts { requests: 90, failures: 0 };
/// failures.tick(0.1, TrackCounts { requests: 10, failures: 2 }, stable);
/// assert!(failures.harm.reached(0.05));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureMonitor {
    accepted_difference: f64,
    events: Events,
    not_worse: Bet,
    tracker: RecentSpread,
    /// The evidence that the canary fails more often than the harmful ratio allows.
    pub harm: EProcess,
    /// The evidence that it fails more often by less than the accepted difference.
    pub proven: EProcess,
    /// Stable's recent rate, which the effect is measured from.
    center: RecentMean,
    /// The difference of the failure rates, to draw with its interval: 0.01 is one percentage
    /// point. The verdict comes from the e-values.
    pub effect: Score,
}

impl FailureMonitor {
    /// A monitor without data. An accepted difference outside 0 to 1 is taken as 0, which only a canary
    /// that fails less can prove.
    pub fn new(margins: FailureMargins) -> Self {
        let difference = margins.accepted_difference;
        Self {
            accepted_difference: if (0.0..1.0).contains(&difference) { difference } else { 0.0 },
            events: Events::with_fixed_share(margins.harmful_ratio),
            not_worse: Bet::default(),
            tracker: RecentSpread::default(),
            harm: EProcess::default(),
            proven: EProcess::default(),
            center: RecentMean::default(),
            effect: Score::default(),
        }
    }

    /// Takes in one tick.
    pub fn tick(&mut self, share: f64, canary: TrackCounts, stable: TrackCounts) {
        self.events.tick(
            share,
            canary.failures.min(canary.requests),
            stable.failures.min(stable.requests),
        );
        self.harm.observe(self.events.log_e());
        // u = the canary succeeded; v = stable did, minus the accepted difference.
        let (u, v) = (outcomes(canary, 0.0), outcomes(stable, self.accepted_difference));
        if let Some((center, scale)) = self.tracker.center_and_scale(share) {
            let highest_v = 1.0 - self.accepted_difference;
            let lowest_u = 0.0;
            let stake = Stake { share, center, scale, lowest_u, highest_v };
            self.not_worse.tick(&stake, u, v);
            self.proven.observe(self.not_worse.log_e());
        }
        self.tracker.learn(&u, &v);

        let (canary, stable) = (failed(canary), failed(stable));
        // Without data the guess is 0, because failures are rare.
        let center = self.center.mean().unwrap_or(0.0);
        self.effect.tick(share, center, canary, stable);
        self.center.learn(&stable);
    }
}

/// 1 for each failure, 0 for each answer.
fn failed(track: TrackCounts) -> [(f64, u64); 2] {
    let failures = track.failures.min(track.requests);
    [(0.0, track.requests - failures), (1.0, failures)]
}

fn outcomes(track: TrackCounts, granted: f64) -> [(f64, u64); 2] {
    let failures = track.failures.min(track.requests);
    [(1.0 - granted, track.requests - failures), (-granted, failures)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(requests: u64, failures: u64) -> TrackCounts {
        TrackCounts { requests, failures }
    }

    #[test]
    fn without_failures_non_inferiority_is_proven_within_minutes() {
        let mut monitor = FailureMonitor::new(FailureMargins::default());
        let needed = (1..=3600).find(|_| {
            monitor.tick(0.1, counts(10, 0), counts(90, 0));
            monitor.proven.reached(0.05)
        });
        assert!(needed.is_some_and(|seconds| seconds < 300), "{needed:?}");
        assert!(monitor.harm.log_e().abs() < 1e-12);
    }

    #[test]
    fn the_effect_is_the_difference_of_the_rates() {
        let mut monitor = FailureMonitor::new(FailureMargins::default());
        assert_eq!(monitor.effect.effect(), None);
        for _ in 0..2000 {
            monitor.tick(0.1, counts(10, 1), counts(90, 2));
        }
        let interval = monitor.effect.interval(0.05, 1000.0).unwrap();
        let expected = 0.1 - 2.0 / 90.0;
        assert!((interval.effect - expected).abs() < 0.001, "{interval:?}");
        assert!(interval.low > 0.0 && interval.high < 0.1, "{interval:?}");
    }

    #[test]
    fn empty_ticks_and_impossible_counts_give_numbers() {
        let mut monitor = FailureMonitor::new(FailureMargins {
            harmful_ratio: f64::NAN,
            accepted_difference: f64::INFINITY,
        });
        for share in [0.0, 0.1, 0.5, 1.0, f64::NAN] {
            for (canary, stable) in
                [((0, 0), (0, 0)), ((1, 9), (0, 0)), ((0, 0), (100, 0)), ((5, 5), (7, 100))]
            {
                monitor.tick(share, counts(canary.0, canary.1), counts(stable.0, stable.1));
                assert!(monitor.harm.log_e().is_finite() && monitor.proven.log_e().is_finite());
            }
        }
    }
}
