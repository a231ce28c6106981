//! Was the machine itself slow? Both tracks slow at once, compared with what was usual.
//!
//! Such a tick is counted and shown, and nothing else: its bets stand. They compare the tracks within the
//! tick, so a stall that hits both moves neither; and leaving ticks out because of what was measured in
//! them would choose the evidence by its outcome (docs/statistics.md).

use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

use crate::canary::observed::increment::Increment;
use crate::canary::policy::judge_policy::STALL_FACTOR;

/// What is usual, and how often it was not so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StallMonitor {
    counts: Stalls,
    /// Stable's medians of the last ticks, the oldest first, in seconds.
    past: VecDeque<f64>,
}

/// How many ticks of how many fell into a stall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stalls {
    /// Ticks in which both tracks were slow at once.
    pub stalled: u64,
    /// Ticks that could be compared with those before them.
    pub compared: u64,
}

/// The past is so many ticks: a minute. Half of it decides what is usual, so a new level is usual after
/// half a minute.
const MAX_PAST: usize = 60;

/// With fewer ticks nothing is usual yet.
const MIN_PAST: usize = 10;

/// A median of fewer latencies of stable's says little.
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

    /// How often it was so.
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

/// The median of values in ascending order with their counts, and how many they are.
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
    fn what_stays_slow_is_usual_after_half_a_minute() {
        let quiet = (0..60).map(|number| stalled(number, 1.0, 1.0));
        let slow = (60..200).map(|number| stalled(number, 10.0, 10.0));
        assert_eq!(counted(quiet.chain(slow)).stalled, 30);
    }

    #[test]
    fn too_little_is_no_stall() {
        let few = |number: u32| {
            let mut tick = stalled(number, if number > 50 { 10.0 } else { 1.0 }, 10.0);
            tick.stable.latency.truncate(4);
            tick
        };
        assert_eq!(counted((0..100).map(few)), Stalls::default());
    }
}
