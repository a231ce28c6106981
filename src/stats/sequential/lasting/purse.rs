//! Purse: one unit of money on eight stakes and in cash, on one outcome per span.

use serde::Deserialize;
use serde::Serialize;

use crate::stats::sequential::bets::averages::log_weighted_mean_exp;
use crate::stats::sequential::bets::wealth::MAX_LOSS;
use crate::stats::sequential::bets::wealth::STAKE_SHARES;
use crate::stats::sequential::bets::wealth::STAKE_SIZES;
use crate::stats::sequential::bets::wealth::STAKES;

/// Wealth that bets on outcomes in units of their standard deviation.
///
/// ```text
/// z      = clip(x / sd, -1.5, 3) - 0.0289           0.0289 = the mean of a clipped normal deviate
/// wealth_k <- wealth_k (1 + lambda_k z)             lambda_k = min( eta_k, 0.9 / 1.5289 )
/// then   wealth_k <- 0.995 wealth_k + 0.005 x 0.75 E,   cash <- 0.995 cash + 0.005 x 0.25 E
/// ```
///
/// A gain is cut later than a loss, because one span can win no more than the cut allows. The correction keeps the
/// expectation of a symmetric outcome at or below 0. A little of the wealth moves back to all stakes after each span,
/// so that harm that begins after hours is found as well (Herbster and Warmuth 1998).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Purse {
    logs: [f64; STAKES],
    log_cash: f64,
}

const LOWEST: f64 = -1.5;
const HIGHEST: f64 = 3.0;
/// phi(1.5) - 1.5 (1 - Phi(1.5)) - [phi(3) - 3 (1 - Phi(3))], rounded up.
const CLIPPED_MEAN: f64 = 0.0290;
const CASH: f64 = 0.25;
const MOVED: f64 = 0.005;

impl Default for Purse {
    fn default() -> Purse {
        Purse { logs: [(1.0 - CASH).ln(); STAKES], log_cash: CASH.ln() }
    }
}

impl Purse {
    /// Bets on an outcome in units of its standard deviation, which was fixed before.
    pub(super) fn bet(&mut self, outcome: f64) {
        if outcome.is_nan() {
            return;
        }
        let z = outcome.clamp(LOWEST, HIGHEST) - CLIPPED_MEAN;
        let most = MAX_LOSS / (CLIPPED_MEAN - LOWEST);
        for (log, eta) in self.logs.iter_mut().zip(STAKE_SIZES) {
            *log += (eta.min(most) * z).ln_1p();
        }
        let moved = MOVED.ln() + self.log_e();
        let kept = (1.0 - MOVED).ln();
        let share = |log: f64, part: f64| log_sum(log + kept, moved + part.ln());
        self.logs.iter_mut().for_each(|log| *log = share(*log, 1.0 - CASH));
        self.log_cash = share(self.log_cash, CASH);
    }

    /// Gives up what was won, if anything.
    pub(super) fn forfeit(&mut self) {
        let won = self.log_e();
        if won > 0.0 {
            self.logs.iter_mut().for_each(|log| *log -= won);
            self.log_cash -= won;
        }
    }

    /// ln E.
    pub(super) fn log_e(&self) -> f64 {
        log_sum(log_weighted_mean_exp(&self.logs, STAKE_SHARES), self.log_cash)
    }
}

/// ln(exp(a) + exp(b))
fn log_sum(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    high + (low - high).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purse_begins_with_one_unit_and_a_lasting_difference_wins() {
        let mut purse = Purse::default();
        assert!(purse.log_e().abs() < 1e-12);
        (0..12).for_each(|_| purse.bet(3.0));
        assert!(purse.log_e() > 60_f64.ln(), "{}", purse.log_e());
        purse.forfeit();
        assert!(purse.log_e().abs() < 1e-9);
        (0..3).for_each(|_| purse.bet(-1.0));
        let lost = purse.log_e();
        purse.forfeit();
        assert!(lost < 0.0 && purse.log_e() == lost, "a loss stays: {lost}");
    }

    #[test]
    fn the_expectation_under_normal_noise_is_at_most_one() {
        // The mean of the clipped deviate, by the midpoint rule.
        let steps = 200_000;
        let mean: f64 = (0..steps)
            .map(|i| -8.0 + 16.0 * (f64::from(i) + 0.5) / f64::from(steps))
            .map(|z| z.clamp(LOWEST, HIGHEST) * (-0.5 * z * z).exp())
            .sum::<f64>()
            * 16.0
            / f64::from(steps)
            / std::f64::consts::TAU.sqrt();
        assert!(mean <= CLIPPED_MEAN && mean > CLIPPED_MEAN - 2e-4, "{mean}");
    }

    #[test]
    fn late_harm_is_found_after_a_long_healthy_time() {
        let mut purse = Purse::default();
        (0..5000).for_each(|_| purse.bet(-0.8));
        let needed = (1..).find(|_| {
            purse.bet(2.0);
            purse.log_e() > 60_f64.ln()
        });
        assert!(needed.is_some_and(|spans| spans < 50), "{needed:?}");
    }
}
