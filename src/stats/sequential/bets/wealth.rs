//! Wealth: one unit of money on eight stakes.
//!
//! The best stake is not known in advance, so eight stakes share the unit, one for each size of
//! effect, and the wealth is their sum. Compared with the best stake that costs at most the logarithm
//! of its share, and usually much less, because its neighbors win as well.

use serde::Deserialize;
use serde::Serialize;

use super::averages::log_weighted_mean_exp;
use super::fixed_share::FixedShare;

/// Number of stakes in the mixture.
pub const STAKES: usize = 8;

/// The stakes in units of 1 / standard deviation. A stake of eta is best for a shift of about eta
/// standard deviations: from a shift that takes an hour to find to one that takes seconds.
pub const STAKE_SIZES: [f64; STAKES] = [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64];

/// The share of the unit that each stake begins with. Shifts of 0.08 standard deviations and more, which
/// are found within some thousand requests, get three quarters of it; smaller ones take long in any
/// case. Multiples of 1/64 sum to 1 to the bit.
pub const STAKE_SHARES: [f64; STAKES] = [
    1.0 / 64.0,
    2.0 / 64.0,
    4.0 / 64.0,
    8.0 / 64.0,
    18.0 / 64.0,
    12.0 / 64.0,
    10.0 / 64.0,
    9.0 / 64.0,
];

/// The largest share of its wealth that a stake can lose by one observation, so that no stake is ruined.
pub const MAX_LOSS: f64 = 0.9;

/// Factors between 0.1 and 2 are multiplied until there are this many, then the logarithm is taken:
/// the product of 250 of them is a number that an `f64` holds to all its digits.
const FACTORS_PER_LOGARITHM: u64 = 250;

/// A gain beyond this many times the wealth is cut: cutting a gain never increases the expectation.
const MAX_GAIN: f64 = 1e8;

/// The wealth of a bet on eight stakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wealth {
    /// Logarithms, each per unit that the stake began with.
    pub(crate) logs: [f64; STAKES],
    /// Set if the bet also finds differences that begin late.
    fixed_share: Option<FixedShare>,
}

/// The stakes for one tick.
///
/// ```text
/// lambda_k = min( eta_k / scale, 0.9 / |worst| )            worst = the smallest possible outcome
/// ```
pub(crate) fn stakes(scale: f64, worst: f64) -> [f64; STAKES] {
    let most = MAX_LOSS / worst.abs().max(1e-12);
    STAKE_SIZES.map(|eta| (eta / scale.max(1e-300)).min(most))
}

impl Wealth {
    /// One unit on stakes that share their wealth: see `fixed_share`.
    pub(crate) fn with_fixed_share() -> Self {
        let mut logs = [0.0; STAKES];
        let fixed_share = Some(FixedShare::over(&mut logs));
        Self { logs, fixed_share }
    }

    /// Multiplies each wealth by `(1 + lambda x)^count` for every outcome `(x, count)`, then
    /// redistributes a little of it if the stakes share.
    pub(crate) fn play(
        &mut self,
        lambda: &[f64; STAKES],
        outcomes: impl Iterator<Item = (f64, u64)>,
    ) {
        let mut product = [1.0; STAKES];
        let mut pending = 0;
        let mut all = 0_u64;
        for (x, count) in outcomes {
            all = all.saturating_add(count);
            // The stakes ascend, so the last one has the largest gain or loss.
            let most = lambda[STAKES - 1] * x;
            if count > FACTORS_PER_LOGARITHM || !(-MAX_LOSS..=1.0).contains(&most) {
                let gain = lambda.map(|stake| (stake * x).clamp(-MAX_LOSS, MAX_GAIN));
                for (log, gain) in self.logs.iter_mut().zip(gain) {
                    *log += count as f64 * gain.ln_1p();
                }
                continue;
            }
            if pending + count > FACTORS_PER_LOGARITHM {
                self.collect(&mut product);
                pending = 0;
            }
            multiply_power(&mut product, lambda.map(|stake| 1.0 + stake * x), count);
            pending += count;
        }
        if pending > 0 {
            self.collect(&mut product);
        }
        self.share(&STAKE_SHARES, all);
    }

    fn collect(&mut self, product: &mut [f64; STAKES]) {
        for (log, product) in self.logs.iter_mut().zip(product) {
            *log += product.ln();
            *product = 1.0;
        }
    }

    /// Redistributes a little of the wealth to all stakes after further observations, if they share.
    pub(crate) fn share(&mut self, shares: &[f64; STAKES], observations: u64) {
        if let Some(fixed_share) = &mut self.fixed_share {
            fixed_share.share(&mut self.logs, shares, observations);
        }
    }

    /// ln E: what the unit has become, for stakes that began with these shares of it.
    pub(crate) fn log_e(&self, shares: &[f64; STAKES]) -> f64 {
        match &self.fixed_share {
            Some(fixed_share) => fixed_share.log_e(&self.logs, shares),
            None => log_weighted_mean_exp(&self.logs, *shares),
        }
    }
}

/// Multiplies each product by its factor to the power of `count`, by repeated squaring: `powi` may
/// round differently from one build to another.
fn multiply_power(product: &mut [f64; STAKES], mut factor: [f64; STAKES], mut count: u64) {
    while count > 0 {
        if count % 2 == 1 {
            for (product, factor) in product.iter_mut().zip(factor) {
                *product *= factor;
            }
        }
        count /= 2;
        if count > 0 {
            factor = factor.map(|factor| factor * factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_outcomes_at_once_or_one_by_one_are_the_same() {
        let lambda = stakes(0.5, -0.9);
        let (mut one, mut other) = (Wealth::default(), Wealth::default());
        one.play(&lambda, [(0.7, 100), (-0.3, 70)].into_iter());
        for _ in 0..100 {
            other.play(&lambda, [(0.7, 1)].into_iter());
        }
        other.play(&lambda, std::iter::repeat_n((-0.3, 2), 35));
        assert!((one.log_e(&STAKE_SHARES) - other.log_e(&STAKE_SHARES)).abs() < 1e-11);
    }

    #[test]
    fn the_shares_are_one_unit() {
        assert_eq!(STAKE_SHARES.iter().sum::<f64>(), 1.0);
        assert_eq!(Wealth::default().log_e(&STAKE_SHARES), 0.0);
    }

    #[test]
    fn extreme_outcomes_keep_the_wealth_finite() {
        let mut wealth = Wealth::default();
        for scale in [0.0, 1e-300, 1.0, 1e300] {
            for x in [-1e300, -1.0, 0.0, 1.0, 1e300] {
                wealth.play(&stakes(scale, -1.0), std::iter::repeat_n((x, 4), 100));
                assert!(wealth.logs.iter().all(|log| log.is_finite()), "{scale} {x} {wealth:?}");
            }
        }
    }
}
