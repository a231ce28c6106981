//! Power of the two-sample t-test: how many requests does it take to detect a difference?
//!
//! Before a rollout it tells whether the traffic can give a verdict at all. The answer is that of the
//! two-sample t-test with equal variances, as statsmodels' `TTestIndPower.solve_power` gives it.
//!
//! ```text
//! d = difference / standard deviation
//! df = n_c + n_s - 2      delta = d sqrt(n_c n_s / (n_c + n_s))
//! power = P(T > t)                    one-sided,  t the (1 - alpha) quantile of Student's t
//! power = P(T > t) + P(T < -t)        two-sided,  t the (1 - alpha/2) quantile
//! ```
//!
//! where T is noncentral t with df and delta. For a test of non-inferiority the difference is the
//! distance from the margin, `(margin - true difference) / standard deviation`, one-sided. Every
//! argument has a range and every search halves an interval, so the time is bounded.
//!
//! Cohen (1988), Statistical Power Analysis for the Behavioral Sciences, 2nd edition, chapter 2.

use serde::Serialize;

use crate::stats::Alternative;
use crate::stats::distributions::noncentral_t::noncentral_t_tail;
use crate::stats::distributions::root::find_root;
use crate::stats::distributions::student_t::student_t_quantile;
use crate::text::numbers::exact;

/// A comparison of two means, and the power it should have.
///
/// ```
/// use serin::stats::Alternative;
/// use serin::stats::TwoSamplePower;
///
/// // 10 ms slower at a standard deviation of 15 ms, with a tenth of the traffic on the canary.
/// let plan = TwoSamplePower {
///     effect_size: 10.0 / 15.0,
///     alpha: 0.05,
///     power: 0.8,
///     allocation_ratio: 9.0,
///     alternative: Alternative::TwoSided,
/// };
/// let sizes = plan.required_samples()?;
/// // statsmodels: TTestIndPower().solve_power(10 / 15, None, 0.05, 0.8, 9.0, "two-sided")
/// assert!((sizes.canary - 19.816064949384423).abs() < 1e-6);
/// assert_eq!((sizes.canary_ceil, sizes.stable_ceil), (20, 179));
/// # Ok::<(), serin::stats::PowerError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoSamplePower {
    /// The difference of the means in standard deviations (Cohen's d), 1e-9 to 100. Its direction
    /// is that of the alternative.
    pub effect_size: f64,
    /// The probability of a false alarm, 1e-300 to 0.5.
    pub alpha: f64,
    /// The probability of detecting the difference, above alpha and at most 1 - 1e-9.
    pub power: f64,
    /// Stable's observations for each of the canary's, 1e-6 to 1e6: 9 when the canary gets 10 %.
    pub allocation_ratio: f64,
    /// The alternative hypothesis; `Greater` and `Less` need the same samples.
    pub alternative: Alternative,
}

/// How many observations each track needs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SampleSizes {
    /// The canary's observations as a fraction, where the power is exactly the required one.
    #[serde(rename = "canary_exact")]
    pub canary: f64,
    /// Stable's observations: the canary's times the allocation ratio.
    #[serde(rename = "stable_exact")]
    pub stable: f64,
    /// The canary's observations, rounded up.
    #[serde(rename = "canary")]
    pub canary_ceil: u64,
    /// Stable's observations, rounded up.
    #[serde(rename = "stable")]
    pub stable_ceil: u64,
    /// The power at the rounded numbers.
    #[serde(rename = "power")]
    pub achieved_power: f64,
}

/// Why a plan has no sample size or power.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PowerError {
    /// An argument is outside its range.
    #[error("{field} is {}: expected {expected}", exact(*value))]
    OutOfRange {
        /// The argument's name.
        field: &'static str,
        /// The value given.
        value: f64,
        /// The values allowed.
        expected: &'static str,
    },
    /// More observations than any traffic gives.
    #[error("more than 1e15 observations are needed: ask for a larger effect or less power")]
    TooManySamples,
}

/// The most observations per track: up to here every whole number is an exact float.
const MAX_SAMPLES: f64 = 1e15;

const MAX_EFFECT: f64 = 100.0;
const MIN_EFFECT: f64 = 1e-9;

impl TwoSamplePower {
    /// The smallest samples with the required power, at least two observations per track.
    pub fn required_samples(&self) -> Result<SampleSizes, PowerError> {
        check_effect(self.effect_size)?;
        check_alpha(self.alpha)?;
        check_power(self.power, self.alpha)?;
        let ratio = self.allocation_ratio;
        check("allocation_ratio", ratio, 1e-6, 1e6, "1e-6 to 1e6")?;

        let power = |canary: f64| self.power_with(canary, canary * ratio);
        let fewest = (2.0 / ratio).max(2.0);
        let most = MAX_SAMPLES.min(MAX_SAMPLES / ratio);
        if power(most) < self.power {
            return Err(PowerError::TooManySamples);
        }
        let canary = if power(fewest) >= self.power {
            fewest
        } else {
            let excess = |ln_canary: f64| power(ln_canary.exp()) - self.power;
            find_root(fewest.ln(), most.ln(), 1e-13, excess).exp()
        };
        whole_samples(canary, ratio, |n_canary, n_stable| self.power_with(n_canary, n_stable))
    }

    fn power_with(&self, n_canary: f64, n_stable: f64) -> f64 {
        power_of(n_canary, n_stable, self.effect_size, self.alpha, self.alternative)
    }
}

/// The probability of detecting an effect with these samples (2 to 1e15 each; fractions allowed).
///
/// The other arguments and their ranges are the fields of [`TwoSamplePower`].
///
/// ```
/// use serin::stats::Alternative;
/// use serin::stats::power_at;
///
/// // statsmodels: TTestIndPower().power(10 / 15, 36, 0.05)
/// let power = power_at(36.0, 36.0, 10.0 / 15.0, 0.05, Alternative::TwoSided)?;
/// assert!((power - 0.7965793006911309).abs() < 1e-12);
/// # Ok::<(), serin::stats::PowerError>(())
/// ```
pub fn power_at(
    n_canary: f64,
    n_stable: f64,
    effect_size: f64,
    alpha: f64,
    alternative: Alternative,
) -> Result<f64, PowerError> {
    check_samples(n_canary, n_stable)?;
    check_effect(effect_size)?;
    check_alpha(alpha)?;
    Ok(power_of(n_canary, n_stable, effect_size, alpha, alternative))
}

fn power_of(
    n_canary: f64,
    n_stable: f64,
    effect: f64,
    alpha: f64,
    alternative: Alternative,
) -> f64 {
    let df = n_canary + n_stable - 2.0;
    let delta = effect * (n_canary * (n_stable / (n_canary + n_stable))).sqrt();
    match alternative {
        Alternative::Greater | Alternative::Less => {
            noncentral_t_tail(student_t_quantile(alpha, df), df, delta)
        }
        Alternative::TwoSided => {
            let t = student_t_quantile(0.5 * alpha, df);
            noncentral_t_tail(t, df, delta) + noncentral_t_tail(t, df, -delta)
        }
    }
}

/// The sizes for a number of canary observations, with the power at the whole numbers above.
pub(crate) fn whole_samples(
    canary: f64,
    ratio: f64,
    power_with: impl Fn(f64, f64) -> f64,
) -> Result<SampleSizes, PowerError> {
    let stable = canary * ratio;
    if canary.max(stable) > MAX_SAMPLES * (1.0 + 1e-9) {
        return Err(PowerError::TooManySamples);
    }
    // The last digits of a root that is a whole number must not cost an observation.
    let ceil = |n: f64| (n - 1e-9).ceil();
    let (canary_ceil, stable_ceil) = (ceil(canary), ceil(stable));
    Ok(SampleSizes {
        canary,
        stable,
        canary_ceil: canary_ceil as u64,
        stable_ceil: stable_ceil as u64,
        achieved_power: power_with(canary_ceil, stable_ceil),
    })
}

fn check_samples(n_canary: f64, n_stable: f64) -> Result<(), PowerError> {
    check("n_canary", n_canary, 2.0, MAX_SAMPLES, "2 to 1e15 observations")?;
    check("n_stable", n_stable, 2.0, MAX_SAMPLES, "2 to 1e15 observations")
}

fn check_effect(effect: f64) -> Result<(), PowerError> {
    let expected = "1e-9 to 100 standard deviations, positive in either direction";
    check("effect_size", effect, MIN_EFFECT, MAX_EFFECT, expected)
}

pub(crate) fn check_alpha(alpha: f64) -> Result<(), PowerError> {
    check("alpha", alpha, 1e-300, 0.5, "1e-300 to 0.5, such as 0.05")
}

pub(crate) fn check_power(power: f64, alpha: f64) -> Result<(), PowerError> {
    let expected = "more than alpha and at most 1 - 1e-9, such as 0.8";
    // Just above alpha any difference suffices, so that no smallest sample exists.
    check("power", power, alpha * (1.0 + 1e-9), 1.0 - 1e-9, expected)
}

pub(crate) fn check(
    field: &'static str,
    value: f64,
    low: f64,
    high: f64,
    expected: &'static str,
) -> Result<(), PowerError> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(PowerError::OutOfRange { field, value, expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: TwoSamplePower = TwoSamplePower {
        effect_size: 10.0 / 15.0,
        alpha: 0.05,
        power: 0.8,
        allocation_ratio: 1.0,
        alternative: Alternative::TwoSided,
    };

    #[test]
    fn the_plans_in_the_documentation_agree_with_statsmodels() {
        let greater = TwoSamplePower { alternative: Alternative::Greater, ..PLAN };
        let tenth = TwoSamplePower { allocation_ratio: 9.0, ..PLAN };
        for (plan, canary, stable, ceil) in [
            (PLAN, 36.30568709268561, 36.30568709268561, (37, 37)),
            (greater, 28.522747616514255, 28.522747616514255, (29, 29)),
            (tenth, 19.816064949384423, 178.3445845444598, (20, 179)),
        ] {
            let sizes = plan.required_samples().unwrap();
            assert!((sizes.canary - canary).abs() < 1e-7, "{sizes:?}");
            assert!((sizes.stable - stable).abs() < 1e-6, "{sizes:?}");
            assert_eq!((sizes.canary_ceil, sizes.stable_ceil), ceil);
            assert!(sizes.achieved_power >= plan.power);
        }
    }

    #[test]
    fn the_direction_does_not_change_the_samples() {
        let greater = TwoSamplePower { alternative: Alternative::Greater, ..PLAN };
        let less = TwoSamplePower { alternative: Alternative::Less, ..PLAN };
        assert_eq!(greater.required_samples(), less.required_samples());
    }

    #[test]
    fn arguments_outside_their_range_are_named() {
        let plans = [
            (TwoSamplePower { effect_size: 0.0, ..PLAN }, "effect_size is 0: expected 1e-9 to"),
            (TwoSamplePower { effect_size: -0.5, ..PLAN }, "effect_size is -0.5"),
            (TwoSamplePower { effect_size: f64::NAN, ..PLAN }, "effect_size is NaN"),
            (TwoSamplePower { alpha: 0.0, ..PLAN }, "alpha is 0: expected 1e-300 to 0.5"),
            (TwoSamplePower { alpha: 5.0, ..PLAN }, "alpha is 5"),
            (TwoSamplePower { power: 0.05, ..PLAN }, "power is 0.05: expected more than alpha"),
            (TwoSamplePower { power: 80.0, ..PLAN }, "power is 80"),
            (TwoSamplePower { power: 1.0, ..PLAN }, "power is 1"),
            (TwoSamplePower { allocation_ratio: 0.0, ..PLAN }, "allocation_ratio is 0"),
        ];
        for (plan, cause) in plans {
            let message = plan.required_samples().unwrap_err().to_string();
            assert!(message.starts_with(cause), "{message}");
        }
        let message = power_at(1.0, 20.0, 0.5, 0.05, Alternative::Greater).unwrap_err().to_string();
        assert!(message.starts_with("n_canary is 1: expected 2 to 1e15"), "{message}");
    }

    #[test]
    fn extreme_plans_end_quickly() {
        let tiny = TwoSamplePower { effect_size: 1e-9, ..PLAN };
        assert_eq!(tiny.required_samples(), Err(PowerError::TooManySamples));
        let enormous = TwoSamplePower { effect_size: 100.0, ..PLAN };
        assert_eq!(enormous.required_samples().unwrap().canary_ceil, 2);
        for effect_size in [1e-6, 0.01, 1.0, 100.0] {
            for (alpha, power) in [(1e-300, 1.0 - 1e-9), (0.5, 0.5 + 1e-6), (1e-300, 1e-200)] {
                for allocation_ratio in [1e-6, 1.0, 1e6] {
                    let alternative = Alternative::TwoSided;
                    let plan =
                        TwoSamplePower { effect_size, alpha, power, allocation_ratio, alternative };
                    if let Ok(sizes) = plan.required_samples() {
                        assert!(sizes.achieved_power >= power * (1.0 - 1e-9), "{plan:?} {sizes:?}");
                    }
                }
            }
        }
    }
}
