//! Welch's t-test: do two means differ when the variances may differ too?
//!
//! The test is valid for one look. Repeated looks raise more and more false alarms.

pub(crate) mod permutation;

use crate::stats::distributions::student_t::student_t_quantile;
use crate::stats::distributions::student_t::student_t_tail;
use crate::stats::summary::moments::Moments;

/// Welch's t-test of the canary's mean against stable's, without assuming equal variances.
///
/// ```text
/// t  = (mean_c - mean_s) / se          se = sqrt(v_c + v_s)       v = variance / n
/// df = (v_c + v_s)^2 / ( v_c^2 / (n_c - 1) + v_s^2 / (n_s - 1) )      (Welch-Satterthwaite)
/// ```
///
/// Assumes independent observations, and enough of them for the means to be nearly normal: dozens
/// for mild skew, hundreds for heavy tails. Difference and standard error are in the unit of the
/// values.
///
/// `None` means that a sample has fewer than two values, so that a variance is unknown.
///
/// When neither sample varies there is no t distribution to compare with, and the values decide:
/// equal means give t = 0 and every p-value 1; different means give t = +-inf, as in scipy,
/// p = 0 in the direction seen and 1 in the other. That claims certainty from as few as four
/// observations, so ask [`WelchT::is_degenerate`] before acting on it. The degrees of freedom
/// are then n_c + n_s - 2.
///
/// Welch (1947), Biometrika 34(1-2), doi:10.1093/biomet/34.1-2.28; Satterthwaite (1946), Biometrics
/// Bulletin 2(6), doi:10.2307/3002019.
///
/// ```
/// use serin::stats::Moments;
/// use serin::stats::welch_t_test;
///
/// let canary: Moments = [12.0, 15.0, 11.0, 14.0, 13.0].into_iter().collect();
/// let stable: Moments = [10.0, 11.0, 9.0, 12.0, 10.0, 11.0].into_iter().collect();
/// let test = welch_t_test(&canary, &stable).unwrap();
/// // scipy.stats.ttest_ind(canary, stable, equal_var=False, alternative="greater")
/// assert!((test.statistic - 3.0242918945456694).abs() < 1e-12);
/// assert!((test.p_greater() - 0.010075457825288667).abs() < 1e-12);
/// ```
pub fn welch_t_test(canary: &Moments, stable: &Moments) -> Option<WelchT> {
    let canary_share = canary.variance()? / canary.count() as f64;
    let stable_share = stable.variance()? / stable.count() as f64;
    let difference = canary.mean_difference(stable)?;
    let squared_error = canary_share + stable_share;
    let (canary_freedom, stable_freedom) =
        ((canary.count() - 1) as f64, (stable.count() - 1) as f64);
    if squared_error == 0.0 {
        let statistic = if difference == 0.0 { 0.0 } else { difference.signum() * f64::INFINITY };
        let degrees_of_freedom = canary_freedom + stable_freedom;
        return Some(WelchT { statistic, degrees_of_freedom, difference, standard_error: 0.0 });
    }
    // Ratios first: the squares of very large or small variances would overflow or vanish.
    let (canary_part, stable_part) = (canary_share / squared_error, stable_share / squared_error);
    let degrees_of_freedom =
        1.0 / (canary_part.powi(2) / canary_freedom + stable_part.powi(2) / stable_freedom);
    let standard_error = squared_error.sqrt();
    let statistic = difference / standard_error;
    Some(WelchT { statistic, degrees_of_freedom, difference, standard_error })
}

/// The result of [`welch_t_test`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WelchT {
    /// The difference in standard errors; positive when the canary's mean is larger.
    pub statistic: f64,
    /// The Welch-Satterthwaite degrees of freedom, rarely a whole number.
    pub degrees_of_freedom: f64,
    /// The canary's mean minus stable's.
    pub difference: f64,
    /// The standard error of the difference.
    pub standard_error: f64,
}

impl WelchT {
    /// Whether neither sample varied, so that the p-values are 0 or 1 by convention.
    pub fn is_degenerate(&self) -> bool {
        self.standard_error == 0.0
    }

    /// The probability of a statistic at least this far from 0 in either direction if the means
    /// are equal.
    pub fn p_two_sided(&self) -> f64 {
        (2.0 * self.tail(self.statistic.abs())).min(1.0)
    }

    /// The probability of a statistic at least this large if the canary's mean is not larger.
    pub fn p_greater(&self) -> f64 {
        self.tail(self.statistic)
    }

    /// The probability of a statistic at least this small if the canary's mean is not smaller.
    pub fn p_less(&self) -> f64 {
        self.tail(-self.statistic)
    }

    /// The two-sided confidence interval of the difference, for a level such as 0.95.
    ///
    /// A level of 0 or less gives the difference itself; of 1 or more, or NaN, all numbers.
    pub fn confidence_interval(&self, level: f64) -> (f64, f64) {
        if level <= 0.0 || (self.is_degenerate() && level < 1.0) {
            return (self.difference, self.difference);
        }
        if level.is_nan() || level >= 1.0 {
            return (f64::NEG_INFINITY, f64::INFINITY);
        }
        let quantile = student_t_quantile(0.5 * (1.0 - level), self.degrees_of_freedom);
        let half_width = quantile * self.standard_error;
        (self.difference - half_width, self.difference + half_width)
    }

    fn tail(&self, statistic: f64) -> f64 {
        if !self.is_degenerate() {
            return student_t_tail(statistic, self.degrees_of_freedom);
        }
        if statistic > 0.0 { 0.0 } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn test(canary: &[f64], stable: &[f64]) -> Option<WelchT> {
        let moments = |values: &[f64]| values.iter().copied().collect::<Moments>();
        welch_t_test(&moments(canary), &moments(stable))
    }

    #[test]
    fn too_few_values_have_no_test() {
        assert_eq!(test(&[], &[1.0, 2.0]), None);
        assert_eq!(test(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(test(&[1.0, 2.0], &[1.0]), None);
    }

    #[test]
    fn constant_samples_decide_by_their_values() {
        let equal = test(&[3.0; 10], &[3.0; 12]).unwrap();
        assert!(equal.is_degenerate());
        assert_eq!((equal.p_two_sided(), equal.p_greater(), equal.p_less()), (1.0, 1.0, 1.0));
        assert_eq!(equal.confidence_interval(0.95), (0.0, 0.0));

        let larger = test(&[4.0; 10], &[3.0; 12]).unwrap();
        assert_eq!((larger.statistic, larger.degrees_of_freedom), (f64::INFINITY, 20.0));
        assert_eq!((larger.p_two_sided(), larger.p_greater(), larger.p_less()), (0.0, 0.0, 1.0));

        let smaller = test(&[2.0; 10], &[3.0; 12]).unwrap();
        assert_eq!((smaller.p_greater(), smaller.p_less()), (1.0, 0.0));
        assert_eq!(smaller.confidence_interval(0.95), (-1.0, -1.0));
    }

    #[test]
    fn levels_outside_zero_to_one_have_their_limits() {
        let test = test(&[1.0, 2.0, 4.0], &[1.0, 2.0, 3.0]).unwrap();
        let everything = (f64::NEG_INFINITY, f64::INFINITY);
        assert_eq!(test.confidence_interval(0.0), (test.difference, test.difference));
        assert_eq!(test.confidence_interval(1.0), everything);
        assert_eq!(test.confidence_interval(f64::NAN), everything);
    }

    #[test]
    fn the_scale_of_the_values_does_not_matter() {
        let (canary, stable) = ([1.0, 2.0, 4.0, 9.0], [1.5, 2.0, 2.5, 2.0, 1.0]);
        let plain = test(&canary, &stable).unwrap();
        for scale in [1e-140, 1e-12, 1e143] {
            let scaled = test(&canary.map(|x| x * scale), &stable.map(|x| x * scale)).unwrap();
            assert!((scaled.statistic / plain.statistic - 1.0).abs() < 1e-12);
            assert!((scaled.degrees_of_freedom / plain.degrees_of_freedom - 1.0).abs() < 1e-12);
        }
    }

    proptest! {
        #[test]
        fn swapping_the_samples_mirrors_the_result(
            canary in vec(-10.0..10.0_f64, 2..30),
            stable in vec(-10.0..10.0_f64, 2..30),
        ) {
            let (one, other) = (test(&canary, &stable).unwrap(), test(&stable, &canary).unwrap());
            prop_assert!((one.p_greater() - other.p_less()).abs() < 1e-12);
            prop_assert!((one.p_two_sided() - other.p_two_sided()).abs() < 1e-12);
            prop_assert!((0.0..=1.0).contains(&one.p_two_sided()));
            // The interval excludes 0 exactly when the p-value is below 1 - level.
            let (low, high) = one.confidence_interval(0.95);
            prop_assert_eq!(low > 0.0 || high < 0.0, one.p_two_sided() < 0.05);
        }
    }
}
