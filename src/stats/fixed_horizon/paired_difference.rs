//! Differences between two models on the same rows.
//!
//! Each row is its own control, so the error of the difference is far smaller than those of the two figures.

use serde::Serialize;

use crate::stats::distributions::incomplete_beta::binomial_lower_tail;
use crate::stats::distributions::normal::normal_quantile;
use crate::stats::distributions::normal::normal_tail;
use crate::stats::distributions::student_t::student_t_quantile;
use crate::stats::distributions::student_t::student_t_tail;
use crate::stats::summary::moments::Moments;

/// Share outside of the interval, on each side.
const TAIL: f64 = 0.025;

/// Bins of the calibration error, of equal width.
const BINS: usize = 10;

/// The canary's figure minus stable's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairedDifference {
    /// The difference.
    pub difference: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// A 95 % interval.
    pub interval: [f64; 2],
    /// The probability of a difference at least this far from 0 in either direction if there is none. Without
    /// any spread the difference decides: 1 for none, otherwise 0.
    pub p_value: f64,
}

impl PairedDifference {
    /// With the quantile of its distribution, and the tail beyond a number of standard errors.
    fn new(
        difference: f64,
        standard_error: f64,
        quantile: f64,
        tail: impl Fn(f64) -> f64,
    ) -> PairedDifference {
        let reach = quantile * standard_error;
        let p_value = match difference {
            0.0 => 1.0,
            _ if standard_error == 0.0 => 0.0,
            _ => (2.0 * tail((difference / standard_error).abs())).min(1.0),
        };
        let interval = [difference - reach, difference + reach];
        PairedDifference { difference, standard_error, interval, p_value }
    }

    /// The difference in another unit: times a factor that is known without error.
    #[must_use]
    pub fn times(self, factor: f64) -> PairedDifference {
        let [low, high] = self.interval.map(|end| end * factor);
        PairedDifference {
            difference: self.difference * factor,
            standard_error: self.standard_error * factor.abs(),
            interval: [low.min(high), low.max(high)],
            ..self
        }
    }

    /// Whether the interval contains 0.
    pub fn is_noise(&self) -> bool {
        self.interval[0] <= 0.0 && self.interval[1] >= 0.0
    }
}

/// The paired t-test: the mean of the differences `d` of the rows, with standard error `sd(d) / sqrt(n)` and
/// Student's t of n - 1 degrees of freedom. `None` below two rows.
///
/// Assumes independent rows, and enough of them for the mean to be nearly normal: dozens under mild skew,
/// hundreds where few rows make most of the difference.
///
/// Source for losses: Diebold and Mariano (1995), "Comparing predictive accuracy", Journal of Business and
/// Economic Statistics 13(3), doi:10.1080/07350015.1995.10524599, for independent rows.
///
/// ```
/// use serin::stats::Moments;
/// use serin::stats::paired_t;
///
/// let differences: Moments = [0.3, -0.1, 0.4, 0.2, 0.1].into_iter().collect();
/// let found = paired_t(&differences).unwrap();
/// // scipy.stats.ttest_1samp([0.3, -0.1, 0.4, 0.2, 0.1], 0)
/// assert!((found.p_value - 0.104_539_999_778_375_54).abs() < 1e-12);
/// assert!((found.interval[0] + 0.058_838_838_809_998_045).abs() < 1e-12);
/// ```
pub fn paired_t(differences: &Moments) -> Option<PairedDifference> {
    let count = differences.count() as f64;
    let error = (differences.variance()? / count).sqrt();
    let freedom = count - 1.0;
    let quantile = student_t_quantile(TAIL, freedom);
    let difference = differences.mean()?;
    Some(PairedDifference::new(difference, error, quantile, |t| student_t_tail(t, freedom)))
}

/// The difference of the roots of the mean squared errors, from the errors of the same rows. Its standard error is that of
/// its linear part (the delta method):
///
/// ```text
/// part = e_c^2 / (2 r_c) - e_s^2 / (2 r_s)     e = error of a row,  r = root of the mean squared error
/// se   = sd(part) / sqrt(n)                    a model without any error adds nothing
/// ```
///
/// with Student's t of n - 1 degrees of freedom. `None` below two rows. Assumes independent rows; few rows with large
/// errors make the interval too narrow.
///
/// Sources: Diebold and Mariano (1995), as for [`paired_t`]; van der Vaart (1998), "Asymptotic statistics", chapter 3,
/// doi:10.1017/CBO9780511802256.
///
/// ```
/// use serin::stats::root_mean_square_difference;
///
/// let found = root_mean_square_difference(&[1.0, -2.0, 2.0], &[1.0, 1.0, -1.0]).unwrap();
/// // numpy.sqrt(numpy.mean([1, 4, 4])) - 1
/// assert!((found.difference - 0.732_050_807_568_877_3).abs() < 1e-15);
/// ```
pub fn root_mean_square_difference(canary: &[f64], stable: &[f64]) -> Option<PairedDifference> {
    let [canary_root, stable_root] = [canary, stable].map(|errors| {
        let squares: f64 = errors.iter().map(|error| error * error).sum();
        (squares / errors.len().max(1) as f64).sqrt()
    });
    let half = |error: f64, root: f64| if root > 0.0 { error * error / (2.0 * root) } else { 0.0 };
    let rows = canary.iter().zip(stable);
    let parts: Moments = rows
        .map(|(canary, stable)| half(*canary, canary_root) - half(*stable, stable_root))
        .collect();
    let count = parts.count() as f64;
    let error = (parts.variance()? / count).sqrt();
    let freedom = count - 1.0;
    let quantile = student_t_quantile(TAIL, freedom);
    let difference = canary_root - stable_root;
    Some(PairedDifference::new(difference, error, quantile, |t| student_t_tail(t, freedom)))
}

/// The difference of the areas under the curve. An area is the mean over the positive rows of the share of
/// negative ones that score lower, and the mean over the negative rows of the share of positive ones that
/// score higher; the differences of these shares vary with
///
/// ```text
/// var = var(d of the m positive rows) / m + var(d of the n negative rows) / n
/// ```
///
/// with a normal distribution. `None` below two rows of a class.
///
/// DeLong, DeLong and Clarke-Pearson (1988), "Comparing the areas under two or more correlated receiver
/// operating characteristic curves", Biometrics 44(3), doi:10.2307/2531595. The sort is that of Sun and Xu
/// (2014), IEEE Signal Processing Letters 21(11), doi:10.1109/LSP.2014.2337313.
pub fn area_difference(
    canary: &[f64],
    stable: &[f64],
    outcomes: &[bool],
) -> Option<PairedDifference> {
    let [canary, stable] = [canary, stable].map(|scores| shares(scores, outcomes));
    let [positive, negative]: [Moments; 2] = [true, false].map(|class| {
        let rows = outcomes.iter().zip(canary.iter().zip(&stable));
        rows.filter(|(outcome, _)| **outcome == class)
            .map(|(_, (one, other))| one - other)
            .collect()
    });
    let of = |class: &Moments| Some(class.variance()? / class.count() as f64);
    let error = (of(&positive)? + of(&negative)?).sqrt();
    let difference = positive.mean()?;
    Some(PairedDifference::new(difference, error, normal_quantile(TAIL), normal_tail))
}

/// For each row the share of the other class on the right side of it; a tie counts half.
fn shares(scores: &[f64], outcomes: &[bool]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let positives = outcomes.iter().filter(|outcome| **outcome).count() as f64;
    let negatives = outcomes.len() as f64 - positives;
    let mut shares = vec![0.0; scores.len()];
    let (mut positives_below, mut negatives_below) = (0.0, 0.0);
    for tied in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let positive = tied.iter().filter(|row| outcomes[**row]).count() as f64;
        let negative = tied.len() as f64 - positive;
        for row in tied {
            shares[*row] = if outcomes[*row] {
                (negatives_below + 0.5 * negative) / negatives
            } else {
                1.0 - (positives_below + 0.5 * positive) / positives
            };
        }
        positives_below += positive;
        negatives_below += negative;
    }
    shares
}

/// Miscalibration by rows: their mean is the reliability term of the Brier score over ten bins of equal width,
/// corrected for its bias: how far the predicted probabilities of a bin are from its share of positive outcomes,
/// squared, less what chance adds to it.
///
/// ```text
/// M    = 1/N sum over bins of n (m^2 - v)      m, v n = mean and variance of e = p - y in a bin of n rows
/// part = 2 m e - m^2 - v                       the mean of all parts is M, their spread that of M
/// ```
///
/// Without the correction a calibrated model would seem as far off as its rows are few, and the interval of a
/// difference to a miscalibrated one would miss it. Where a bin is calibrated the interval is too wide. A bin of
/// one row counts as calibrated, because it has no variance. The mean can be below 0.
///
/// Ferro and Fricker (2012), "A bias-corrected decomposition of the Brier score", Quarterly Journal of the
/// Royal Meteorological Society 138, doi:10.1002/qj.1924.
pub fn miscalibration_parts(probabilities: &[f64], outcomes: &[bool]) -> Vec<f64> {
    let bin = |probability: f64| ((probability * BINS as f64) as usize).min(BINS - 1);
    let excess = |probability: f64, outcome: bool| probability - f64::from(u8::from(outcome));
    let rows = || probabilities.iter().copied().zip(outcomes.iter().copied());
    let mut bins: [Moments; BINS] = std::array::from_fn(|_| Moments::new());
    rows().for_each(|(probability, outcome)| {
        bins[bin(probability)].record(excess(probability, outcome));
    });
    let of_bin = |bin: &Moments| {
        let known = bin.mean().zip(bin.variance());
        known.map_or((0.0, 0.0), |(mean, variance)| (mean, variance / bin.count() as f64))
    };
    let bins = bins.each_ref().map(of_bin);
    rows()
        .map(|(p, outcome)| {
            let (mean, variance) = bins[bin(p)];
            2.0 * mean * excess(p, outcome) - mean * mean - variance
        })
        .collect()
}

/// McNemar's exact test: do two models differ in how many rows they label rightly? Only the rows that one of
/// them alone labels rightly say something: if both are as good, each such row is a fair coin.
///
/// ```text
/// p = min(1, 2 P(B <= min(k, n - k)))          B binomial, n trials of 1/2;  k, n - k = the two counts
/// ```
///
/// Exact for any counts; 1 without such rows.
///
/// McNemar (1947), "Note on the sampling error of the difference between correlated proportions or
/// percentages", Psychometrika 12(2), doi:10.1007/BF02295996.
///
/// ```
/// use serin::stats::mcnemar_exact;
///
/// // statsmodels.stats.contingency_tables.mcnemar([[0, 3], [11, 0]], exact=True).pvalue
/// assert!((mcnemar_exact(3, 11) - 0.057_373_046_875).abs() < 1e-12);
/// ```
pub fn mcnemar_exact(only_canary: u64, only_stable: u64) -> f64 {
    let rows = only_canary.saturating_add(only_stable) as f64;
    let fewer = only_canary.min(only_stable) as f64;
    (2.0 * binomial_lower_tail(fewer, rows, 0.5, 0.5)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOMES: [bool; 7] = [true, false, true, false, false, true, false];
    const STABLE: [f64; 7] = [0.9, 0.2, 0.4, 0.4, 0.1, 0.7, 0.6];
    const CANARY: [f64; 7] = [0.8, 0.3, 0.6, 0.5, 0.2, 0.3, 0.1];

    #[test]
    fn the_difference_of_areas_has_the_error_of_its_definition() {
        // The kernel over all pairs of a positive and a negative row, as in the source.
        let kernel = |positive: f64, negative: f64| match positive.total_cmp(&negative) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        let rows = |class: bool| (0..7).filter(move |row| OUTCOMES[*row] == class);
        let pair = |p: usize, n: usize| kernel(CANARY[p], CANARY[n]) - kernel(STABLE[p], STABLE[n]);
        let by_positive: Moments =
            rows(true).map(|p| rows(false).map(|n| pair(p, n)).sum::<f64>() / 4.0).collect();
        let by_negative: Moments =
            rows(false).map(|n| rows(true).map(|p| pair(p, n)).sum::<f64>() / 3.0).collect();
        let variance =
            by_positive.variance().unwrap() / 3.0 + by_negative.variance().unwrap() / 4.0;

        let found = area_difference(&CANARY, &STABLE, &OUTCOMES).unwrap();
        assert!((found.standard_error - variance.sqrt()).abs() < 1e-15);
        assert!((found.difference - by_positive.mean().unwrap()).abs() < 1e-15);
        let reach = found.interval[1] - found.difference;
        assert!((reach - 1.959_963_984_540_054 * found.standard_error).abs() < 1e-12);
    }

    #[test]
    fn the_mean_of_differences_is_a_paired_t_interval() {
        // Differences of 1, 2 and 3: mean 2, standard error 1 / sqrt(3), t of 2 degrees of freedom 4.3027.
        let found = paired_t(&[1.0, 2.0, 3.0].into_iter().collect()).unwrap();
        assert!((found.standard_error - 3.0_f64.sqrt().recip()).abs() < 1e-15);
        assert!((found.interval[0] - (2.0 - 4.302_652_729_911_275 / 3.0_f64.sqrt())).abs() < 1e-9);
        assert!(found.is_noise());
    }

    #[test]
    fn equal_models_do_not_differ_and_one_row_says_nothing() {
        let equal = paired_t(&[0.0; 4].into_iter().collect());
        for found in [area_difference(&STABLE, &STABLE, &OUTCOMES), equal] {
            let found = found.unwrap();
            assert_eq!((found.interval, found.p_value), ([0.0, 0.0], 1.0));
        }
        assert_eq!(area_difference(&[0.1, 0.2], &[0.1, 0.2], &[true, false]), None);
        assert_eq!(paired_t(&[0.1].into_iter().collect()), None);
        let constant = paired_t(&[0.5; 3].into_iter().collect()).unwrap();
        assert_eq!((constant.p_value, constant.is_noise()), (0.0, false));
        assert_eq!(mcnemar_exact(0, 0), 1.0);
        assert_eq!(root_mean_square_difference(&[1.0], &[2.0]), None);
        let same = root_mean_square_difference(&[1.0, -3.0], &[1.0, -3.0]).unwrap();
        assert_eq!((same.interval, same.p_value), ([0.0, 0.0], 1.0));
        // A model without any error.
        let perfect = root_mean_square_difference(&[0.0; 3], &[1.0, -1.0, 2.0]).unwrap();
        assert!((perfect.difference + 2.0_f64.sqrt()).abs() < 1e-15, "{perfect:?}");
        assert!(perfect.standard_error > 0.0);
    }

    #[test]
    fn the_mean_of_the_parts_is_the_miscalibration() {
        // 0.95, 0.91 and 1 share the last bin with errors -0.05, 0.91 and 0; 0.12 is alone.
        let parts = miscalibration_parts(&[0.95, 0.91, 0.12, 1.0], &[true, false, false, true]);
        let errors: Moments = [-0.05, 0.91, 0.0].into_iter().collect();
        let squared = errors.mean().unwrap().powi(2) - errors.variance().unwrap() / 3.0;
        let expected = 3.0 * squared / 4.0;
        assert!((parts.iter().sum::<f64>() / 4.0 - expected).abs() < 1e-15, "{parts:?}");
        assert_eq!(parts[2], 0.0);
    }
}
