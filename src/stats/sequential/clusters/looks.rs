//! Looks at keys that come back: when, and the e-process of all of them.
//!
//! ```text
//! looks  : at 100 visits of the track with fewer, and each time they have grown by half
//! w_i    = sqrt(3) (1 / sqrt(i + 2) - 1 / sqrt(i + 3)),  sum over all i = 1:    .134 .090 .066 .051 .042 ..
//! e_i    = 1 / a_i if p_i <= a_i, else 0                 a_i = level w_i / 2
//! E_keys = 1 - sum of w_i of the looks so far + sum of w_i e_i
//! E      = ( E_first + stake E_keys ) / 2                stake = E_first when the first key came, usually 1
//! ```
//!
//! Each e_i has an expectation of at most 1 if p_i is a p-value, so E_keys has one however the looks depend on each
//! other, and at any time, because what is still in reserve has that expectation, too. So keys may be looked at again in
//! the next step, although they stay where they were drawn. One look with p_i <= a_i brings E to 1/level by itself.

use serde::Deserialize;
use serde::Serialize;

use crate::stats::sequential::EProcess;
use crate::stats::sequential::log_weighted_mean_exp;

/// When to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looks {
    taken: u32,
    next: u64,
}

impl Default for Looks {
    fn default() -> Looks {
        Looks { taken: 0, next: Looks::FIRST }
    }
}

impl Looks {
    /// Visits of each track before the first look.
    const FIRST: u64 = 100;

    /// The visits of each track at which the next look is due.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Waits for the next look at these visits without one, because too few keys came.
    pub fn skip(&mut self, visits: u64) {
        self.next = self.next.max(visits.saturating_add(visits / 2)).max(Looks::FIRST);
    }

    /// Takes a look at these visits; its share of the level.
    pub fn take(&mut self, visits: u64) -> f64 {
        self.skip(visits);
        self.taken = self.taken.saturating_add(1);
        let part = |n: f64| 1.0 / (f64::from(self.taken) + n).sqrt();
        3.0_f64.sqrt() * (part(2.0) - part(3.0))
    }

    /// Begins again with the visits of another share, whose looks take what the ones before have left of the level.
    pub fn restart(&mut self) {
        self.next = Looks::FIRST;
    }
}

/// Evidence of first visits and of all visits of keys, together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyedEvidence {
    /// ln of the stake.
    stake: f64,
    /// The shares of the looks so far.
    spent: f64,
    /// The sum of w e.
    won: f64,
    /// Of both.
    pub evidence: EProcess,
}

impl KeyedEvidence {
    /// Begins when the first key comes, with the evidence of first visits before it.
    pub fn beginning(first: &EProcess) -> KeyedEvidence {
        KeyedEvidence { stake: first.log_e().min(0.0), spent: 0.0, won: 0.0, evidence: *first }
    }

    /// Takes in a look with this p-value and share.
    pub fn look(&mut self, p: f64, share: f64, level: f64) {
        self.spent += share;
        let threshold = level * share * self.stake.exp() / 2.0;
        if threshold > 0.0 && p <= threshold {
            self.won += share / threshold;
        }
    }

    /// Takes in the evidence of first visits after a tick.
    pub fn observe(&mut self, first: &EProcess) {
        let of_keys = self.stake + (1.0 - self.spent + self.won).max(0.0).ln();
        self.evidence.observe(log_weighted_mean_exp(&[first.log_e(), of_keys], [0.5, 0.5]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_all_looks_sum_to_one() {
        let mut looks = Looks::default();
        let shares: Vec<f64> = (0..10_000).map(|_| looks.take(0)).collect();
        assert!((shares[0] - 0.134).abs() < 1e-3 && (shares[9] - 0.0196).abs() < 1e-3);
        let sum: f64 = shares.iter().sum();
        assert!((0.98..1.0).contains(&sum), "{sum}");
        assert!(shares.windows(2).all(|pair| pair[1] < pair[0]));
    }

    #[test]
    fn looks_are_geometric_in_each_step() {
        let mut looks = Looks::default();
        assert_eq!(looks.next(), 100);
        looks.take(100);
        assert_eq!(looks.next(), 150);
        looks.skip(1000);
        assert_eq!(looks.next(), 1500);
        looks.restart();
        assert_eq!(looks.next(), 100);
    }

    #[test]
    fn one_look_below_its_part_of_the_level_decides_and_others_cost_little() {
        let mut first = EProcess::default();
        first.observe(-4.0);
        let mut looks = Looks::default();
        let mut evidence = KeyedEvidence::beginning(&first);
        let share = looks.take(100);
        let part = 0.05 * share * (-4.0_f64).exp() / 2.0;
        evidence.look(1.01 * part, share, 0.05);
        evidence.observe(&first);
        assert!(!evidence.evidence.reached(0.05));
        let share = looks.take(150);
        evidence.look(0.0, share, 0.05);
        evidence.observe(&first);
        assert!(evidence.evidence.reached(0.05) && !evidence.evidence.reached(0.04));
    }

    /// E_keys of uniform p-values, which depend on each other as much as they can.
    #[test]
    fn the_expectation_is_at_most_one() {
        let (mut sum, steps) = (0.0, 40_000_u32);
        for step in 0..steps {
            let p = (f64::from(step) + 0.5) / f64::from(steps);
            let mut looks = Looks::default();
            let mut evidence = KeyedEvidence::beginning(&EProcess::default());
            (0..30).for_each(|_| evidence.look(p, looks.take(0), 0.05));
            sum += 1.0 - evidence.spent + evidence.won;
        }
        let mean = sum / f64::from(steps);
        assert!((0.9..1.02).contains(&mean), "{mean}");
    }
}
