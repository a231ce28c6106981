//! How many requests does the Mann-Whitney test need?
//!
//! ```text
//! N = (z_alpha + z_beta)^2 / ( 12 c (1 - c) (P - 1/2)^2 )        c = n_c / N
//! ```
//!
//! where P is the probability that a value of the canary is larger than one of stable, ties counted
//! one half ([`probability_of_superiority`](crate::stats::fixed_horizon::mann_whitney::MannWhitney::probability_of_superiority)), and
//! z_alpha is two-sided the (1 - alpha/2) quantile. An approximation for P near 1/2: it takes the
//! variance of U as that of equal distributions, and misses by some percent beyond 0.35 to 0.65.
//!
//! Noether (1987), Journal of the American Statistical Association 82(398),
//! doi:10.1080/01621459.1987.10478478.

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

/// Which shift of the ranks a comparison should be able to notice.
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
    /// How probably a value of the canary is larger than one of stable, 0 to 1 and not 0.5.
    pub superiority: f64,
    /// The probability of a false alarm, 1e-300 to 0.5.
    pub alpha: f64,
    /// The probability of noticing the difference, above alpha and at most 1 - 1e-9.
    pub power: f64,
    /// Stable's observations for each of the canary's, 1e-6 to 1e6.
    pub allocation_ratio: f64,
    /// What is claimed; the direction is that of the superiority.
    pub alternative: Alternative,
}

impl RankPower {
    /// The smallest samples with the power asked for.
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
        let reach =
            normal_quantile(tail(self.alpha, self.alternative)) - normal_quantile(self.power);
        // N c = n_c, and 1 - c = r / (1 + r)
        let canary = (reach / distance).powi(2) * (1.0 + ratio) / (12.0 * ratio);
        let fewest = (1.0 / ratio).max(1.0);
        whole_samples(canary.max(fewest), ratio, |n_canary, n_stable| {
            power_of(n_canary, n_stable, distance, self.alpha, self.alternative)
        })
    }
}

/// The smallest probability of superiority above one half that these samples notice.
///
/// ```
/// use serin::stats::Alternative;
/// use serin::stats::minimum_detectable_superiority;
///
/// // scipy: 0.5 + (norm.isf(0.05) + norm.isf(0.2)) / sqrt(12 * 0.1 * 0.9 * 1000)
/// let found = minimum_detectable_superiority(100.0, 900.0, 0.05, 0.8, Alternative::Greater)?;
/// assert!((found - 0.5756610205432622).abs() < 1e-12);
/// # Ok::<(), serin::stats::PowerError>(())
/// ```
pub fn minimum_detectable_superiority(
    n_canary: f64,
    n_stable: f64,
    alpha: f64,
    power: f64,
    alternative: Alternative,
) -> Result<f64, PowerError> {
    check_samples(n_canary, n_stable)?;
    check_alpha(alpha)?;
    check_power(power, alpha)?;
    let reach = normal_quantile(tail(alpha, alternative)) - normal_quantile(power);
    let distance = reach / information(n_canary, n_stable).sqrt();
    if distance > 0.5 {
        let power = power_of(n_canary, n_stable, 0.5, alpha, alternative);
        return Err(PowerError::NoRankShiftDetectable { power });
    }
    Ok(0.5 + distance)
}

fn power_of(
    n_canary: f64,
    n_stable: f64,
    distance: f64,
    alpha: f64,
    alternative: Alternative,
) -> f64 {
    let shift = distance * information(n_canary, n_stable).sqrt();
    normal_tail(normal_quantile(tail(alpha, alternative)) - shift)
}

/// 12 c (1 - c) N
fn information(n_canary: f64, n_stable: f64) -> f64 {
    12.0 * n_canary * (n_stable / (n_canary + n_stable))
}

fn tail(alpha: f64, alternative: Alternative) -> f64 {
    match alternative {
        Alternative::TwoSided => 0.5 * alpha,
        Alternative::Greater | Alternative::Less => alpha,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: RankPower = RankPower {
        superiority: 0.55,
        alpha: 0.05,
        power: 0.8,
        allocation_ratio: 9.0,
        alternative: Alternative::Greater,
    };

    #[test]
    fn the_smallest_shift_is_the_one_the_samples_were_planned_for() {
        let sizes = PLAN.required_samples().unwrap();
        assert!(sizes.achieved_power >= 0.8);
        let (canary, stable) = (sizes.canary, sizes.stable);
        let found =
            minimum_detectable_superiority(canary, stable, 0.05, 0.8, PLAN.alternative).unwrap();
        assert!((found - 0.55).abs() < 1e-12, "{found}");
        let mirrored = RankPower { superiority: 0.45, ..PLAN }.required_samples().unwrap();
        assert!((mirrored.canary / sizes.canary - 1.0).abs() < 1e-12);
    }

    #[test]
    fn impossible_plans_are_refused_by_name() {
        for superiority in [0.5, -0.1, 1.1, f64::NAN] {
            let plan = RankPower { superiority, ..PLAN };
            let message = plan.required_samples().unwrap_err().to_string();
            assert!(message.starts_with("superiority is"), "{message}");
        }
        let none = minimum_detectable_superiority(2.0, 2.0, 0.01, 0.9, Alternative::Greater);
        assert!(matches!(none, Err(PowerError::NoRankShiftDetectable { .. })));
    }
}
