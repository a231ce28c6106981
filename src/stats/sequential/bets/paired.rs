//! Bet on paired differences: does the canary answer the same request differently?

use serde::Deserialize;
use serde::Serialize;

use super::wealth::STAKE_SHARES;
use super::wealth::Wealth;
use super::wealth::stakes;

/// A bet against "the mean difference, canary minus stable, is at most the margin".
///
/// In shadow mode both models answer every request, so the difference of the two answers is
/// observed itself, and what the answers have in common cancels: with correlation rho it takes
/// `2 (1 - rho) pi (1 - pi)` times the requests of split traffic.
///
/// ```text
/// x = d - margin          H0: E d <= margin          d within [-1, 1]
/// wealth as in Bet; the scale is the root mean square of the differences of earlier ticks
/// ```
///
/// Assumes that pairs follow one another without memory: here it is the requests, not the coin,
/// that are random. d can be a difference of scores, its sign, or a disagreement of labels. For
/// "smaller" pass -d.
///
/// ```
/// use serin::stats::sequential::Paired;
///
/// let mut paired = Paired::default();
/// for _ in 0..40 {
///     paired.tick(0.0, [(0.06, 5), (-0.02, 5)]);
/// }
/// assert!(paired.log_e() > 20_f64.ln());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paired {
    wealth: Wealth,
    count: u64,
    squares: f64,
}

/// Differences of probabilities, or of shares, are within -1 and 1; one outside is taken as the bound.
const BOUND: f64 = 1.0;

impl Paired {
    /// A bet that also finds a difference that begins late: see [`Bet::with_fixed_share`].
    ///
    /// [`Bet::with_fixed_share`]: super::betting::Bet::with_fixed_share
    pub fn with_fixed_share() -> Self {
        Self { wealth: Wealth::with_fixed_share(), ..Self::default() }
    }

    /// Bets on the differences of one tick, each with its count, then learns their size.
    ///
    /// The margin must be known before the tick. It may change from tick to tick: what is refuted is
    /// then that the mean stayed within the margin of each tick. A margin that is not finite bets
    /// nothing.
    pub fn tick(&mut self, margin: f64, differences: impl IntoIterator<Item = (f64, u64)>) {
        if !margin.is_finite() {
            return;
        }
        // Before the first difference the scale is unknown: the bound is the cautious guess.
        let scale = if self.count == 0 {
            BOUND
        } else {
            (self.squares / self.count as f64).sqrt().max(1e-6 * BOUND)
        };
        let lambda = stakes(scale, -(BOUND + margin));
        let (mut count, mut squares) = (0_u64, 0.0);
        let outcomes = differences
            .into_iter()
            .filter(|(d, _)| !d.is_nan())
            .map(|(d, n)| (d.clamp(-BOUND, BOUND) - margin, n))
            .inspect(|(x, n)| {
                count = count.saturating_add(*n);
                squares += x * x * *n as f64;
            });
        self.wealth.play(&lambda, outcomes);
        self.count = self.count.saturating_add(count);
        self.squares += squares;
    }

    /// ln E.
    pub fn log_e(&self) -> f64 {
        self.wealth.log_e(&STAKE_SHARES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_answers_say_nothing_and_opposite_ones_cancel() {
        let mut paired = Paired::default();
        (0..1000).for_each(|_| paired.tick(0.0, [(0.0, 10)]));
        assert_eq!(paired.log_e(), 0.0);
        (0..1000).for_each(|_| paired.tick(0.0, [(0.1, 5), (-0.1, 5)]));
        assert!(paired.log_e() <= 0.0);
    }

    #[test]
    fn a_late_difference_is_found_with_a_fixed_share() {
        let [plain, sharing] = [Paired::default(), Paired::with_fixed_share()].map(|mut paired| {
            (0..2000).for_each(|_| paired.tick(0.05, [(0.02, 5), (-0.02, 5)]));
            (0..60).for_each(|_| paired.tick(0.05, [(0.16, 5), (0.12, 5)]));
            paired.log_e()
        });
        assert!(sharing > 5.0 && sharing > plain + 1.0, "{sharing} {plain}");
    }

    #[test]
    fn a_difference_within_the_margin_is_not_evidence() {
        let (mut none, mut allowed) = (Paired::default(), Paired::default());
        for _ in 0..500 {
            none.tick(0.0, [(0.04, 2), (f64::NAN, 1)]);
            allowed.tick(0.05, [(0.04, 2), (f64::INFINITY, 0)]);
        }
        assert!(none.log_e() > 30.0 && allowed.log_e() < 0.0);
        allowed.tick(f64::NAN, [(1.0, 1000)]);
        assert!(allowed.log_e() < 0.0);
    }
}
