//! Fixed share: stakes redistribute wealth, so that late harm is found.
//!
//! After a day without a difference, every bold stake has lost nearly everything, and harm that begins
//! then would go unnoticed for hours. So the stakes share: with each observation a little of the
//! total wealth is redistributed to all stakes, and some is kept as cash, which never loses.
//!
//! ```text
//! E = sum of w_k wealth_k + cash                  at first: wealth_k = 1 - c, cash = c
//! after n - m observations:  wealth_k <- q wealth_k + (1 - q)(1 - c) E
//!                            cash     <- q cash     + (1 - q) c E             q = ((m + a)/(n + a))^r
//! ```
//!
//! The w_k sum to 1; c = 0.05, r = 0.02, a = 100, m and n the observations before and after the tick.
//! Sharing does not change E and happens between bets, so E stays an e-process. A lasting effect
//! costs the best stake a factor of (n/a + 1)^r: 9 % after ten thousand observations. After a long
//! time without a difference the boldest stake still has about 10^-6 of the wealth, not 10^-1000.
//!
//! Herbster and Warmuth (1998), "Tracking the best expert", Machine Learning 32(2),
//! doi:10.1023/A:1007424614876.

use serde::Deserialize;
use serde::Serialize;

use super::averages::log_weighted_mean_exp;

/// The share that is kept as cash.
const CASH: f64 = 0.05;

/// How fast the wealth is redistributed: the exponent r.
const RATE: f64 = 0.02;

/// The constant a: without it the first observation would redistribute everything.
const HEAD_START: f64 = 100.0;

/// The cash of a mixture, and how many observations it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FixedShare {
    log_cash: f64,
    seen: f64,
}

impl FixedShare {
    /// Takes the cash out of the wealths of a mixture that has bet nothing yet.
    pub(crate) fn over(logs: &mut [f64]) -> FixedShare {
        logs.iter_mut().for_each(|log| *log += (1.0 - CASH).ln());
        FixedShare { log_cash: CASH.ln(), seen: 0.0 }
    }

    /// Redistributes a little of the wealth, after `observations` further observations.
    pub(crate) fn share<const N: usize>(
        &mut self,
        logs: &mut [f64; N],
        shares: &[f64; N],
        observations: u64,
    ) {
        if observations == 0 {
            return;
        }
        let after = self.seen + observations as f64;
        let log_stay = RATE * ((self.seen + HEAD_START) / (after + HEAD_START)).ln();
        self.seen = after;
        let dealt = (-log_stay.exp_m1()).ln() + self.log_e(logs, shares);
        let shared = |log: f64, part: f64| log_add_exp(log + log_stay, dealt + part.ln());
        logs.iter_mut().for_each(|log| *log = shared(*log, 1.0 - CASH));
        self.log_cash = shared(self.log_cash, CASH);
    }

    /// ln E of the mixture.
    pub(crate) fn log_e<const N: usize>(&self, logs: &[f64; N], shares: &[f64; N]) -> f64 {
        log_add_exp(log_weighted_mean_exp(logs, *shares), self.log_cash)
    }
}

/// ln(exp(a) + exp(b))
fn log_add_exp(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    high + (low - high).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHARES: [f64; 8] = [0.05, 0.05, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2];

    proptest! {
        #[test]
        fn sharing_redistributes_wealth_and_keeps_its_sum(
            gains in prop::collection::vec(-300.0..300.0_f64, 8), observations in 1..10_000_000_u64,
        ) {
            let mut logs = [0.0; 8];
            let mut fixed_share = FixedShare::over(&mut logs);
            prop_assert!(fixed_share.log_e(&logs, &SHARES).abs() < 1e-12);
            logs.iter_mut().zip(gains).for_each(|(log, gain)| *log += gain);
            let before = fixed_share.log_e(&logs, &SHARES);
            fixed_share.share(&mut logs, &SHARES, observations);
            prop_assert!((fixed_share.log_e(&logs, &SHARES) - before).abs() < 1e-9 * (1.0 + before.abs()));
            prop_assert!(logs.iter().all(|log| *log > before - 20.0), "{logs:?} of {before}");
        }

        #[test]
        fn sharing_once_or_in_parts_is_the_same(parts in prop::collection::vec(1..5000_u64, 1..20)) {
            let start = [3.0, -8.0, 0.0];
            let (mut one, mut other) = (start, start);
            let (mut at_once, mut in_parts) = (FixedShare::over(&mut one), FixedShare::over(&mut other));
            let thirds = [0.5, 0.25, 0.25];
            at_once.share(&mut one, &thirds, parts.iter().sum());
            parts.iter().for_each(|part| in_parts.share(&mut other, &thirds, *part));
            prop_assert!(one.iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-9), "{one:?} {other:?}");
        }
    }
}
