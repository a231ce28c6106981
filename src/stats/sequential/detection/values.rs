//! Time to detection of a bet on values.
//!
//! After n canary requests at the share pi, the sum that a stake eta multiplies is approximately a Brownian motion with
//! drift, and each function of the bet sees the same motion B with its own drift and variance:
//!
//! ```text
//! E = sum over functions f and stakes k of  s_f w_k exp( eta_k (d_f t + B_t sqrt(v_f)) - eta_k^2 q_f t / 2 )
//! t = (1 - pi) n       v = (1 - pi) r + pi       q = v + pi (1 - pi) d^2
//! ```
//!
//! with d, r and s the distance, variance ratio and share of an [`Effect`]. E = 1/alpha is a boundary b(t) for B. Its
//! tangent at t, a + c t, is crossed before t with the probability of the inverse Gaussian distribution,
//!
//! ```text
//! P(T <= t) = Phi( (-c t - a)/sqrt(t) ) + exp(-2 a c) Phi( (c t - a)/sqrt(t) )
//! ```
//!
//! which approximates the probability of having crossed the curve. Off by at most 21 % of the median in the eight rows
//! of latency in docs/measurements.md. Left out: the dependence of the functions on each other, and bounds of a single
//! gain.
//!
//! Chhikara and Folks (1989), The Inverse Gaussian Distribution, doi:10.1201/9781003064756; tangents: Ferebee (1982),
//! Zeitschrift für Wahrscheinlichkeitstheorie 61(3), doi:10.1007/BF00539832.

use super::effect::Effect;
use crate::stats::distributions::normal::normal_tail;
use crate::stats::sequential::bets::wealth::STAKE_SHARES;
use crate::stats::sequential::bets::wealth::STAKE_SIZES;

/// A bet on values whose effects are known.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueDetection {
    /// The effects on the functions that are bet on.
    pub effects: Vec<Effect>,
    /// The canary's share of the requests, above 0 and below 1.
    pub share: f64,
    /// The level: the threshold is 1/alpha.
    pub alpha: f64,
    /// No stake is larger than this, in standard deviations of stable's.
    pub max_stake: f64,
    /// Cash, which bets on harm keep: a share of the wealth.
    pub cash: f64,
}

/// Canary requests that it takes to learn where the values lie: the difference of the means is shrunk at first.
const LEARNING: f64 = 2.0;

impl ValueDetection {
    /// The probability that the threshold was reached within this many canary requests.
    pub fn reached(&self, canary_requests: f64) -> f64 {
        let time = (canary_requests - LEARNING).max(0.0) * (1.0 - self.share);
        if time <= 0.0 || self.effects.is_empty() {
            return 0.0;
        }
        let step = 1e-3 * time;
        let [before, at, after] = [time - step, time, time + step].map(|time| self.boundary(time));
        let slope = (after - before) / (2.0 * step);
        first_passage(time, at - slope * time, slope)
    }

    /// The value of B at which E reaches the threshold.
    fn boundary(&self, time: f64) -> f64 {
        let excess = |motion: f64| self.ln_e(time, motion) + self.alpha.ln();
        let (mut low, mut high) = (-1.0, 1.0);
        while excess(low) > 0.0 && low > -1e12 {
            low *= 2.0;
        }
        while excess(high) < 0.0 && high < 1e12 {
            high *= 2.0;
        }
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if excess(middle) < 0.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        0.5 * (low + high)
    }

    fn ln_e(&self, time: f64, motion: f64) -> f64 {
        let pi = self.share;
        let logs = self.effects.iter().flat_map(|effect| {
            let Effect { share, distance, variance_ratio } = *effect;
            let variance = (1.0 - pi) * variance_ratio + pi;
            let squares = variance + pi * (1.0 - pi) * distance * distance;
            let sum = distance * time + motion * variance.sqrt();
            STAKE_SIZES.iter().zip(STAKE_SHARES).map(move |(size, of_stake)| {
                let stake = size.min(self.max_stake);
                let begins = share * of_stake * (1.0 - self.cash);
                begins.ln() + stake * sum - 0.5 * stake * stake * squares * time
            })
        });
        let logs: Vec<f64> = logs.collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + logs.iter().map(|log| (log - most).exp()).sum::<f64>().ln()
    }
}

/// The probability that a Brownian motion crosses the line `start + slope u` before u = `time`.
fn first_passage(time: f64, start: f64, slope: f64) -> f64 {
    if start <= 0.0 {
        return 1.0;
    }
    let root = time.sqrt();
    let ends_above = normal_tail((start + slope * time) / root);
    let returns = normal_tail((start - slope * time) / root);
    let returns = if returns > 0.0 { (returns.ln() - 2.0 * start * slope).exp() } else { 0.0 };
    (ends_above + returns).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sequential::detection::requests_until;

    #[test]
    fn a_motion_without_drift_is_reflected() {
        // scipy: 2 * norm.sf(1)
        assert!((first_passage(4.0, 2.0, 0.0) - 0.317_310_507_862_914_15).abs() < 1e-12);
        // scipy: invgauss.cdf(10, 15 / 9, scale=9): mean a / d = 3 / 0.2, shape a^2
        assert!((first_passage(10.0, 3.0, -0.2) - 0.564_906_327_324_331_3).abs() < 1e-12);
    }

    #[test]
    fn a_larger_effect_is_found_sooner_and_a_stricter_level_later() {
        let detection = |distance, alpha| {
            let effects = vec![Effect { share: 1.0, distance, variance_ratio: 1.0 }];
            let it = ValueDetection { effects, share: 0.1, alpha, max_stake: 1.0, cash: 0.05 };
            requests_until(0.5, |n| it.reached(n))
        };
        let found: Vec<f64> =
            [0.05, 0.1, 0.2, 0.5].iter().filter_map(|it| detection(*it, 0.05)).collect();
        assert!(found.len() == 4 && found.is_sorted_by(|a, b| a > b), "{found:?}");
        assert!(detection(0.1, 0.01) > detection(0.1, 0.05));
        assert_eq!(detection(-0.5, 0.05), None);
    }
}
