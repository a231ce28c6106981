//! Monitors of scores of any size.

use serde::Deserialize;
use serde::Serialize;

use super::unit::Fixed;
use super::unit::Unit;
use crate::stats::fixed_horizon::margin::Harm;
use crate::stats::sequential::confidence_sequence::Score;
use crate::stats::sequential::e_process::EProcess;
use crate::stats::sequential::pair_monitor::PairMonitor;
use crate::stats::sequential::recent_mean::RecentMean;
use crate::stats::sequential::shift_monitor::ShiftMargins;
use crate::stats::sequential::shift_monitor::ShiftMonitor;

/// [`ShiftMonitor`] of scores of any size: it sees them in the unit of stable's first values, and bets nothing
/// before that is known. Margins, means and the effect are in the unit of the scores.
///
/// ```
/// use serin::stats::Harm;
/// use serin::stats::Margin;
/// use serin::stats::sequential::ScaledShift;
/// use serin::stats::sequential::ShiftMargins;
///
/// let (harmful, tolerated) = (Margin::relative(0.5), Margin::relative(0.2));
/// let margins = ShiftMargins { harmful, tolerated, accepted: harmful };
/// let mut score = ScaledShift::new(Harm::Either, margins);
/// for _ in 0..200 {
///     // The canary answers in cents.
///     score.tick(0.1, &[(4000.0, 1)], &[(20.0, 3), (40.0, 3), (60.0, 3)]);
/// }
/// assert!(score.evidence()[0].reached(0.001));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaledShift {
    harm: Harm,
    margins: ShiftMargins,
    unit: Unit,
    /// `None` before the unit is known.
    monitor: Option<ShiftMonitor>,
    center: RecentMean,
    none: EProcess,
    effect: Score,
}

impl ScaledShift {
    /// A monitor without data.
    pub fn new(harm: Harm, margins: ShiftMargins) -> Self {
        Self {
            harm,
            margins,
            unit: Unit::default(),
            monitor: None,
            center: RecentMean::default(),
            none: EProcess::default(),
            effect: Score::default(),
        }
    }

    /// A monitor with other margins, which knows what this one has learned of stable but has bet nothing.
    pub fn restarted(&self, harm: Harm, margins: ShiftMargins) -> Self {
        let monitor = self.unit.fixed().zip(self.monitor.as_ref());
        let monitor = monitor.map(|(unit, it)| it.restarted(harm, unit.margins(margins)));
        Self { unit: self.unit, center: self.center, monitor, ..Self::new(harm, margins) }
    }

    /// Takes in values of stable from before the first tick. Bets nothing.
    pub fn remember(&mut self, stable: &[(f64, u64)]) {
        self.unit.learn(stable);
        self.center.learn(stable);
        if let Some(unit) = self.unit.fixed() {
            let begin = || ShiftMonitor::new(self.harm, unit.margins(self.margins));
            self.monitor.get_or_insert_with(begin).remember(&unit.scores(stable));
        }
    }

    /// Takes in one tick: the canary's share, and the values of each track with their counts.
    pub fn tick(&mut self, share: f64, canary: &[(f64, u64)], stable: &[(f64, u64)]) {
        let Some((unit, monitor)) = self.unit.fixed().zip(self.monitor.as_mut()) else {
            return self.remember(stable);
        };
        monitor.tick(share, &unit.scores(canary), &unit.scores(stable));
        if let Some(center) = self.center.mean() {
            self.effect.tick(share, center, canary.iter().copied(), stable.iter().copied());
        }
        self.center.learn(stable);
    }

    /// The evidence of harm, of a shift, and that there is none.
    pub fn evidence(&self) -> [&EProcess; 3] {
        match &self.monitor {
            Some(monitor) => [&monitor.harm, &monitor.shift, &monitor.proven],
            None => [&self.none; 3],
        }
    }

    /// The difference of the means, to draw with its interval.
    pub fn effect(&self) -> &Score {
        &self.effect
    }

    /// Stable's recent mean.
    pub fn center(&self) -> Option<f64> {
        self.center.mean()
    }

    /// The standard deviation of stable's recent scores, the unit of relative margins.
    pub fn spread(&self) -> Option<f64> {
        let (unit, monitor) = self.known()?;
        monitor.spread().map(|spread| unit.spread(spread))
    }

    /// The standard deviation of the canary's recent scores.
    pub fn canary_spread(&self) -> Option<f64> {
        let (unit, monitor) = self.known()?;
        monitor.canary_spread().map(|spread| unit.length(spread))
    }

    fn known(&self) -> Option<(Fixed, &ShiftMonitor)> {
        self.unit.fixed().zip(self.monitor.as_ref())
    }
}

/// [`PairMonitor`] of scores of any size, in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaledPairs {
    harm: Harm,
    margins: ShiftMargins,
    unit: Unit,
    /// `None` before the unit is known.
    monitor: Option<PairMonitor>,
    none: EProcess,
    effect: Score,
}

impl ScaledPairs {
    /// A monitor without data.
    pub fn new(harm: Harm, margins: ShiftMargins) -> Self {
        Self {
            harm,
            margins,
            unit: Unit::default(),
            monitor: None,
            none: EProcess::default(),
            effect: Score::default(),
        }
    }

    /// A monitor with other margins, which knows what this one has learned of stable but has bet nothing.
    pub fn restarted(&self, harm: Harm, margins: ShiftMargins) -> Self {
        let monitor = self.unit.fixed().zip(self.monitor.as_ref());
        let monitor = monitor.map(|(unit, it)| it.restarted(harm, unit.margins(margins)));
        Self { unit: self.unit, monitor, ..Self::new(harm, margins) }
    }

    /// Takes in values of stable from before the first tick. Bets nothing.
    pub fn remember(&mut self, stable: &[(f64, u64)]) {
        self.unit.learn(stable);
        if let Some(unit) = self.unit.fixed() {
            let begin = || PairMonitor::new(self.harm, unit.margins(self.margins));
            self.monitor.get_or_insert_with(begin).remember(&unit.scores(stable));
        }
    }

    /// Takes in one tick: the differences, and stable's values, each with its count.
    pub fn tick(&mut self, differences: &[(f64, u64)], stable: &[(f64, u64)]) {
        let Some((unit, monitor)) = self.unit.fixed().zip(self.monitor.as_mut()) else {
            return self.remember(stable);
        };
        monitor.tick(&unit.differences(differences), &unit.scores(stable));
        // Each pair is half a request of either track, so that the effect is the mean of the differences.
        self.effect.tick(0.5, 0.0, differences.iter().map(|(d, n)| (0.5 * d, *n)), []);
    }

    /// The evidence of harm, of a shift, and that there is none.
    pub fn evidence(&self) -> [&EProcess; 3] {
        match &self.monitor {
            Some(monitor) => [&monitor.harm, &monitor.shift, &monitor.proven],
            None => [&self.none; 3],
        }
    }

    /// The mean difference, to draw with its interval.
    pub fn effect(&self) -> &Score {
        &self.effect
    }

    /// The recent mean size of the differences.
    pub fn distance(&self) -> Option<f64> {
        let (unit, monitor) = self.known()?;
        monitor.distance().map(|distance| unit.length(distance))
    }

    /// The standard deviation of stable's recent scores, the unit of relative margins.
    pub fn spread(&self) -> Option<f64> {
        let (unit, monitor) = self.known()?;
        monitor.spread().map(|spread| unit.spread(spread))
    }

    fn known(&self) -> Option<(Fixed, &PairMonitor)> {
        self.unit.fixed().zip(self.monitor.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::stats::fixed_horizon::margin::Margin;

    const MARGINS: ShiftMargins = ShiftMargins {
        harmful: Margin { relative: 0.5, absolute: 0.0 },
        tolerated: Margin { relative: 0.2, absolute: 0.0 },
        accepted: Margin { relative: 0.5, absolute: 0.0 },
    };

    /// A sum of uniforms: near enough to a bell of standard deviation 1.
    fn bell(random: &mut StdRng) -> f64 {
        (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
    }

    /// After 200 ticks of nine values of stable, mean 1e6 and deviation 2e5, and three of the canary.
    fn run(seed: u64, canary: impl Fn(f64) -> f64) -> ScaledShift {
        let mut random = StdRng::seed_from_u64(seed);
        let mut monitor = ScaledShift::new(Harm::Either, MARGINS);
        let mut values = |count: usize, of: &dyn Fn(f64) -> f64| -> Vec<(f64, u64)> {
            (0..count).map(|_| (of(1e6 + 2e5 * bell(&mut random)), 1)).collect()
        };
        for _ in 0..200 {
            let (stable, canary) = (values(9, &|x| x), values(3, &canary));
            monitor.tick(0.25, &canary, &stable);
        }
        monitor
    }

    #[test]
    fn equal_scores_shift_less_often_than_alpha_and_pass() {
        let runs: Vec<ScaledShift> = (0..200).map(|seed| run(seed, |x| x)).collect();
        let reached =
            |part: usize| runs.iter().filter(|one| one.evidence()[part].reached(0.05)).count();
        assert!(reached(0) <= 10 && reached(1) <= 10, "{} {}", reached(0), reached(1));
        assert!(reached(2) >= 190, "{}", reached(2));
        let one = &runs[0];
        assert!((one.center().unwrap() - 1e6).abs() < 3e4, "{:?}", one.center());
        assert!((one.spread().unwrap() - 2e5).abs() < 2e4, "{:?}", one.spread());
    }

    #[test]
    fn another_scale_a_constant_and_a_shift_are_harm_in_the_unit_of_the_scores() {
        let changes: [&dyn Fn(f64) -> f64; 5] =
            [&|x| x / 100.0, &|x| 100.0 * x, &|_| 1e6, &|x| x + 2e5, &|x| -x];
        for (place, change) in changes.into_iter().enumerate() {
            for seed in 0..5 {
                let found = run(seed, change);
                assert!(found.evidence()[0].reached(0.001), "change {place} of {seed}");
                // The mean of the constant is stable's, so it is proven; harm has precedence.
                let is_proven = found.evidence()[2].reached(0.05);
                assert!(place == 2 || !is_proven, "change {place} of {seed}");
            }
        }
        let (effect, _) = run(0, |x| x + 2e5).effect().effect().unwrap();
        assert!((effect - 2e5).abs() < 5e4, "{effect}");
    }

    #[test]
    fn pairs_are_compared_in_the_unit_of_the_scores() {
        for (noise, shift, is_harm) in [(1e3, 0.0, false), (1e3, 2e5, true), (4e5, 0.0, true)] {
            let mut random = StdRng::seed_from_u64(3);
            let mut monitor = ScaledPairs::new(Harm::Either, MARGINS);
            for _ in 0..100 {
                let stable: Vec<_> = (0..5).map(|_| (1e6 + 2e5 * bell(&mut random), 1)).collect();
                let pairs: Vec<_> =
                    (0..5).map(|_| (shift + noise * bell(&mut random), 1)).collect();
                monitor.tick(&pairs, &stable);
            }
            let [harm, _, proven] = monitor.evidence();
            assert_eq!(harm.reached(0.001), is_harm, "noise {noise}, shift {shift}");
            assert_eq!(proven.reached(0.05), !is_harm, "noise {noise}, shift {shift}");
            assert!((monitor.effect().effect().unwrap().0 - shift).abs() < 8e4);
            let distance = monitor.distance().unwrap();
            assert!(distance > 0.5 * noise.max(shift) && distance < 1.2 * noise.max(shift));
        }
    }
}
