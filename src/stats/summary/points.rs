//! Distinct values in ascending order, each with its count.
//!
//! Every test that compares whole distributions reads this one view. Live traffic gives it from
//! the buckets of a histogram, `/analyze` and files from raw samples, so each test is written once.

use super::moments::Moments;
use super::moments::is_recordable;

/// Strictly ascending values, each with how often it occurred.
///
/// ```
/// use serin::stats::Points;
///
/// let points = Points::from_samples(&[3.0, 1.0, 2.0, 1.0]);
/// assert_eq!(points.as_slice(), [(1.0, 2), (2.0, 1), (3.0, 1)]);
/// // numpy.quantile([3, 1, 2, 1], 0.5, method="inverted_cdf")
/// assert_eq!(points.quantile(0.5), Some(1.0));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    ascending: Vec<(f64, u64)>,
    total: u64,
}

impl Points {
    /// The view of raw samples; equal values become one point, and a value that
    /// [cannot be recorded](is_recordable) is ignored.
    pub fn from_samples(samples: &[f64]) -> Self {
        // Adding zero turns -0.0 into 0.0, which would otherwise sort as a value of its own.
        let mut sorted: Vec<f64> =
            samples.iter().map(|value| value + 0.0).filter(|value| is_recordable(*value)).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let ascending = sorted
            .chunk_by(|left, right| left == right)
            .map(|equal| (equal[0], equal.len() as u64))
            .collect();
        Self { ascending, total: sorted.len() as u64 }
    }

    /// The view of buckets, whose values must ascend strictly and whose counts must not be zero.
    pub(crate) fn from_buckets(buckets: impl Iterator<Item = (f64, u64)>) -> Self {
        let ascending: Vec<(f64, u64)> = buckets.collect();
        debug_assert!(ascending.is_sorted_by(|left, right| left.0 < right.0));
        let total = ascending.iter().fold(0, |sum: u64, point| sum.saturating_add(point.1));
        Self { ascending, total }
    }

    /// The same values, each lowered by this much.
    pub fn lowered(&self, by: f64) -> Points {
        let mut ascending: Vec<(f64, u64)> = Vec::with_capacity(self.ascending.len());
        for (value, count) in self.iter() {
            // Rounding may make two values one.
            match ascending.last_mut().filter(|last| last.0 == value - by) {
                Some(last) => last.1 = last.1.saturating_add(count),
                None => ascending.push((value - by, count)),
            }
        }
        Points { ascending, total: self.total }
    }

    /// The points in ascending order of value.
    pub fn as_slice(&self) -> &[(f64, u64)] {
        &self.ascending
    }

    /// The points in ascending order of value.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (f64, u64)> + ExactSizeIterator + '_ {
        self.ascending.iter().copied()
    }

    /// How many values there are, counted as often as they occurred.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.ascending.is_empty()
    }

    /// The q-quantile: the smallest value that at least the share `q` of all values does not
    /// exceed (numpy's `method="inverted_cdf"`).
    ///
    /// `None` without values or for `q` outside 0 to 1.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        inverted_cdf(self.iter(), self.total, q)
    }

    /// The [`quantile`](Self::quantile) at each of these shares, which ascend; `None` without values.
    pub(crate) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> Option<[f64; N]> {
        let mut ascending = self.iter();
        let (mut value, mut seen) = ascending.next()?;
        let mut quantiles = [value; N];
        for (quantile, q) in quantiles.iter_mut().zip(shares) {
            let rank = quantile_rank(self.total, q);
            while seen < rank {
                let (next, count) = ascending.next()?;
                value = next;
                seen = seen.saturating_add(count);
            }
            *quantile = value;
        }
        Some(quantiles)
    }

    /// Count, mean and spread of the values.
    pub fn moments(&self) -> Moments {
        let mut moments = Moments::new();
        self.iter().for_each(|(value, count)| moments.record_many(value, count));
        moments
    }
}

/// Every value of either sample in ascending order, with how often it occurred in each.
pub(crate) fn merged<'a>(
    canary: &'a Points,
    stable: &'a Points,
) -> impl Iterator<Item = (f64, u64, u64)> + 'a {
    let mut canary = canary.iter().peekable();
    let mut stable = stable.iter().peekable();
    std::iter::from_fn(move || {
        let next_canary = canary.peek().map_or(f64::INFINITY, |point| point.0);
        let next_stable = stable.peek().map_or(f64::INFINITY, |point| point.0);
        let value = next_canary.min(next_stable);
        let of_canary = canary.next_if(|point| point.0 == value);
        let of_stable = stable.next_if(|point| point.0 == value);
        (of_canary.is_some() || of_stable.is_some()).then(|| {
            (value, of_canary.map_or(0, |point| point.1), of_stable.map_or(0, |point| point.1))
        })
    })
}

/// The smallest value that at least the share `q` of all values does not exceed.
///
/// ```text
/// Q(q) = min { x : F(x) >= q }     F(x) = share of the values at or below x
/// ```
///
/// This is Hyndman and Fan's type 1, numpy's `method="inverted_cdf"`: always a value that occurred,
/// never an interpolation. Q(0) is the smallest value, Q(1) the largest.
///
/// Hyndman and Fan (1996), The American Statistician 50(4), doi:10.1080/00031305.1996.10473566.
pub(crate) fn inverted_cdf(
    ascending: impl Iterator<Item = (f64, u64)>,
    total: u64,
    q: f64,
) -> Option<f64> {
    if !(0.0..=1.0).contains(&q) {
        return None;
    }
    let rank = quantile_rank(total, q);
    let mut seen = 0_u64;
    for (value, count) in ascending {
        seen = seen.saturating_add(count);
        if seen >= rank {
            return Some(value);
        }
    }
    None
}

/// Which of `total` values in ascending order, counted from 1, is the q-quantile.
pub(crate) fn quantile_rank(total: u64, q: f64) -> u64 {
    // A product such as 0.55 * 20 = 11.000000000000002 must give rank 11, so a few roundings
    // are taken off before the ceiling.
    let product = q * total as f64;
    let rank = (product - 4.0 * f64::EPSILON * product).ceil().max(1.0) as u64;
    rank.min(total)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let points = Points::from_samples(&(1..=20).map(f64::from).collect::<Vec<_>>());
        // numpy.quantile(range(1, 21), q, method="inverted_cdf")
        for (q, expected) in [(0.0, 1.0), (0.05, 1.0), (0.5, 10.0), (0.51, 11.0), (1.0, 20.0)] {
            assert_eq!(points.quantile(q), Some(expected), "{q}");
        }
        // 0.55 * 20 is above 11 in floating point; the quantile is the 11th value all the same.
        assert_eq!(points.quantile(0.55), Some(11.0));
        for outside in [-0.1, 1.1, f64::NAN] {
            assert_eq!(points.quantile(outside), None);
        }
        assert_eq!(Points::default().quantile(0.5), None);
        assert_eq!(Points::default().quantiles([0.5]), None);
    }

    #[test]
    fn lowered_values_stay_strictly_ascending() {
        let points = Points::from_samples(&[1e-9, 2e-9, 3.0]);
        assert_eq!(points.lowered(1.0).as_slice(), [(1e-9 - 1.0, 1), (2e-9 - 1.0, 1), (2.0, 1)]);
        assert_eq!(points.lowered(1e12).as_slice(), [(-1e12, 2), (3.0 - 1e12, 1)]);
    }

    #[test]
    fn zero_has_one_sign_and_unrecordable_values_are_ignored() {
        let points = Points::from_samples(&[0.0, f64::NAN, -0.0, f64::INFINITY, -1e300]);
        assert_eq!(points.as_slice(), [(0.0, 2)]);
    }

    #[test]
    fn merging_keeps_the_order_and_the_sides() {
        let canary = Points::from_samples(&[1.0, 3.0, 3.0, 9.0]);
        let stable = Points::from_samples(&[2.0, 3.0]);
        let both: Vec<_> = merged(&canary, &stable).collect();
        assert_eq!(both, [(1.0, 1, 0), (2.0, 0, 1), (3.0, 2, 1), (9.0, 1, 0)]);
        assert_eq!(merged(&Points::default(), &Points::default()).count(), 0);
    }

    proptest! {
        #[test]
        fn points_ascend_and_lose_nothing(samples in vec(-5..5_i32, 0..200)) {
            let samples: Vec<f64> = samples.into_iter().map(f64::from).collect();
            let points = Points::from_samples(&samples);
            prop_assert!(points.as_slice().is_sorted_by(|left, right| left.0 < right.0));
            prop_assert_eq!(points.total(), samples.len() as u64);
            let direct: Moments = samples.into_iter().collect();
            let found = points.moments();
            prop_assert_eq!(found.count(), direct.count());
            let gap = found.mean().unwrap_or(0.0) - direct.mean().unwrap_or(0.0);
            prop_assert!(gap.abs() < 1e-12);
        }

        #[test]
        fn many_quantiles_at_once_or_one_by_one_are_the_same(
            counts in vec((-5..5_i32, 1..40_u32), 1..30), mut shares: [f64; 5],
        ) {
            let values = counts.iter().flat_map(|(value, n)| vec![f64::from(*value); *n as usize]);
            let points = Points::from_samples(&values.collect::<Vec<_>>());
            shares = shares.map(|share| share.abs().fract());
            shares.sort_unstable_by(f64::total_cmp);
            prop_assume!(shares.iter().all(|share| !share.is_nan()));
            let one_by_one = shares.map(|share| points.quantile(share).unwrap());
            prop_assert_eq!(points.quantiles(shares), Some(one_by_one));
        }
    }
}
