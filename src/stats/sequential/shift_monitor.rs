//! Monitor of scores: has their mean shifted, or their spread collapsed or grown, by more than a margin?

use serde::Deserialize;
use serde::Serialize;

use super::bets::averages::log_mean_exp;
use super::bets::averages::log_weighted_mean_exp;
use super::bets::betting::Bet;
use super::bets::betting::Stake;
use super::confidence_sequence::Score;
use super::e_process::EProcess;
use super::recent_mean::RecentDifference;
use super::recent_mean::RecentMean;
use super::recent_spread::RecentSpread;
use super::recent_spread::Spread;
use crate::stats::fixed_horizon::margin::Harm;
use crate::stats::fixed_horizon::margin::Margin;

/// The sequential test of values from 0 to 1 whose unit is the spread of stable's values.
///
/// ```text
/// margin        max(absolute, relative s)       s = the standard deviation of stable's recent values
/// E_harm        (2 E_mean + E_collapse + E_growth) / 4
///               E_mean      refutes "the means differ by the harmful margin at most"
///               E_collapse  refutes "E|x - c| of the canary is at least a quarter of stable's"
///               E_growth    refutes "E|x - c| of the canary exceeds stable's by the harmful margin at most"
/// E_shift       refutes "the means differ by the tolerated margin at most"
/// E_proven      refutes "the means differ by the accepted margin at least"
/// c             each track's own recent mean: stable's, and stable's plus the recent difference d
/// d             the canary's mean difference within the ticks, shrunk as if 20 more values had shown none
/// ```
///
/// A constant canary can have stable's mean, so the mean alone would miss it; its deviations are 0, whatever the
/// constant is. The canary's center begins at stable's: one taken from its first value alone would put the others far
/// from it, and an equal canary's deviations would have grown. Each part compares a bounded function of the canary's
/// values with one of stable's within the tick (see [`Bet`]); margin and centers come from earlier ticks. The harm of
/// a monitor that tolerates a direction has no part for the spread.
///
/// ```
/// use serin::stats::Harm;
/// use serin::stats::Margin;
/// use serin::stats::sequential::ShiftMargins;
/// use serin::stats::sequential::ShiftMonitor;
///
/// let harmful = Margin { relative: 0.5, absolute: 0.1 };
/// let tolerated = Margin { relative: 0.2, absolute: 0.05 };
/// let margins = ShiftMargins { harmful, tolerated, accepted: harmful };
/// let mut score = ShiftMonitor::new(Harm::Either, margins);
/// for _ in 0..400 {
///     score.tick(0.1, &[(0.5, 1)], &[(0.2, 4), (0.5, 1), (0.8, 4)]);
/// }
/// // The mean is stable's, but the canary always answers 0.5.
/// assert!(score.harm.reached(0.01) && !score.shift.reached(0.05));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShiftMonitor {
    margins: ShiftMargins,
    sides: Vec<Side<Compared>>,
    /// `None` where only one direction is harm.
    spread: Option<SpreadBets>,
    stable: Spread,
    canary: Spread,
    center: RecentMean,
    /// The evidence of a difference beyond the harmful margin.
    pub harm: EProcess,
    /// The evidence of a difference of the means beyond the tolerated margin.
    pub shift: EProcess,
    /// The evidence that the means differ by less than the accepted margin.
    pub proven: EProcess,
    /// The difference of the means, to draw with its interval. The verdict comes from the e-values.
    pub effect: Score,
}

/// The margins of a shift. A relative part counts standard deviations of stable's values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShiftMargins {
    /// A difference beyond this is harm.
    pub harmful: Margin,
    /// One beyond this is a shift.
    pub tolerated: Margin,
    /// One within this is non-inferior.
    pub accepted: Margin,
}

impl ShiftMargins {
    /// The harmful, the tolerated and the accepted margin in the unit of the values; `None` while a relative part has
    /// no unit.
    pub(super) fn at(&self, stable: &Spread) -> Option<[f64; 3]> {
        let ShiftMargins { harmful, tolerated, accepted } = *self;
        Some([stable.margin(harmful)?, stable.margin(tolerated)?, stable.margin(accepted)?])
    }
}

/// The bets in one direction in which a difference is harm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Side<B> {
    /// 1 if more is harm, -1 if less is.
    pub(super) sign: f64,
    pub(super) harm: B,
    pub(super) shift: B,
    pub(super) proven: B,
}

impl<B: Copy> Side<B> {
    /// A side for each direction of harm, with such bets on harm and shift, and on the proof.
    pub(super) fn all(harm: Harm, on_harm: B, on_proof: B) -> Vec<Self> {
        let (shift, proven) = (on_harm, on_proof);
        let side = |sign: &f64| Self { sign: *sign, harm: on_harm, shift, proven };
        harm.directions().iter().map(side).collect()
    }
}

/// The bets on deviations from the center.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpreadBets {
    /// The canary's mean difference from stable.
    means: RecentDifference,
    collapse: Compared,
    growth: Compared,
}

/// A bet that a function of the canary's values exceeds one of stable's, with what it has learned of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compared {
    bet: Bet,
    tracker: RecentSpread,
}

/// Scores have collapsed when their deviations are below this share of stable's. Retrained models stay within a
/// few percent of each other, and a constant has none.
pub const COLLAPSE: f64 = 0.25;

impl ShiftMonitor {
    /// A monitor without data.
    pub fn new(harm: Harm, margins: ShiftMargins) -> Self {
        Self {
            margins,
            sides: Side::all(harm, Compared::with_fixed_share(), Compared::default()),
            spread: (harm == Harm::Either).then(SpreadBets::default),
            stable: Spread::default(),
            canary: Spread::default(),
            center: RecentMean::default(),
            harm: EProcess::default(),
            shift: EProcess::default(),
            proven: EProcess::default(),
            effect: Score::default(),
        }
    }

    /// A monitor with other margins, which knows what this one has learned of stable but has bet nothing.
    pub fn restarted(&self, harm: Harm, margins: ShiftMargins) -> Self {
        Self { stable: self.stable, center: self.center, ..Self::new(harm, margins) }
    }

    /// Takes in values of stable from before the first tick. Bets nothing.
    pub fn remember(&mut self, stable: &[(f64, u64)]) {
        self.learn(stable);
    }

    /// Takes in one tick: the canary's share, and the values of each track with their counts.
    pub fn tick(&mut self, share: f64, canary: &[(f64, u64)], stable: &[(f64, u64)]) {
        if let (Some(margins), Some(center)) = (self.margins.at(&self.stable), self.center.mean()) {
            let [harmful, ..] = margins;
            for side in &mut self.sides {
                side.tick(share, margins, canary, stable);
            }
            if let Some(spread) = &mut self.spread {
                spread.tick(share, harmful, center, canary, stable);
            }
            self.observe();
            self.effect.tick(share, center, canary.iter().copied(), stable.iter().copied());
        }
        // Only after all bets on this tick are settled.
        self.learn(stable);
        self.canary.learn(canary);
    }

    fn observe(&mut self) {
        let of = |part: fn(&Side<Compared>) -> &Compared| -> Vec<f64> {
            self.sides.iter().map(|side| part(side).bet.log_e()).collect()
        };
        let by_mean = log_mean_exp(&of(|side| &side.harm));
        self.harm.observe(match &self.spread {
            Some(SpreadBets { collapse, growth, .. }) => log_weighted_mean_exp(
                &[by_mean, collapse.bet.log_e(), growth.bet.log_e()],
                [0.5, 0.25, 0.25],
            ),
            None => by_mean,
        });
        self.shift.observe(log_mean_exp(&of(|side| &side.shift)));
        self.proven.observe(of(|side| &side.proven).into_iter().fold(f64::INFINITY, f64::min));
    }

    fn learn(&mut self, stable: &[(f64, u64)]) {
        self.stable.learn(stable);
        self.center.learn(stable);
    }

    /// Stable's recent mean; `None` before its first value.
    pub fn center(&self) -> Option<f64> {
        self.center.mean()
    }

    /// The standard deviation of stable's recent values; `None` below twenty.
    pub fn spread(&self) -> Option<f64> {
        self.stable.deviation()
    }

    /// The same of the canary's.
    pub fn canary_spread(&self) -> Option<f64> {
        self.canary.deviation()
    }
}

impl Side<Compared> {
    fn tick(
        &mut self,
        share: f64,
        [harmful, tolerated, accepted]: [f64; 3],
        canary: &[(f64, u64)],
        stable: &[(f64, u64)],
    ) {
        // Where lower values are harm the bets see 1 - x.
        let is_lower = self.sign < 0.0;
        let toward = |x: f64| if is_lower { 1.0 - x } else { x };
        let away = |x: f64| if is_lower { x } else { 1.0 - x };
        let (beyond, seen) = (mapped(stable, toward), mapped(canary, toward));
        self.harm.tick(share, harmful, &seen, &beyond);
        self.shift.tick(share, tolerated, &seen, &beyond);
        self.proven.tick(share, -accepted, &mapped(canary, away), &mapped(stable, away));
    }
}

impl Default for SpreadBets {
    fn default() -> Self {
        let bet = Compared::with_fixed_share;
        Self { means: RecentDifference::default(), collapse: bet(), growth: bet() }
    }
}

impl SpreadBets {
    fn tick(
        &mut self,
        share: f64,
        harmful: f64,
        center: f64,
        canary: &[(f64, u64)],
        stable: &[(f64, u64)],
    ) {
        let difference = self.means.mean();
        let (of_canary, of_stable) = (
            mapped(canary, |x| (x - center - difference).abs().min(1.0)),
            mapped(stable, |x| (x - center).abs().min(1.0)),
        );
        self.growth.tick(share, harmful, &of_canary, &of_stable);
        let narrower = mapped(&of_canary, |deviation| 1.0 - deviation);
        let quarter = mapped(&of_stable, |deviation| 1.0 - COLLAPSE * deviation);
        self.collapse.tick(share, 0.0, &narrower, &quarter);
        self.means.learn(canary, stable);
    }
}

impl Compared {
    fn with_fixed_share() -> Self {
        Self { bet: Bet::with_fixed_share(), tracker: RecentSpread::default() }
    }

    /// Bets that the canary's values exceed stable's by more than the margin. The values are from 0 to 1.
    fn tick(&mut self, share: f64, margin: f64, canary: &[(f64, u64)], stable: &[(f64, u64)]) {
        let canary = mapped(canary, |u| u - margin);
        if let Some((center, scale)) = self.tracker.center_and_scale(share) {
            let stake = Stake { share, center, scale, lowest_u: -margin, highest_v: 1.0 };
            self.bet.tick(&stake, canary.iter().copied(), stable.iter().copied());
        }
        self.tracker.learn(&canary, stable);
    }
}

fn mapped(values: &[(f64, u64)], function: impl Fn(f64) -> f64) -> Vec<(f64, u64)> {
    values.iter().map(|(value, count)| (function(*value), *count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt as _;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    const HARMFUL: Margin = Margin { relative: 0.5, absolute: 0.1 };
    const TOLERATED: Margin = Margin { relative: 0.2, absolute: 0.05 };
    const MARGINS: ShiftMargins =
        ShiftMargins { harmful: HARMFUL, tolerated: TOLERATED, accepted: HARMFUL };

    /// A bell between 0 and 1.
    fn bell(random: &mut StdRng, mean: f64, deviation: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        (mean + deviation * sum).clamp(0.0, 1.0)
    }

    /// How many of the runs ever show harm, a shift, and a difference within the accepted margin, looked at after
    /// each of 200 ticks of 2 canary values among 20.
    fn outcomes(runs: u64, canary: impl Fn(&mut StdRng) -> f64) -> [u64; 3] {
        let mut found = [0; 3];
        for seed in 0..runs {
            let mut random = StdRng::seed_from_u64(seed);
            let mut monitor = ShiftMonitor::new(Harm::Either, MARGINS);
            for _ in 0..200 {
                // The load drifts for both tracks alike.
                let stable: Vec<_> = (0..18).map(|_| (bell(&mut random, 0.4, 0.2), 1)).collect();
                let canary: Vec<_> = (0..2).map(|_| (canary(&mut random), 1)).collect();
                monitor.tick(0.1, &canary, &stable);
            }
            let reached = [&monitor.harm, &monitor.shift, &monitor.proven];
            for (found, reached) in found.iter_mut().zip(reached) {
                *found += u64::from(reached.reached(0.05));
            }
        }
        found
    }

    #[test]
    fn an_equal_canary_passes_and_a_slightly_different_one_too() {
        for mean in [0.4, 0.42] {
            let [harm, shift, proven] = outcomes(100, |random| bell(random, mean, 0.2));
            assert!(harm <= 1 && shift <= 1 && proven >= 99, "{mean}: {harm} {shift} {proven}");
        }
    }

    #[test]
    fn a_shift_at_a_margin_is_reported_less_often_than_alpha() {
        let [_, shift, _] = outcomes(200, |random| bell(random, 0.45, 0.2));
        assert!(shift <= 10, "{shift} of 200");
        let [harm, shift, proven] = outcomes(200, |random| bell(random, 0.5, 0.2));
        assert!(harm <= 10 && proven <= 10 && shift >= 190, "{harm} {shift} {proven} of 200");
    }

    #[test]
    fn gross_differences_are_harm_in_every_run() {
        assert_eq!(outcomes(20, |random| bell(random, 0.65, 0.2))[0], 20, "inverted labels");
        assert_eq!(outcomes(20, |random| bell(random, 0.15, 0.1))[0], 20, "a lower mean");
        for constant in [0.0, 0.3, 0.4, 0.45, 0.9] {
            assert_eq!(outcomes(20, |_| constant)[0], 20, "constant {constant}");
        }
        let saturated = |random: &mut StdRng| f64::from(bell(random, 0.4, 0.2) > 0.4);
        assert_eq!(outcomes(20, saturated)[0], 20, "scores that are 0 or 1");
    }

    #[test]
    fn a_changing_load_is_no_collapse_and_no_growth() {
        for seed in 0..40 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut monitor = ShiftMonitor::new(Harm::Either, MARGINS);
            for tick in 0..300 {
                let mean = if tick % 60 < 30 { 0.2 } else { 0.7 };
                let mut values = |count: u64| -> Vec<(f64, u64)> {
                    (0..count).map(|_| (bell(&mut random, mean, 0.1), 1)).collect()
                };
                let (canary, stable) = (values(3), values(27));
                monitor.tick(0.1, &canary, &stable);
            }
            assert!(!monitor.harm.reached(0.01) && !monitor.shift.reached(0.01), "{seed}");
        }
    }

    /// Ticks with few values of stable: the canary's center follows the load as fast as stable's.
    #[test]
    fn a_jump_of_the_load_at_low_traffic_is_no_collapse() {
        for seed in 0..20 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut monitor = ShiftMonitor::new(Harm::Either, MARGINS);
            let mut values = |count: u64, mean: f64| -> Vec<(f64, u64)> {
                (0..count).map(|_| (bell(&mut random, mean, 0.05), 1)).collect()
            };
            monitor.remember(&values(100, 0.2));
            for tick in 0..180 {
                let mean = if tick < 60 { 0.2 } else { 0.7 };
                let (canary, stable) = (values(45, mean), values(5, mean));
                monitor.tick(0.9, &canary, &stable);
            }
            assert!(!monitor.harm.reached(0.05), "{seed}: {monitor:?}");
        }
    }

    /// Of a hundred rows the canary gets a few before it gets very many at once.
    #[test]
    fn a_burst_after_few_values_of_an_equal_canary_is_harm_less_often_than_alpha() {
        let runs = 1000;
        for (few, deviation) in [(1, 0.2), (1, 0.1), (3, 0.2)] {
            let mut found = 0;
            for seed in 0..runs {
                let mut random = StdRng::seed_from_u64(seed);
                let mut monitor = ShiftMonitor::new(Harm::Either, MARGINS);
                for (of_canary, of_stable) in [(few, 30), (0, 30), (500, 4500)] {
                    let mut values = |count| -> Vec<(f64, u64)> {
                        (0..count).map(|_| (bell(&mut random, 0.4, deviation), 1)).collect()
                    };
                    let (canary, stable) = (values(of_canary), values(of_stable));
                    monitor.tick(0.1, &canary, &stable);
                }
                found += u64::from(monitor.harm.reached(0.05));
            }
            // 50 are expected at most, with a standard deviation of 6.9.
            assert!(found <= 70, "{found} of {runs} after {few} values of deviation {deviation}");
        }
    }

    #[test]
    fn one_repeated_row_has_no_spread_and_a_small_difference_passes() {
        let mut monitor = ShiftMonitor::new(Harm::Either, MARGINS);
        (0..100).for_each(|_| monitor.tick(0.1, &[(0.34, 1)], &[(0.3, 9)]));
        assert!(!monitor.harm.reached(0.05) && !monitor.shift.reached(0.05), "{monitor:?}");
        assert!(monitor.proven.reached(0.05), "{monitor:?}");
        assert_eq!(monitor.spread().map(|it| it < 1e-6), Some(true));
    }
}
