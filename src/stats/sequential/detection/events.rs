//! Time to detection of a bet on failures.
//!
//! Each failure is the canary's with probability theta, whatever happened before. So after m failures of both tracks the
//! canary's number is a random walk, the e-value follows from it, and the probability of having reached the threshold
//! after m failures is exact. Failures come at the rate lambda per canary request:
//!
//! ```text
//! lambda = p_c + p_s (1 - pi)/pi       theta = p_c / lambda
//! P(reached within n) = sum over m of P(N = m) P(reached within m failures)       N Poisson with mean lambda n
//! ```
//!
//! Left out: that the stakes share their wealth after each failure, which costs a few percent. Off by at most 5 % of the
//! median in the three rows of rare failures in docs/measurements.md.

use statrs::function::gamma::ln_gamma;

use crate::stats::sequential::bets::events::RISK_RATIOS;
use crate::stats::sequential::bets::events::RISK_SHARES;

/// A bet on failures whose rates are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailureBet {
    /// The canary's failure rate.
    pub canary_rate: f64,
    /// Stable's failure rate.
    pub stable_rate: f64,
    /// The canary's share of the requests, above 0 and below 1.
    pub share: f64,
    /// The ratio of the rates that is tolerated; 1 forgives nothing.
    pub tolerated_ratio: f64,
    /// The level: the threshold is 1/alpha.
    pub alpha: f64,
}

/// The probability of having reached the threshold, after each number of failures.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureDetection {
    /// After m failures.
    reached: Vec<f64>,
    per_canary_request: f64,
}

/// Cash: as in the bets on values.
const CASH: f64 = 0.05;

/// More failures are not followed.
const MAX_FAILURES: usize = 20_000;

impl FailureBet {
    /// Follows the bet failure by failure, until it has reached the threshold with probability 0.999 or there are
    /// 20,000 of them.
    pub fn follow(&self) -> FailureDetection {
        let pi = self.share;
        let rate = self.canary_rate + self.stable_rate * (1.0 - pi) / pi;
        let theta = if rate > 0.0 { self.canary_rate / rate } else { 0.0 };
        let ratio = self.tolerated_ratio;
        let tolerated = (pi * ratio + 1.0 - pi).ln();
        let ln_e = |canary: usize, all: usize| {
            let logs = RISK_RATIOS.iter().zip(RISK_SHARES).map(|(risk, share)| {
                let per_failure = (pi * ratio * risk + 1.0 - pi).ln() - tolerated;
                (share * (1.0 - CASH)).ln() + canary as f64 * risk.ln() - all as f64 * per_failure
            });
            let logs: Vec<f64> = logs.collect();
            let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            most + logs.iter().map(|log| (log - most).exp()).sum::<f64>().ln()
        };
        // P(k of m are the canary's, and the threshold was never reached), from `first` on.
        let mut walk = vec![1.0];
        let (mut first, mut critical) = (0, 0);
        let mut reached = vec![0.0];
        let mut total = 0.0;
        for all in 1..=MAX_FAILURES {
            walk.push(0.0);
            for place in (0..walk.len()).rev() {
                let before = if place == 0 { 0.0 } else { walk[place - 1] };
                walk[place] = walk[place] * (1.0 - theta) + before * theta;
            }
            while critical <= all && ln_e(critical, all) < -self.alpha.ln() {
                critical += 1;
            }
            let kept = critical.saturating_sub(first).min(walk.len());
            total += walk.drain(kept..).sum::<f64>();
            let negligible = walk.iter().take_while(|p| **p < 1e-15).count();
            walk.drain(..negligible);
            first += negligible;
            reached.push(total);
            if total > 0.999 || walk.is_empty() {
                break;
            }
        }
        FailureDetection { reached, per_canary_request: rate }
    }
}

impl FailureDetection {
    /// The probability that the threshold was reached within this many canary requests.
    pub fn reached(&self, canary_requests: f64) -> f64 {
        let mean = self.per_canary_request * canary_requests;
        let last = self.reached.last().copied().unwrap_or(0.0);
        if mean <= 0.0 {
            return 0.0;
        }
        let width = 9.0 * mean.sqrt() + 20.0;
        let from = (mean - width).max(0.0) as usize;
        let to = (mean + width) as usize;
        if from > self.reached.len() {
            return last;
        }
        let terms = (from..=to).map(|m| {
            let failures = m as f64;
            let probability = (failures * mean.ln() - mean - ln_gamma(failures + 1.0)).exp();
            probability * self.reached.get(m).copied().unwrap_or(last)
        });
        terms.sum::<f64>().min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sequential::detection::requests_until;

    /// The table of harm in docs/measurements.md, 10 % of the traffic: the metric alone, and the policy at alpha/3.
    #[test]
    fn medians_are_within_a_quarter_of_the_measured_ones() {
        for (stable_rate, canary_rate, alone, in_policy) in
            [(0.01, 0.02, 980.0, 1304.0), (0.01, 0.05, 92.0, 132.0), (0.001, 0.01, 307.0, 437.0)]
        {
            for (alpha, measured) in [(0.05, alone), (0.05 / 3.0, in_policy)] {
                let share = 0.1;
                let tolerated_ratio = 1.0;
                let bet = FailureBet { canary_rate, stable_rate, share, tolerated_ratio, alpha };
                let detection = bet.follow();
                let median = requests_until(0.5, |n| detection.reached(n)).unwrap();
                assert!((0.75..1.25).contains(&(median / measured)), "{bet:?}: {median}");
            }
        }
    }

    #[test]
    fn a_canary_that_never_fails_is_never_found() {
        let bet = FailureBet {
            canary_rate: 0.0,
            stable_rate: 0.5,
            share: 0.1,
            tolerated_ratio: 1.0,
            alpha: 0.05,
        };
        let detection = bet.follow();
        assert_eq!(requests_until(0.5, |n| detection.reached(n)), None);
    }
}
