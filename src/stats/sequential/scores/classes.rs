//! Monitors of several classes as one.

use serde::Deserialize;
use serde::Serialize;

use crate::stats::sequential::bets::averages::log_mean_exp;
use crate::stats::sequential::e_process::EProcess;
use crate::stats::sequential::pair_monitor::PairMonitor;
use crate::stats::sequential::shift_monitor::ShiftMonitor;

/// One monitor for each class, read as one.
///
/// ```text
/// E_harm        (1/K) sum of E_harm of the K classes        refutes "no class differs by more than is harmful"
/// E_shift       likewise
/// E_proven      min of E_proven of the classes              refutes "some class differs by what is accepted, or more"
/// ```
///
/// Under its null hypothesis each class has an e-process, and a mean of e-processes is one whatever their dependence,
/// which matters because the probabilities of a row add up to 1. So the level holds for all classes together at every
/// look, and a class alone needs ln K more evidence. A union of hypotheses is refuted by the least of the e-values.
///
/// Vovk and Wang (2021), "E-values: calibration, combination and applications", Annals of Statistics 49(3),
/// doi:10.1214/20-AOS2020; Berger (1982), Technometrics 24(4), doi:10.1080/00401706.1982.10487790.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes<M> {
    monitors: Vec<M>,
    /// The evidence that some class differs by more than is harmful.
    pub harm: EProcess,
    /// The evidence that some class differs by more than is tolerated.
    pub shift: EProcess,
    /// The evidence that every class differs by less than is accepted.
    pub proven: EProcess,
}

/// The monitor of one class.
pub trait ClassMonitor {
    /// The evidence of harm, of a shift, and that there is none.
    fn evidence(&self) -> [&EProcess; 3];

    /// The estimated difference, canary minus stable.
    fn difference(&self) -> f64;
}

impl<M: ClassMonitor> Classes<M> {
    /// These monitors, before their first tick.
    pub fn new(monitors: Vec<M>) -> Self {
        let none = EProcess::default();
        Self { monitors, harm: none, shift: none, proven: none }
    }

    /// The monitors of the classes.
    pub fn monitors(&self) -> &[M] {
        &self.monitors
    }

    /// Lets each monitor take in its part of a tick.
    pub fn tick(&mut self, mut take: impl FnMut(usize, &mut M)) {
        for (class, monitor) in self.monitors.iter_mut().enumerate() {
            take(class, monitor);
        }
        let logs = |part: usize| -> Vec<f64> {
            self.monitors.iter().map(|one| one.evidence()[part].log_e()).collect()
        };
        self.harm.observe(log_mean_exp(&logs(0)));
        self.shift.observe(log_mean_exp(&logs(1)));
        self.proven.observe(logs(2).into_iter().fold(f64::INFINITY, f64::min).min(f64::MAX));
    }

    /// The class with the most evidence of a difference, of equal ones that with the largest: of harm, then of a shift.
    pub fn worst(&self) -> Option<(usize, &M)> {
        let rank = |one: &M| {
            let [harm, shift, _] = one.evidence();
            [harm.largest(), shift.largest(), one.difference().abs()]
        };
        let order = |a: &[f64; 3], b: &[f64; 3]| {
            let pairs = a.iter().zip(b);
            pairs
                .map(|(a, b)| a.total_cmp(b))
                .find(|it| it.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        };
        self.monitors.iter().enumerate().max_by(|a, b| order(&rank(a.1), &rank(b.1)))
    }
}

impl ClassMonitor for ShiftMonitor {
    fn evidence(&self) -> [&EProcess; 3] {
        [&self.harm, &self.shift, &self.proven]
    }

    fn difference(&self) -> f64 {
        self.effect.effect().map_or(0.0, |(effect, _)| effect)
    }
}

impl ClassMonitor for PairMonitor {
    fn evidence(&self) -> [&EProcess; 3] {
        [&self.harm, &self.shift, &self.proven]
    }

    fn difference(&self) -> f64 {
        self.effect.effect().map_or(0.0, |(effect, _)| effect)
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::stats::fixed_horizon::margin::Harm;
    use crate::stats::fixed_horizon::margin::Margin;
    use crate::stats::sequential::shift_monitor::ShiftMargins;

    const MARGINS: ShiftMargins = ShiftMargins {
        harmful: Margin { relative: 0.5, absolute: 0.1 },
        tolerated: Margin { relative: 0.2, absolute: 0.05 },
        accepted: Margin { relative: 0.5, absolute: 0.1 },
    };

    /// Probabilities of three classes that add up to 1.
    fn row(random: &mut StdRng) -> [f64; 3] {
        let parts: [f64; 3] = std::array::from_fn(|_| random.random::<f64>() + 1e-3);
        let sum: f64 = parts.iter().sum();
        parts.map(|part| part / sum)
    }

    /// The monitors after 200 ticks of nine rows of stable and three of the canary, whose rows are changed.
    fn run(seed: u64, change: impl Fn([f64; 3]) -> [f64; 3]) -> Classes<ShiftMonitor> {
        let mut random = StdRng::seed_from_u64(seed);
        let monitors = (0..3).map(|_| ShiftMonitor::new(Harm::Either, MARGINS)).collect();
        let mut classes = Classes::new(monitors);
        for _ in 0..200 {
            let stable: Vec<[f64; 3]> = (0..9).map(|_| row(&mut random)).collect();
            let canary: Vec<[f64; 3]> = (0..3).map(|_| change(row(&mut random))).collect();
            classes.tick(|class, monitor| {
                let of = |rows: &[[f64; 3]]| -> Vec<(f64, u64)> {
                    rows.iter().map(|row| (row[class], 1)).collect()
                };
                monitor.tick(0.25, &of(&canary), &of(&stable));
            });
        }
        classes
    }

    #[test]
    fn equal_classes_shift_less_often_than_alpha_and_pass() {
        let runs = 200;
        let found: Vec<Classes<ShiftMonitor>> =
            (0..runs).map(|seed| run(seed, |row| row)).collect();
        let shifted = found.iter().filter(|one| one.shift.reached(0.05)).count();
        let harmed = found.iter().filter(|one| one.harm.reached(0.05)).count();
        let passed = found.iter().filter(|one| one.proven.reached(0.05)).count();
        assert!(shifted <= 10 && harmed <= 10, "{shifted} {harmed}");
        assert!(passed >= 190, "{passed}");
    }

    #[test]
    fn one_shifted_class_is_found_and_named() {
        for seed in 0..10 {
            // A third of the first class goes to the last one.
            let found = run(seed, |[a, b, c]| [0.3 * a, b, c + 0.7 * a]);
            assert!(found.harm.reached(0.01) && !found.proven.reached(0.05));
            assert!([0, 2].contains(&found.worst().unwrap().0), "{:?}", found.worst());
        }
    }
}
