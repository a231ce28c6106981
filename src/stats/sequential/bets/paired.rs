//! Bet on paired differences: does the canary answer the same request differently?

use serde::Deserialize;
use serde::Serialize;

use super::fixed_share::FixedShare;
use super::wealth::Wealth;
use super::wealth::stakes;

/// A bet against "the mean difference, canary minus stable, is at most the margin".
///
/// In shadow mode both models answer every request, so the difference of the two answers is
/// observed itself, and what the answers have in common cancels: with correlation rho it takes
/// `2 (1 - rho) pi (1 - pi)` times the requests of split traffic.
///
/// ```text
/// x = d - margin          H0: E d <= margin          d within [-bound, bound]
/// wealth as in Bet; the scale is the root mean square of the differences of earlier ticks
/// ```
///
/// Assumes that pairs follow one another without memory: here it is the requests, not the coin,
/// that are random. d can be a difference of scores (bound 1), its sign, or a disagreement of
/// labels. For "smaller" pass -d.
///
/// ```
/// use serin::stats::sequential::Paired;
///
/// let mut paired = Paired::new(1.0, 0.0);
/// for _ in 0..40 {
///     paired.tick([(0.06, 5), (-0.02, 5)]);
/// }
/// assert!(paired.log_e() > 20_f64.ln());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paired {
    bound: f64,
    margin: f64,
    wealth: Wealth,
    /// There if the bet is to notice what begins late.
    fixed_share: Option<FixedShare>,
    count: u64,
    squares: f64,
}

impl Paired {
    /// A bet on differences within `-bound..=bound`; one outside is taken as the bound.
    ///
    /// A bound that is not positive and finite, or a margin that is not finite, is taken as 1 and 0.
    pub fn new(bound: f64, margin: f64) -> Self {
        let bound = if bound > 0.0 && bound.is_finite() { bound } else { 1.0 };
        let margin = if margin.is_finite() { margin } else { 0.0 };
        Self { bound, margin, wealth: Wealth::default(), fixed_share: None, count: 0, squares: 0.0 }
    }

    /// The same bet, which notices a difference that begins late, too: see [`Bet::with_fixed_share`].
    ///
    /// [`Bet::with_fixed_share`]: super::betting::Bet::with_fixed_share
    #[must_use]
    pub fn with_fixed_share(mut self) -> Self {
        self.fixed_share = Some(FixedShare::over(self.wealth.logs()));
        self
    }

    /// Bets on the differences of one tick, each with its count, then learns their size.
    pub fn tick(&mut self, differences: impl IntoIterator<Item = (f64, u64)>) {
        self.tick_granting(self.margin, differences);
    }

    /// The same with another margin, which was known before the tick. Refuted is then that the mean
    /// stayed within the margin of each tick. One that is not finite bets nothing.
    pub fn tick_granting(
        &mut self,
        margin: f64,
        differences: impl IntoIterator<Item = (f64, u64)>,
    ) {
        if !margin.is_finite() {
            return;
        }
        // Before the first difference the scale is unknown: the bound is the cautious guess.
        let scale = if self.count == 0 {
            self.bound
        } else {
            (self.squares / self.count as f64).sqrt().max(1e-6 * self.bound)
        };
        let lambda = stakes(scale, -(self.bound + margin));
        let bound = self.bound;
        let (mut count, mut squares) = (0_u64, 0.0);
        let outcomes = differences
            .into_iter()
            .filter(|(d, _)| !d.is_nan())
            .map(|(d, n)| (d.clamp(-bound, bound) - margin, n))
            .inspect(|(x, n)| {
                count = count.saturating_add(*n);
                squares += x * x * *n as f64;
            });
        let observations = self.wealth.play(&lambda, outcomes);
        if let Some(fixed_share) = &mut self.fixed_share {
            self.wealth.share(fixed_share, observations);
        }
        self.count = self.count.saturating_add(count);
        self.squares += squares;
    }

    /// ln E.
    pub fn log_e(&self) -> f64 {
        self.wealth.log_e(self.fixed_share.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_answers_say_nothing_and_opposite_ones_cancel() {
        let mut paired = Paired::new(1.0, 0.0);
        (0..1000).for_each(|_| paired.tick([(0.0, 10)]));
        assert_eq!(paired.log_e(), 0.0);
        (0..1000).for_each(|_| paired.tick([(0.1, 5), (-0.1, 5)]));
        assert!(paired.log_e() <= 0.0);
    }

    #[test]
    fn what_begins_late_is_found_with_a_fixed_share() {
        let plain = Paired::new(1.0, 0.05);
        let [plain, sharing] = [plain, plain.with_fixed_share()].map(|mut paired| {
            (0..2000).for_each(|_| paired.tick([(0.02, 5), (-0.02, 5)]));
            (0..60).for_each(|_| paired.tick([(0.16, 5), (0.12, 5)]));
            paired.log_e()
        });
        assert!(sharing > 5.0 && sharing > plain + 1.0, "{sharing} {plain}");
    }

    #[test]
    fn a_difference_within_the_margin_is_no_evidence() {
        let (mut none, mut allowed) = (Paired::new(1.0, 0.0), Paired::new(1.0, 0.05));
        for _ in 0..500 {
            none.tick([(0.04, 2), (f64::NAN, 1)]);
            allowed.tick([(0.04, 2), (f64::INFINITY, 0)]);
        }
        assert!(none.log_e() > 30.0 && allowed.log_e() < 0.0);
    }
}
