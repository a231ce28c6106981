//! Which recorded values wait for the judge? Those of the metrics that the policy of the rollout judges,
//! until there are enough of both tracks to be compared.
//!
//! Nobody flips a coin for a recorded value, so it is compared with the others of its tick, whose
//! share is the one observed. A tick with values of one track alone would compare nothing, and one
//! with a single value of each hardly anything: so values wait until there are [`FEWEST`] of both.

use std::collections::BTreeMap;

use crate::canary::MetricName;
use crate::canary::Track;
use crate::canary::increment::RecordedIncrement;
use crate::stats::Histogram;
use crate::stats::Layout;

/// So many values of each track make a tick.
pub const FEWEST: u64 = 10;

/// The values that wait, 144 kB a metric whatever their number.
#[derive(Default)]
pub struct Pending(BTreeMap<MetricName, Waiting>);

struct Waiting {
    stable: Histogram,
    canary: Histogram,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting { stable: Histogram::new(Layout::ANY), canary: Histogram::new(Layout::ANY) }
    }
}

impl Pending {
    /// Nothing waits, and values of these metrics will.
    pub fn of(metrics: impl IntoIterator<Item = MetricName>) -> Pending {
        Pending(metrics.into_iter().map(|name| (name, Waiting::default())).collect())
    }

    /// Keeps a value, if its metric is judged.
    pub fn record(&mut self, track: Track, metric: &MetricName, value: f64) {
        if let Some(Waiting { stable, canary }) = self.0.get_mut(metric) {
            match track {
                Track::Stable => stable.record(value),
                Track::Canary => canary.record(value),
            }
        }
    }

    /// The metrics that have enough of both tracks, which then wait for nothing.
    pub fn take(&mut self) -> BTreeMap<MetricName, RecordedIncrement> {
        let enough = |waiting: &Waiting| {
            waiting.stable.count() >= FEWEST && waiting.canary.count() >= FEWEST
        };
        let points = |histogram: &Histogram| histogram.points().as_slice().to_vec();
        self.0
            .iter_mut()
            .filter(|(_, waiting)| enough(waiting))
            .map(|(name, waiting)| {
                let Waiting { stable, canary } = std::mem::take(waiting);
                let increment =
                    RecordedIncrement { stable: points(&stable), canary: points(&canary) };
                (name.clone(), increment)
            })
            .collect()
    }

    /// Forgets the values, not the metrics.
    pub fn clear(&mut self) {
        self.0.values_mut().for_each(|waiting| *waiting = Waiting::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_wait_until_there_are_enough_of_both_tracks() {
        let revenue = MetricName::new("revenue").unwrap();
        let mut pending = Pending::of([revenue.clone()]);
        for _ in 0..50 {
            pending.record(Track::Stable, &revenue, 12.0);
            pending.record(Track::Stable, &MetricName::new("other").unwrap(), 1.0);
        }
        assert!(pending.take().is_empty());
        for value in 0..10 {
            pending.record(Track::Canary, &revenue, -f64::from(value));
        }
        let taken = pending.take();
        let count = |values: &[(f64, u64)]| values.iter().map(|value| value.1).sum::<u64>();
        assert_eq!(taken.len(), 1);
        assert_eq!((count(&taken[&revenue].stable), count(&taken[&revenue].canary)), (50, 10));
        assert!(pending.take().is_empty());
    }
}
