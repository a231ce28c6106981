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
/// z        = clip(x / sd, -3, 3) - 0.0812
/// wealth_k <- wealth_k (1 + lambda_k z)             lambda_k = min( eta_k, 0.9 / 3.0812 )
/// shared   wealth_k <- 0.995 wealth_k + 0.005 x 0.75 E,   cash <- 0.995 cash + 0.005 x 0.25 E
/// ```
///
/// The cut bounds what one span can win or lose. To cut losses raises the expectation, by (sqrt(1 + 3^2) - 3) / 2 =
/// 0.0811 at most, whatever the distribution with mean 0 and variance 1 (Scarf 1958); the correction takes that away, so
/// that skewed outcomes, as of rare failures, keep an expectation of at most 0.
///
/// A shared purse moves a little of its wealth back to all stakes after each span, so that harm that begins after hours
/// is found as well (Herbster and Warmuth 1998). Proofs do not share: a good quarter of an hour must not outweigh a bad
/// hour before it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Purse {
    logs: [f64; STAKES],
    /// `None`: it does not share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_cash: Option<f64>,
}

const CUT: f64 = 3.0;
/// Rounded up.
const CORRECTION: f64 = 0.0812;
const CASH: f64 = 0.25;
const MOVED: f64 = 0.005;

impl Purse {
    /// A purse that also finds what begins late.
    pub(super) fn shared() -> Purse {
        Purse { logs: [(1.0 - CASH).ln(); STAKES], log_cash: Some(CASH.ln()) }
    }

    /// A purse that remembers every loss.
    pub(super) fn plain() -> Purse {
        Purse { logs: [0.0; STAKES], log_cash: None }
    }

    /// Bets on an outcome in units of its standard deviation, which was fixed before.
    pub(super) fn bet(&mut self, outcome: f64) {
        if outcome.is_nan() {
            return;
        }
        let z = outcome.clamp(-CUT, CUT) - CORRECTION;
        let most = MAX_LOSS / (CUT + CORRECTION);
        for (log, eta) in self.logs.iter_mut().zip(STAKE_SIZES) {
            *log += (eta.min(most) * z).ln_1p();
        }
        let Some(cash) = self.log_cash else { return };
        let moved = MOVED.ln() + self.log_e();
        let kept = (1.0 - MOVED).ln();
        let share = |log: f64, part: f64| log_sum(log + kept, moved + part.ln());
        self.logs.iter_mut().for_each(|log| *log = share(*log, 1.0 - CASH));
        self.log_cash = Some(share(cash, CASH));
    }

    /// Gives up what was won, if anything.
    pub(super) fn forfeit(&mut self) {
        let won = self.log_e();
        if won > 0.0 {
            self.logs.iter_mut().for_each(|log| *log -= won);
            self.log_cash.iter_mut().for_each(|cash| *cash -= won);
        }
    }

    /// ln E.
    pub(super) fn log_e(&self) -> f64 {
        let bets = log_weighted_mean_exp(&self.logs, STAKE_SHARES);
        self.log_cash.map_or(bets, |cash| log_sum(bets, cash))
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
        for mut purse in [Purse::shared(), Purse::plain()] {
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
    }

    /// The mean of the outcome of a bet, of a law of mean 0 and variance 1: values with their probabilities.
    fn expectation(law: &[(f64, f64)]) -> f64 {
        let moment = |power: i32| law.iter().map(|(x, p)| p * x.powi(power)).sum::<f64>();
        assert!((moment(0) - 1.0).abs() < 1e-12 && moment(1).abs() < 1e-12, "{law:?}");
        assert!((moment(2) - 1.0).abs() < 1e-12, "{law:?}");
        law.iter().map(|(x, p)| p * (x.clamp(-CUT, CUT) - CORRECTION)).sum()
    }

    #[test]
    fn no_law_of_mean_0_wins_by_the_cut() {
        // Two points: x with probability p, and the rest. The worst loses (3 + sqrt(10)) with probability 0.026.
        let mut worst = f64::NEG_INFINITY;
        for place in 1..2000 {
            let p = f64::from(place) / 2000.0;
            let (low, high) = (-((1.0 - p) / p).sqrt(), (p / (1.0 - p)).sqrt());
            let of_low = expectation(&[(low, p), (high, 1.0 - p)]);
            let of_high = expectation(&[(-low, p), (-high, 1.0 - p)]);
            worst = worst.max(of_low).max(of_high);
        }
        assert!(worst <= 0.0 && worst > -1e-3, "{worst}");
        assert!(expectation(&[(-3.0, 1.0 / 18.0), (0.0, 16.0 / 18.0), (3.0, 1.0 / 18.0)]) < 0.0);
    }

    #[test]
    fn late_harm_is_found_after_a_long_healthy_time_and_a_bad_hour_is_not_forgotten() {
        let spans_after = |mut purse: Purse| {
            (0..5000).for_each(|_| purse.bet(-0.8));
            (1..10_000).find(|_| {
                purse.bet(2.0);
                purse.log_e() > 60_f64.ln()
            })
        };
        let needed = spans_after(Purse::shared());
        assert!(needed.is_some_and(|spans| spans < 80), "{needed:?}");
        let needed = spans_after(Purse::plain());
        assert!(needed.is_none_or(|spans| spans > 1000), "{needed:?}");
    }
}
