//! Sample ratio: whether each track got its share of the requests, and all were counted.
//!
//! serin routes the requests itself and counts every routed one, even if its client gave up on a slow
//! canary. A mismatch therefore means that the count or the assignment is broken, for example because a
//! client chooses its keys by the version that answered. If a track's slow requests were lost, the rest
//! would look fast, so nothing is promoted on such numbers.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::observed::increment::Increment;
use crate::canary::policy::judge_policy::RATIO_ALPHA;
use crate::stats::sequential::EProcess;
use crate::stats::sequential::SampleRatio;

/// The monitor of the shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RatioMonitor {
    ratio: SampleRatio,
    seen: Shares,
    /// The largest number of requests in a tick.
    busiest: u64,
}

/// Requests of both tracks, and the canary's expected number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// The canary's requests, the first of each key.
    pub canary: u64,
    /// Stable's requests, the first of each key.
    pub stable: u64,
    /// The expected number of canary requests among them.
    pub expected_canary: f64,
}

/// The numbers of the shares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RatioMeasured {
    /// The counts.
    pub shares: Shares,
    /// The evidence for a mismatch.
    pub evidence: EProcess,
}

/// Ticks' worth of requests, at the busiest rate, that may be in flight: a tick is a second, and by default
/// a canary has one second to answer.
const TICKS_UNDER_WAY: u64 = 2;

impl RatioMonitor {
    /// Takes in one tick.
    pub(crate) fn tick(&mut self, increment: &Increment) {
        let share = increment.weight.share();
        let (canary, stable) = (increment.canary.requests, increment.stable.requests);
        if increment.weight.is_certain() {
            return;
        }
        let all = canary.saturating_add(stable);
        self.busiest = self.busiest.max(all);
        let seen = &mut self.seen;
        seen.canary = seen.canary.saturating_add(canary);
        seen.stable = seen.stable.saturating_add(stable);
        seen.expected_canary += share * all as f64;
        let under_way = self.busiest.saturating_mul(TICKS_UNDER_WAY);
        self.ratio.tick(share, canary, stable, under_way);
    }

    /// The numbers to judge by.
    pub(crate) fn measured(&self) -> RatioMeasured {
        RatioMeasured { shares: self.seen, evidence: *self.ratio.evidence() }
    }
}

impl RatioMeasured {
    /// Whether there is a mismatch. It stays, because the evidence never falls.
    pub fn is_off(&self) -> bool {
        self.evidence.reached(RATIO_ALPHA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::observed::increment::TrackIncrement;
    use crate::canary::traffic::weight::Weight;

    fn tick(percent: f64, stable: u64, canary: u64) -> Increment {
        let track = |requests| TrackIncrement { requests, ..TrackIncrement::default() };
        Increment {
            weight: Weight::from_percent(percent).unwrap(),
            stable: track(stable),
            canary: track(canary),
            ..Increment::default()
        }
    }

    #[test]
    fn a_canary_that_loses_a_tenth_of_its_requests_is_found_within_minutes() {
        let mut monitor = RatioMonitor::default();
        let found = (1..3600).find(|_| {
            monitor.tick(&tick(10.0, 900, 90));
            monitor.measured().is_off()
        });
        assert!(found.is_some_and(|seconds| (2..300).contains(&seconds)), "{found:?}");
    }

    #[test]
    fn late_requests_are_not_counted_as_lost() {
        let mut monitor = RatioMonitor::default();
        // The canary takes a second longer: its first hundred requests are under way for good.
        monitor.tick(&tick(10.0, 900, 0));
        for _ in 0..3600 {
            monitor.tick(&tick(10.0, 900, 100));
        }
        assert!(!monitor.measured().is_off(), "{:?}", monitor.measured());
        // So it is at each step of a ramp.
        for percent in [25.0, 50.0, 75.0] {
            monitor.tick(&tick(percent, (10.0 * (100.0 - percent)) as u64, 0));
            for _ in 0..600 {
                monitor.tick(&tick(
                    percent,
                    (10.0 * (100.0 - percent)) as u64,
                    (10.0 * percent) as u64,
                ));
            }
        }
        assert!(!monitor.measured().is_off(), "{:?}", monitor.measured());
    }

    #[test]
    fn without_random_assignment_nothing_is_expected() {
        let mut monitor = RatioMonitor::default();
        (0..100).for_each(|_| monitor.tick(&tick(100.0, 1000, 0)));
        assert_eq!(monitor.measured().shares, Shares::default());
        assert!(!monitor.measured().is_off());
    }
}
