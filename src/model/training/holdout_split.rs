//! Split into training rows and holdout.

use std::fmt;

use super::random::Stream;

/// How rows are held out for evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holdout {
    /// This share of the rows, drawn at random with the seed; above 0 and below 1.
    Fraction(f64),
    /// Every n-th row: those with `index % n == n - 1`; n at least 2.
    Every(usize),
}

impl Default for Holdout {
    fn default() -> Self {
        Self::Fraction(0.2)
    }
}

impl fmt::Display for Holdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fraction(fraction) => write!(f, "{:.1} % at random", 100.0 * fraction),
            Self::Every(n) => write!(f, "every row with index % {n} = {}", n - 1),
        }
    }
}

/// Row numbers, ascending in both parts.
pub(crate) struct Split {
    pub(crate) training: Vec<usize>,
    pub(crate) holdout: Vec<usize>,
}

/// Splits `rows` rows.
pub(crate) fn split(rows: usize, holdout: Holdout, seed: u64) -> Split {
    let mut held = vec![false; rows];
    match holdout {
        Holdout::Fraction(fraction) => {
            let mut order: Vec<usize> = (0..rows).collect();
            Stream::new(seed).shuffle(&mut order);
            let count = (rows as f64 * fraction).round() as usize;
            order.into_iter().take(count).for_each(|row| held[row] = true);
        }
        Holdout::Every(n) => held.iter_mut().skip(n - 1).step_by(n).for_each(|row| *row = true),
    }
    let (holdout, training) = (0..rows).partition(|row| held[*row]);
    Split { training, holdout }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_part_and_shares_are_exact() {
        for (holdout, expected) in [
            (Holdout::Fraction(0.2), 20),
            (Holdout::Fraction(0.255), 26),
            (Holdout::Every(5), 20),
            (Holdout::Every(7), 14),
        ] {
            let split = split(100, holdout, 1);
            assert_eq!(split.holdout.len(), expected, "{holdout}");
            let mut all = [split.training, split.holdout].concat();
            all.sort_unstable();
            assert_eq!(all, (0..100).collect::<Vec<_>>(), "{holdout}");
        }
    }

    #[test]
    fn every_fifth_row_is_the_fifth() {
        assert_eq!(split(12, Holdout::Every(5), 1).holdout, [4, 9]);
    }

    #[test]
    fn a_seed_gives_one_split_and_another_seed_another() {
        let held = |seed| split(1000, Holdout::default(), seed).holdout;
        assert_eq!(held(1), held(1));
        assert_ne!(held(1), held(2));
    }
}
