//! Does the canary get the share of requests that it should?
//!
//! A split that is off (a retry storm, a crash that loses records, a cache in front) makes every
//! other comparison worthless, and it shows in the counts long before it shows in a mean.

use super::fisher::last_where;
use crate::stats::MAX_OBSERVATIONS;
use crate::stats::distributions::binomial::ln_binomial;
use crate::stats::distributions::incomplete_beta::binomial_lower_tail;
use crate::stats::distributions::incomplete_beta::binomial_upper_tail;
use crate::stats::distributions::normal::normal_tail;

/// The sample-ratio test of the canary's and stable's counts against the intended share.
///
/// ```text
/// exact:       p = sum of P(X = x) over all x with P(X = x) <= P(X = n_c)
/// chi-square:  z^2 = (n_c - n pi)^2 / ( n pi (1 - pi) ),  p = P(chi2 with 1 degree >= z^2)
/// ```
///
/// where X is binomial with n = n_c + n_s trials of probability pi. Probabilities that differ by
/// less than a ten-millionth count as equal, as in scipy and R.
///
/// Assumes that every request was assigned independently with the same share. serin's own split is
/// stratified, which keeps closer to the share than that: the test then misses small mismatches and
/// raises no false alarm. Keys that stick to a track must be counted, not their requests. The
/// customary threshold is 0.001, because it is looked at often.
///
/// `None` without observations, with more than 10^12, or for a share not strictly between 0 and 1.
///
/// Fabijan et al. (2019), "Diagnosing sample ratio mismatch in online controlled experiments",
/// KDD, doi:10.1145/3292500.3330722.
///
/// ```
/// use serin::stats::fixed_horizon::sample_ratio;
///
/// let test = sample_ratio(1_100, 8_900, 0.1).unwrap();
/// // scipy.stats.binomtest(1100, 10000, 0.1)
/// assert!((test.p_exact / 0.0010229273479397368 - 1.0).abs() < 1e-9);
/// // scipy.stats.chisquare([1100, 8900], [1000, 9000])
/// assert!((test.p_chi_square / 0.0008581206663936758 - 1.0).abs() < 1e-9);
/// assert!((test.share - 0.11).abs() < 1e-15);
/// ```
pub fn sample_ratio(n_canary: u64, n_stable: u64, intended_share: f64) -> Option<SampleRatioTest> {
    let total = n_canary.checked_add(n_stable)?;
    let possible = total > 0 && total <= MAX_OBSERVATIONS;
    if !(possible && intended_share > 0.0 && intended_share < 1.0) {
        return None;
    }
    let (k, n, p, q) = (n_canary as f64, total as f64, intended_share, 1.0 - intended_share);
    let z = (k * q - n_stable as f64 * p) / (n * p * q).sqrt();
    Some(SampleRatioTest {
        share: k / n,
        z,
        p_exact: exact_two_sided(k, n, p, q),
        p_chi_square: (2.0 * normal_tail(z.abs())).min(1.0),
    })
}

/// The result of [`sample_ratio`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRatioTest {
    /// The canary's share as it was.
    pub share: f64,
    /// The deviation in standard deviations; positive when the canary got more.
    pub z: f64,
    /// The exact binomial p-value.
    pub p_exact: f64,
    /// The p-value of the chi-square test, an approximation for more than about ten requests a
    /// side.
    pub p_chi_square: f64,
}

fn exact_two_sided(k: f64, n: f64, p: f64, q: f64) -> f64 {
    let bound = ln_binomial(k, n, p, q) + 1e-7;
    let mean = n * p;
    let both = if k == mean {
        1.0
    } else if k < mean {
        let farther = |x: f64| ln_binomial(-x, n, p, q) <= bound;
        let last = last_where(-n - 1.0, -mean.ceil() + 1.0, farther);
        binomial_lower_tail(k, n, p, q) + binomial_upper_tail(-last, n, p, q)
    } else {
        let farther = |x: f64| ln_binomial(x, n, p, q) <= bound;
        let last = last_where(-1.0, mean.floor() + 1.0, farther);
        binomial_upper_tail(k, n, p, q) + binomial_lower_tail(last, n, p, q)
    };
    both.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_arguments_have_no_test() {
        assert_eq!(sample_ratio(0, 0, 0.5), None);
        assert_eq!(sample_ratio(u64::MAX, 1, 0.5), None);
        for share in [0.0, 1.0, -0.1, f64::NAN] {
            assert_eq!(sample_ratio(1, 1, share), None);
        }
    }

    #[test]
    fn exactly_the_intended_share_is_no_evidence() {
        for (n_canary, n_stable, share) in [(1, 9, 0.1), (50, 50, 0.5), (250, 750, 0.25)] {
            let test = sample_ratio(n_canary, n_stable, share).unwrap();
            assert_eq!(test.p_exact, 1.0);
            assert!(test.z.abs() < 1e-12);
        }
    }

    #[test]
    fn small_counts_agree_with_the_definition() {
        for (n, p) in [(1, 0.3_f64), (5, 0.5), (12, 0.1), (20, 0.9)] {
            let q = 1.0 - p;
            let probability = |x: u64| ln_binomial(x as f64, n as f64, p, q).exp();
            for k in 0..=n {
                let bound = probability(k) * (1.0 + 1e-7);
                let expected: f64 = (0..=n).map(probability).filter(|x| *x <= bound).sum();
                let found = sample_ratio(k, n - k, p).unwrap().p_exact;
                assert!((found - expected).abs() < 1e-12, "{k} of {n}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn a_trillion_requests_take_no_time() {
        let n = MAX_OBSERVATIONS;
        let test = sample_ratio(n / 10 + 600_000, n - n / 10 - 600_000, 0.1).unwrap();
        assert!((test.z - 2.0).abs() < 1e-6, "{}", test.z);
        assert!((test.p_exact / test.p_chi_square - 1.0).abs() < 1e-4, "{}", test.p_exact);
    }
}
