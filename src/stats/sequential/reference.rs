//! Reference: the cap, ranks and thresholds taken from stable's past values.

use serde::Deserialize;
use serde::Serialize;

use crate::stats::summary::histogram::Histogram;
use crate::stats::summary::layout::Layout;
use crate::stats::summary::moments::is_recordable;
use crate::stats::summary::points::Points;

/// Values of stable needed before a reference exists. With fewer, cap and ranks would be crude, though
/// still valid.
const MIN: u64 = 20;

/// The window is halved when it holds more values than this, so that it follows the load. It then
/// holds 8 to 16 thousand values, enough for a p99 within a tenth of a percentage point.
const MAX: u64 = 16_384;

/// A new reference is made when the window has gained one part in this many.
const FRESH_PARTS: u64 = 20;

/// Ranks are rounded to one part in this many.
const KNOTS: usize = 128;

/// The thresholds of the tail and of the whole-distribution tests, as quantiles of stable's past.
pub(crate) const QUANTILES: [f64; 9] = [0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99];

/// Stable's recent values: one histogram, whose memory its layout fixes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceWindow {
    recent: Histogram,
    /// Values added since the last reference was made.
    fresh: u64,
}

impl ReferenceWindow {
    /// An empty window.
    pub fn new(layout: Layout) -> Self {
        Self { recent: Histogram::new(layout), fresh: 0 }
    }

    /// Adds the values of a finished tick.
    pub fn learn(&mut self, stable: &[(f64, u64)]) {
        let before = self.recent.count();
        for &(value, count) in stable {
            self.recent.record_many(value, count);
        }
        self.fresh = self.fresh.saturating_add(self.recent.count().saturating_sub(before));
        while self.recent.count() > MAX {
            self.recent.halve();
        }
    }

    /// A new reference, if enough values were added since the last one.
    pub fn reference(&mut self) -> Option<Reference> {
        Reference::of(&self.renewed()?)
    }

    /// The values, if enough were added since the last call.
    pub(crate) fn renewed(&mut self) -> Option<Points> {
        let known = self.recent.count();
        if known < MIN || self.fresh == 0 || self.fresh.saturating_mul(FRESH_PARTS) < known {
            return None;
        }
        self.fresh = 0;
        Some(self.recent.points())
    }

    /// The values as the middles of their buckets. Otherwise two values of one bucket would be
    /// distinguished by the side of the middle on which they lie.
    pub(crate) fn in_buckets(&self, values: &[(f64, u64)]) -> Vec<(f64, u64)> {
        let layout = self.layout();
        values
            .iter()
            .filter(|(value, count)| is_recordable(*value) && *count > 0)
            .map(|(value, count)| (layout.value(layout.bucket(*value)), *count))
            .collect()
    }

    /// The layout of the values.
    pub(crate) fn layout(&self) -> Layout {
        self.recent.layout()
    }

    /// The values, as buckets.
    pub fn points(&self) -> Points {
        self.recent.points()
    }
}

/// Cap, ranks and thresholds for functions of an observation, all with values from 0 to 1.
///
/// A reference is made from past ticks and used for the next ones. The choice affects power, not validity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Quantiles of stable's past at the levels of `QUANTILES`.
    thresholds: [f64; QUANTILES.len()],
    /// Quantiles at (i + 1/2) / KNOTS.
    knots: Vec<f64>,
}

/// The function of an observation that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Feature {
    /// The value, cut to stable's p1 to p99: the mean, without its outliers.
    Capped,
    /// The logarithm of the value, cut likewise: ratios instead of differences.
    Log,
    /// The mid-rank in stable's past: Mann and Whitney's question.
    Rank,
    /// Whether the value exceeds a threshold, given as an index into `QUANTILES`.
    Above(u8),
    /// Whether the value falls below one.
    Below(u8),
}

impl Reference {
    fn of(past: &Points) -> Option<Self> {
        let total = past.total() as f64;
        let mut ascending = past.iter();
        let (mut value, first) = ascending.next()?;
        let mut seen = first;
        // Ranks ascend, so one pass over the points serves them all.
        let mut quantile = |q: f64| {
            while (seen as f64) < q * total {
                match ascending.next() {
                    Some((next, count)) => {
                        value = next;
                        seen = seen.saturating_add(count);
                    }
                    None => break,
                }
            }
            value
        };
        let knots = (0..KNOTS).map(|i| quantile((i as f64 + 0.5) / KNOTS as f64)).collect();
        Some(Self { thresholds: past.quantiles(QUANTILES)?, knots })
    }

    /// The function of every value; for an indicator only the counts of 0 and 1.
    pub(crate) fn measure_all(&self, feature: Feature, values: &[(f64, u64)]) -> Vec<(f64, u64)> {
        let (low, high) = (self.thresholds[0], self.thresholds[QUANTILES.len() - 1]);
        match feature {
            Feature::Above(k) => {
                self.threshold(k).map_or_else(Vec::new, |at| counted(values, |value| value > at))
            }
            Feature::Below(k) => {
                self.threshold(k).map_or_else(Vec::new, |at| counted(values, |value| value < at))
            }
            Feature::Rank => mapped(values, |value| self.rank(value)),
            // Where the past has zeros or negative values, logarithms have no lower end.
            Feature::Log if low > 0.0 => {
                let (log_low, log_high) = (low.ln(), high.ln());
                // At or below the lower end only the side counts, which needs no logarithm.
                let log = |value: f64| {
                    if value > low {
                        position(value.ln(), log_low, log_high)
                    } else {
                        position(value, low, high)
                    }
                };
                mapped(values, log)
            }
            Feature::Capped | Feature::Log => mapped(values, |value| position(value, low, high)),
        }
    }

    fn threshold(&self, index: u8) -> Option<f64> {
        self.thresholds.get(usize::from(index)).copied()
    }

    fn rank(&self, value: f64) -> f64 {
        let below = self.knots.partition_point(|knot| *knot < value);
        let equal = self.knots.iter().skip(below).take_while(|knot| **knot == value).count();
        (below as f64 + 0.5 * equal as f64) / self.knots.len().max(1) as f64
    }
}

fn mapped(values: &[(f64, u64)], function: impl Fn(f64) -> f64) -> Vec<(f64, u64)> {
    values.iter().map(|(value, count)| (function(*value), *count)).collect()
}

fn counted(values: &[(f64, u64)], holds: impl Fn(f64) -> bool) -> Vec<(f64, u64)> {
    let mut counts = [0_u64; 2];
    for (value, count) in values {
        let [no, yes] = &mut counts;
        let holds = u64::from(holds(*value));
        *yes = yes.saturating_add(holds * count);
        *no = no.saturating_add((1 - holds) * count);
    }
    vec![(0.0, counts[0]), (1.0, counts[1])]
}

/// The position of a value between two bounds, 0 to 1. Without variation only the side counts.
fn position(value: f64, low: f64, high: f64) -> f64 {
    if high > low {
        ((value - low) / (high - low)).clamp(0.0, 1.0)
    } else if value == low {
        0.5
    } else {
        indicator(value > low)
    }
}

fn indicator(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

#[cfg(test)]
impl Reference {
    fn measure(&self, feature: Feature, value: f64) -> f64 {
        let measured = self.measure_all(feature, &[(value, 1)]);
        measured.iter().map(|(x, count)| x * *count as f64).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn reference(values: &[f64]) -> Reference {
        Reference::of(&Points::from_samples(values)).unwrap()
    }

    fn features() -> Vec<Feature> {
        let tails = (0..9).flat_map(|k| [Feature::Above(k), Feature::Below(k)]);
        [Feature::Capped, Feature::Log, Feature::Rank].into_iter().chain(tails).collect()
    }

    proptest! {
        #[test]
        fn every_function_is_monotone_and_within_zero_and_one(
            past in vec(-1.0..10.0_f64, 1..300), a: f64, b in -2.0..12.0_f64, c in -2.0..12.0_f64,
        ) {
            prop_assume!(!a.is_nan());
            let reference = reference(&past);
            for feature in features() {
                let rising = !matches!(feature, Feature::Below(_));
                let mut values = [a, b, c];
                values.sort_unstable_by(f64::total_cmp);
                let measured = values.map(|value| reference.measure(feature, value));
                prop_assert!(measured.iter().all(|x| (0.0..=1.0).contains(x)), "{feature:?}");
                let sorted = measured.is_sorted_by(|x, y| if rising { x <= y } else { x >= y });
                prop_assert!(sorted, "{feature:?} {measured:?}");
            }
        }

        #[test]
        fn ranks_of_the_past_itself_have_mean_one_half(past in vec(0.0..1.0_f64, 1..300)) {
            let reference = reference(&past);
            let mean = past.iter().map(|x| reference.rank(*x)).sum::<f64>() / past.len() as f64;
            prop_assert!((mean - 0.5).abs() < 0.02, "{mean}");
        }
    }

    #[test]
    fn for_a_constant_past_only_the_side_counts() {
        let reference = reference(&[0.25; 30]);
        for feature in [Feature::Capped, Feature::Log, Feature::Rank] {
            let measured = [0.2, 0.25, 0.3].map(|value| reference.measure(feature, value));
            assert_eq!(measured, [0.0, 0.5, 1.0], "{feature:?}");
        }
        assert_eq!(reference.measure(Feature::Above(8), 0.26), 1.0);
        assert_eq!(reference.measure(Feature::Above(0), 0.25), 0.0);
    }

    #[test]
    fn a_reference_is_made_with_enough_values_and_again_with_new_ones() {
        let mut past = ReferenceWindow::new(Layout::Seconds);
        past.learn(&[(0.01, 19)]);
        assert_eq!(past.reference(), None);
        past.learn(&[(0.01, 1)]);
        assert!(past.reference().is_some());
        assert_eq!(past.reference(), None);
        past.learn(&[(0.02, 1_000_000)]);
        assert!(past.points().total() <= MAX && past.reference().is_some());
    }
}
