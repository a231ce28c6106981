//! Do the two distributions differ anywhere at all: center, spread or tail?
//!
//! The largest distance between the two cumulative distributions notices every kind of difference,
//! and each less readily than a test made for that kind.

use crate::stats::MAX_OBSERVATIONS;
use crate::stats::distributions::kolmogorov::kolmogorov_tail;
use crate::stats::distributions::lattice_paths::Boundary;
use crate::stats::distributions::lattice_paths::probability_of_reaching;
use crate::stats::summary::points::Points;
use crate::stats::summary::points::merged;

/// The two-sample Kolmogorov-Smirnov test of the canary's values against stable's.
///
/// ```text
/// D = max |F_c(x) - F_s(x)|      D_greater = max (F_s(x) - F_c(x))      D_less = max (F_c - F_s)
/// ```
///
/// where F is the share of values at or below x. *Greater* means, as everywhere here, that the
/// canary's values are the larger ones, so that its F lies below; scipy names this one
/// `alternative="less"`, after the F.
///
/// As scipy's `auto`, p-values are exact while neither sample has more than 10,000 values, and
/// beyond that asymptotic: two-sided the exact one-sample distribution of D for
/// n_c n_s / (n_c + n_s) values, one-sided Hodges' approximation. scipy gives up one-sided exactness
/// from about a thousand values on, where its binomial coefficients overflow; here it is kept.
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
/// Matematik 3(5), doi:10.1007/BF02589501.
///
/// ```
/// use serin::stats::Points;
/// use serin::stats::fixed_horizon::kolmogorov_smirnov;
///
/// let canary = Points::from_samples(&[12.0, 15.5, 11.0, 14.0, 13.0]);
/// let stable = Points::from_samples(&[10.0, 11.5, 9.0, 12.5, 10.5, 11.2]);
/// let test = kolmogorov_smirnov(&canary, &stable).unwrap();
/// // scipy.stats.ks_2samp(canary, stable)
/// assert!((test.statistic() - 0.6333333333333333).abs() < 1e-15);
/// assert!((test.p_two_sided() - 0.1774891774891775).abs() < 1e-14);
/// // scipy.stats.ks_2samp(canary, stable, alternative="less")
/// assert!((test.p_greater() - 0.08874458874458875).abs() < 1e-14);
/// ```
pub fn kolmogorov_smirnov(canary: &Points, stable: &Points) -> Option<KolmogorovSmirnov> {
    let (n_canary, n_stable) = (canary.total(), stable.total());
    let total = n_canary.checked_add(n_stable)?;
    if n_canary == 0 || n_stable == 0 || total > MAX_OBSERVATIONS {
        return None;
    }
    // The distances times n_c n_s are whole numbers, so that equal ones compare as equal.
    let (mut seen_canary, mut seen_stable) = (0_u64, 0_u64);
    let (mut most_greater, mut most_less) = (0_i128, 0_i128);
    for (_, of_canary, of_stable) in merged(canary, stable) {
        seen_canary += of_canary;
        seen_stable += of_stable;
        let gap = i128::from(seen_stable) * i128::from(n_canary)
            - i128::from(seen_canary) * i128::from(n_stable);
        most_greater = most_greater.max(gap);
        most_less = most_less.max(-gap);
    }
    Some(KolmogorovSmirnov { n_canary, n_stable, most_greater, most_less })
}

/// The result of [`kolmogorov_smirnov`]. Its p-values are computed when asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KolmogorovSmirnov {
    n_canary: u64,
    n_stable: u64,
    /// n_c n_s times the largest F_s - F_c, and the largest F_c - F_s.
    most_greater: i128,
    most_less: i128,
}

impl KolmogorovSmirnov {
    /// The largest sample with an exact p-value, as in scipy.
    pub const MAX_EXACT: u64 = 10_000;

    /// D: the largest distance between the two cumulative distributions, 0 to 1.
    pub fn statistic(&self) -> f64 {
        self.share(self.most_greater.max(self.most_less))
    }

    /// How far the canary's distribution falls below stable's at most: its values are larger.
    pub fn statistic_greater(&self) -> f64 {
        self.share(self.most_greater)
    }

    /// How far the canary's distribution rises above stable's at most: its values are smaller.
    pub fn statistic_less(&self) -> f64 {
        self.share(self.most_less)
    }

    /// Whether the p-values are exact (for values without ties).
    pub fn is_exact(&self) -> bool {
        self.n_canary.max(self.n_stable) <= Self::MAX_EXACT
    }

    /// The probability of a D at least this large if the distributions are equal.
    pub fn p_two_sided(&self) -> f64 {
        if self.is_exact() {
            self.exact(self.most_greater.max(self.most_less), Boundary::Both)
        } else {
            self.p_two_sided_asymptotic()
        }
    }

    /// The probability of a D_greater at least this large if the canary's values are not larger.
    pub fn p_greater(&self) -> f64 {
        self.p_one_sided(self.most_greater)
    }

    /// The probability of a D_less at least this large if the canary's values are not smaller.
    pub fn p_less(&self) -> f64 {
        self.p_one_sided(self.most_less)
    }

    /// The asymptotic two-sided p-value, whatever the size of the samples: scipy's
    /// `method="asymp"`.
    pub fn p_two_sided_asymptotic(&self) -> f64 {
        let (larger, smaller) = self.sizes();
        let equivalent = (larger * (smaller / (larger + smaller))).round_ties_even();
        kolmogorov_tail(equivalent.max(1.0), self.statistic())
    }

    /// The asymptotic p-value against larger values of the canary: scipy's `method="asymp"`.
    pub fn p_greater_asymptotic(&self) -> f64 {
        self.one_sided_asymptotic(self.most_greater)
    }

    /// The asymptotic p-value against smaller values of the canary: scipy's `method="asymp"`.
    pub fn p_less_asymptotic(&self) -> f64 {
        self.one_sided_asymptotic(self.most_less)
    }

    fn p_one_sided(&self, gap: i128) -> f64 {
        // Both samples come from one distribution: the canary's side of the paths is as good.
        if self.is_exact() {
            self.exact(gap, Boundary::One)
        } else {
            self.one_sided_asymptotic(gap)
        }
    }

    fn exact(&self, gap: i128, boundary: Boundary) -> f64 {
        let (n_canary, n_stable) = (self.n_canary as usize, self.n_stable as usize);
        // At most 10,000^2.
        probability_of_reaching(gap as u64, n_canary, n_stable, boundary)
    }

    /// Hodges' equation 5.3.
    fn one_sided_asymptotic(&self, gap: i128) -> f64 {
        let (m, n) = self.sizes();
        let z = (m * (n / (m + n))).sqrt() * self.share(gap);
        let correction = 2.0 * z * (m + 2.0 * n) / (m * n * (m + n)).sqrt() / 3.0;
        (-2.0 * z * z - correction).exp()
    }

    fn share(&self, gap: i128) -> f64 {
        gap as f64 / (self.n_canary as f64 * self.n_stable as f64)
    }

    /// The larger and the smaller sample's size.
    fn sizes(&self) -> (f64, f64) {
        let (n_canary, n_stable) = (self.n_canary as f64, self.n_stable as f64);
        (n_canary.max(n_stable), n_canary.min(n_stable))
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
        assert_eq!((equal.p_two_sided(), equal.p_greater(), equal.p_less()), (1.0, 1.0, 1.0));
    }

    #[test]
    fn the_canary_s_larger_values_are_the_greater_side() {
        let larger = test(&[5.0, 6.0, 7.0], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((larger.statistic_greater(), larger.statistic_less()), (1.0, 0.0));
        // 1 of 20 ways to arrange the values.
        assert!((larger.p_greater() - 0.05).abs() < 1e-15);
        assert!((larger.p_two_sided() - 0.1).abs() < 1e-15);
        assert_eq!(larger.p_less(), 1.0);
    }

    #[test]
    fn beyond_ten_thousand_values_the_asymptotic_value_continues_the_exact_one() {
        let points = |n: u64, shift: f64| {
            Points::from_buckets((0..n).map(|i| (i as f64 / n as f64 + shift, 1)))
        };
        let exact = kolmogorov_smirnov(&points(9_999, 0.02), &points(7_000, 0.0)).unwrap();
        assert!(exact.is_exact());
        assert!((exact.p_two_sided_asymptotic() / exact.p_two_sided() - 1.0).abs() < 0.02);
        assert!((exact.p_greater_asymptotic() / exact.p_greater() - 1.0).abs() < 0.01);
        let larger = kolmogorov_smirnov(&points(10_001, 0.02), &points(7_000, 0.0)).unwrap();
        assert!(!larger.is_exact());
        assert!((larger.p_two_sided() / exact.p_two_sided() - 1.0).abs() < 0.05);
    }

    proptest! {
        #[test]
        fn swapping_the_samples_mirrors_the_result(
            canary in vec(-9..9_i32, 1..30),
            stable in vec(-9..9_i32, 1..30),
        ) {
            let [canary, stable] =
                [canary, stable].map(|x| x.into_iter().map(f64::from).collect::<Vec<_>>());
            let (one, other) = (test(&canary, &stable).unwrap(), test(&stable, &canary).unwrap());
            prop_assert_eq!(one.statistic_greater(), other.statistic_less());
            prop_assert!((one.p_greater() / other.p_less() - 1.0).abs() < 1e-12);
            prop_assert!((one.p_two_sided() / other.p_two_sided() - 1.0).abs() < 1e-12);
            prop_assert!((0.0..=1.0).contains(&one.p_two_sided()));
            prop_assert!(one.p_two_sided() >= one.p_greater().min(one.p_less()) * (1.0 - 1e-12));
        }
    }
}
