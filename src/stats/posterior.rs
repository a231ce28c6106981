//! Posterior of a difference: how likely the canary is worse, given a prior, and by how much.
//!
//! A reading for people, not a test: it depends on the prior, and its error rate is not bounded when one looks again
//! and again. Every probability here is one-sided, canary minus stable.

use std::f64::consts::FRAC_PI_2;
use std::f64::consts::TAU;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::distributions::binomial::ln_binomial;
use super::distributions::incomplete_beta::GAUSS_LEGENDRE;
use super::distributions::incomplete_beta::incomplete_beta;
use super::distributions::normal::normal_tail;

/// What is expected of a difference once the data are known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Posterior {
    /// The probability that the difference is above the margin.
    pub above_margin: f64,
    /// The mean of the difference where it is positive, and of 0 where it is not.
    pub expected_excess: f64,
}

/// A normal distribution, of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Normal {
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation.
    pub std_dev: f64,
}

impl Normal {
    /// The posterior of a difference with this prior, after an estimate with this standard error.
    ///
    /// ```text
    /// 1/v = 1/prior variance + 1/se^2        mean = v (prior mean / prior variance + estimate / se^2)
    /// ```
    ///
    /// `None` unless all numbers are finite and both deviations positive.
    pub fn updated(self, estimate: f64, standard_error: f64) -> Option<Normal> {
        let (prior, seen) = (self.std_dev.powi(-2), standard_error.powi(-2));
        let variance = 1.0 / (prior + seen);
        let mean = variance * (prior * self.mean + seen * estimate);
        let usable = self.std_dev > 0.0 && standard_error > 0.0;
        let found = Normal { mean, std_dev: variance.sqrt() };
        (usable && found.mean.is_finite() && found.std_dev > 0.0 && found.std_dev.is_finite())
            .then_some(found)
    }

    /// The same of the difference with the opposite sign.
    pub fn negated(self) -> Normal {
        Normal { mean: -self.mean, ..self }
    }

    /// The probability of a difference above `margin`, and the mean excess.
    ///
    /// ```text
    /// E max(0, D) = mean P(Z < z) + sd phi(z),    z = mean / sd
    /// ```
    ///
    /// ```
    /// use serin::stats::posterior::Normal;
    ///
    /// let found = Normal { mean: 1.0, std_dev: 2.0 }.read(0.0);
    /// // scipy.stats.norm.cdf(0.5)
    /// assert!((found.above_margin - 0.691_462_461_274_013_1).abs() < 1e-14);
    /// // norm.cdf(0.5) + 2 * norm.pdf(0.5)
    /// assert!((found.expected_excess - 1.395_593_114_802_688).abs() < 1e-12);
    /// ```
    pub fn read(self, margin: f64) -> Posterior {
        let Normal { mean, std_dev } = self;
        let z = mean / std_dev;
        let density = (-0.5 * z * z).exp() / TAU.sqrt();
        Posterior {
            above_margin: normal_tail((margin - mean) / std_dev),
            expected_excess: (mean * normal_tail(-z) + std_dev * density).max(0.0),
        }
    }
}

/// A difference that was observed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// The estimate.
    pub estimate: f64,
    /// Its standard error.
    pub standard_error: f64,
}

/// The default prior counts as this many differences.
pub const DEFAULT_EFFECTS: f64 = 4.0;

/// A difference counts as at most this many standard deviations of the default prior, so that one broken version does
/// not widen the prior without limit.
const MAX_DEVIATIONS: f64 = 3.0;

/// The standard deviation of the true differences is taken to be within these multiples of the default.
const SPREADS: [f64; 2] = [0.1, 2.0];

/// The standard deviation of true differences around 0, of which these were observed; `default` is that of the default
/// prior.
///
/// ```text
/// tau: sum of y_i^2 / (tau^2 + se_i^2) = n       within 0.1 and 2 of the default        (Paule and Mandel)
/// ln prior = (4 ln default + n ln tau) / (4 + n)
/// ```
///
/// With equal standard errors tau^2 is the mean square of the differences less se^2. `None` unless all numbers are finite
/// and all deviations positive.
///
/// Paule and Mandel (1982), "Consensus values and weighting factors", doi:10.6028/jres.087.022. Shrinking the logarithm
/// of the spread loses less than shrinking the variance where versions differ little (docs/statistics.md).
///
/// ```
/// use serin::stats::posterior::Effect;
/// use serin::stats::posterior::spread_of_effects;
///
/// let seen = [0.05, -0.05, 0.05, -0.05].map(|estimate| Effect { estimate, standard_error: 0.03 });
/// // tau = sqrt(0.05^2 - 0.03^2) = 0.04, and sqrt(0.2 * 0.04)
/// assert!((spread_of_effects(&seen, 0.2).unwrap() - 0.008_f64.sqrt()).abs() < 1e-9);
/// ```
pub fn spread_of_effects(effects: &[Effect], default: f64) -> Option<f64> {
    let is_usable = |effect: &Effect| {
        let Effect { estimate, standard_error } = *effect;
        estimate.is_finite() && standard_error > 0.0 && standard_error.is_finite()
    };
    if !(default > 0.0 && default.is_finite() && effects.iter().all(is_usable)) {
        return None;
    }
    let count = effects.len() as f64;
    let most = MAX_DEVIATIONS * default;
    let is_wider = |tau: f64| {
        let scaled = effects.iter().map(|Effect { estimate, standard_error }| {
            estimate.clamp(-most, most).powi(2) / (tau * tau + standard_error * standard_error)
        });
        scaled.sum::<f64>() > count
    };
    let [mut low, mut high] = SPREADS.map(|factor| factor * default);
    if !is_wider(low) {
        high = low;
    } else if is_wider(high) {
        low = high;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if is_wider(middle) { low = middle } else { high = middle }
    }
    let tau = 0.5 * (low + high);
    let weighted = DEFAULT_EFFECTS * default.ln() + count * tau.ln();
    Some((weighted / (DEFAULT_EFFECTS + count)).exp())
}

/// A beta distribution, of a failure rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Beta {
    /// Failures that it is worth.
    pub failures: f64,
    /// Answers that it is worth.
    pub answers: f64,
}

/// An integral is cut off this many standard deviations from the mean.
const REACH: f64 = 9.0;

impl Beta {
    /// The posterior after `failures` of `requests`.
    pub fn updated(self, failures: u64, requests: u64) -> Beta {
        Beta {
            failures: self.failures + failures as f64,
            answers: self.answers + requests.saturating_sub(failures) as f64,
        }
    }

    /// The probability that the canary's rate is above stable's by more than `margin`, and the mean excess, for
    /// independent rates.
    ///
    /// ```text
    /// P(C > S + m)    = integral of f_S(x) P(C > x + m) dx
    /// E max(0, C - S) = integral of P(S < x) P(C > x) dx
    /// ```
    ///
    /// By 16-point Gauss-Legendre panels in the angle asin(sqrt(x)), in which the spread is about the same at every
    /// rate. `None` unless all parameters are at least 0.5 and finite.
    pub fn read(canary: Beta, stable: Beta, margin: f64) -> Option<Posterior> {
        let usable = |beta: &Beta| {
            let Beta { failures, answers } = *beta;
            failures >= 0.5 && answers >= 0.5 && (failures + answers).is_finite()
        };
        if !(usable(&canary) && usable(&stable) && margin.is_finite()) {
            return None;
        }
        let (of_stable, of_canary) = (stable.range(), canary.range());
        let shifted = of_canary.map(|angle| angle_of(rate_of(angle) - margin));
        let above_margin = integral(&of_stable, &shifted, |angle| {
            stable.density_of_angle(angle) * canary.above(rate_of(angle) + margin)
        });
        let all = [of_stable[0].min(of_canary[0]), of_stable[1].max(of_canary[1])];
        let inner = [of_stable[0], of_stable[1], of_canary[0], of_canary[1]];
        let expected_excess = integral(&all, &inner, |angle| {
            let rate = rate_of(angle);
            (2.0 * angle).sin() * (1.0 - stable.above(rate)) * canary.above(rate)
        });
        let above_margin = above_margin.clamp(0.0, 1.0);
        Some(Posterior { above_margin, expected_excess: expected_excess.max(0.0) })
    }

    /// P(rate > x)
    fn above(self, x: f64) -> f64 {
        if x <= 0.0 { 1.0 } else { incomplete_beta(self.answers, self.failures, 1.0 - x, x) }
    }

    /// The density of asin(sqrt(rate)).
    fn density_of_angle(self, angle: f64) -> f64 {
        let Beta { failures: a, answers: b } = self;
        let (x, y) = (rate_of(angle), angle.cos().powi(2));
        if x <= 0.0 || y <= 0.0 {
            return 0.0;
        }
        2.0 * (a * b / (a + b)) * ln_binomial(a, a + b, x, y).exp() / (x * y).sqrt()
    }

    /// The angles between which nearly all of it lies.
    fn range(self) -> [f64; 2] {
        let Beta { failures: a, answers: b } = self;
        let center = angle_of(a / (a + b));
        let reach = REACH * 0.5 / (a + b).sqrt();
        [(center - reach).max(0.0), (center + reach).min(FRAC_PI_2)]
    }
}

fn rate_of(angle: f64) -> f64 {
    angle.sin().powi(2)
}

fn angle_of(rate: f64) -> f64 {
    rate.clamp(0.0, 1.0).sqrt().asin()
}

/// The integral over a range, in pieces between the breaks, so that no piece is wide against what varies in it.
fn integral(range: &[f64; 2], breaks: &[f64], function: impl Fn(f64) -> f64) -> f64 {
    const PANELS: u32 = 6;
    let mut ends: Vec<f64> = range
        .iter()
        .chain(breaks)
        .copied()
        .filter(|it| (range[0]..=range[1]).contains(it))
        .collect();
    ends.sort_by(f64::total_cmp);
    ends.windows(2)
        .map(|piece| {
            let width = (piece[1] - piece[0]) / f64::from(PANELS);
            let panel = |number: u32| {
                let middle = piece[0] + (f64::from(number) + 0.5) * width;
                let at = |node: f64| function(middle + 0.5 * width * node);
                let sum =
                    GAUSS_LEGENDRE.iter().map(|(node, weight)| weight * (at(*node) + at(-*node)));
                0.5 * width * sum.sum::<f64>()
            };
            (0..PANELS).map(panel).sum::<f64>()
        })
        .sum()
}

#[cfg(test)]
#[path = "posterior_tests.rs"]
mod tests;
