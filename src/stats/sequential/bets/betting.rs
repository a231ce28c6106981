//! Bet on a bounded quantity: is it larger on the canary than on stable?

use serde::Deserialize;
use serde::Serialize;

use super::averages::is_random;
use super::wealth::STAKE_SHARES;
use super::wealth::Wealth;
use super::wealth::stakes;

/// A bet against "the canary's mean of u is at most stable's mean of v".
///
/// `u` and `v` are bounded functions of the observation: a capped value, a rank, an indicator. A
/// margin goes into them: with `v = 1.05 value` the claim to refute is "slower by 5 % at most".
///
/// ```text
/// canary: x = (1 - pi)(u - c)          stable: x = -pi (v - c)              pi = the canary's share
/// wealth_k = prod (1 + lambda_k x)     lambda_k = min( eta_k / scale, 0.9 / |smallest x| )
/// E = sum of w_k wealth_k              eta  = .005 .01 .02 .04 .08 .16 .32 .64
///                                      64 w =    1   2   4   8  18  12  10   9
/// ```
///
/// Under H0 the expectation of x is `pi (1 - pi)(E u - E v) <= 0`, so E is an e-process, whatever
/// the distributions do from tick to tick. For "smaller" pass -u and -v; for "different" average
/// the two e-values.
///
/// Assumes:
/// - center and scale were fixed before the tick, from earlier ticks (any choice is valid; the
///   center decides only how much noise the bet carries);
/// - u is never below `lowest_u`, v never above `highest_v` (a value beyond is taken as the bound);
/// - each request went to the canary with probability `share`, independently. serin's split takes
///   a fixed number of requests of each stratum of m, 20 or more. For requests alike within it that
///   is conservative: `pi ln(1 + (1 - pi) d) + (1 - pi) ln(1 - pi d) <= 0` by Jensen. Were values to
///   *alternate* within every stratum, the variance of the comparison would grow by up to m/(m - 1),
///   which is 1.05 at worst. `make calibrate` shows both.
///
/// Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting",
/// JRSS B 86(1), doi:10.1093/jrsssb/qkad009.
///
/// ```
/// use serin::stats::sequential::Bet;
/// use serin::stats::sequential::Stake;
///
/// let mut bet = Bet::default();
/// let stake = Stake { share: 0.5, center: 0.5, scale: 0.5, lowest_u: 0.0, highest_v: 1.0 };
/// // 9 of 10 canary answers exceed the threshold, 5 of 10 of stable's.
/// bet.tick(&stake, [(1.0, 9), (0.0, 1)], [(1.0, 5), (0.0, 5)]);
/// // The formula above, in Python: lambda_k = min(2 eta_k, 3.6), the outcomes x are
/// // 0.25 for 9 + 5 requests and -0.25 for 1 + 5.
/// assert!((bet.log_e() - 0.73892305092).abs() < 1e-9);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bet {
    wealth: Wealth,
}

/// What a bet on one tick depends on; all of it fixed before the tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stake {
    /// The canary's share of traffic during the tick. At 0 or 1 nothing is bet.
    pub share: f64,
    /// A guess of the common mean of u and v.
    pub center: f64,
    /// A guess of their standard deviation.
    pub scale: f64,
    /// The smallest value u can have.
    pub lowest_u: f64,
    /// The largest value v can have.
    pub highest_v: f64,
}

impl Bet {
    /// A bet that also finds a difference that begins late: its stakes share their wealth, so that a
    /// long time without a difference does not ruin the bold ones. A difference from the start takes a
    /// few percent more observations.
    pub fn with_fixed_share() -> Self {
        Self { wealth: Wealth::with_fixed_share() }
    }

    /// Bets on one tick: u of the canary's observations and v of stable's, each with its count.
    pub fn tick(
        &mut self,
        stake: &Stake,
        canary: impl IntoIterator<Item = (f64, u64)>,
        stable: impl IntoIterator<Item = (f64, u64)>,
    ) {
        let Stake { share, center, scale, lowest_u, highest_v } = *stake;
        let known = [center, scale, lowest_u, highest_v].into_iter().all(|x| x.abs() <= 1e150);
        if !is_random(share) || !known {
            return;
        }
        let worst = ((1.0 - share) * (center - lowest_u)).max(share * (highest_v - center));
        let lambda = stakes(scale, worst);
        let usable = |point: &(f64, u64)| !point.0.is_nan();
        let canary = canary.into_iter().filter(usable);
        let stable = stable.into_iter().filter(usable);
        let canary = canary.map(|(u, n)| ((1.0 - share) * (u.max(lowest_u) - center), n));
        let stable = stable.map(|(v, n)| (-share * (v.min(highest_v) - center), n));
        self.wealth.play(&lambda, canary.chain(stable));
    }

    /// Bets on one tick whose observations have several centers: their outcomes `(1 - pi)(u - c)` and `-pi (v - c)`, each
    /// with its count, and the smallest of all that were possible. Nothing is bet without randomization.
    pub(crate) fn tick_centered(
        &mut self,
        (share, scale, worst): (f64, f64, f64),
        outcomes: impl Iterator<Item = (f64, u64)>,
    ) {
        if is_random(share) {
            self.wealth.play(&stakes(scale, worst), outcomes);
        }
    }

    /// ln E.
    pub fn log_e(&self) -> f64 {
        self.wealth.log_e(&STAKE_SHARES)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn stake(share: f64, center: f64) -> Stake {
        Stake { share, center, scale: 0.3, lowest_u: 0.0, highest_v: 1.0 }
    }

    proptest! {
        #[test]
        fn unit_and_origin_do_not_matter(
            canary in vec((0.0..1.0_f64, 0..9_u64), 0..30),
            stable in vec((0.0..1.0_f64, 0..9_u64), 0..30),
            share in 0.01..0.99_f64, center in 0.0..1.0_f64,
            factor in 1e-6..1e6_f64, offset in -10.0..10.0_f64,
        ) {
            let (mut plain, mut moved) = (Bet::default(), Bet::default());
            plain.tick(&stake(share, center), canary.clone(), stable.clone());
            let map = |x: f64| factor * (x + offset);
            let moved_stake = Stake {
                share, center: map(center), scale: 0.3 * factor, lowest_u: map(0.0), highest_v: map(1.0),
            };
            let all = |points: Vec<(f64, u64)>| points.into_iter().map(move |(x, n)| (map(x), n));
            moved.tick(&moved_stake, all(canary), all(stable));
            prop_assert!((plain.log_e() - moved.log_e()).abs() < 1e-7 * (1.0 + plain.log_e().abs()));
        }

        #[test]
        fn no_input_gives_nan(
            canary in vec((any::<f64>(), any::<u64>()), 0..5),
            stable in vec((any::<f64>(), any::<u64>()), 0..5),
            share: f64, center: f64, scale: f64, lowest_u: f64, highest_v: f64,
        ) {
            let mut bet = Bet::default();
            for share in [share, share.fract().abs()] {
                let few = |points: &[(f64, u64)]| -> Vec<(f64, u64)> {
                    points.iter().map(|&(x, n)| (x, n >> 8)).collect()
                };
                bet.tick(&Stake { share, center, scale, lowest_u, highest_v }, few(&canary), few(&stable));
            }
            prop_assert!(bet.log_e().is_finite());
        }

        // A stratum equals its permutations: the mean over the possible picks is at most 1.
        #[test]
        fn picks_out_of_a_stratum_of_exchangeable_values_are_conservative(
            p in 0.0..1.0_f64, center in 0.0..1.0_f64, picks in 1..11_i32, requests in 20..61_i32,
        ) {
            // Independent 0/1 values of mean p: the expectation factorizes.
            let share = f64::from(picks) / f64::from(requests);
            let lambda = 0.9 / ((1.0 - share) * center).max(share * (1.0 - center));
            for lambda in [lambda, lambda / 3.0, lambda / 100.0] {
                let canary = 1.0 + lambda * (1.0 - share) * (p - center);
                let stable = 1.0 - lambda * share * (p - center);
                let expectation = canary.powi(picks) * stable.powi(requests - picks);
                prop_assert!(expectation <= 1.0 + 1e-12);
            }
        }
    }

    // Values b above and below the center in strict turn: with h of the 10 picks of 20 requests heavy,
    // the canary's heavy and stable's light ones gain, 2 h in all, and the others lose.
    #[test]
    fn strict_alternation_within_strata_of_twenty_favors_the_bet_by_next_to_nothing() {
        let choose = |k: u32| (1..=k).fold(1.0, |c, i| c * f64::from(11 - i) / f64::from(i));
        let all: f64 = (0..=10).map(|h| choose(h).powi(2)).sum();
        // Up to the largest stake, 0.64 standard deviations of which half are at risk.
        for b in [0.01, 0.08, 0.16, 0.32] {
            let product = |h: i32| (1.0_f64 + b).powi(2 * h) * (1.0 - b).powi(20 - 2 * h);
            let expectation: f64 =
                (0..=10).map(|h| choose(h).powi(2) / all * product(h as i32)).sum();
            // Strata of two give (1 + b^2)^10: nearly exp(10 b^2), nineteen times as much.
            let nineteenth = b * b * 10.0 / 19.0 * (1.0 + b * b);
            assert!((0.0..=nineteenth).contains(&expectation.ln()), "{b} {expectation}");
        }
    }

    #[test]
    fn nothing_is_bet_without_randomization() {
        for share in [0.0, 1.0, -0.5, 2.0, f64::NAN] {
            let mut bet = Bet::default();
            bet.tick(&stake(share, 0.5), [(1.0, 5)], [(0.0, 5)]);
            assert_eq!(bet, Bet::default());
        }
        let mut empty = Bet::default();
        empty.tick(&stake(0.1, 0.5), [], []);
        assert_eq!(empty.log_e(), 0.0);
    }
}
