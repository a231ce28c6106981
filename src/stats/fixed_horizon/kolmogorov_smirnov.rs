//! Kolmogorov-Smirnov test of two samples: do center, spread or tails differ?
//!
//! The largest distance between the two cumulative distributions detects every kind of difference, but
//! with less power than a test for that kind.

use crate::stats::MAX_OBSERVATIONS;
use crate::stats::distributions::lattice_paths::probability_of_reaching;
use crate::stats::summary::points::Points;
use crate::stats::summary::points::merged;

/// The two-sample Kolmogorov-Smirnov test of the canary's values against stable's.
///
/// ```text
/// D = max |F_c(x) - F_s(x)|              F(x) = share of the values at or below x
/// p = 2 sum over k >= 1 of (-1)^(k - 1) exp(-2 k^2 x^2)        beyond 10^8 pairs of values
/// x = z + 1/(6 sqrt(n)) + (z - 1)/(4 n),   z = D sqrt(n),   n = n_c n_s / (n_c + n_s)
/// ```
///
/// The p-value is exact up to 10^8 pairs, so also for two samples of 10,000. Beyond that it is
/// Kolmogorov's limit law with Vrbik's correction: within 0.1 % of scipy's for p-values above 0.001
/// and n from 1,000 on.
///
/// Assumes independent observations. With ties, and so with the buckets of a histogram, the
/// p-values are too large, never too small: bucketing can only lessen D.
///
/// `None` means that a sample is empty, or that there are more than 10^12 observations.
///
/// Time: one pass over the points for D. An exact p-value takes at most 2 D n_c n_s steps, some
/// milliseconds for thousands of values; an asymptotic one some dozens of microseconds.
///
/// Hodges (1958), "The significance probability of the Smirnov two-sample test", Arkiv för
/// Matematik 3(5), doi:10.1007/BF02589501; Vrbik (2018), "Small-sample corrections to
/// Kolmogorov-Smirnov test statistic", Pioneer Journal of Theoretical and Applied Statistics
/// 15(1-2), 15-23.
///
/// ```
/// use serin::stats::Points;
/// use serin::stats::kolmogorov_smirnov;
///
/// let canary = Points::from_samples(&[12.0, 15.5, 11.0, 14.0, 13.0]);
/// let stable = Points::from_samples(&[10.0, 11.5, 9.0, 12.5, 10.5, 11.2]);
/// let test = kolmogorov_smirnov(&canary, &stable).unwrap();
/// // scipy.stats.ks_2samp(canary, stable)
/// assert!((test.statistic() - 0.6333333333333333).abs() < 1e-15);
/// assert!((test.p_two_sided() - 0.1774891774891775).abs() < 1e-14);
/// ```
pub fn kolmogorov_smirnov(canary: &Points, stable: &Points) -> Option<KolmogorovSmirnov> {
    let (n_canary, n_stable) = (canary.total(), stable.total());
    let total = n_canary.checked_add(n_stable)?;
    if n_canary == 0 || n_stable == 0 || total > MAX_OBSERVATIONS {
        return None;
    }
    // The distances times n_c n_s are whole numbers, so that equal ones compare as equal.
    let (mut seen_canary, mut seen_stable) = (0_u64, 0_u64);
    let mut largest_gap = 0_u128;
    for (_, of_canary, of_stable) in merged(canary, stable) {
        seen_canary += of_canary;
        seen_stable += of_stable;
        let gap = i128::from(seen_stable) * i128::from(n_canary)
            - i128::from(seen_canary) * i128::from(n_stable);
        largest_gap = largest_gap.max(gap.unsigned_abs());
    }
    Some(KolmogorovSmirnov { n_canary, n_stable, largest_gap })
}

/// The result of [`kolmogorov_smirnov`]. Its p-value is computed when asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KolmogorovSmirnov {
    n_canary: u64,
    n_stable: u64,
    /// D n_c n_s.
    largest_gap: u128,
}

impl KolmogorovSmirnov {
    /// The most pairs of values with an exact p-value; at D = 1 it takes 0.2 seconds.
    pub const MAX_EXACT_PAIRS: u64 = 100_000_000;
    /// The largest sample with an exact p-value, which takes as many numbers of memory.
    const MAX_EXACT_SIZE: u64 = 1_000_000;

    /// D: the largest distance between the two cumulative distributions, 0 to 1.
    pub fn statistic(&self) -> f64 {
        self.largest_gap as f64 / (self.n_canary as f64 * self.n_stable as f64)
    }

    /// Whether the p-value is exact (for values without ties).
    pub fn is_exact(&self) -> bool {
        self.n_canary.saturating_mul(self.n_stable) <= Self::MAX_EXACT_PAIRS
            && self.n_canary.max(self.n_stable) <= Self::MAX_EXACT_SIZE
    }

    /// The probability of a D at least this large if the distributions are equal.
    pub fn p_two_sided(&self) -> f64 {
        if !self.is_exact() {
            return self.limit_law();
        }
        let (n_canary, n_stable) = (self.n_canary as usize, self.n_stable as usize);
        // At most the number of pairs.
        probability_of_reaching(self.largest_gap as u64, n_canary, n_stable)
    }

    fn limit_law(&self) -> f64 {
        let (n_canary, n_stable) = (self.n_canary as f64, self.n_stable as f64);
        let n = n_canary * (n_stable / (n_canary + n_stable));
        let z = n.sqrt() * self.statistic();
        let x = z + 1.0 / (6.0 * n.sqrt()) + (z - 1.0) / (4.0 * n);
        // Below 0.2 the sum is 1 to all digits, and would take more terms.
        if x < 0.2 {
            return 1.0;
        }
        let terms = (1..=20_u8).map(f64::from).map(|k| (-2.0 * (k * x).powi(2)).exp());
        let (odd, even) = terms.enumerate().fold((0.0, 0.0), |(odd, even), (index, term)| {
            if index % 2 == 0 { (odd + term, even) } else { (odd, even + term) }
        });
        (2.0 * (odd - even)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn test(canary: &[f64], stable: &[f64]) -> Option<KolmogorovSmirnov> {
        kolmogorov_smirnov(&Points::from_samples(canary), &Points::from_samples(stable))
    }

    #[test]
    fn an_empty_sample_has_no_test() {
        assert_eq!(test(&[], &[1.0]), None);
        assert_eq!(test(&[1.0], &[f64::INFINITY]), None);
    }

    #[test]
    fn equal_samples_say_nothing() {
        let equal = test(&[3.0; 10], &[3.0; 12]).unwrap();
        assert_eq!(equal.statistic(), 0.0);
        assert_eq!(equal.p_two_sided(), 1.0);
    }

    #[test]
    fn samples_that_do_not_overlap_have_the_largest_distance() {
        let larger = test(&[5.0, 6.0, 7.0], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(larger.statistic(), 1.0);
        // 2 of 20 ways to arrange the values.
        assert!((larger.p_two_sided() - 0.1).abs() < 1e-15);
    }

    #[test]
    fn the_limit_law_agrees_with_scipy() {
        // scipy.stats.kstwo.sf(d, n), for two samples of 2n values
        for (n, d, expected, tolerance) in [
            (1000_u64, 0.013, 0.9951380918092512, 1e-5),
            (1000, 0.03, 0.3226902143914636, 1e-4),
            (1000, 0.05, 0.013012074781090332, 1e-3),
            (20000, 0.004, 0.9048968240702959, 1e-6),
            (20000, 0.009, 0.07785289326070222, 1e-5),
            (20000, 0.012, 0.006251252284121751, 1e-4),
            (20000, 0.03, 4.516330038670992e-16, 0.01),
            (500000, 0.002, 0.036582179671620585, 1e-6),
            (10000000, 0.00045, 0.03483411015746485, 1e-7),
        ] {
            let (n, pairs) = (2 * n, (4 * n * n) as f64);
            let test = KolmogorovSmirnov {
                n_canary: n,
                n_stable: n,
                largest_gap: (d * pairs).round() as u128,
            };
            let found = test.limit_law();
            assert!((found / expected - 1.0).abs() < tolerance, "{n} {d}: {found:e}");
        }
        let equal = KolmogorovSmirnov { n_canary: 1 << 20, n_stable: 1 << 20, largest_gap: 0 };
        assert_eq!(equal.limit_law(), 1.0);
    }

    #[test]
    fn the_limit_law_continues_the_exact_one() {
        let points = |n: u64, shift: f64| {
            Points::from_buckets((0..n).map(|i| (i as f64 / n as f64 + shift, 1)))
        };
        let exact = kolmogorov_smirnov(&points(9_999, 0.02), &points(7_000, 0.0)).unwrap();
        assert!(exact.is_exact());
        assert!((exact.limit_law() / exact.p_two_sided() - 1.0).abs() < 0.02);
        let larger = kolmogorov_smirnov(&points(20_000, 0.02), &points(7_000, 0.0)).unwrap();
        assert!(!larger.is_exact());
        assert_eq!(larger.p_two_sided(), larger.limit_law());
        // With few values on one side and many on the other, the exact law is still affordable.
        assert!(kolmogorov_smirnov(&points(20_000, 0.0), &points(50, 0.0)).unwrap().is_exact());
    }

    proptest! {
        #[test]
        fn swapping_the_samples_changes_nothing(
            canary in vec(-9..9_i32, 1..30),
            stable in vec(-9..9_i32, 1..30),
        ) {
            let [canary, stable] =
                [canary, stable].map(|x| x.into_iter().map(f64::from).collect::<Vec<_>>());
            let (one, other) = (test(&canary, &stable).unwrap(), test(&stable, &canary).unwrap());
            prop_assert_eq!(one.statistic(), other.statistic());
            prop_assert!((one.p_two_sided() / other.p_two_sided() - 1.0).abs() < 1e-12);
            prop_assert!((0.0..=1.0).contains(&one.p_two_sided()));
        }
    }
}
