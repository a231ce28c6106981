//! Between which values does the true quantile lie?
//!
//! No distribution is assumed: how many observations fall below the true quantile is binomial, and
//! so the interval's ends are observations themselves.

use crate::stats::MAX_OBSERVATIONS;
use crate::stats::distributions::incomplete_beta::binomial_lower_tail;
use crate::stats::distributions::normal::normal_quantile;
use crate::stats::summary::points::Points;
use crate::stats::summary::points::quantile_rank;

/// The interval of the q-quantile from the order statistics.
///
/// ```text
/// low = x_(l),  l = min { k : P(B <= k) >= (1 - level)/2 }            B binomial, n trials of q
/// high = x_(u), u = min { k : P(B <= k) >= (1 + level)/2 } + 1
/// ```
///
/// where x_(k) is the k-th smallest value. Covers the true quantile at least as often as the level
/// says. Assumes independent observations. From a histogram the ends are middles of buckets.
///
/// An end is `None` where no value is far enough out: the 99th percentile of fewer than 368 values
/// has no upper end at 95 %. The whole is `None` without values or for more than 10^12, for `q` outside 0 to 1 or at its
/// ends, or for a level not strictly between 0 and 1.
///
/// David and Nagaraja (2003), Order Statistics, 3rd edition, section 7.1, doi:10.1002/0471722162.
///
/// ```
/// use serin::stats::Points;
/// use serin::stats::quantile_interval;
///
/// let points = Points::from_samples(&(1..=100).map(f64::from).collect::<Vec<_>>());
/// let median = quantile_interval(&points, 0.5, 0.95).unwrap();
/// // scipy.stats.quantile_test(range(1, 101), p=0.5).confidence_interval(0.95)
/// assert_eq!((median.estimate, median.low, median.high), (50.0, Some(40.0), Some(61.0)));
/// // ...p=0.99: low 97, high NaN
/// let p99 = quantile_interval(&points, 0.99, 0.95).unwrap();
/// assert_eq!((p99.low, p99.high), (Some(97.0), None));
/// ```
pub fn quantile_interval(points: &Points, q: f64, level: f64) -> Option<QuantileInterval> {
    let total = points.total();
    let inside = |share: f64| share > 0.0 && share < 1.0;
    if total == 0 || total > MAX_OBSERVATIONS || !inside(q) || !inside(level) {
        return None;
    }
    let tail = 0.5 * (1.0 - level);
    let n = total as f64;
    let low_rank = smallest_count(n, q, -normal_quantile(tail), |k| {
        binomial_lower_tail(k, n, q, 1.0 - q) >= tail
    });
    // The tail above from its own side, where it is small.
    let high_rank = 1.0
        + smallest_count(n, q, normal_quantile(tail), |k| {
            binomial_lower_tail(n - k - 1.0, n, 1.0 - q, q) <= tail
        });
    let estimate_rank = quantile_rank(total, q);
    let [low, estimate, high] =
        values_at(points, [low_rank as u64, estimate_rank, high_rank as u64]);
    Some(QuantileInterval { estimate: estimate?, low, high })
}

/// The result of [`quantile_interval`], in the unit of the values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileInterval {
    /// The sample's quantile.
    pub estimate: f64,
    /// The lower end; `None` if there are too few values to have one.
    pub low: Option<f64>,
    /// The upper end; `None` if there are too few values to have one.
    pub high: Option<f64>,
}

/// The smallest k from 0 to n for which a condition holds that keeps holding for larger ones, sought
/// from where the normal distribution, corrected for skewness, has its quantile z.
fn smallest_count(n: f64, q: f64, z: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let spread = (n * q * (1.0 - q)).sqrt();
    let guess = n * q + z * spread + (z * z - 1.0) * (1.0 - 2.0 * q) / 6.0 - 0.5;
    let guess = guess.round().clamp(0.0, n);
    let (mut low, mut high) = (guess - 1.0, guess);
    let mut step = 1.0;
    // It holds at n and not at -1, so that both loops end.
    while high < n && !holds(high) {
        (low, high) = (high, (high + step).min(n));
        step *= 2.0;
    }
    while low >= 0.0 && holds(low) {
        (high, low) = (low, (low - step).max(-1.0));
        step *= 2.0;
    }
    while high - low > 1.0 {
        let middle = (0.5 * (low + high)).floor();
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// The values of three ranks, counted from 1; `None` for a rank of 0 or beyond the last.
fn values_at(points: &Points, ranks: [u64; 3]) -> [Option<f64>; 3] {
    let mut found = [None; 3];
    let mut seen = 0;
    for (value, count) in points.iter() {
        let before = seen;
        seen += count;
        for (rank, found) in ranks.iter().zip(&mut found) {
            if before < *rank && *rank <= seen {
                *found = Some(value);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_arguments_have_no_interval() {
        let points = Points::from_samples(&[1.0, 2.0]);
        assert_eq!(quantile_interval(&Points::default(), 0.5, 0.95), None);
        for outside in [0.0, 1.0, -1.0, 2.0, f64::NAN] {
            assert_eq!(quantile_interval(&points, outside, 0.95), None);
            assert_eq!(quantile_interval(&points, 0.5, outside), None);
        }
    }

    #[test]
    fn few_values_have_no_ends() {
        let one = quantile_interval(&Points::from_samples(&[3.0]), 0.5, 0.95).unwrap();
        assert_eq!((one.estimate, one.low, one.high), (3.0, None, None));
        // 0.99^367 is above 0.025 and 0.99^368 below it.
        for (n, has_end) in [(367, false), (368, true)] {
            let points = Points::from_samples(&(1..=n).map(f64::from).collect::<Vec<_>>());
            let p99 = quantile_interval(&points, 0.99, 0.95).unwrap();
            assert_eq!(p99.high.is_some(), has_end, "{n}");
        }
    }

    #[test]
    fn ranks_are_the_smallest_that_reach_the_tail() {
        for n in [1.0, 2.0, 7.0, 40.0, 1000.0, 123_456.0] {
            for q in [0.001, 0.05, 0.5, 0.9, 0.999] {
                for tail in [0.001, 0.025, 0.4] {
                    let at_most = |k: f64| binomial_lower_tail(k, n, q, 1.0 - q);
                    for z in [-8.0, -2.0, 0.0, 30.0] {
                        let k = smallest_count(n, q, z, |k| at_most(k) >= tail);
                        assert!(at_most(k) >= tail, "{n} {q} {tail} {z}: {k}");
                        assert!(at_most(k - 1.0) < tail, "{n} {q} {tail} {z}: {k}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_billion_buckets_of_values_take_no_time() {
        let points = Points::from_buckets([(1.0, 900_000_000), (2.0, 100_000_000)].into_iter());
        let p90 = quantile_interval(&points, 0.9, 0.95).unwrap();
        assert_eq!((p90.low, p90.estimate, p90.high), (Some(1.0), 1.0, Some(2.0)));
    }
}
