//! Monitor of shadow pairs: does the canary answer the same requests differently?

use serde::Deserialize;
use serde::Serialize;

use super::bets::averages::log_mean_exp;
use super::bets::paired::Paired;
use super::confidence_sequence::Score;
use super::e_process::EProcess;
use super::recent_mean::RecentMean;
use super::recent_spread::Spread;
use super::shift_monitor::ShiftMargins;
use super::shift_monitor::Side;
use crate::stats::fixed_horizon::margin::Harm;

/// The sequential test of pairs: the difference of both answers to one request.
///
/// ```text
/// d                a difference from -1 to 1: canary minus stable
/// margin           max(absolute, relative s)     s = the spread of stable's values in earlier ticks
/// E_harm           a bet against "E d <= harmful"     (Either: the mean of both directions, and of a bet against
///                  "E |d| <= harmful": single answers may differ while their mean does not)
/// E_shift          a bet against "E d <= tolerated"   (Either: the mean of both directions)
/// E_proven         a bet against "E d >= accepted"    (Either: the smallest of both directions and of |d|)
/// ```
///
/// A relative margin is in standard deviations of stable's own values, because a score has no other unit:
/// with scores of standard deviation 0.3, a margin of 0.2 is 0.06. The margin of a tick follows from
/// earlier ticks, so the bets stay fair (see [`Paired`] for what they assume).
///
/// ```
/// use serin::stats::Harm;
/// use serin::stats::Margin;
/// use serin::stats::sequential::PairMonitor;
/// use serin::stats::sequential::ShiftMargins;
///
/// let (tolerated, accepted) = (Margin::absolute(0.02), Margin::absolute(0.05));
/// let margins = ShiftMargins { harmful: tolerated, tolerated, accepted };
/// let mut score = PairMonitor::new(Harm::Either, margins);
/// for _ in 0..40 {
///     score.tick(&[(0.16, 3), (0.10, 2)], &[]);
/// }
/// assert!(score.harm.reached(0.01) && !score.proven.reached(0.05));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairMonitor {
    margins: ShiftMargins,
    sides: Vec<Side<Paired>>,
    /// The size of the differences; `None` where only one direction is harm.
    distance: Option<Distance>,
    /// Stable's recent values.
    stable: Spread,
    /// The evidence that the difference exceeds the harmful margin.
    pub harm: EProcess,
    /// The evidence that the difference exceeds what is tolerated.
    pub shift: EProcess,
    /// The evidence that it stays within what is accepted.
    pub proven: EProcess,
    /// The mean difference, to draw with its interval. The verdict comes from the e-values.
    pub effect: Score,
}

/// The size of the differences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Distance {
    harm: Paired,
    proven: Paired,
    mean: RecentMean,
}

impl PairMonitor {
    /// A monitor without data.
    pub fn new(harm: Harm, margins: ShiftMargins) -> Self {
        let distance = || Distance {
            harm: Paired::with_fixed_share(),
            proven: Paired::default(),
            mean: RecentMean::default(),
        };
        Self {
            margins,
            sides: Side::all(harm, Paired::with_fixed_share(), Paired::default()),
            distance: (harm == Harm::Either).then(distance),
            stable: Spread::default(),
            harm: EProcess::default(),
            shift: EProcess::default(),
            proven: EProcess::default(),
            effect: Score::default(),
        }
    }

    /// A monitor with other margins, which knows what this one has learned of stable but has bet nothing.
    pub fn restarted(&self, harm: Harm, margins: ShiftMargins) -> Self {
        Self { stable: self.stable, ..Self::new(harm, margins) }
    }

    /// Takes in values of stable from before the first tick. Bets nothing.
    pub fn remember(&mut self, stable: &[(f64, u64)]) {
        self.stable.learn(stable);
    }

    /// Takes in one tick: the differences, and stable's values, each with its count.
    pub fn tick(&mut self, differences: &[(f64, u64)], stable: &[(f64, u64)]) {
        if let Some([harmful, tolerated, accepted]) = self.margins.at(&self.stable) {
            for Side { sign, harm, shift, proven } in &mut self.sides {
                let toward = |sign: f64| differences.iter().map(move |(d, n)| (sign * d, *n));
                harm.tick(harmful, toward(*sign));
                shift.tick(tolerated, toward(*sign));
                proven.tick(-accepted, toward(-*sign));
            }
            if let Some(Distance { harm, proven, mean }) = &mut self.distance {
                let sizes: Vec<_> = differences.iter().map(|(d, n)| (d.abs(), *n)).collect();
                harm.tick(harmful, sizes.iter().copied());
                proven.tick(-accepted, sizes.iter().map(|(size, n)| (-size, *n)));
                mean.learn(&sizes);
            }
            let logs = |part: fn(&Side<Paired>) -> &Paired| -> Vec<f64> {
                self.sides.iter().map(|side| part(side).log_e()).collect()
            };
            let mut harms = logs(|side| &side.harm);
            harms.extend(self.distance.map(|distance| distance.harm.log_e()));
            self.harm.observe(log_mean_exp(&harms));
            self.shift.observe(log_mean_exp(&logs(|side| &side.shift)));
            let mut proofs = logs(|side| &side.proven);
            proofs.extend(self.distance.map(|distance| distance.proven.log_e()));
            self.proven.observe(proofs.into_iter().fold(f64::INFINITY, f64::min));
            // Each pair is half a request of either track, so that the effect is the mean of d.
            self.effect.tick(0.5, 0.0, differences.iter().map(|(d, n)| (0.5 * d, *n)), []);
        }
        self.stable.learn(stable);
    }

    /// The recent mean size of the differences; `None` before the first, or where only one direction is harm.
    pub fn distance(&self) -> Option<f64> {
        self.distance?.mean.mean()
    }

    /// The standard deviation of stable's recent values; `None` below twenty.
    pub fn spread(&self) -> Option<f64> {
        self.stable.deviation()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::fixed_horizon::margin::Margin;
    use rand::RngExt as _;
    use rand::SeedableRng as _;

    /// Stable's scores vary by 0.2, so that these are 0.05 and 0.09.
    const TOLERATED: Margin = Margin { relative: 0.25, absolute: 0.01 };
    const ACCEPTED: Margin = Margin { relative: 0.45, absolute: 0.02 };
    /// And this is 0.1.
    const GROSS: Margin = Margin { relative: 0.5, absolute: 0.1 };
    const STABLE: [(f64, u64); 2] = [(0.3, 5), (0.7, 5)];

    fn margins(harmful: Margin, accepted: Margin) -> ShiftMargins {
        ShiftMargins { harmful, tolerated: TOLERATED, accepted }
    }

    fn noisy(random: &mut rand::rngs::StdRng, mean: f64, noise: f64) -> (f64, u64) {
        // A sum of uniforms, near enough to a bell, of standard deviation 1.
        let bell: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        (mean + noise * bell, 1)
    }

    /// How many of `rollouts`, looked at after each of 300 ticks of ten pairs, ever shift, and pass.
    fn outcomes(runs: u64, mean: f64, noise: f64, alpha: f64) -> (u64, u64) {
        let (mut shifted, mut passed) = (0, 0);
        for seed in 0..runs {
            let mut random = rand::rngs::StdRng::seed_from_u64(seed);
            let mut monitor = PairMonitor::new(Harm::Either, margins(GROSS, ACCEPTED));
            monitor.remember(&[(0.3, 50), (0.7, 50)]);
            for _ in 0..300 {
                let pairs: Vec<_> = (0..10).map(|_| noisy(&mut random, mean, noise)).collect();
                monitor.tick(&pairs, &STABLE);
            }
            shifted += u64::from(monitor.shift.reached(alpha));
            passed += u64::from(monitor.proven.reached(alpha));
        }
        (shifted, passed)
    }

    #[test]
    fn a_difference_at_the_tolerated_margin_shifts_less_often_than_alpha() {
        for noise in [0.02, 0.1, 0.3] {
            let (shifted, _) = outcomes(400, 0.05, noise, 0.05);
            assert!(shifted <= 20, "{shifted} of 400 at noise {noise}");
        }
    }

    #[test]
    fn a_difference_at_the_accepted_margin_passes_less_often_than_alpha() {
        for noise in [0.02, 0.1, 0.3] {
            let (_, passed) = outcomes(400, -0.09, noise, 0.05);
            assert!(passed <= 20, "{passed} of 400 at noise {noise}");
        }
    }

    #[test]
    fn a_retrained_model_passes_and_half_a_deviation_is_a_shift() {
        assert_eq!(outcomes(50, 0.01, 0.05, 0.01), (0, 50));
        assert_eq!(outcomes(50, 0.10, 0.05, 0.01).0, 50);
        assert_eq!(outcomes(50, -0.10, 0.05, 0.01).0, 50);
    }

    /// Whether differences of this size, up and down in turn, are ever harm, and are ever proven to be small.
    fn alternating(size: f64) -> (bool, bool) {
        let mut random = rand::rngs::StdRng::seed_from_u64(1);
        let mut monitor = PairMonitor::new(Harm::Either, margins(GROSS, GROSS));
        monitor.remember(&[(0.3, 50), (0.7, 50)]);
        for _ in 0..100 {
            let mut pair = |sign: f64| (sign * noisy(&mut random, size, 0.02).0, 1);
            let pairs = [pair(1.0), pair(-1.0), pair(1.0), pair(-1.0)];
            monitor.tick(&pairs, &STABLE);
        }
        assert!(!monitor.shift.reached(0.05), "the mean is stable's");
        (monitor.harm.reached(0.01), monitor.proven.reached(0.05))
    }

    #[test]
    fn answers_that_differ_while_their_mean_does_not_are_harm_and_never_pass() {
        assert_eq!(alternating(0.16), (true, false));
        assert_eq!(alternating(0.04), (false, true));
    }

    #[test]
    fn the_effect_is_the_mean_difference_with_its_error() {
        let (tenth, accepted) = (Margin::absolute(0.1), ACCEPTED);
        let margins = ShiftMargins { harmful: tenth, tolerated: tenth, accepted };
        let mut monitor = PairMonitor::new(Harm::Higher, margins);
        monitor.remember(&STABLE);
        assert_eq!(monitor.spread(), None);
        monitor.remember(&STABLE);
        monitor.tick(&[(0.2, 2), (0.0, 2)], &[]);
        let (effect, error) = monitor.effect.effect().unwrap();
        assert!((effect - 0.1).abs() < 1e-12);
        assert!((error - (0.08_f64).sqrt() / 4.0).abs() < 1e-12);
        assert!((monitor.spread().unwrap() - 0.2).abs() < 1e-12);
    }

    #[test]
    fn before_the_spread_is_known_nothing_is_bet() {
        let mut monitor = PairMonitor::new(Harm::Either, margins(TOLERATED, ACCEPTED));
        monitor.tick(&[(1.0, 1000)], &STABLE);
        assert_eq!((monitor.harm.log_e(), monitor.effect.effect()), (0.0, None));
        monitor.tick(&[(f64::NAN, 3)], &[(f64::INFINITY, 9), (0.5, 50)]);
        monitor.tick(&[(1.0, 1000), (f64::NAN, 1)], &[]);
        assert!(monitor.harm.reached(1e-6) && monitor.spread().unwrap() < 0.2);
    }
}
