//! Drift measures: how far a distribution has moved, as one number.
//!
//! Drift of predictions is judged by size, not by p-value: with a million predictions every shift
//! is significant. The measures need no test and no assumption; they compare shares.

use statrs::function::gamma::checked_gamma_ur;

use crate::stats::summary::points::Points;
use crate::stats::summary::points::merged;

/// The average distance by which values must move to turn one distribution into the other (Wasserstein-1, the earth mover's distance), in the unit of the values.
///
/// ```text
/// W = integral of |F_c(x) - F_s(x)| dx
/// ```
///
/// Sizes of the samples and their ties do not matter. From histograms it is off by at most the width
/// of a bucket. `None` means that a sample is empty.
///
/// Ramdas, Garcia Trillos and Cuturi (2017), Entropy 19(2), doi:10.3390/e19020047.
///
/// ```
/// use serin::stats::Points;
/// use serin::stats::wasserstein_distance;
///
/// let canary = Points::from_samples(&[0.2, 0.4, 0.9]);
/// let stable = Points::from_samples(&[0.1, 0.4, 0.5, 0.6]);
/// // scipy.stats.wasserstein_distance([0.2, 0.4, 0.9], [0.1, 0.4, 0.5, 0.6])
/// let distance = wasserstein_distance(&canary, &stable).unwrap();
/// assert!((distance - 0.16666666666666669).abs() < 1e-15);
/// ```
pub fn wasserstein_distance(canary: &Points, stable: &Points) -> Option<f64> {
    if canary.is_empty() || stable.is_empty() {
        return None;
    }
    let (n_canary, n_stable) = (canary.total() as f64, stable.total() as f64);
    let (mut seen_canary, mut seen_stable) = (0_u64, 0_u64);
    let (mut distance, mut before) = (0.0, f64::NAN);
    for (value, of_canary, of_stable) in merged(canary, stable) {
        let gap = seen_canary as f64 / n_canary - seen_stable as f64 / n_stable;
        // The gap is 0 before the first value.
        if gap != 0.0 {
            distance += gap.abs() * (value - before);
        }
        seen_canary = seen_canary.saturating_add(of_canary);
        seen_stable = seen_stable.saturating_add(of_stable);
        before = value;
    }
    Some(distance)
}

/// How many values of canary and stable fall into the same bins.
///
/// The measures below compare bins, so the bins decide what they can see. Values of a continuous
/// signal hardly ever agree: take the buckets of a histogram, or bins by stable's quantiles.
///
/// ```
/// use serin::stats::Points;
/// use serin::stats::SharedBins;
///
/// let canary = Points::from_samples(&[1.0, 2.0, 2.0, 3.0, 3.0, 3.0]);
/// let stable = Points::from_samples(&[1.0, 1.0, 2.0, 3.0]);
/// let bins = SharedBins::by_value(&canary, &stable).unwrap();
/// // numpy: sum((c - s) * log(c / s))
/// assert!((bins.population_stability_index() - 0.563464397400338).abs() < 1e-14);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SharedBins {
    /// Counts of canary and stable; no bin is empty on both sides.
    counts: Vec<(u64, u64)>,
}

impl SharedBins {
    /// One bin per value that occurred: the buckets of a histogram, or labels.
    ///
    /// `None` means that a sample is empty.
    pub fn by_value(canary: &Points, stable: &Points) -> Option<Self> {
        if canary.is_empty() || stable.is_empty() {
            return None;
        }
        let counts = merged(canary, stable).map(|(_, canary, stable)| (canary, stable)).collect();
        Some(Self { counts })
    }

    /// These counts of canary and stable; bins that are empty on both sides are left out.
    ///
    /// `None` means that one side has no value.
    pub fn of_counts(counts: impl IntoIterator<Item = (u64, u64)>) -> Option<Self> {
        let counts: Vec<(u64, u64)> =
            counts.into_iter().filter(|(canary, stable)| canary + stable > 0).collect();
        let has = |side: fn(&(u64, u64)) -> u64| counts.iter().any(|bin| side(bin) > 0);
        (has(|bin| bin.0) && has(|bin| bin.1)).then_some(Self { counts })
    }

    /// At most `bins` bins, each of which holds about the same number of stable's values: a bin is
    /// closed at the first value where its share of stable's values is reached. Ten are customary.
    ///
    /// `None` means that a sample is empty or that `bins` is 0.
    pub fn by_stable_quantiles(canary: &Points, stable: &Points, bins: u32) -> Option<Self> {
        if canary.is_empty() || stable.is_empty() || bins == 0 {
            return None;
        }
        let mut counts = vec![(0, 0)];
        let mut seen_stable = 0_u64;
        for (_, of_canary, of_stable) in merged(canary, stable) {
            let needed = u128::from(stable.total()) * counts.len() as u128;
            let is_full = u128::from(seen_stable) * u128::from(bins) >= needed;
            // The last bin takes what is left; what lies beyond stable's values has no bin of its
            // own.
            if is_full && counts.len() < bins as usize {
                counts.push((0, 0));
            }
            if let Some(bin) = counts.last_mut() {
                *bin = (bin.0 + of_canary, bin.1 + of_stable);
            }
            seen_stable += of_stable;
        }
        Some(Self { counts })
    }

    /// The population stability index, symmetric, from 0 up.
    ///
    /// ```text
    /// PSI = sum (c - s) ln(c / s)        c, s = the bin's share of the canary's, of stable's values
    /// ```
    ///
    /// By custom, below 0.1 the change is negligible and above 0.25 it is large. The rule does not hold
    /// for small samples: by chance alone PSI is about (bins - 1)(1/n_c + 1/n_s).
    ///
    /// An empty bin would make it infinite. Where there is one, half an observation is added to
    /// every bin of both sides, so that the rule does not depend on which side is empty.
    ///
    /// Kullback and Leibler (1951), The Annals of Mathematical Statistics 22(1),
    /// doi:10.1214/aoms/1177729694 (their divergence J); as an index: Siddiqi (2006), Credit Risk
    /// Scorecards, Wiley; its size by chance: Yurdakul and Naranjo (2020), "Statistical properties of
    /// the population stability index", Journal of Risk Model Validation 14(4).
    pub fn population_stability_index(&self) -> f64 {
        let has_empty = self.counts.iter().any(|(canary, stable)| *canary == 0 || *stable == 0);
        let added = if has_empty { 0.5 } else { 0.0 };
        self.shares(added).map(|(canary, stable)| (canary - stable) * (canary / stable).ln()).sum()
    }

    /// The probability of a [population stability index](Self::population_stability_index) at least
    /// this large if both samples come from one distribution.
    ///
    /// ```text
    /// P( X > PSI n_c n_s / (n_c + n_s) )        X chi-square, bins - 1 degrees of freedom
    /// ```
    ///
    /// An approximation for bins of at least about five values a side. 1 with a single bin.
    ///
    /// Yurdakul and Naranjo (2020), as cited for the index.
    ///
    /// ```
    /// use serin::stats::Points;
    /// use serin::stats::SharedBins;
    ///
    /// let canary = Points::from_samples(&[1.0, 2.0, 2.0, 3.0, 3.0, 3.0]);
    /// let stable = Points::from_samples(&[1.0, 1.0, 2.0, 3.0]);
    /// let bins = SharedBins::by_value(&canary, &stable).unwrap();
    /// // scipy.stats.chi2.sf(0.563464397400338 * 2.4, 2) = exp(-0.563464397400338 * 1.2)
    /// assert!((bins.stability_p_value() - 0.508_567_526_475_976_7).abs() < 1e-12);
    /// ```
    pub fn stability_p_value(&self) -> f64 {
        let (canary, stable) = self.totals();
        let chi_square = self.population_stability_index() * (canary * stable / (canary + stable));
        // An index of 0 is certain to be reached.
        let freedom = (self.counts.len() - 1) as f64;
        checked_gamma_ur(0.5 * freedom, 0.5 * chi_square).unwrap_or(1.0)
    }

    /// The population stability index that two samples of one distribution have on average, about.
    ///
    /// ```text
    /// (bins - 1)(1/n_c + 1/n_s)
    /// ```
    ///
    /// Yurdakul and Naranjo (2020), as cited for the index.
    pub fn stability_index_by_chance(&self) -> f64 {
        let (canary, stable) = self.totals();
        (self.counts.len() - 1) as f64 * (1.0 / canary + 1.0 / stable)
    }

    /// The p-value of Pearson's chi-square test that both samples come from one distribution. Bins in which fewer than
    /// five values of a side are expected are joined, without which a rare bin makes the test alarm too often.
    ///
    /// ```text
    /// P( X > sum (n_bin - e)^2 / e )        over both sides; e = values of the side x share of the bin in both together
    /// ```
    ///
    /// with X chi-square, bins - 1 degrees of freedom. 1 with a single bin. An approximation, for one look.
    ///
    /// Pearson (1900), doi:10.1080/14786440009463897; five expected: Cochran (1954), "Some methods for strengthening the
    /// common chi-square tests", Biometrics 10(4), doi:10.2307/3001616.
    ///
    /// ```
    /// use serin::stats::SharedBins;
    ///
    /// let bins = SharedBins::of_counts([(30, 20), (50, 40), (20, 40)]).unwrap();
    /// // scipy.stats.chi2_contingency([[30, 50, 20], [20, 40, 40]]).pvalue
    /// assert!((bins.homogeneity_p_value() - 0.007_529_784_255_650_024).abs() < 1e-12);
    /// ```
    pub fn homogeneity_p_value(&self) -> f64 {
        const EXPECTED: f64 = 5.0;
        let (canary, stable) = self.totals();
        let all = canary + stable;
        let share = |bin: &(u64, u64)| (bin.0 as f64 + bin.1 as f64) / all;
        let is_rare = |bin: &&(u64, u64)| share(bin) * canary.min(stable) < EXPECTED;
        let rare: Vec<&(u64, u64)> = self.counts.iter().filter(is_rare).collect();
        let mut bins: Vec<&(u64, u64)> = self.counts.iter().filter(|bin| !is_rare(bin)).collect();
        let joined = |one: &(u64, u64), other: &(u64, u64)| (one.0 + other.0, one.1 + other.1);
        let mut rest = rare.into_iter().fold((0, 0), |sum, bin| joined(&sum, bin));
        if rest != (0, 0) && is_rare(&&rest) {
            let least = (0..bins.len()).min_by(|a, b| share(bins[*a]).total_cmp(&share(bins[*b])));
            rest = least.map_or(rest, |least| joined(&rest, bins.swap_remove(least)));
        }
        let bins: Vec<&(u64, u64)> =
            bins.into_iter().chain((rest != (0, 0)).then_some(&rest)).collect();
        let part = |found: u64, expected: f64| {
            let gap = found as f64 - expected;
            gap * gap / expected
        };
        let of =
            |bin: &&(u64, u64)| part(bin.0, share(bin) * canary) + part(bin.1, share(bin) * stable);
        let chi_square: f64 = bins.iter().map(of).sum();
        let freedom = bins.len().saturating_sub(1) as f64;
        checked_gamma_ur(0.5 * freedom, 0.5 * chi_square).unwrap_or(1.0)
    }

    fn totals(&self) -> (f64, f64) {
        self.counts.iter().fold((0.0, 0.0), |(canary, stable), bin| {
            (canary + bin.0 as f64, stable + bin.1 as f64)
        })
    }

    /// The shares of canary and stable, with `added` observations in every bin.
    fn shares(&self, added: f64) -> impl Iterator<Item = (f64, f64)> + '_ {
        let all_added = added * self.counts.len() as f64;
        let sum = |side: fn(&(u64, u64)) -> u64| {
            self.counts.iter().map(|bin| side(bin) as f64).sum::<f64>() + all_added
        };
        let (of_canary, of_stable) = (sum(|bin| bin.0), sum(|bin| bin.1));
        self.counts.iter().map(move |(canary, stable)| {
            ((*canary as f64 + added) / of_canary, (*stable as f64 + added) / of_stable)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Points {
        Points::from_samples(values)
    }

    #[test]
    fn an_empty_sample_has_no_distance() {
        assert_eq!(wasserstein_distance(&of(&[]), &of(&[1.0])), None);
        assert_eq!(SharedBins::by_value(&of(&[1.0]), &of(&[])), None);
        assert_eq!(SharedBins::by_stable_quantiles(&of(&[]), &of(&[1.0]), 10), None);
        assert_eq!(SharedBins::by_stable_quantiles(&of(&[1.0]), &of(&[1.0]), 0), None);
    }

    #[test]
    fn disjoint_distributions_have_the_largest_distance() {
        let bins = SharedBins::by_value(&of(&[1.0, 2.0]), &of(&[3.0, 4.0])).unwrap();
        // Half an observation in each of four bins: shares 3/8 and 1/8, four times over.
        let expected = 4.0 * 0.25 * 3_f64.ln();
        assert!((bins.population_stability_index() - expected).abs() < 1e-14);
        assert_eq!(wasserstein_distance(&of(&[1.0, 2.0]), &of(&[3.0, 4.0])), Some(2.0));
    }

    #[test]
    fn bins_by_quantiles_hold_equal_shares_of_stable() {
        let stable = of(&(0..100).map(f64::from).collect::<Vec<_>>());
        let canary = of(&[-5.0, 3.0, 9.0, 9.5, 55.0, 99.0, 1000.0]);
        let bins = SharedBins::by_stable_quantiles(&canary, &stable, 10).unwrap();
        assert_eq!(bins.counts.len(), 10);
        assert!(bins.counts.iter().all(|(_, stable)| *stable == 10));
        assert_eq!(bins.counts[0].0, 3);
        assert_eq!(bins.counts[9].0, 2);
        // Few distinct values have few bins.
        let labels = SharedBins::by_stable_quantiles(&of(&[0.0]), &of(&[0.0, 1.0]), 10).unwrap();
        assert_eq!(labels.counts, [(1, 1), (0, 1)]);
    }

    proptest! {
        #[test]
        fn the_measures_are_symmetric_and_zero_for_equal_samples(
            canary in vec(-5..5_i32, 1..50),
            stable in vec(-5..5_i32, 1..50),
        ) {
            let [canary, stable] =
                [canary, stable].map(|x| of(&x.into_iter().map(f64::from).collect::<Vec<_>>()));
            let measures = |one: &Points, other: &Points| {
                let bins = SharedBins::by_value(one, other).unwrap();
                [
                    wasserstein_distance(one, other).unwrap(),
                    bins.population_stability_index(),
                ]
            };
            prop_assert_eq!(measures(&canary, &canary), [0.0; 2]);
            for (one, other) in measures(&canary, &stable).into_iter().zip(measures(&stable, &canary)) {
                prop_assert!((one - other).abs() < 1e-12 && one >= 0.0, "{} {}", one, other);
            }
        }
    }
}
