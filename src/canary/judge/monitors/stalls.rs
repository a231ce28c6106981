//! Machine stalls: ticks in which both tracks are slow compared with stable's usual latency.
//!
//! Stalls are counted and reported, and their ticks are judged like any other. The bets compare the tracks
//! within a tick, so a stall that hits both favors neither; and leaving out ticks because of their
//! measurements would select the evidence by its outcome (docs/statistics.md).

use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::observed::increment::Increment;
use crate::canary::policy::judge_policy::STALL_FACTOR;

/// Stable's usual latency, and the stalls so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StallMonitor {
    counts: Stalls,
    /// Stable's medians of the last ticks, the oldest first, in seconds.
    past: VecDeque<f64>,
}

/// The number of stalls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Stalls {
    /// Ticks in which both tracks were slow.
    pub stalled: u64,
    /// Ticks that had enough history to compare with.
    pub compared: u64,
}

/// The history covers a minute of ticks. Its median is the usual latency, so a new level becomes usual after
/// half a minute.
const MAX_PAST: usize = 60;

/// Ticks needed before there is a usual latency.
const MIN_PAST: usize = 10;

/// Stable latencies needed for a meaningful median.
const MIN_STABLE: u64 = 5;

impl StallMonitor {
    /// Takes in one tick.
    pub(crate) fn tick(&mut self, increment: &Increment) {
        let Some((stable, count)) = median(&increment.stable.latency) else { return };
        if count < MIN_STABLE {
            return;
        }
        if let (Some(usual), Some((canary, _))) = (self.usual(), median(&increment.canary.latency))
        {
            self.counts.compared += 1;
            self.counts.stalled += u64::from(stable.min(canary) > STALL_FACTOR * usual);
        }
        if self.past.len() >= MAX_PAST {
            self.past.pop_front();
        }
        self.past.push_back(stable);
    }

    /// The stalls so far.
    pub(crate) fn counts(&self) -> Stalls {
        self.counts
    }

    fn usual(&self) -> Option<f64> {
        if self.past.len() < MIN_PAST {
            return None;
        }
        let mut past: Vec<f64> = self.past.iter().copied().collect();
        past.sort_by(f64::total_cmp);
        past.get(past.len() / 2).copied()
    }
}

/// The median of counted values in ascending order, and the number of values.
fn median(values: &[(f64, u64)]) -> Option<(f64, u64)> {
    let count = values.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    let mut so_far = 0_u64;
    let middle = values.iter().find(|(_, count_here)| {
        so_far = so_far.saturating_add(*count_here);
        so_far > count / 2
    });
    middle.map(|(value, _)| (*value, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::judge::sequential::tests::second;

    fn stalled(number: u32, stable: f64, canary: f64) -> Increment {
        let mut tick = second(number, 1.0, 0);
        tick.stable.latency.iter_mut().for_each(|value| value.0 *= stable);
        tick.canary.latency.iter_mut().for_each(|value| value.0 *= canary);
        for track in [&mut tick.stable, &mut tick.canary] {
            track.latency.sort_by(|left, right| left.0.total_cmp(&right.0));
        }
        tick
    }

    fn counted(ticks: impl IntoIterator<Item = Increment>) -> Stalls {
        let mut monitor = StallMonitor::default();
        ticks.into_iter().for_each(|tick| monitor.tick(&tick));
        monitor.counts()
    }

    #[test]
    fn a_stall_is_both_tracks_slow_at_once() {
        for (stable, canary, expected) in
            [(1.0, 1.0, 0), (10.0, 10.0, 5), (10.0, 1.0, 0), (1.0, 10.0, 0), (2.0, 2.0, 0)]
        {
            let quiet = (0..30).map(|number| stalled(number, 1.0, 1.0));
            let noisy = (30..35).map(|number| stalled(number, stable, canary));
            let counts = counted(quiet.chain(noisy));
            assert_eq!((counts.stalled, counts.compared), (expected, 25), "{stable} {canary}");
        }
    }

    #[test]
    fn a_lasting_slowdown_becomes_usual_after_half_a_minute() {
        let quiet = (0..60).map(|number| stalled(number, 1.0, 1.0));
        let slow = (60..200).map(|number| stalled(number, 10.0, 10.0));
        assert_eq!(counted(quiet.chain(slow)).stalled, 30);
    }

    #[test]
    fn too_few_samples_are_not_a_stall() {
        let few = |number: u32| {
            let mut tick = stalled(number, if number > 50 { 10.0 } else { 1.0 }, 10.0);
            tick.stable.latency.truncate(4);
            tick
        };
        assert_eq!(counted((0..100).map(few)), Stalls::default());
    }
}
