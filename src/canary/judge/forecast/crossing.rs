//! Crossing: how likely an e-process has reached its threshold after a number of further requests.
//!
//! ```text
//! E            = sum of w_k exp(eta_k S - eta_k^2 n / 2)          S = sum of n draws, of variance 1 and mean delta
//! S now        from ln E now; b(n) = the S at which E reaches the threshold
//! delta        given S and n: normal, with the prior  1/2 N(mu, 0.05^2) + 1/2 N(mu, 0.3^2),  mu = no difference
//! P(by n + m)  = mean over delta of  P(normal > (a - (delta - b') m) / sqrt(m))
//!                + exp(2 a (delta - b')) P(normal > (a + (delta - b') m) / sqrt(m)),    b(n + m) = S + a + b' m
//! ```
//!
//! The last line is the inverse Gaussian distribution: when a Brownian motion with drift first crosses a line (Bachelier
//! and Lévy; Siegmund 1985, Sequential Analysis, chapter III).

use crate::stats::distributions::incomplete_beta::incomplete_beta;
use crate::stats::distributions::normal::normal_tail;
use crate::stats::sequential::RISK_RATIOS;
use crate::stats::sequential::RISK_SHARES;
use crate::stats::sequential::STAKE_SHARES;
use crate::stats::sequential::STAKES;

/// A bet on the mean of draws.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draws {
    pub(super) log_e: f64,
    pub(super) threshold: f64,
    /// Draws so far.
    pub(super) seen: f64,
    pub(super) per_request: f64,
    /// The mean of a draw if the versions do not differ, in standard deviations.
    pub(super) without_effect: f64,
    /// The prior's unit: the standard deviations of a draw that one of a request is.
    pub(super) scale: f64,
    /// The variance of a draw.
    pub(super) variance: f64,
    pub(super) stakes: [f64; STAKES],
    /// Whether the bet keeps some cash.
    pub(super) has_cash: bool,
}

/// A bet on whose failures they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Events {
    pub(super) log_e: f64,
    pub(super) threshold: f64,
    pub(super) share: f64,
    /// Failures and requests so far.
    pub(super) stable: [f64; 2],
    pub(super) canary: [f64; 2],
    /// The harmful ratio of the rates.
    pub(super) allowed: f64,
}

/// The cash of a bet that keeps some.
const CASH: f64 = 0.05;

/// Standard deviations of the prior of a difference: most versions hardly differ, some a lot.
const PRIOR: [f64; 2] = [0.05, 0.3];

/// Probabilists' Gauss-Hermite nodes and weights (numpy.polynomial.hermite_e.hermegauss(9), normalized).
const HERMITE: [(f64, f64); 9] = [
    (-4.512745863399783, 2.2345844007746607e-05),
    (-3.20542900285647, 0.0027891413212317692),
    (-2.07684797867783, 0.04991640676521782),
    (-1.0232556637891326, 0.24409750289493953),
    (0.0, 0.40634920634920635),
    (1.0232556637891326, 0.24409750289493953),
    (2.07684797867783, 0.04991640676521782),
    (3.20542900285647, 0.0027891413212317692),
    (4.512745863399783, 2.2345844007746607e-05),
];

/// The largest mean of a draw that counts; draws are clipped.
const MAX_MEAN: f64 = 2.5;

impl Draws {
    /// The probability that the threshold is reached within each of these numbers of further requests.
    pub(super) fn reached(&self, requests: &[f64]) -> Vec<f64> {
        if self.log_e >= self.threshold {
            return vec![1.0; requests.len()];
        }
        let Draws { seen, variance, without_effect, .. } = *self;
        let now = match self.sum_at(self.log_e, seen) {
            _ if seen <= 0.0 => 0.0,
            Some((sum, _)) => sum.max(without_effect * seen - 4.0 * seen.sqrt()),
            None => without_effect * seen - 4.0 * seen.sqrt(),
        };
        let drifts = self.drifts(now);
        let reached = |requests: &f64| {
            let more = requests * self.per_request;
            let Some((sum, slope)) = self.sum_at(self.threshold, seen + more) else { return 0.0 };
            let missing = (sum - slope * more - now).max(1e-3);
            let spread = (variance.max(1.0) * more).sqrt();
            let by =
                |(drift, weight): &(f64, f64)| weight * hit(missing, drift - slope, more, spread);
            drifts.iter().map(by).sum::<f64>()
        };
        requests.iter().map(reached).collect()
    }

    /// Means of a draw with their probabilities, given what was seen.
    fn drifts(&self, sum: f64) -> Vec<(f64, f64)> {
        let Draws { seen, variance, without_effect, scale, .. } = *self;
        let parts = PRIOR.map(|of_request| {
            let prior = (of_request * scale).powi(2);
            let precision = seen / variance + 1.0 / prior;
            let mean = (sum / variance + without_effect / prior) / precision;
            let marginal = seen * variance + seen * seen * prior;
            let off = sum - seen * without_effect;
            let log = if seen > 0.0 { -0.5 * (marginal.ln() + off * off / marginal) } else { 0.0 };
            (mean, precision.powf(-0.5), log)
        });
        let largest = parts.iter().fold(f64::NEG_INFINITY, |most, part| most.max(part.2));
        let all: f64 = parts.iter().map(|part| (part.2 - largest).exp()).sum();
        let nodes = |(mean, deviation, log): (f64, f64, f64)| {
            let part = (log - largest).exp() / all;
            HERMITE.map(|(node, weight)| ((mean + deviation * node).min(MAX_MEAN), part * weight))
        };
        parts.into_iter().flat_map(nodes).collect()
    }

    /// The sum of `draws` draws at which ln E is `log_e`, and how it grows with the draws. `None` where ln E cannot be
    /// as low.
    fn sum_at(&self, log_e: f64, draws: f64) -> Option<(f64, f64)> {
        let log_e = match self.has_cash {
            true => (log_e.exp() - CASH).ln() - (1.0 - CASH).ln(),
            false => log_e,
        };
        if !(log_e.is_finite() && draws.is_finite()) {
            return None;
        }
        let line = |k: usize| {
            let stake = self.stakes[k];
            (STAKE_SHARES[k].ln() - 0.5 * stake * stake * draws, stake)
        };
        let lines: [(f64, f64); STAKES] = std::array::from_fn(line);
        let sum = solve(&lines, log_e)?;
        let (slope, _) = mean_slope(&lines, sum, |stake| 0.5 * stake * stake);
        let (by_sum, _) = mean_slope(&lines, sum, |stake| stake);
        Some((sum, slope / by_sum)).filter(|(sum, slope)| sum.is_finite() && slope.is_finite())
    }
}

impl Events {
    /// The probability that the threshold is reached within each of these numbers of further requests: the canary's
    /// further failures are negative binomial, stable's as many as expected.
    pub(super) fn reached(&self, requests: &[f64]) -> Vec<f64> {
        if self.log_e >= self.threshold {
            return vec![1.0; requests.len()];
        }
        let Events { share, stable, canary, allowed, .. } = *self;
        let mixed = |ratio: f64| {
            (share * (ratio * allowed - 1.0)).ln_1p() - (share * (allowed - 1.0)).ln_1p()
        };
        let losses = RISK_RATIOS.map(mixed);
        let lines = |of_stable: f64| -> [(f64, f64); RISK_RATIOS.len()] {
            std::array::from_fn(|k| {
                let start = RISK_SHARES[k].ln() - of_stable * losses[k];
                (start, RISK_RATIOS[k].ln() - losses[k])
            })
        };
        let with_cash = |log: f64| ((1.0 - CASH) * log.exp() + CASH).ln();
        let now = with_cash(log_sum(&lines(stable[0]), canary[0]));
        let off = (self.log_e - now).clamp(-3.0, 3.0);
        let target = (((self.threshold - off).exp() - CASH) / (1.0 - CASH)).ln();
        let pooled = (stable[0] + canary[0] + 0.5) / (stable[1] + canary[1] + 50.0);
        let rate = (stable[0] + 0.5) / (stable[1] + 50.0);
        let mut before = 0.0_f64;
        let mut reached = |requests: &f64| {
            let of_stable = stable[0] + rate * requests * (1.0 - share);
            let needed = solve(&lines(of_stable), target)? - canary[0];
            let needed = (needed - 1e-9).ceil().max(1.0);
            // Gamma prior of the canary's rate: one failure in as many requests as both tracks have.
            let (failures, of) = (canary[0] + 1.0, canary[1] + 1.0 / pooled);
            let more = requests * share;
            let found = incomplete_beta(needed, failures, more / (more + of), of / (more + of));
            before = before.max(found);
            Some(before)
        };
        requests.iter().map(|requests| reached(requests).unwrap_or(0.0)).collect()
    }
}

/// The probability that a Brownian motion of this drift and spread crosses a level within a time.
fn hit(level: f64, drift: f64, time: f64, spread: f64) -> f64 {
    if spread <= 0.0 {
        return 0.0;
    }
    let direct = normal_tail((level - drift * time) / spread);
    let variance = spread * spread / time;
    let back = normal_tail((level + drift * time) / spread);
    let reflected = (2.0 * level * drift / variance + back.max(f64::MIN_POSITIVE).ln()).exp();
    (direct + if back > 0.0 { reflected.min(1.0) } else { 0.0 }).min(1.0)
}

/// ln of the sum of exp(start + slope x).
fn log_sum(lines: &[(f64, f64)], x: f64) -> f64 {
    let logs = lines.iter().map(|(start, slope)| start + slope * x);
    let largest = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    largest + logs.map(|log| (log - largest).exp()).sum::<f64>().ln()
}

/// The mean of a function of the slope, by the parts that the lines have of the sum; and ln of the sum.
fn mean_slope(lines: &[(f64, f64)], x: f64, of: impl Fn(f64) -> f64) -> (f64, f64) {
    let all = log_sum(lines, x);
    let part = |(start, slope): &(f64, f64)| (start + slope * x - all).exp() * of(*slope);
    (lines.iter().map(part).sum(), all)
}

/// The x at which the logarithm of the sum is `target`, by Newton's method: it is convex and increases.
fn solve(lines: &[(f64, f64)], target: f64) -> Option<f64> {
    let mut x = 0.0;
    for _ in 0..100 {
        let (slope, value) = mean_slope(lines, x, |slope| slope);
        let step = (target - value) / slope;
        x += step;
        if !x.is_finite() {
            return None;
        }
        if step.abs() <= 1e-9 * (1.0 + x.abs()) {
            break;
        }
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sequential::STAKE_SIZES;

    fn draws(log_e: f64, seen: f64) -> Draws {
        Draws {
            log_e,
            threshold: 20_f64.ln(),
            seen,
            per_request: 0.09,
            without_effect: 0.1,
            scale: 1.0,
            variance: 1.0,
            stakes: STAKE_SIZES,
            has_cash: false,
        }
    }

    #[test]
    fn the_sum_behind_an_e_value_is_found_again() {
        let bet = draws(0.0, 1000.0);
        for (sum, draws) in [(30.0, 100.0), (-5.0, 400.0), (200.0, 10_000.0)] {
            let lines: [(f64, f64); STAKES] = std::array::from_fn(|k| {
                let stake = STAKE_SIZES[k];
                (STAKE_SHARES[k].ln() - 0.5 * stake * stake * draws, stake)
            });
            let (found, _) = bet.sum_at(log_sum(&lines, sum), draws).unwrap();
            assert!((found - sum).abs() < 1e-6, "{sum}: {found}");
        }
        let cash = Draws { has_cash: true, ..bet };
        assert_eq!(cash.sum_at(0.04_f64.ln(), 100.0), None);
    }

    #[test]
    fn the_crossing_of_a_line_is_inverse_gaussian() {
        // scipy.stats.invgauss.cdf(t, mu=20 / 100, scale=100): mean 10 / 0.5, shape 10^2
        for (time, expected) in
            [(5.0, 0.0006479474982647598), (20.0, 0.5852888591629861), (60.0, 0.9977508821529518)]
        {
            let found = hit(10.0, 0.5, time, f64::sqrt(time));
            assert!((found / expected - 1.0).abs() < 1e-9, "{time}: {found}");
        }
    }

    #[test]
    fn the_probability_grows_with_requests_and_evidence() {
        let requests = [100.0, 1000.0, 10_000.0, 100_000.0];
        let [some, more] = [0.5, 2.0].map(|log_e| draws(log_e, 300.0).reached(&requests));
        assert!(some.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9), "{some:?}");
        assert!(some.iter().zip(&more).all(|(some, more)| some < more), "{some:?} {more:?}");
        assert_eq!(draws(4.0, 300.0).reached(&requests), [1.0; 4]);
    }
}
