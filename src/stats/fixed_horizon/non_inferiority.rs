//! Non-inferiority test: is the canary's mean worse by less than a margin?
//!
//! "No significant difference" proves nothing: a handful of requests never differs significantly. Here
//! the burden of proof is reversed: the canary must show that its loss is less than the margin, and the
//! interval bounds the loss.

use super::margin::Harm;
use super::margin::Margin;
use super::welch::welch_t_test;
use crate::stats::distributions::root::find_root;
use crate::stats::distributions::student_t::student_t_quantile;
use crate::stats::distributions::student_t::student_t_tail;
use crate::stats::summary::moments::Moments;

/// Welch's test against a margin.
///
/// ```text
/// absolute: t = (h (mean_c - mean_s) - margin) / sqrt(v_c + v_s)                 v = variance / n
/// relative: t = h (mean_c - r mean_s) / sqrt(v_c + r^2 v_s)           r = 1 + h margin
/// ```
///
/// A margin is one or the other here, because the interval has one unit: relative if that part is
/// not 0. h = 1 when larger values are worse and -1 when smaller ones are, with Welch-Satterthwaite
/// degrees of freedom for the two variances as they stand under the root. Large t: worse by more
/// than the margin. The relative test takes into account that stable's mean, too, is an estimate;
/// its interval is Fieller's, the ratios that the test does not reject.
///
/// Assumes independent observations, and enough of them for the means to be nearly normal.
///
/// `None` means that a sample has fewer than two values; for a relative margin also that stable's
/// mean is not positive or the canary's is negative, so that a ratio of means says nothing; or that
/// the margin is not a finite number, has both parts, or is a relative one of 100 % or more where
/// lower is harm; or that any change is harm, which takes two tests, one for each direction.
///
/// When neither sample varies the values decide, with p-values of 0 or 1, as in [`welch_t_test`].
///
/// Welch (1947), Biometrika 34(1-2), doi:10.1093/biomet/34.1-2.28; Fieller (1954), Journal of the
/// Royal Statistical Society B 16(2), doi:10.1111/j.2517-6161.1954.tb00159.x; the two with unequal
/// variances: Tamhane and Logan (2004), Journal of Biopharmaceutical Statistics 14(4).
///
/// ```
/// use serin::stats::Harm;
/// use serin::stats::Margin;
/// use serin::stats::Moments;
/// use serin::stats::non_inferiority;
///
/// let canary: Moments = [12.0, 15.0, 11.0, 14.0, 13.0].into_iter().collect();
/// let stable: Moments = [10.0, 11.0, 9.0, 12.0, 10.0, 11.0].into_iter().collect();
/// let test = non_inferiority(&canary, &stable, Margin::absolute(5.0), Harm::Higher).unwrap();
/// // scipy.stats.ttest_ind(canary, numpy.add(stable, 5), equal_var=False, alternative="less")
/// assert!((test.p_not_worse() - 0.010075457825288667).abs() < 1e-12);
/// // scipy.stats.ttest_ind(canary, numpy.multiply(stable, 1.1), equal_var=False,
/// //                       alternative="greater")
/// let test = non_inferiority(&canary, &stable, Margin::relative(0.1), Harm::Higher).unwrap();
/// assert!((test.p_worse() - 0.06522004226606817).abs() < 1e-12);
/// ```
pub fn non_inferiority(
    canary: &Moments,
    stable: &Moments,
    margin: Margin,
    harm: Harm,
) -> Option<NonInferiority> {
    // Checks the counts, and has all digits of the difference.
    let welch = welch_t_test(canary, stable)?;
    let direction = match harm {
        Harm::Higher => 1.0,
        Harm::Lower => -1.0,
        Harm::Either => return None,
    };
    let allowed = Allowed::new(margin)?;
    let means = Means {
        canary: canary.mean()?,
        stable: stable.mean()?,
        difference: welch.difference,
        canary_error: canary.variance()? / canary.count() as f64,
        stable_error: stable.variance()? / stable.count() as f64,
        canary_freedom: (canary.count() - 1) as f64,
        stable_freedom: (stable.count() - 1) as f64,
    };
    let is_possible = match allowed {
        Allowed::Absolute(_) => true,
        Allowed::Relative(share) => {
            means.stable > 0.0 && means.canary >= 0.0 && 1.0 + direction * share > 0.0
        }
    };
    is_possible.then_some(NonInferiority { means, allowed, direction })
}

/// The result of [`non_inferiority`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonInferiority {
    means: Means,
    allowed: Allowed,
    /// 1 when larger values are worse, -1 when smaller ones are.
    direction: f64,
}

/// A margin with one part.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Allowed {
    /// In units of the metric.
    Absolute(f64),
    /// As a share of stable's mean.
    Relative(f64),
}

impl Allowed {
    fn new(margin: Margin) -> Option<Self> {
        let Margin { relative, absolute } = margin;
        match (relative == 0.0, absolute == 0.0) {
            (true, _) => absolute.is_finite().then_some(Self::Absolute(absolute)),
            (false, true) => relative.is_finite().then_some(Self::Relative(relative)),
            (false, false) => None,
        }
    }
}

/// The statistics of the samples that the test needs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Means {
    canary: f64,
    stable: f64,
    difference: f64,
    /// Squared standard errors.
    canary_error: f64,
    stable_error: f64,
    canary_freedom: f64,
    stable_freedom: f64,
}

impl NonInferiority {
    /// How much worse the canary is: in units of the metric for an absolute margin, as a share of
    /// stable's mean for a relative one. Negative when it is better.
    pub fn harm(&self) -> f64 {
        let difference = match self.allowed {
            Allowed::Absolute(_) => self.means.difference,
            Allowed::Relative(_) => self.means.difference / self.means.stable,
        };
        self.direction * difference
    }

    /// The distance of the harm from the margin in standard errors; positive when it is larger.
    pub fn statistic(&self) -> f64 {
        let (gap, squared_error) = match self.allowed {
            Allowed::Absolute(allowed) => (
                self.direction * self.means.difference - allowed,
                self.means.canary_error + self.means.stable_error,
            ),
            Allowed::Relative(allowed) => (
                self.direction * self.means.difference - allowed * self.means.stable,
                self.means.squared_error(1.0 + self.direction * allowed),
            ),
        };
        standardized(gap, squared_error)
    }

    /// The Welch-Satterthwaite degrees of freedom.
    pub fn degrees_of_freedom(&self) -> f64 {
        self.means.freedom(match self.allowed {
            Allowed::Absolute(_) => 1.0,
            Allowed::Relative(allowed) => 1.0 + self.direction * allowed,
        })
    }

    /// The probability of this little harm or less if the true harm is the margin or more: small values show
    /// that the canary is not worse by the margin.
    pub fn p_not_worse(&self) -> f64 {
        tail(-self.statistic(), self.degrees_of_freedom())
    }

    /// The probability of this much harm or more if the true harm is the margin or less: small values show
    /// that the canary is worse by more than the margin.
    pub fn p_worse(&self) -> f64 {
        tail(self.statistic(), self.degrees_of_freedom())
    }

    /// The two-sided confidence interval of the harm, for a level such as 0.95, in the unit of
    /// [`harm`](Self::harm). It does not depend on the margin.
    ///
    /// Wholly above the margin: worse. Wholly below: not worse. Otherwise too little is known. With
    /// a level of 0.9 either conclusion is a test at 5 %.
    ///
    /// For a relative margin an end is infinite when stable's mean is not clearly above 0, and no
    /// end lies below -1. If a sample has only two values it is wider than the test: then it may
    /// contain a margin that the test rejects, and never excludes one that the test does not. A
    /// level of 0 or less gives the harm itself; of 1 or more, or NaN, all numbers.
    pub fn confidence_interval(&self, level: f64) -> (f64, f64) {
        if level <= 0.0 {
            return (self.harm(), self.harm());
        }
        if level.is_nan() || level >= 1.0 {
            return (f64::NEG_INFINITY, f64::INFINITY);
        }
        let outside = 0.5 * (1.0 - level);
        let (low, high) = match self.allowed {
            Allowed::Absolute(_) => self.means.difference_interval(outside),
            Allowed::Relative(_) => {
                (self.means.lowest_ratio(outside) - 1.0, self.means.highest_ratio(outside) - 1.0)
            }
        };
        if self.direction > 0.0 { (low, high) } else { (-high, -low) }
    }
}

impl Means {
    /// The squared standard error of mean_c - ratio mean_s.
    fn squared_error(&self, ratio: f64) -> f64 {
        self.canary_error + ratio * ratio * self.stable_error
    }

    /// Its degrees of freedom; those of both samples together when neither varies.
    fn freedom(&self, ratio: f64) -> f64 {
        let squared_error = self.squared_error(ratio);
        if squared_error == 0.0 {
            return self.canary_freedom + self.stable_freedom;
        }
        let canary = self.canary_error / squared_error;
        let stable = ratio * ratio * self.stable_error / squared_error;
        1.0 / (canary.powi(2) / self.canary_freedom + stable.powi(2) / self.stable_freedom)
    }

    /// The degrees of freedom for the interval of ratios. They change with the ratio; with a sample of
    /// two values so quickly that the ratios that are not rejected may not form an interval. The
    /// smallest possible number, which is the same for all ratios, gives an interval that contains them.
    fn interval_freedom(&self, ratio: f64) -> f64 {
        let fewest = self.canary_freedom.min(self.stable_freedom);
        if fewest < 2.0 { fewest } else { self.freedom(ratio) }
    }

    fn difference_interval(&self, outside: f64) -> (f64, f64) {
        let standard_error = self.squared_error(1.0).sqrt();
        if standard_error == 0.0 {
            return (self.difference, self.difference);
        }
        let half_width = student_t_quantile(outside, self.freedom(1.0)) * standard_error;
        (self.difference - half_width, self.difference + half_width)
    }

    /// The probability of a ratio of means at least this far above (1) or below (-1) `ratio` if that is
    /// the true ratio.
    fn p_beyond(&self, ratio: f64, side: f64) -> f64 {
        let gap = self.difference - (ratio - 1.0) * self.stable;
        let statistic = standardized(gap, self.squared_error(ratio));
        tail(side * statistic, self.interval_freedom(ratio))
    }

    /// The largest ratio that is not rejected. For means that are not negative the statistic only
    /// falls as the ratio grows, but not without bound: it ends at minus stable's mean in its own
    /// standard errors.
    fn highest_ratio(&self, outside: f64) -> f64 {
        let (estimate, scale) = self.ratio();
        if scale == 0.0 {
            return estimate;
        }
        // From the estimate to infinity as x goes from 0 to 1.
        let ratio = |x: f64| estimate + scale * x / (1.0 - x);
        let excess = |x: f64| self.p_beyond(ratio(x), -1.0) - outside;
        const ALMOST_ONE: f64 = 1.0 - 1e-12;
        if excess(ALMOST_ONE) > 0.0 {
            return f64::INFINITY;
        }
        ratio(find_root(0.0, ALMOST_ONE, 1e-15, excess))
    }

    /// The smallest ratio that is not rejected, at least 0.
    fn lowest_ratio(&self, outside: f64) -> f64 {
        let (estimate, scale) = self.ratio();
        let excess = |ratio: f64| self.p_beyond(ratio, 1.0) - outside;
        if scale == 0.0 {
            return estimate;
        }
        if excess(0.0) >= 0.0 {
            return 0.0;
        }
        find_root(0.0, estimate, 1e-15 * scale, excess)
    }

    /// The ratio of the means, and its standard error by the delta method.
    fn ratio(&self) -> (f64, f64) {
        let ratio = 1.0 + self.difference / self.stable;
        (ratio, self.squared_error(ratio).sqrt() / self.stable)
    }
}

fn standardized(gap: f64, squared_error: f64) -> f64 {
    if gap == 0.0 { 0.0 } else { gap / squared_error.sqrt() }
}

/// The upper tail; at infinity, where no sample varied, 0 or 1.
fn tail(statistic: f64, freedom: f64) -> f64 {
    if statistic.is_infinite() {
        return if statistic > 0.0 { 0.0 } else { 1.0 };
    }
    student_t_tail(statistic, freedom)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Moments {
        values.iter().copied().collect()
    }

    fn relative(canary: &[f64], stable: &[f64]) -> Option<NonInferiority> {
        non_inferiority(&of(canary), &of(stable), Margin::relative(0.1), Harm::Higher)
    }

    #[test]
    fn incomparable_samples_have_no_test() {
        assert_eq!(relative(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(relative(&[1.0, 2.0], &[-1.0, -2.0]), None);
        assert_eq!(relative(&[-1.0, -2.0], &[1.0, 2.0]), None);
        assert_eq!(relative(&[1.0, 2.0], &[0.0, 0.0]), None);
        let (one, other) = (of(&[1.0, 2.0]), of(&[2.0, 3.0]));
        for margin in [Margin::absolute(f64::NAN), Margin::relative(f64::INFINITY)] {
            assert_eq!(non_inferiority(&one, &other, margin, Harm::Higher), None);
        }
        assert_eq!(non_inferiority(&one, &other, Margin::relative(1.0), Harm::Lower), None);
        let both = Margin { relative: 0.1, absolute: 0.1 };
        assert_eq!(non_inferiority(&one, &other, both, Harm::Higher), None);
        assert_eq!(non_inferiority(&one, &other, Margin::default(), Harm::Either), None);
    }

    #[test]
    fn constant_samples_decide_by_their_values() {
        for (canary, p_worse, p_not_worse) in [(1.05, 1.0, 0.0), (1.2, 0.0, 1.0)] {
            let test = relative(&[canary; 5], &[1.0; 7]).unwrap();
            assert_eq!((test.p_worse(), test.p_not_worse()), (p_worse, p_not_worse));
            let (low, high) = test.confidence_interval(0.95);
            assert!((low - (canary - 1.0)).abs() < 1e-12 && (high - low).abs() < 1e-12);
        }
        let at_the_margin =
            non_inferiority(&of(&[2.0; 3]), &of(&[1.0; 3]), Margin::absolute(1.0), Harm::Higher);
        assert!(at_the_margin.unwrap().p_worse() > 0.4);
    }

    #[test]
    fn an_uncertain_baseline_leaves_the_ratio_open() {
        let (low, high) =
            relative(&[1.0, 2.0, 3.0], &[0.1, 4.0]).unwrap().confidence_interval(0.95);
        assert_eq!((low, high), (-1.0, f64::INFINITY));
        // A canary of zeros against a clear baseline loses all of it, with certainty above.
        let (low, high) = relative(&[0.0; 5], &[1.0, 1.1, 0.9]).unwrap().confidence_interval(0.95);
        assert!((low + 1.0).abs() < 1e-12 && (high + 1.0).abs() < 1e-6, "{low} {high}");
    }

    #[test]
    fn for_two_values_the_interval_contains_every_ratio_that_is_not_rejected() {
        // A ratio of 0.557 is rejected and one of 1.6 is not, so no interval ends where the test does.
        let canary = of(&[0.1, 1.380457416153947]);
        let stable = of(&[9.397380928355394, 6.515497196822046]);
        let at = |margin: f64| {
            non_inferiority(&canary, &stable, Margin::relative(margin), Harm::Higher).unwrap()
        };
        assert!(at(-0.4428).p_not_worse() < 0.04 && at(0.6).p_not_worse() > 0.05);
        let (low, high) = at(0.6).confidence_interval(0.9);
        assert_eq!((low, high), (-1.0, f64::INFINITY));
    }

    #[test]
    fn a_decrease_is_the_mirror_image_of_an_increase() {
        let (canary, stable) = (of(&[3.0, 4.0, 5.0, 4.5]), of(&[5.0, 5.5, 4.0, 6.0, 5.0]));
        let less = non_inferiority(&canary, &stable, Margin::absolute(1.0), Harm::Lower).unwrap();
        let more = non_inferiority(&stable, &canary, Margin::absolute(1.0), Harm::Higher).unwrap();
        assert!((less.p_worse() - more.p_worse()).abs() < 1e-12);
        assert_eq!(less.harm(), more.harm());
        let share = non_inferiority(&canary, &stable, Margin::relative(0.1), Harm::Lower).unwrap();
        assert!((share.harm() - (1.0 - 4.125 / 5.1)).abs() < 1e-12);
        let (low, high) = share.confidence_interval(0.9);
        assert!(low < share.harm() && share.harm() < high);
    }

    proptest! {
        #[test]
        fn the_interval_excludes_the_margin_exactly_when_the_test_rejects(
            canary in vec(0.1..10.0_f64, 2..30),
            stable in vec(0.1..10.0_f64, 2..30),
            margin in 0.0..0.9_f64,
            is_relative in any::<bool>(),
            decreases in any::<bool>(),
        ) {
            let harm = if decreases { Harm::Lower } else { Harm::Higher };
            let kind = if is_relative { Margin::relative(margin) } else { Margin::absolute(margin) };
            let test = non_inferiority(&of(&canary), &of(&stable), kind, harm).unwrap();
            let (low, high) = test.confidence_interval(0.9);
            prop_assert!(low <= test.harm() + 1e-12 && test.harm() <= high + 1e-12);
            for (what, is_out, p) in
                [("low", low > margin, test.p_worse()), ("high", high < margin, test.p_not_worse())]
            {
                // Of two values the interval of ratios is wider. From three on, a million random pairs agreed.
                if is_relative && canary.len().min(stable.len()) == 2 {
                    prop_assert!(!is_out || p < 0.05, "{} of {:?}: {}", what, (low, high), p);
                } else {
                    prop_assert_eq!(is_out, p < 0.05, "{} of {:?}: {}", what, (low, high), p);
                }
            }
            prop_assert!((test.p_worse() + test.p_not_worse() - 1.0).abs() < 1e-12);
        }
    }
}
