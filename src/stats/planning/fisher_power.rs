//! Power of Fisher's exact test: how many requests until it notices that the canary fails more often?
//!
//! ```text
//! power = sum over k_s of P(K_s = k_s) P(K_c >= critical(k_s))      K_c, K_s binomial with n_c, p_c and n_s, p_s
//! critical(k_s) = the fewest failures of the canary with p <= alpha, given k_s of stable's
//! ```
//!
//! The sum is exact; what is left out of the binomial tails is below 1e-12. The power is not a monotone function of the
//! samples: it falls a little whenever one more failure becomes necessary. The sample size is therefore the smallest
//! one from which on the power *stays* at least as large as required.
//!
//! Casagrande, Pike and Smith (1978), The power function of the exact test for comparing two binomial distributions,
//! Applied Statistics 27(2), doi:10.2307/2346945.

use super::power::PowerError;
use super::power::SampleSizes;
use super::power::check;
use super::power::check_alpha;
use super::power::check_power;
use crate::stats::distributions::binomial::ln_binomial;
use crate::stats::distributions::normal::normal_quantile;
use crate::stats::fixed_horizon::fisher::fisher_exact_greater;

/// A comparison of two failure rates by Fisher's one-sided test, and the power it should have.
///
/// ```
/// use serin::stats::FisherPower;
///
/// // Failures from 1 % to 2 %, with a tenth of the traffic on the canary, at 5 % one-sided.
/// let plan = FisherPower {
///     canary_rate: 0.02,
///     stable_rate: 0.01,
///     alpha: 0.05,
///     power: 0.8,
///     allocation_ratio: 9.0,
/// };
/// // scipy: sum of binom.pmf(k, 10197, 0.01) * binom.sf(critical(k) - 1, 1133, 0.02), critical by hypergeom.sf
/// assert!((plan.power_with(1133, 10197) - 0.8238896545760749).abs() < 1e-9);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FisherPower {
    /// The canary's failure rate, above stable's and at most 1.
    pub canary_rate: f64,
    /// Stable's failure rate, 0 to 1.
    pub stable_rate: f64,
    /// The level of the one-sided test, 1e-300 to 0.5.
    pub alpha: f64,
    /// The probability of detecting the difference, above alpha and at most 1 - 1e-9.
    pub power: f64,
    /// Stable's requests for each of the canary's, 1e-6 to 1e6.
    pub allocation_ratio: f64,
}

/// More canary requests are not searched: the sum over tables takes seconds then, and the normal approximation of
/// [`ProportionPower`](crate::stats::ProportionPower) is as good.
const MAX_CANARY: f64 = 1e6;

/// What a binomial distribution may lose at either end.
const NEGLIGIBLE: f64 = 1e-13;

impl FisherPower {
    /// The smallest samples from which on the power stays at least as large as required, in steps of a thousandth of
    /// the canary's.
    ///
    /// # Errors
    /// When an argument is out of its range, or the canary needs more than 10^6 requests.
    pub fn required_samples(&self) -> Result<SampleSizes, PowerError> {
        check_alpha(self.alpha)?;
        check_power(self.power, self.alpha)?;
        let ratio = self.allocation_ratio;
        check("allocation_ratio", ratio, 1e-6, 1e6, "1e-6 to 1e6")?;
        check("stable_rate", self.stable_rate, 0.0, 1.0, "0 to 1")?;
        check("canary_rate", self.canary_rate, 0.0, 1.0, "0 to 1")?;
        if self.canary_rate <= self.stable_rate {
            let (field, value) = ("canary_rate", self.canary_rate);
            return Err(PowerError::OutOfRange {
                field,
                value,
                expected: "a rate above stable_rate",
            });
        }
        let power = |canary: f64| self.power_with(canary as u64, self.stable_of(canary));
        // Above this the teeth of the saw no longer reach down to the required power.
        let clearly = self.power + 0.3 * (1.0 - self.power);
        let mut high = self.approximately();
        if high >= MAX_CANARY {
            return Err(PowerError::TooManySamples);
        }
        while power(high) < clearly {
            high = (1.25 * high).ceil();
            if high.max(high * ratio) > MAX_CANARY * ratio.max(1.0) {
                return Err(PowerError::TooManySamples);
            }
        }
        let step = (high / 1000.0).floor().max(1.0);
        let mut canary = high;
        while canary > step && power(canary - step) >= self.power {
            canary -= step;
        }
        let stable = self.stable_of(canary);
        Ok(SampleSizes {
            canary,
            stable: stable as f64,
            canary_ceil: canary as u64,
            stable_ceil: stable,
            achieved_power: power(canary),
        })
    }

    /// The power with these requests.
    pub fn power_with(&self, n_canary: u64, n_stable: u64) -> f64 {
        let canary = Binomial::new(n_canary, self.canary_rate);
        let stable = Binomial::new(n_stable, self.stable_rate);
        let is_shown = |k_canary: u64, k_stable: u64| {
            fisher_exact_greater(k_canary, n_canary, k_stable, n_stable)
                .is_some_and(|p| p <= self.alpha)
        };
        let mut power = 0.0;
        let mut critical = least(n_canary + 1, |k| is_shown(k, stable.first));
        for (k_stable, probability) in (stable.first..).zip(&stable.probabilities) {
            // One more failure of stable's never makes fewer of the canary's enough.
            while critical <= n_canary && !is_shown(critical, k_stable) {
                critical += 1;
            }
            power += probability * canary.at_least(critical);
        }
        power.min(1.0)
    }

    fn stable_of(&self, canary: f64) -> u64 {
        (canary * self.allocation_ratio).round().max(1.0) as u64
    }

    /// The samples of the normal approximation with a correction for continuity.
    fn approximately(&self) -> f64 {
        let (c, s, r) = (self.canary_rate, self.stable_rate, self.allocation_ratio);
        let mean = (c + r * s) / (1.0 + r);
        let null = (mean * (1.0 - mean) * (1.0 + 1.0 / r)).sqrt();
        let real = (c * (1.0 - c) + s * (1.0 - s) / r).sqrt();
        let reach = normal_quantile(self.alpha) * null - normal_quantile(self.power) * real;
        let n = (reach.max(0.0) / (c - s)).powi(2);
        let corrected =
            n / 4.0 * (1.0 + (1.0 + 2.0 * (1.0 + r) / (r * n.max(1e-9) * (c - s))).sqrt()).powi(2);
        corrected.clamp(2.0, MAX_CANARY).ceil()
    }
}

/// The smallest k below `end` that fulfills a condition that stays fulfilled from there on; `end` if none does.
fn least(end: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low + (high - low) / 2;
        if middle < end && holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low.min(end)
}

/// The probabilities of a binomial distribution where they count.
struct Binomial {
    first: u64,
    probabilities: Vec<f64>,
    /// Of at least as many, from `first` on.
    tails: Vec<f64>,
}

impl Binomial {
    fn new(n: u64, p: f64) -> Binomial {
        let probability = |k: u64| match p {
            p if p <= 0.0 => f64::from(k == 0),
            p if p >= 1.0 => f64::from(k == n),
            p => ln_binomial(k as f64, n as f64, p, 1.0 - p).exp(),
        };
        let mode = (((n + 1) as f64 * p).floor() as u64).min(n);
        let mut first = mode;
        while first > 0 && probability(first - 1) > NEGLIGIBLE {
            first -= 1;
        }
        let rising = (first..=mode).map(probability);
        let falling = (mode + 1..=n).map(probability).take_while(|p| *p > NEGLIGIBLE);
        let probabilities: Vec<f64> = rising.chain(falling).collect();
        let mut sum = 0.0;
        let mut tails: Vec<f64> = probabilities
            .iter()
            .rev()
            .map(|p| {
                sum += p;
                sum
            })
            .collect();
        tails.reverse();
        Binomial { first, probabilities, tails }
    }

    fn at_least(&self, k: u64) -> f64 {
        match k.checked_sub(self.first) {
            None | Some(0) => 1.0,
            Some(place) => self.tails.get(place as usize).copied().unwrap_or(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: FisherPower = FisherPower {
        canary_rate: 0.05,
        stable_rate: 0.01,
        alpha: 0.05,
        power: 0.8,
        allocation_ratio: 9.0,
    };

    #[test]
    fn the_power_stays_from_the_size_on_and_not_before() {
        let sizes = PLAN.required_samples().unwrap();
        let power = |n: u64| PLAN.power_with(n, 9 * n);
        assert!(power(sizes.canary_ceil - 1) < 0.8, "{sizes:?}");
        for n in sizes.canary_ceil..2 * sizes.canary_ceil {
            assert!(power(n) >= 0.8, "{n}: {}", power(n));
        }
    }

    #[test]
    fn impossible_plans_are_refused_by_name() {
        for (plan, cause) in [
            (FisherPower { canary_rate: 0.01, ..PLAN }, "canary_rate is 0.01"),
            (FisherPower { stable_rate: -0.1, ..PLAN }, "stable_rate is -0.1"),
            (FisherPower { alpha: 0.7, ..PLAN }, "alpha is 0.7"),
            (FisherPower { power: 0.01, ..PLAN }, "power is 0.01"),
        ] {
            let message = plan.required_samples().unwrap_err().to_string();
            assert!(message.starts_with(cause), "{message}");
        }
        let tiny = FisherPower { canary_rate: 0.500_01, stable_rate: 0.5, ..PLAN };
        assert_eq!(tiny.required_samples(), Err(PowerError::TooManySamples));
    }

    #[test]
    fn a_stable_without_failures_is_planned_for() {
        let plan = FisherPower { canary_rate: 1.0, stable_rate: 0.0, ..PLAN };
        assert_eq!(plan.required_samples().unwrap().canary_ceil, 2);
        assert!((plan.power_with(2, 18) - 1.0).abs() < 1e-12);
    }
}
