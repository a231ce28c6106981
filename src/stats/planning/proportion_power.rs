//! Power of a difference of rates: how many requests does it take to detect more errors?
//!
//! ```text
//! power = P(Z > (z sd_0 - (p_c - p_s) sqrt(n_c)) / sd_1)         z the (1 - alpha) normal quantile
//! sd_0 = sqrt( p (1-p) (1 + 1/r) )                    under equal rates, p = (p_c + r p_s) / (1 + r)
//! sd_1 = sqrt( p_c (1-p_c) + p_s (1-p_s) / r )        r = n_s / n_c
//! ```
//!
//! This is the power of the score test ([`ProportionDifference`](crate::stats::fixed_horizon::proportion_difference::ProportionDifference)), as
//! statsmodels' `power_proportions_2indep` gives it; two-sided z is the (1 - alpha/2) quantile, and
//! the far tail is added to the power, but not searched for the sample size. A normal approximation:
//! below about five expected events a side Fisher's test needs more than it says.
//!
//! Fleiss, Levin and Paik (2003), Statistical Methods for Rates and Proportions, 3rd edition,
//! chapter 4, doi:10.1002/0471445428.

use super::power::PowerError;
use super::power::SampleSizes;
use super::power::check;
use super::power::check_alpha;
use super::power::check_power;
use super::power::check_samples;
use super::power::whole_samples;
use crate::stats::Alternative;
use crate::stats::distributions::normal::normal_quantile;
use crate::stats::distributions::normal::normal_tail;

/// Which rates a comparison should be able to tell apart.
///
/// ```
/// use serin::stats::Alternative;
/// use serin::stats::ProportionPower;
///
/// // Errors from 1 % to 2 %, with a tenth of the traffic on the canary.
/// let plan = ProportionPower {
///     canary_rate: 0.02,
///     stable_rate: 0.01,
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
    /// The canary's rate, 0 to 1 and not stable's.
    pub canary_rate: f64,
    /// Stable's rate, 0 to 1.
    pub stable_rate: f64,
    /// The probability of a false alarm, 1e-300 to 0.5.
    pub alpha: f64,
    /// The probability of noticing the difference, above alpha and at most 1 - 1e-9.
    pub power: f64,
    /// Stable's observations for each of the canary's, 1e-6 to 1e6.
    pub allocation_ratio: f64,
    /// What is claimed.
    pub alternative: Alternative,
}

impl ProportionPower {
    /// The smallest samples with the power asked for. `Greater` with a smaller rate of the canary,
    /// or `Less` with a larger one, is refused: no samples suffice.
    pub fn required_samples(&self) -> Result<SampleSizes, PowerError> {
        let ratio = self.allocation_ratio;
        check_rate("canary_rate", self.canary_rate)?;
        check_rate("stable_rate", self.stable_rate)?;
        check_alpha(self.alpha)?;
        check_power(self.power, self.alpha)?;
        check("allocation_ratio", ratio, 1e-6, 1e6, "1e-6 to 1e6")?;
        let difference = self.canary_rate - self.stable_rate;
        let claimed = match self.alternative {
            Alternative::Greater => difference > 0.0,
            Alternative::Less => difference < 0.0,
            Alternative::TwoSided => difference != 0.0,
        };
        if !claimed {
            return Err(PowerError::OutOfRange {
                field: "canary_rate",
                value: self.canary_rate,
                expected: "a rate that differs from stable's in the direction of the alternative",
            });
        }
        let (under_equality, as_they_are) = self.deviations();
        let tail = if self.alternative == Alternative::TwoSided { 0.5 } else { 1.0 } * self.alpha;
        let reach =
            normal_quantile(tail) * under_equality - normal_quantile(self.power) * as_they_are;
        let fewest = (1.0 / ratio).max(1.0);
        let canary = (reach.max(0.0) / difference).powi(2).max(fewest);
        whole_samples(canary, ratio, |n_canary, n_stable| {
            Self { allocation_ratio: n_stable / n_canary, ..*self }.power_of(n_canary)
        })
    }

    fn power_of(&self, n_canary: f64) -> f64 {
        let (under_equality, as_they_are) = self.deviations();
        let shift = (self.canary_rate - self.stable_rate) * n_canary.sqrt();
        let beyond = |tail: f64, shift: f64| {
            let gap = normal_quantile(tail) * under_equality - shift;
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

    /// The difference's standard deviation times sqrt(n_c), if the rates are equal and as they are.
    fn deviations(&self) -> (f64, f64) {
        let (canary, stable, ratio) = (self.canary_rate, self.stable_rate, self.allocation_ratio);
        let pooled = (canary + stable * ratio) / (1.0 + ratio);
        let under_equality = (pooled * (1.0 - pooled) * (1.0 + 1.0 / ratio)).sqrt();
        let as_they_are = (canary * (1.0 - canary) + stable * (1.0 - stable) / ratio).sqrt();
        (under_equality, as_they_are)
    }
}

/// The probability of noticing these rates with these samples (2 to 1e15 each; fractions allowed).
///
/// ```
/// use serin::stats::Alternative;
/// use serin::stats::proportion_power_at;
///
/// // statsmodels: power_proportions_2indep(0.01, 0.01, 500, 9.0, 0.05, alternative="larger").power
/// let power = proportion_power_at(500.0, 4500.0, 0.02, 0.01, 0.05, Alternative::Greater)?;
/// assert!((power - 0.6168554754601348).abs() < 1e-12);
/// # Ok::<(), serin::stats::PowerError>(())
/// ```
pub fn proportion_power_at(
    n_canary: f64,
    n_stable: f64,
    canary_rate: f64,
    stable_rate: f64,
    alpha: f64,
    alternative: Alternative,
) -> Result<f64, PowerError> {
    check_samples(n_canary, n_stable)?;
    check_rate("canary_rate", canary_rate)?;
    check_rate("stable_rate", stable_rate)?;
    check_alpha(alpha)?;
    let allocation_ratio = n_stable / n_canary;
    let power = 1.0;
    let plan =
        ProportionPower { canary_rate, stable_rate, alpha, power, allocation_ratio, alternative };
    Ok(plan.power_of(n_canary).min(1.0))
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
        alpha: 0.05,
        power: 0.8,
        allocation_ratio: 9.0,
        alternative: Alternative::Greater,
    };

    #[test]
    fn the_samples_have_the_power_they_were_asked_for() {
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
