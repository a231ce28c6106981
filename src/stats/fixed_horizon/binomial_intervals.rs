//! Confidence intervals of one rate: Wilson and Clopper-Pearson.
//!
//! The textbook interval, p +- z sqrt(p (1-p) / n), has width 0 at 0 errors; these intervals do not.

use crate::stats::MAX_OBSERVATIONS;
use crate::stats::distributions::incomplete_beta::incomplete_beta_inverse;
use crate::stats::distributions::normal::normal_quantile;

/// Wilson's score interval of a rate: the rates that the score test does not reject.
///
/// ```text
/// center = (k + z^2/2) / (n + z^2)
/// half-width = z / (n + z^2) sqrt( k (n - k) / n + z^2/4 )
/// ```
///
/// where z is the normal quantile of the level. Its coverage is near the level on average, so it is
/// the interval to display; at k = 0 it is 0 to z^2 / (n + z^2).
///
/// Assumes independent observations. `None` without observations, for k > n, for more than 10^12
/// observations, or for a level outside 0 to 1.
///
/// Wilson (1927), Journal of the American Statistical Association 22(158),
/// doi:10.1080/01621459.1927.10502953.
///
/// ```
/// use serin::stats::wilson_interval;
///
/// // scipy.stats.binomtest(5, 50).proportion_ci(0.95, "wilson")
/// let (low, high) = wilson_interval(5, 50, 0.95).unwrap();
/// assert!((low - 0.0434757649318904).abs() < 1e-14);
/// assert!((high - 0.21360231437479657).abs() < 1e-14);
/// ```
pub fn wilson_interval(k: u64, n: u64, level: f64) -> Option<(f64, f64)> {
    check(k, n, level)?;
    let z = normal_quantile(0.5 * (1.0 - level));
    Some(wilson(k as f64, n as f64, z))
}

/// Wilson's interval for a normal quantile z.
pub(crate) fn wilson(k: f64, n: f64, z: f64) -> (f64, f64) {
    let square = z * z;
    let half_width = z * (k * ((n - k) / n) + 0.25 * square).sqrt();
    // One end of each pair is k^2 / n divided by the other, which cancels nothing near 0 or 1.
    let upper = |k: f64| (k + 0.5 * square + half_width) / (n + square);
    let lower = |k: f64| k * (k / n) / (k + 0.5 * square + half_width);
    let low = if k == 0.0 { 0.0 } else { lower(k) };
    let high = if k == n { 1.0 } else { upper(k) };
    (low, high)
}

/// Clopper and Pearson's exact interval of a rate.
///
/// ```text
/// low:  P(X >= k) = (1 - level) / 2        high:  P(X <= k) = (1 - level) / 2
/// ```
///
/// where X is binomial with n trials. It covers the true rate at least as often as the level says, and
/// is therefore wider than necessary.
///
/// Assumes independent observations. `None` without observations, for k > n, for more than 10^12
/// observations, or for a level outside 0 to 1.
///
/// Clopper and Pearson (1934), Biometrika 26(4), doi:10.1093/biomet/26.4.404.
///
/// ```
/// use serin::stats::clopper_pearson_interval;
///
/// // scipy.stats.binomtest(5, 50).proportion_ci(0.95, "exact")
/// let (low, high) = clopper_pearson_interval(5, 50, 0.95).unwrap();
/// assert!((low - 0.03327509358902247).abs() < 1e-13);
/// assert!((high - 0.21813536643420228).abs() < 1e-13);
/// ```
pub fn clopper_pearson_interval(k: u64, n: u64, level: f64) -> Option<(f64, f64)> {
    check(k, n, level)?;
    let tail = 0.5 * (1.0 - level);
    let (successes, failures) = (k as f64, (n - k) as f64);
    let low = if k == 0 { 0.0 } else { incomplete_beta_inverse(successes, failures + 1.0, tail) };
    // The rate of failures has the mirrored interval, and a small tail keeps its digits.
    let high =
        if k == n { 1.0 } else { 1.0 - incomplete_beta_inverse(failures, successes + 1.0, tail) };
    Some((low, high))
}

/// Whether an interval can be given; the level strictly between 0 and 1.
fn check(k: u64, n: u64, level: f64) -> Option<()> {
    let possible = k <= n && n > 0 && n <= MAX_OBSERVATIONS;
    (possible && level > 0.0 && level < 1.0).then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::distributions::incomplete_beta::binomial_lower_tail;

    #[test]
    fn zero_events_and_only_events_have_an_interval() {
        // 1 - 0.025^(1/40); the rule of three's exact form
        let (low, high) = clopper_pearson_interval(0, 40, 0.95).unwrap();
        assert_eq!(low, 0.0);
        assert!((high - (1.0 - 0.025_f64.powf(1.0 / 40.0))).abs() < 1e-14);
        let (low, high) = clopper_pearson_interval(40, 40, 0.95).unwrap();
        assert!((low - 0.025_f64.powf(1.0 / 40.0)).abs() < 1e-14);
        assert_eq!(high, 1.0);
        assert_eq!(wilson_interval(0, 40, 0.95).unwrap().0, 0.0);
        assert_eq!(wilson_interval(40, 40, 0.95).unwrap().1, 1.0);
    }

    #[test]
    fn impossible_arguments_have_no_interval() {
        for (k, n, level) in [
            (0, 0, 0.95),
            (2, 1, 0.95),
            (0, u64::MAX, 0.95),
            (1, 2, 0.0),
            (1, 2, 1.0),
            (1, 2, f64::NAN),
        ] {
            assert_eq!(wilson_interval(k, n, level), None);
            assert_eq!(clopper_pearson_interval(k, n, level), None);
        }
    }

    #[test]
    fn a_trillion_observations_have_an_interval() {
        let n = MAX_OBSERVATIONS;
        for k in [0, 1, 3_000, 1_000_000_000, n / 2, n - 1, n] {
            let exact = clopper_pearson_interval(k, n, 0.95).unwrap();
            let wilson = wilson_interval(k, n, 0.95).unwrap();
            let rate = k as f64 / n as f64;
            for interval in [exact, wilson] {
                assert!(interval.0 <= rate && rate <= interval.1, "{k}: {interval:?}");
                assert!(interval.1 - interval.0 < 5.0 / (n as f64).sqrt(), "{k}: {interval:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_exact_ends_have_their_tails(n in 1..5000_u64, share in 0.0..1.0_f64, level in 0.5..0.999_f64) {
            let k = (share * n as f64) as u64;
            let (low, high) = clopper_pearson_interval(k, n, level).unwrap();
            let tail = 0.5 * (1.0 - level);
            let (k, n) = (k as f64, n as f64);
            if k > 0.0 {
                prop_assert!((binomial_lower_tail(n - k, n, 1.0 - low, low) / tail - 1.0).abs() < 1e-9);
            }
            if k < n {
                prop_assert!((binomial_lower_tail(k, n, high, 1.0 - high) / tail - 1.0).abs() < 1e-9);
            }
        }
    }
}
