//! Purse: one unit of money on eight stakes and in cash, on one outcome per span.

use serde::Deserialize;
use serde::Serialize;

use crate::stats::sequential::bets::averages::log_weighted_mean_exp;
use crate::stats::sequential::bets::wealth::STAKES;

/// How the differences of spans are distributed around their mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Law {
    /// About symmetric: means of values that all vary.
    Even,
    /// Any: shares of rare events.
    Any,
}

/// A stake: the share of the wealth that is bet, where a loss is cut, in standard deviations, and what the cut may add
/// to the expectation.
#[derive(Clone, Copy, Debug)]
struct Stake {
    lambda: f64,
    cut: f64,
    correction: f64,
}

/// Where a gain is cut, in standard deviations: one span wins no more.
const MOST: f64 = 3.0;

/// Both sides are cut alike, which changes no symmetric expectation. Of skewed values (lognormal with sigma 1.5, capped
/// at p1 and p99) it adds at most 0.03 from ten values of the smaller track on.
const EVEN: [Stake; STAKES] = {
    const fn even(lambda: f64) -> Stake {
        Stake { lambda, cut: MOST, correction: 0.03 }
    }
    [even(0.01), even(0.02), even(0.04), even(0.08), even(0.12), even(0.16), even(0.22), even(0.29)]
};

/// To cut a loss at L adds at most (sqrt(1 + L^2) - L) / 2 to the expectation, whatever the distribution with mean 0 and
/// variance 1 (Scarf 1958): 0.152 at 1.5, 0.0812 at 3, 0.0312 at 8. Large stakes cut sooner.
const ANY: [Stake; STAKES] = {
    const fn at(cut: f64, lambda: f64, correction: f64) -> Stake {
        Stake { lambda, cut, correction }
    }
    [
        at(8.0, 0.02, 0.0312),
        at(8.0, 0.04, 0.0312),
        at(8.0, 0.08, 0.0312),
        at(3.0, 0.08, 0.0812),
        at(3.0, 0.16, 0.0812),
        at(3.0, 0.29, 0.0812),
        at(1.5, 0.32, 0.152),
        at(1.5, 0.54, 0.152),
    ]
};

const SHARES: [f64; STAKES] = [1.0 / STAKES as f64; STAKES];

/// Wealth that bets on outcomes in units of their standard deviation.
///
/// ```text
/// z_k      = clip(x / sd, -cut_k, 3) - correction_k
/// wealth_k <- wealth_k (1 + lambda_k z_k)           no stake loses more than 90 % of its wealth
/// shared   wealth_k <- 0.995 wealth_k + 0.005 x 0.75 E,   cash <- 0.995 cash + 0.005 x 0.25 E
/// ```
///
/// A shared purse moves a little of its wealth back to all stakes after each span, so that harm that begins after hours
/// is found as well (Herbster and Warmuth 1998). Proofs do not share: a good quarter of an hour must not outweigh a bad
/// hour before it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Purse {
    law: Law,
    logs: [f64; STAKES],
    /// `None`: it does not share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_cash: Option<f64>,
}

const CASH: f64 = 0.25;
const MOVED: f64 = 0.005;

impl Purse {
    /// A purse that also finds what begins late.
    pub(super) fn shared(law: Law) -> Purse {
        Purse { law, logs: [(1.0 - CASH).ln(); STAKES], log_cash: Some(CASH.ln()) }
    }

    /// A purse that remembers every loss.
    pub(super) fn plain(law: Law) -> Purse {
        Purse { law, logs: [0.0; STAKES], log_cash: None }
    }

    /// Bets on an outcome in units of its standard deviation, which was fixed before.
    pub(super) fn bet(&mut self, outcome: f64) {
        if outcome.is_nan() {
            return;
        }
        let stakes = match self.law {
            Law::Even => EVEN,
            Law::Any => ANY,
        };
        for (log, stake) in self.logs.iter_mut().zip(stakes) {
            *log += (stake.lambda * stake.outcome(outcome)).ln_1p();
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
        let bets = log_weighted_mean_exp(&self.logs, SHARES);
        self.log_cash.map_or(bets, |cash| log_sum(bets, cash))
    }
}

impl Stake {
    fn outcome(&self, z: f64) -> f64 {
        z.clamp(-self.cut, MOST) - self.correction
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
        for law in [Law::Even, Law::Any] {
            for mut purse in [Purse::shared(law), Purse::plain(law)] {
                assert!(purse.log_e().abs() < 1e-12);
                (0..12).for_each(|_| purse.bet(3.0));
                assert!(purse.log_e() > 60_f64.ln(), "{}", purse.log_e());
                purse.forfeit();
                assert!(purse.log_e().abs() < 1e-9);
                (0..3).for_each(|_| purse.bet(-1.0));
                let lost = purse.log_e();
                purse.forfeit();
                assert!(lost < 0.0 && purse.log_e() == lost, "a loss stays: {lost}");
                (0..1000).for_each(|_| purse.bet(-1e9));
                assert!(purse.log_e().is_finite());
            }
        }
    }

    /// The mean of a stake's outcome under a law of mean 0 and variance 1: values with their probabilities.
    fn expectation(stake: &Stake, law: &[(f64, f64)]) -> f64 {
        let moment = |power: i32| law.iter().map(|(x, p)| p * x.powi(power)).sum::<f64>();
        assert!((moment(0) - 1.0).abs() < 1e-12 && moment(1).abs() < 1e-12, "{law:?}");
        assert!((moment(2) - 1.0).abs() < 1e-12, "{law:?}");
        law.iter().map(|(x, p)| p * stake.outcome(*x)).sum()
    }

    #[test]
    fn no_law_of_mean_0_wins_by_a_cut() {
        // A rare large loss, and small gains: the worst for a cut, at one of these probabilities.
        for stake in ANY {
            let mut worst = f64::NEG_INFINITY;
            for place in 1..4000 {
                let p = f64::from(place) / 4000.0;
                let (low, high) = (-((1.0 - p) / p).sqrt(), (p / (1.0 - p)).sqrt());
                worst = worst.max(expectation(&stake, &[(low, p), (high, 1.0 - p)]));
            }
            assert!(worst <= 0.0 && worst > -2e-3, "{stake:?}: {worst}");
        }
        for stake in EVEN {
            let law = [(-3.0, 1.0 / 18.0), (0.0, 16.0 / 18.0), (3.0, 1.0 / 18.0)];
            assert!(expectation(&stake, &law) < 0.0);
        }
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
        for law in [Law::Even, Law::Any] {
            let needed = spans_after(Purse::shared(law));
            assert!(needed.is_some_and(|spans| spans < 80), "{needed:?}");
            let needed = spans_after(Purse::plain(law));
            assert!(needed.is_none_or(|spans| spans > 500), "{needed:?}");
        }
    }
}
