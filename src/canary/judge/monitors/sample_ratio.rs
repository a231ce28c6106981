//! Did each track get the requests that it should have got, and were they all counted?
//!
//! serin routes the requests itself and counts each that it has routed, also one whose client has given up
//! on a slow canary. So a share that is off means that the count is broken, or the coin: a client chooses its
//! keys by who has answered them. If a track's slow requests were lost, what is left would look fast: nothing
//! should be promoted on such numbers.

use serde::Deserialize;
use serde::Serialize;

use crate::canary::observed::increment::Increment;
use crate::canary::policy::judge_policy::RATIO_ALPHA;
use crate::stats::sequential::EProcess;
use crate::stats::sequential::SampleRatio;

/// What has been learned of the shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RatioMonitor {
    ratio: SampleRatio,
    seen: Shares,
    /// The most requests of a tick.
    busiest: u64,
}

/// The canary's requests, and how many they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// Requests of the version on trial. Of a key that comes back only the first counts.
    pub canary: u64,
    /// Requests of the trusted version.
    pub stable: u64,
    /// How many the canary should have of all these.
    pub expected_canary: f64,
}

/// The numbers of the shares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatioMeasured {
    /// What was counted.
    pub shares: Shares,
    /// The evidence that the shares are not the intended ones.
    pub evidence: EProcess,
}

/// How many of the busiest tick's requests may be under way: a tick is a second, and by default a canary
/// has one second to answer.
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
        self.ratio.tick_with_others_under_way(share, canary, stable, under_way);
    }

    /// The numbers to judge by.
    pub(crate) fn measured(&self) -> RatioMeasured {
        RatioMeasured { shares: self.seen, evidence: *self.ratio.evidence() }
    }
}

impl RatioMeasured {
    /// Whether the shares are not the intended ones, for good.
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
    fn requests_that_are_only_late_are_not_lost() {
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
    fn where_no_coin_falls_nothing_is_expected() {
        let mut monitor = RatioMonitor::default();
        (0..100).for_each(|_| monitor.tick(&tick(100.0, 1000, 0)));
        assert_eq!(monitor.measured().shares, Shares::default());
        assert!(!monitor.measured().is_off());
    }
}
