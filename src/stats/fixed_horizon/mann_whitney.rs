//! Mann-Whitney U test: are the canary's values larger, whatever their distribution?
//!
//! The test uses ranks, so an outlier counts as one value. Its effect size has a plain meaning: how
//! often is a request of the canary slower than one of stable?

use crate::stats::MAX_OBSERVATIONS;
use crate::stats::distributions::normal::normal_tail;
use crate::stats::distributions::rank_sum::rank_sum_lower_tail;
use crate::stats::summary::points::Points;
use crate::stats::summary::points::merged;

/// The Mann-Whitney U test (Wilcoxon's rank-sum test) of the canary's values against stable's.
///
/// ```text
/// U  = number of pairs (canary, stable) in which the canary's value is larger, ties count 1/2
/// z  = (|U - mu| - 1/2) / sigma        with the sign of U - mu
/// mu = n_c n_s / 2        sigma^2 = n_c n_s / 12 (N + 1 - sum of (t^3 - t) / (N (N - 1)))
/// ```
///
/// where N = n_c + n_s, and t is how often each distinct value occurred. As scipy's `auto`, the
/// p-value is exact when the smaller sample has at most 8 values and no value occurs twice, and
/// otherwise that of the normal distribution with tie and continuity correction. Buckets of a
/// histogram are ties, which the correction accounts for.
///
/// Assumes independent observations. The null hypothesis is equal distributions; the test detects
/// shifts toward larger or smaller values, not a mere change of spread.
///
/// `None` means that a sample is empty, or that there are more than 10^12 observations. When all
/// values are equal nothing speaks against equality: every p-value is 1.
///
/// Time: one pass over the points; the exact distribution adds at most some milliseconds.
///
/// Mann and Whitney (1947), The Annals of Mathematical Statistics 18(1),
/// doi:10.1214/aoms/1177730491; ties: Hollander and Wolfe (1999), Nonparametric Statistical
/// Methods, 2nd edition, section 4.1.
///
/// ```
/// use serin::stats::Points;
/// use serin::stats::mann_whitney_u;
///
/// let canary = Points::from_samples(&[12.0, 15.5, 11.0, 14.0, 13.0]);
/// let stable = Points::from_samples(&[10.0, 11.5, 9.0, 12.5, 10.5, 11.2]);
/// let test = mann_whitney_u(&canary, &stable).unwrap();
/// // scipy.stats.mannwhitneyu(canary, stable, alternative="greater")
/// assert_eq!(test.u, 26.0);
/// assert!((test.p_greater() - 0.025974025974025976).abs() < 1e-14);
/// ```
pub fn mann_whitney_u(canary: &Points, stable: &Points) -> Option<MannWhitney> {
    let (n_canary, n_stable) = (canary.total(), stable.total());
    let total = n_canary.checked_add(n_stable)?;
    if n_canary == 0 || n_stable == 0 || total > MAX_OBSERVATIONS {
        return None;
    }
    let mut stable_below = 0_u64;
    let (mut twice_u, mut ties) = (0_u128, 0_u128);
    for (_, of_canary, of_stable) in merged(canary, stable) {
        let occurrences = u128::from(of_canary + of_stable);
        twice_u += u128::from(of_canary) * u128::from(2 * stable_below + of_stable);
        ties += occurrences.pow(3) - occurrences;
        stable_below += of_stable;
    }
    let all = u128::from(total);
    // In whole numbers, because ties may be nearly all there is.
    let untied = (all.pow(3) - all - ties) as f64;
    let pairs = n_canary as f64 * n_stable as f64;
    let (n, before) = (total as f64, (total - 1) as f64);
    let std_dev = (pairs / 12.0 * (untied / n / before)).sqrt();
    let exact = (ties == 0 && n_canary.min(n_stable) <= MAX_EXACT)
        .then(|| exact_tails((twice_u / 2) as u64, n_canary, n_stable));
    // At most 10^24 either way, so that the subtraction is exact.
    let twice_deviation = twice_u as i128 - (u128::from(n_canary) * u128::from(n_stable)) as i128;
    let deviation = twice_deviation as f64 / 2.0;
    Some(MannWhitney { u: twice_u as f64 / 2.0, pairs, deviation, std_dev, exact })
}

/// The largest smaller sample whose p-value is exact, as in scipy.
const MAX_EXACT: u64 = 8;

/// The result of [`mann_whitney_u`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// The number of pairs in which the canary's value is larger; ties count one half.
    pub u: f64,
    /// The number of pairs: the product of the sample sizes.
    pub pairs: f64,
    /// U minus its mean if both distributions are equal; positive when the canary's are larger.
    pub deviation: f64,
    /// The standard deviation of U if both distributions are equal, corrected for ties; 0 when all
    /// values are equal.
    pub std_dev: f64,
    exact: Option<Tails>,
}

/// P(U >= u) and P(U <= u) if both distributions are equal.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tails {
    upper: f64,
    lower: f64,
}

impl MannWhitney {
    /// Whether the p-values are exact rather than the normal distribution's.
    pub fn is_exact(&self) -> bool {
        self.exact.is_some()
    }

    /// The probability of a U at least this far from its mean, in either direction, if both
    /// distributions are equal.
    pub fn p_two_sided(&self) -> f64 {
        let smaller = self.p_greater().min(self.p_less());
        (2.0 * smaller).min(1.0)
    }

    /// The probability of a U at least this large if the canary's values are not larger.
    pub fn p_greater(&self) -> f64 {
        self.exact.map_or_else(|| self.normal_p(self.deviation), |tails| tails.upper)
    }

    /// The probability of a U at least this small if the canary's values are not smaller.
    pub fn p_less(&self) -> f64 {
        self.exact.map_or_else(|| self.normal_p(-self.deviation), |tails| tails.lower)
    }

    fn normal_p(&self, deviation: f64) -> f64 {
        if self.std_dev == 0.0 {
            return 1.0;
        }
        normal_tail((deviation - 0.5) / self.std_dev)
    }
}

fn exact_tails(u: u64, n_canary: u64, n_stable: u64) -> Tails {
    let (smaller, larger) = (n_canary.min(n_stable), n_canary.max(n_stable));
    // U and n_c n_s - U have the same distribution.
    let upper = rank_sum_lower_tail(smaller * larger - u, smaller, larger);
    Tails { upper, lower: rank_sum_lower_tail(u, smaller, larger) }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn test(canary: &[f64], stable: &[f64]) -> Option<MannWhitney> {
        mann_whitney_u(&Points::from_samples(canary), &Points::from_samples(stable))
    }

    #[test]
    fn an_empty_sample_has_no_test() {
        assert_eq!(test(&[], &[1.0]), None);
        assert_eq!(test(&[1.0], &[]), None);
        assert_eq!(test(&[f64::NAN], &[1.0]), None);
    }

    #[test]
    fn equal_values_say_nothing() {
        for (canary, stable) in [(&[3.0; 10][..], &[3.0; 12][..]), (&[3.0], &[3.0])] {
            let equal = test(canary, stable).unwrap();
            assert_eq!((equal.p_two_sided(), equal.p_greater(), equal.p_less()), (1.0, 1.0, 1.0));
        }
    }

    #[test]
    fn one_value_against_one_is_a_coin_flip() {
        let one = test(&[2.0], &[1.0]).unwrap();
        assert_eq!((one.p_greater(), one.p_less(), one.p_two_sided()), (0.5, 1.0, 1.0));
        assert!(one.is_exact());
    }

    #[test]
    fn a_trillion_observations_keep_their_ties() {
        let half = MAX_OBSERVATIONS / 2;
        let stable = Points::from_buckets([(1.0, half - 1), (2.0, 1)].into_iter());
        let canary = Points::from_buckets([(1.0, half)].into_iter());
        let test = mann_whitney_u(&canary, &stable).unwrap();
        // One value differs: U is half a pair per canary value below its mean, and z is -1.
        assert!((test.p_less() - 0.158_655_253_931_457_05).abs() < 1e-9, "{}", test.p_less());
        let more = Points::from_buckets([(1.0, half), (2.0, 1)].into_iter());
        assert_eq!(mann_whitney_u(&more, &stable), None);
    }

    proptest! {
        #[test]
        fn u_counts_the_pairs(
            canary in vec(-5..5_i32, 1..30),
            stable in vec(-5..5_i32, 1..30),
        ) {
            let [canary, stable] =
                [canary, stable].map(|x| x.into_iter().map(f64::from).collect::<Vec<_>>());
            let pairs = canary.iter().flat_map(|c| stable.iter().map(move |s| (c, s)));
            let direct: f64 = pairs
                .map(|(c, s)| if c > s { 1.0 } else if c == s { 0.5 } else { 0.0 })
                .sum();
            let (one, other) = (test(&canary, &stable).unwrap(), test(&stable, &canary).unwrap());
            prop_assert_eq!(one.u, direct);
            prop_assert_eq!(one.p_greater(), other.p_less());
            prop_assert!(one.p_two_sided() <= 1.0);
        }
    }
}
