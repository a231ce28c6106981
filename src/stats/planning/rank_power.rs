//! Power of the Mann-Whitney test: how many requests until the ranks show a slower canary?
//!
//! ```text
//! N = (z_alpha + z_power)^2 / ( 12 c (1 - c) (P - 1/2)^2 )        c = n_c / N
//! ```
//!
//! where P is the probability that a value of the canary is larger than one of stable, ties counted one half, and
//! z_alpha is two-sided the (1 - alpha/2) quantile. An approximation for P near 1/2: it takes the variance of U as that
//! of equal distributions, and misses by some percent beyond 0.35 to 0.65.
//!
//! Noether (1987), Sample size determination for some common nonparametric tests, Journal of the American Statistical
//! Association 82(398), doi:10.1080/01621459.1987.10478478.

use super::power::PowerError;
use super::power::SampleSizes;
use super::power::check;
use super::power::check_alpha;
use super::power::check_power;
use super::power::whole_samples;
use crate::stats::Alternative;
use crate::stats::distributions::normal::normal_quantile;
use crate::stats::distributions::normal::normal_tail;

/// A comparison of two samples by their ranks, and the power it should have.
///
/// ```
/// use serin::stats::Alternative;
/// use serin::stats::RankPower;
///
/// let plan = RankPower {
///     superiority: 0.6,
///     alpha: 0.05,
///     power: 0.8,
///     allocation_ratio: 1.0,
///     alternative: Alternative::TwoSided,
/// };
/// // scipy: (norm.isf(0.025) + norm.isf(0.2)) ** 2 / (12 * 0.25 * 0.1 ** 2) / 2
/// assert!((plan.required_samples()?.canary - 130.8146622391515).abs() < 1e-9);
/// # Ok::<(), serin::stats::PowerError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankPower {
    /// The probability that a value of the canary is larger than one of stable, 0 to 1 and not 0.5.
    pub superiority: f64,
    /// The probability of a false alarm, 1e-300 to 0.5.
    pub alpha: f64,
    /// The probability of detecting the difference, above alpha and at most 1 - 1e-9.
    pub power: f64,
    /// Stable's observations for each of the canary's, 1e-6 to 1e6.
    pub allocation_ratio: f64,
    /// One-sided or two-sided; the direction is that of the superiority.
    pub alternative: Alternative,
}

impl RankPower {
    /// The smallest samples with the required power.
    ///
    /// # Errors
    /// When an argument is out of its range, or more than 10^15 observations are needed.
    pub fn required_samples(&self) -> Result<SampleSizes, PowerError> {
        check_alpha(self.alpha)?;
        check_power(self.power, self.alpha)?;
        let ratio = self.allocation_ratio;
        check("allocation_ratio", ratio, 1e-6, 1e6, "1e-6 to 1e6")?;
        let distance = (self.superiority - 0.5).abs();
        if !(1e-9..=0.5).contains(&distance) {
            return Err(PowerError::OutOfRange {
                field: "superiority",
                value: self.superiority,
                expected: "0 to 1, and at least 1e-9 away from 0.5",
            });
        }
        let tail = match self.alternative {
            Alternative::TwoSided => 0.5 * self.alpha,
            Alternative::Greater | Alternative::Less => self.alpha,
        };
        let z = normal_quantile(tail);
        // N c = n_c, and 1 - c = r / (1 + r)
        let canary =
            ((z - normal_quantile(self.power)) / distance).powi(2) * (1.0 + ratio) / (12.0 * ratio);
        let fewest = (1.0 / ratio).max(1.0);
        whole_samples(canary.max(fewest), ratio, |n_canary, n_stable| {
            let information = 12.0 * n_canary * (n_stable / (n_canary + n_stable));
            normal_tail(z - distance * information.sqrt())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_plans_are_refused_by_name() {
        let alternative = Alternative::Greater;
        for superiority in [0.5, -0.1, 1.1, f64::NAN] {
            let (alpha, power, allocation_ratio) = (0.05, 0.8, 9.0);
            let plan = RankPower { superiority, alpha, power, allocation_ratio, alternative };
            let message = plan.required_samples().unwrap_err().to_string();
            assert!(message.starts_with("superiority is"), "{message}");
        }
    }
}
