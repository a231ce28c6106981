//! Split into training rows and holdout.

use std::fmt;

use super::random::Stream;

/// How rows are held out for evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holdout {
    /// This share of the rows of each class, drawn at random with the seed; above 0 and below 1.
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
            Self::Fraction(fraction) => {
                write!(f, "{:.1} % of each class at random", 100.0 * fraction)
            }
            Self::Every(n) => write!(f, "every row with index % {n} = {}", n - 1),
        }
    }
}

/// Row numbers, ascending in both parts.
pub(crate) struct Split {
    pub(crate) training: Vec<usize>,
    pub(crate) holdout: Vec<usize>,
}

/// Splits the rows with these labels: whether a row is positive, or the place of its class.
pub(crate) fn split<L: Copy + Into<u8>>(labels: &[L], holdout: Holdout, seed: u64) -> Split {
    let class_of = |row: &usize| -> u8 { labels[*row].into() };
    let mut held = vec![false; labels.len()];
    match holdout {
        Holdout::Fraction(fraction) => {
            let mut stream = Stream::new(seed);
            let last = (0..labels.len()).map(|row| class_of(&row)).max().unwrap_or_default();
            for class in 0..=last {
                let mut order: Vec<usize> =
                    (0..labels.len()).filter(|row| class_of(row) == class).collect();
                stream.shuffle(&mut order);
                let count = share(order.len(), fraction);
                order.into_iter().take(count).for_each(|row| held[row] = true);
            }
        }
        Holdout::Every(n) => held.iter_mut().skip(n - 1).step_by(n).for_each(|row| *row = true),
    }
    let (holdout, training) = (0..labels.len()).partition(|row| held[*row]);
    Split { training, holdout }
}

/// A share of the rows, but at least one of two rows on each side.
fn share(rows: usize, fraction: f64) -> usize {
    let count = (rows as f64 * fraction).round() as usize;
    if rows < 2 { count } else { count.clamp(1, rows - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alternating(rows: usize) -> Vec<bool> {
        (0..rows).map(|row| row % 2 == 0).collect()
    }

    #[test]
    fn both_parts_have_the_same_share_of_each_class_and_never_none_of_a_rare_one() {
        for positives in [2, 5, 50, 500] {
            let labels: Vec<bool> = (0..1000).map(|row| row % (1000 / positives) == 0).collect();
            let split = split(&labels, Holdout::default(), 7);
            let held = split.holdout.iter().filter(|row| labels[**row]).count();
            assert_eq!(held, (positives / 5).max(1), "{positives} positives");
        }
    }

    #[test]
    fn every_row_is_in_one_part_and_shares_are_exact() {
        for (holdout, expected) in [
            (Holdout::Fraction(0.2), 20),
            (Holdout::Fraction(0.26), 26),
            (Holdout::Every(5), 20),
            (Holdout::Every(7), 14),
        ] {
            let split = split(&alternating(100), holdout, 1);
            assert_eq!(split.holdout.len(), expected, "{holdout}");
            let mut all = [split.training, split.holdout].concat();
            all.sort_unstable();
            assert_eq!(all, (0..100).collect::<Vec<_>>(), "{holdout}");
        }
    }

    #[test]
    fn every_fifth_row_is_the_fifth() {
        assert_eq!(split(&alternating(12), Holdout::Every(5), 1).holdout, [4, 9]);
    }

    #[test]
    fn a_seed_gives_one_split_and_another_seed_another() {
        let held = |seed| split(&alternating(1000), Holdout::default(), seed).holdout;
        assert_eq!(held(1), held(1));
        assert_ne!(held(1), held(2));
    }
}
