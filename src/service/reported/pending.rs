//! Recorded values that wait for the judge until there are enough of both tracks.
//!
//! serin does not randomize recorded values, so each is compared with the others of its tick at the observed
//! share. A tick with few values compares little, so values wait until there are [`MIN_VALUES`] of both tracks,
//! but never over a change of the canary's share. A key stays on one track, so only the first value of each key
//! and metric waits.

use std::collections::BTreeMap;

use crate::canary::MetricName;
use crate::canary::Track;
use crate::canary::observed::increment::RecordedIncrement;
use crate::service::serving::keys::seen_keys::KeySet;
use crate::service::serving::keys::seen_keys::KeyUse;
use crate::stats::Histogram;
use crate::stats::Layout;

/// Values that each track needs for a tick.
pub const MIN_VALUES: u64 = 10;

/// Values can be judged if they are 0 or have a magnitude between these limits: the buckets of
/// [`Layout::Any`] do not distinguish values beyond.
pub const MIN_MAGNITUDE: f64 = 1e-9;
/// See [`MIN_MAGNITUDE`].
pub const MAX_MAGNITUDE: f64 = 1e12;

/// The waiting values: 240 kB for each metric, whatever their number.
#[derive(Default)]
pub struct Pending(BTreeMap<MetricName, MetricValues>);

/// The values of one metric.
struct MetricValues {
    waiting: Waiting,
    /// Keys with a judged value in this rollout.
    judged_keys: KeySet,
    /// Keys with a waiting value. If the value is dropped, the next value of the key counts.
    waiting_keys: KeySet,
}

struct Waiting {
    stable: Histogram,
    canary: Histogram,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting { stable: Histogram::new(Layout::Any), canary: Histogram::new(Layout::Any) }
    }
}

impl Pending {
    /// Collects values of these metrics, with the salt of the rollout.
    pub fn of(metrics: impl IntoIterator<Item = MetricName>, salt: u128) -> Pending {
        let values = || MetricValues {
            waiting: Waiting::default(),
            judged_keys: KeySet::new(salt),
            waiting_keys: KeySet::new(salt),
        };
        Pending(metrics.into_iter().map(|name| (name, values())).collect())
    }

    /// Whether a value is in the range that can be judged, if its metric is.
    pub fn takes(&self, metric: &MetricName, value: f64) -> bool {
        let in_range = value == 0.0 || (MIN_MAGNITUDE..=MAX_MAGNITUDE).contains(&value.abs());
        in_range || !self.judges(metric)
    }

    /// Keeps a value, if its metric is judged and it is the first of its key.
    pub fn record(&mut self, track: Track, metric: &MetricName, value: f64, key: Option<&str>) {
        if let Some(MetricValues { waiting, judged_keys, waiting_keys }) = self.0.get_mut(metric) {
            let is_known =
                |key| judged_keys.knows(key) || waiting_keys.mark(key) == KeyUse::Repeated;
            if key.is_some_and(is_known) {
                return;
            }
            let Waiting { stable, canary } = waiting;
            match track {
                Track::Stable => stable.record(value),
                Track::Canary => canary.record(value),
            }
        }
    }

    /// Takes the metrics that have enough of both tracks.
    pub fn take(&mut self) -> BTreeMap<MetricName, RecordedIncrement> {
        let enough = |MetricValues { waiting, .. }: &MetricValues| {
            waiting.stable.count() >= MIN_VALUES && waiting.canary.count() >= MIN_VALUES
        };
        let points = |histogram: &Histogram| histogram.points().as_slice().to_vec();
        self.0
            .iter_mut()
            .filter(|(_, values)| enough(values))
            .map(|(name, values)| {
                let Waiting { stable, canary } = std::mem::take(&mut values.waiting);
                values.judged_keys.add(&values.waiting_keys);
                values.waiting_keys.forget();
                let increment =
                    RecordedIncrement { stable: points(&stable), canary: points(&canary) };
                (name.clone(), increment)
            })
            .collect()
    }

    /// Drops the waiting values and their keys; metrics and judged keys stay.
    pub fn clear(&mut self) {
        for MetricValues { waiting, waiting_keys, .. } in self.0.values_mut() {
            *waiting = Waiting::default();
            waiting_keys.forget();
        }
    }

    /// Whether values of this metric are judged.
    pub fn judges(&self, metric: &MetricName) -> bool {
        self.0.contains_key(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_wait_until_there_are_enough_of_both_tracks() {
        let revenue = MetricName::new("revenue").unwrap();
        let mut pending = Pending::of([revenue.clone()], 7);
        for _ in 0..50 {
            pending.record(Track::Stable, &revenue, 12.0, None);
            pending.record(Track::Stable, &MetricName::new("other").unwrap(), 1.0, None);
        }
        assert!(pending.take().is_empty());
        for value in 0..9 {
            pending.record(Track::Canary, &revenue, -f64::from(value), None);
        }
        assert!(pending.take().is_empty());
        // A key stays on its track: all its values are one random draw.
        for value in 0..50 {
            pending.record(Track::Canary, &revenue, f64::from(value), Some("anna"));
        }
        let taken = pending.take();
        let count = |values: &[(f64, u64)]| values.iter().map(|value| value.1).sum::<u64>();
        assert_eq!(taken.len(), 1);
        assert_eq!((count(&taken[&revenue].stable), count(&taken[&revenue].canary)), (50, 10));
        assert!(pending.take().is_empty());
        // The dropped value of "berta" does not count, so the next one is her first.
        for (key, expected) in [("anna", 0), ("berta", 1), ("berta", 1)] {
            pending.clear();
            pending.record(Track::Canary, &revenue, 1.0, Some(key));
            assert_eq!(pending.0[&revenue].waiting.canary.count(), expected, "{key}");
        }
    }
}
