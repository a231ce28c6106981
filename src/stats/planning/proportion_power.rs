//! Power of a difference of rates: how many requests does it take to detect more errors, or to show that
//! there are not more of them than a margin allows?
//!
//! ```text
//! power = P(Z > (z sd_0 - (p_c - p_s - m) sqrt(n_c)) / sd_1)     z the (1 - alpha) normal quantile
//! sd_0 = sqrt( q_c (1-q_c) + q_s (1-q_s) / r )        r = n_s / n_c
//! sd_1 = sqrt( p_c (1-p_c) + p_s (1-p_s) / r )
//! ```
//!
//! where m is the margin (0: any difference), and q_s, q_c = q_s + m are the most likely rates that differ by
//! the margin; without one q_c = q_s = (p_c + r p_s) / (1 + r). Non-inferiority claims the opposite,
//! p_c - p_s < m, with the signs of both differences changed.
//!
//! This is the power of the score test ([`ProportionDifference`](crate::stats::fixed_horizon::proportion_difference::ProportionDifference)), as
//! statsmodels' `power_proportions_2indep` gives it; two-sided z is the (1 - alpha/2) quantile, and
//! the far tail is added to the power, but not searched for the sample size. A normal approximation:
//! below about five expected events a side Fisher's test needs more than it says.
//!
//! Fleiss, Levin and Paik (2003), Statistical Methods for Rates and Proportions, 3rd edition,
//! chapter 4, doi:10.1002/0471445428; with a margin Farrington and Manning (1990), Statistics in Medicine
//! 9(12), doi:10.1002/sim.4780091208.

use super::power::PowerError;
use super::power::SampleSizes;
use super::power::check;
use super::power::check_alpha;
use super::power::check_power;
use super::power::whole_samples;
use crate::stats::Alternative;
use crate::stats::distributions::normal::normal_quantile;
use crate::stats::distributions::normal::normal_tail;
use crate::stats::fixed_horizon::proportion_difference::ProportionDifference;

/// A comparison of two rates, and the power it should have.
///
/// ```
/// use serin::stats::Alternative;
/// use serin::stats::ProportionPower;
///
/// // Errors from 1 % to 2 %, with a tenth of the traffic on the canary.
/// let plan = ProportionPower {
///     canary_rate: 0.02,
///     stable_rate: 0.01,
///     margin: 0.0,
///     alpha: 0.05,
///     power: 0.8,
///     allocation_ratio: 9.0,
///     alternative: Alternative::Greater,
/// };
/// let sizes = plan.required_samples()?;
/// // statsmodels: samplesize_proportions_2indep_onetail(0.01, 0.01, 0.8, 9.0, 0.05,
/// //                                                    alternative="larger")
/// assert!((sizes.canary - 911.6215025932808).abs() < 1e-6);
/// # Ok::<(), serin::stats::PowerError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProportionPower {
    /// The canary's rate, 0 to 1.
    pub canary_rate: f64,
    /// Stable's rate, 0 to 1.
    pub stable_rate: f64,
    /// The difference to compare with, 0 to less than 1: 0 to detect any difference. `Less` with a margin is
    /// non-inferiority: the canary's rate is larger by less than the margin.
    pub margin: f64,
    /// The probability of a false alarm, 1e-300 to 0.5.
    pub alpha: f64,
    /// The probability of detecting the difference, above alpha and at most 1 - 1e-9.
    pub power: f64,
    /// Stable's observations for each of the canary's, 1e-6 to 1e6.
    pub allocation_ratio: f64,
    /// The alternative hypothesis.
    pub alternative: Alternative,
}

impl ProportionPower {
    /// The smallest samples with this power. `Greater` with a difference below the margin, or `Less` with one
    /// above it, is refused: no samples suffice.
    pub fn required_samples(&self) -> Result<SampleSizes, PowerError> {
        let ratio = self.allocation_ratio;
        check_rate("canary_rate", self.canary_rate)?;
        check_rate("stable_rate", self.stable_rate)?;
        check_alpha(self.alpha)?;
        check_power(self.power, self.alpha)?;
        check("allocation_ratio", ratio, 1e-6, 1e6, "1e-6 to 1e6")?;
        check("margin", self.margin, 0.0, 1.0 - 1e-9, "0 to less than 1")?;
        let difference = self.canary_rate - self.stable_rate - self.margin;
        let claimed = match self.alternative {
            Alternative::Greater => difference > 0.0,
            Alternative::Less => difference < 0.0,
            Alternative::TwoSided => difference != 0.0,
        };
        if !claimed {
            return Err(PowerError::OutOfRange {
                field: "canary_rate",
                value: self.canary_rate,
                expected: "a rate that differs from stable's by more than the margin, in the direction of the \
                           alternative",
            });
        }
        let (under_the_null, as_they_are) = self.deviations();
        let tail = if self.alternative == Alternative::TwoSided { 0.5 } else { 1.0 } * self.alpha;
        let reach =
            normal_quantile(tail) * under_the_null - normal_quantile(self.power) * as_they_are;
        let fewest = (1.0 / ratio).max(1.0);
        let canary = (reach.max(0.0) / difference).powi(2).max(fewest);
        whole_samples(canary, ratio, |n_canary, n_stable| {
            Self { allocation_ratio: n_stable / n_canary, ..*self }.power_with(n_canary)
        })
    }

    /// The probability of detecting the difference with this many observations of the canary, and the
    /// allocation ratio times as many of stable; at most 1 up to rounding.
    pub fn power_with(&self, n_canary: f64) -> f64 {
        let (under_the_null, as_they_are) = self.deviations();
        let shift = (self.canary_rate - self.stable_rate - self.margin) * n_canary.sqrt();
        let beyond = |tail: f64, shift: f64| {
            let gap = normal_quantile(tail) * under_the_null - shift;
            // Rates of 0 and 1 leave nothing to chance.
            if as_they_are > 0.0 {
                normal_tail(gap / as_they_are)
            } else if gap < 0.0 {
                1.0
            } else {
                0.0
            }
        };
        match self.alternative {
            Alternative::Greater => beyond(self.alpha, shift),
            Alternative::Less => beyond(self.alpha, -shift),
            Alternative::TwoSided => {
                beyond(0.5 * self.alpha, shift) + beyond(0.5 * self.alpha, -shift)
            }
        }
    }

    /// The difference's standard deviation times sqrt(n_c), if the rates differ by the margin and as they are.
    fn deviations(&self) -> (f64, f64) {
        let (canary, stable, ratio) = (self.canary_rate, self.stable_rate, self.allocation_ratio);
        let null = match self.margin {
            0.0 => (canary + stable * ratio) / (1.0 + ratio),
            margin => ProportionDifference::expected(canary, stable, ratio)
                .most_likely_stable_rate(margin),
        };
        let deviation = |canary: f64, stable: f64| {
            (canary * (1.0 - canary) + stable * (1.0 - stable) / ratio).max(0.0).sqrt()
        };
        (deviation(null + self.margin, null), deviation(canary, stable))
    }
}

fn check_rate(field: &'static str, rate: f64) -> Result<(), PowerError> {
    check(field, rate, 0.0, 1.0, "0 to 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: ProportionPower = ProportionPower {
        canary_rate: 0.05,
        stable_rate: 0.01,
        margin: 0.0,
        alpha: 0.05,
        power: 0.8,
        allocation_ratio: 9.0,
        alternative: Alternative::Greater,
    };

    #[test]
    fn the_samples_have_the_required_power() {
        for alternative in [Alternative::Greater, Alternative::TwoSided] {
            for (canary_rate, stable_rate) in [(0.02, 0.01), (0.001, 0.0), (0.6, 0.5), (1.0, 0.0)] {
                let plan = ProportionPower { canary_rate, stable_rate, alternative, ..PLAN };
                let sizes = plan.required_samples().unwrap();
                assert!(sizes.achieved_power >= 0.8 - 1e-9, "{plan:?} {sizes:?}");
            }
        }
        let less = ProportionPower {
            canary_rate: 0.01,
            stable_rate: 0.05,
            alternative: Alternative::Less,
            ..PLAN
        };
        assert!(less.required_samples().unwrap().achieved_power >= 0.8);
    }

    #[test]
    fn a_margin_takes_the_samples_of_farrington_and_manning() {
        // Computed in Python with the paper's closed form of q_c and q_s, the root of a cubic.
        for (canary_rate, stable_rate, allocation_ratio, margin, alpha, power, canary) in [
            (0.01, 0.01, 9.0, 0.01, 0.05, 0.8, 1035.1341983368302),
            (0.1, 0.1, 1.0, 0.05, 0.025, 0.9, 774.588878041675),
            (0.05, 0.02, 4.0, 0.08, 0.05, 0.8, 191.98622838988194),
            (0.65, 0.85, 1.0, 0.1, 0.05, 0.8, 25.84490177265284),
        ] {
            let alternative = Alternative::Less;
            let plan = ProportionPower {
                canary_rate,
                stable_rate,
                margin,
                alpha,
                power,
                allocation_ratio,
                alternative,
            };
            let sizes = plan.required_samples().unwrap();
            assert!((sizes.canary / canary - 1.0).abs() < 1e-9, "{plan:?} {sizes:?}");
            assert!(sizes.achieved_power >= power - 1e-9, "{plan:?} {sizes:?}");
        }
        let worse = ProportionPower { margin: 0.02, alternative: Alternative::Less, ..PLAN };
        let message = worse.required_samples().unwrap_err().to_string();
        assert!(message.starts_with("canary_rate is 0.05"), "{message}");
    }

    #[test]
    fn impossible_plans_are_refused_by_name() {
        for (plan, cause) in [
            (ProportionPower { canary_rate: 1.5, ..PLAN }, "canary_rate is 1.5: expected 0 to 1"),
            (ProportionPower { stable_rate: f64::NAN, ..PLAN }, "stable_rate is NaN"),
            (ProportionPower { canary_rate: 0.01, ..PLAN }, "canary_rate is 0.01: expected a rate"),
            (ProportionPower { alternative: Alternative::Less, ..PLAN }, "canary_rate is 0.05"),
            (ProportionPower { alpha: 0.6, ..PLAN }, "alpha is 0.6"),
            (ProportionPower { power: 0.01, ..PLAN }, "power is 0.01"),
            (ProportionPower { allocation_ratio: 0.0, ..PLAN }, "allocation_ratio is 0"),
        ] {
            let message = plan.required_samples().unwrap_err().to_string();
            assert!(message.starts_with(cause), "{message}");
        }
        let tiny = ProportionPower { canary_rate: 0.5 + 1e-9, stable_rate: 0.5, ..PLAN };
        assert_eq!(tiny.required_samples(), Err(PowerError::TooManySamples));
    }
}
