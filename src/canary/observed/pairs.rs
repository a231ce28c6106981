//! Pairs: the answers of both versions to the same requests, summarized in constant memory.
//!
//! In shadow, stable answers a request and the canary gets a copy in the background. Such a *pair* is more
//! informative than two answers to two requests, because the request's own difficulty cancels.

use serde::Deserialize;
use serde::Serialize;

use super::gaps::Difference;
use super::gaps::Gaps;
use super::gaps::Seconds;
use super::outputs::Numbers;
use super::samples::Failure;
use super::samples::Failures;
use crate::stats::Layout;
use crate::stats::LayoutMismatch;
use crate::stats::Summary;

/// The answers of both versions to one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair<'a> {
    /// Stable's answers, one for each row.
    pub stable: Answers<'a>,
    /// The canary's, in the same order and of the same kind.
    pub canary: Answers<'a>,
    /// Stable's latency per row, in seconds.
    pub stable_seconds: f64,
    /// The canary's latency per row, in seconds.
    pub canary_seconds: f64,
}

/// The answers of a version to the rows of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answers<'a> {
    /// A probability for each row; the label is 1 from the threshold on.
    Probability {
        /// The probabilities.
        rows: &'a [f64],
        /// The threshold.
        threshold: f64,
    },
    /// A probability for each class and row; the label is the class with the largest, the first of equal ones.
    Probabilities {
        /// The probabilities, row by row.
        numbers: &'a [f64],
        /// How many classes.
        classes: usize,
    },
    /// A score for each row.
    Score {
        /// The scores.
        rows: &'a [f64],
    },
}

impl<'a> Answers<'a> {
    /// How many rows.
    pub fn rows(&self) -> usize {
        match self {
            Answers::Probability { rows, .. } | Answers::Score { rows } => rows.len(),
            Answers::Probabilities { numbers, classes } => numbers.len() / (*classes).max(1),
        }
    }

    /// The numbers of a row.
    pub fn row(&self, row: usize) -> &'a [f64] {
        let (numbers, width) = match *self {
            Answers::Probability { rows, .. } | Answers::Score { rows } => (rows, 1),
            Answers::Probabilities { numbers, classes } => (numbers, classes),
        };
        let from = row.saturating_mul(width);
        numbers.get(from..from.saturating_add(width)).unwrap_or_default()
    }

    /// The label of a row as a number: 0 or 1, or which class; `None` for a score.
    pub fn label(&self, row: usize) -> Option<usize> {
        let numbers = self.row(row);
        match self {
            Answers::Probability { threshold, .. } => {
                numbers.first().map(|score| usize::from(score >= threshold))
            }
            Answers::Probabilities { .. } => {
                let first_largest = |best: usize, place: usize| {
                    if numbers[place] > numbers[best] { place } else { best }
                };
                (0..numbers.len()).reduce(first_largest)
            }
            Answers::Score { .. } => None,
        }
    }
}

impl Pair<'_> {
    /// The mean difference of the rows, canary minus stable; 0 without rows. Of many classes that of the class that
    /// differs most in each row.
    pub fn difference(&self) -> f64 {
        (0..self.stable.rows()).map(|row| self.difference_at(row)).sum::<f64>() / self.rows()
    }

    /// The mean difference of a class.
    fn of_class(&self, class: usize) -> f64 {
        let at = |row| self.differences(row).nth(class).unwrap_or_default();
        (0..self.stable.rows()).map(at).sum::<f64>() / self.rows()
    }

    /// The row with the largest difference, and the difference.
    pub fn largest(&self) -> Option<(usize, f64)> {
        let rows = (0..self.stable.rows()).map(|row| self.difference_at(row));
        rows.enumerate().max_by(|(_, one), (_, other)| one.abs().total_cmp(&other.abs()))
    }

    /// The difference at a row: of many classes that of the class that differs most.
    pub fn difference_at(&self, row: usize) -> f64 {
        let largest = self.differences(row).max_by(|a, b| a.abs().total_cmp(&b.abs()));
        largest.unwrap_or_default()
    }

    fn differences(&self, row: usize) -> impl Iterator<Item = f64> {
        let pairs = self.stable.row(row).iter().zip(self.canary.row(row));
        pairs.map(|(stable, canary)| canary - stable)
    }

    /// Whether this row's label differs.
    pub fn flips_at(&self, row: usize) -> bool {
        self.stable.label(row) != self.canary.label(row)
    }

    /// The share of the rows whose label differs.
    pub fn flips(&self) -> f64 {
        (0..self.stable.rows()).filter(|row| self.flips_at(*row)).count() as f64 / self.rows()
    }

    fn rows(&self) -> f64 {
        self.stable.rows().max(1) as f64
    }
}

/// Summary of all pairs. The rows of a request make one value, because they were assigned together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pairs {
    /// Requests that stable had answered and the canary failed.
    pub failures: Failures,
    /// Probabilities or scores, canary minus stable; of many classes that of the class that differs most.
    pub differences: Summary,
    /// Shares of rows whose label differs.
    pub flips: Summary,
    /// The largest difference of any row, not rounded to a bucket.
    pub largest: f64,
    /// Stable's latencies per row, in seconds.
    pub stable_latency: Summary,
    /// The canary's latencies per row, in seconds.
    pub canary_latency: Summary,
    /// The differences of each class, or of scores of any size; `None` for one probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Box<Numbers>>,
}

impl Default for Pairs {
    fn default() -> Pairs {
        Pairs {
            failures: Failures::default(),
            differences: Summary::new(Layout::Difference),
            flips: Summary::new(Layout::Difference),
            largest: 0.0,
            stable_latency: Summary::new(Layout::Seconds),
            canary_latency: Summary::new(Layout::Seconds),
            numbers: None,
        }
    }
}

impl Pairs {
    /// Counts a pair.
    pub fn record(&mut self, pair: &Pair<'_>) {
        self.differences.record(pair.difference());
        self.flips.record(pair.flips());
        match pair.stable {
            Answers::Probability { .. } => {}
            Answers::Probabilities { classes, .. } => {
                let begin = || Box::new(Numbers::of_classes(classes, Layout::Difference));
                let numbers = self.numbers.get_or_insert_with(begin);
                numbers.record_classes((0..classes).map(|class| pair.of_class(class)));
            }
            Answers::Score { .. } => {
                let begin = || Box::new(Numbers::of_scores());
                self.numbers.get_or_insert_with(begin).record_score(pair.difference());
            }
        }
        self.stable_latency.record(pair.stable_seconds);
        self.canary_latency.record(pair.canary_seconds);
        if let Some((_, largest)) = pair.largest()
            && largest.abs() > self.largest.abs()
        {
            self.largest = largest;
        }
    }

    /// Counts a request that the canary failed.
    pub fn record_failure(&mut self, failure: Failure) {
        self.failures.count(failure);
    }

    /// Requests that both versions answered.
    pub fn answered(&self) -> u64 {
        self.differences.count()
    }

    /// Requests that the canary was asked in shadow.
    pub fn asked(&self) -> u64 {
        self.answered().saturating_add(self.failures.total())
    }

    /// Adds what was seen at another time.
    ///
    /// # Errors
    /// When the other's histograms have other buckets.
    pub fn merge(&mut self, other: &Pairs) -> Result<(), LayoutMismatch> {
        self.differences.merge(&other.differences)?;
        self.flips.merge(&other.flips)?;
        self.stable_latency.merge(&other.stable_latency)?;
        self.canary_latency.merge(&other.canary_latency)?;
        Numbers::merge_into(&mut self.numbers, other.numbers.as_deref())?;
        self.failures.merge(&other.failures);
        if other.largest.abs() > self.largest.abs() {
            self.largest = other.largest;
        }
        Ok(())
    }

    /// Whether its buckets are those of the current layout, and every pair has all its values.
    pub fn is_sound(&self) -> bool {
        let answered = self.answered();
        let counts = [&self.flips, &self.stable_latency, &self.canary_latency].map(Summary::count);
        Pairs::default().merge(self).is_ok()
            && counts.iter().all(|count| *count == answered)
            && self.largest.is_finite()
            && self.numbers.as_deref().is_none_or(|it| it.is_sound(Layout::Difference))
    }
}

/// The pairs between two moments. Values have counts; each is the middle of its bucket, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PairsIncrement {
    /// Requests that the canary failed.
    pub failures: u64,
    /// Differences of the pairs.
    #[serde(with = "Gaps::<Difference>")]
    pub differences: Vec<(f64, u64)>,
    /// Their shares of flipped labels.
    #[serde(with = "Gaps::<Difference>")]
    pub flips: Vec<(f64, u64)>,
    /// Stable's latencies in seconds.
    #[serde(with = "Gaps::<Seconds>")]
    pub stable_latency: Vec<(f64, u64)>,
    /// The canary's latencies in seconds.
    #[serde(with = "Gaps::<Seconds>")]
    pub canary_latency: Vec<(f64, u64)>,
}

impl PairsIncrement {
    /// The pairs between two moments; `None` if `earlier` is not earlier.
    pub fn between(earlier: &Pairs, now: &Pairs) -> Option<PairsIncrement> {
        Some(PairsIncrement {
            failures: now.failures.total().checked_sub(earlier.failures.total())?,
            differences: now.differences.values_since(&earlier.differences)?,
            flips: now.flips.values_since(&earlier.flips)?,
            stable_latency: now.stable_latency.values_since(&earlier.stable_latency)?,
            canary_latency: now.canary_latency.values_since(&earlier.canary_latency)?,
        })
    }

    /// Whether there was no pair and no failure.
    pub fn is_empty(&self) -> bool {
        *self == PairsIncrement::default()
    }

    /// Requests that both versions answered.
    pub fn answered(&self) -> u64 {
        self.differences.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair<'a>(stable: &'a [f64], canary: &'a [f64]) -> Pair<'a> {
        Pair {
            stable: Answers::Probability { rows: stable, threshold: 0.5 },
            canary: Answers::Probability { rows: canary, threshold: 0.4 },
            stable_seconds: 0.001,
            canary_seconds: 0.002,
        }
    }

    #[test]
    fn the_rows_of_a_request_make_one_pair_and_each_version_uses_its_own_threshold() {
        let mut pairs = Pairs::default();
        pairs.record(&pair(&[0.4, 0.6, 0.1, 0.45], &[0.45, 0.2, 0.1, 0.45]));
        pairs.record(&pair(&[0.9], &[0.9]));
        pairs.record_failure(Failure::Panic);
        assert_eq!((pairs.answered(), pairs.asked()), (2, 3));
        // Scores 0.4 and 0.45 are label 0 for stable and label 1 for the canary.
        assert_eq!(pairs.flips.mean(), Some(0.375));
        assert!((pairs.differences.mean().unwrap() + 0.35 / 8.0).abs() < 1e-12);
        assert!((pairs.largest + 0.4).abs() < 1e-12);
        assert!(pairs.is_sound());
        pairs.flips.record(0.5);
        assert!(!pairs.is_sound());
    }

    #[test]
    fn equal_answers_have_a_difference_of_exactly_zero() {
        let mut pairs = Pairs::default();
        (0..100).for_each(|n| {
            pairs.record(&pair(&[f64::from(n) / 99.0; 3], &[f64::from(n) / 99.0; 3]))
        });
        let increment = PairsIncrement::between(&Pairs::default(), &pairs).unwrap();
        assert_eq!((increment.differences, increment.failures), (vec![(0.0, 100)], 0));
    }

    #[test]
    fn each_class_has_its_differences_and_a_label_flips_with_the_largest_probability() {
        let mut pairs = Pairs::default();
        let of = |numbers| Answers::Probabilities { numbers, classes: 3 };
        let (stable, canary) =
            (of(&[0.5, 0.3, 0.2, 0.4, 0.4, 0.2]), of(&[0.3, 0.5, 0.2, 0.4, 0.4, 0.2]));
        pairs.record(&Pair { stable, canary, stable_seconds: 0.001, canary_seconds: 0.001 });
        assert_eq!(
            (stable.label(0), canary.label(0), canary.label(1)),
            (Some(0), Some(1), Some(0))
        );
        assert_eq!((pairs.flips.mean(), pairs.answered()), (Some(0.5), 1));
        let classes = pairs.numbers.as_ref().unwrap().classes();
        let means: Vec<f64> = classes.iter().map(|one| one.mean().unwrap()).collect();
        assert!(
            means.iter().zip([-0.1, 0.1, 0.0]).all(|(a, b)| (a - b).abs() < 1e-12),
            "{means:?}"
        );
        assert!(pairs.is_sound() && (pairs.largest.abs() - 0.2).abs() < 1e-12);
        let text = serde_json::to_string(&pairs).unwrap();
        assert_eq!(serde_json::from_str::<Pairs>(&text).unwrap(), pairs);
    }

    #[test]
    fn scores_differ_in_their_unit_and_have_no_label() {
        let mut pairs = Pairs::default();
        let (stable, canary) =
            (Answers::Score { rows: &[100.0, 200.0] }, Answers::Score { rows: &[150.0, 190.0] });
        pairs.record(&Pair { stable, canary, stable_seconds: 0.001, canary_seconds: 0.001 });
        assert_eq!((pairs.flips.mean(), pairs.largest), (Some(0.0), 50.0));
        assert_eq!(pairs.differences.mean(), Some(20.0));
        assert_eq!(pairs.numbers.as_ref().unwrap().score().unwrap().mean(), Some(20.0));
        assert!(pairs.is_sound());
    }

    #[test]
    fn pairs_of_two_times_merge_and_subtract() {
        let (mut first, mut second) = (Pairs::default(), Pairs::default());
        first.record(&pair(&[0.2], &[0.3]));
        second.record(&pair(&[0.2], &[0.1]));
        second.record_failure(Failure::Deadline);
        let mut both = first.clone();
        both.merge(&second).unwrap();
        assert_eq!((both.answered(), both.failures.deadline), (2, 1));
        let since = PairsIncrement::between(&first, &both).unwrap();
        assert_eq!(Some(since), PairsIncrement::between(&Pairs::default(), &second));
        assert_eq!(PairsIncrement::between(&both, &first), None);
        let text = serde_json::to_string(&both).unwrap();
        assert_eq!(serde_json::from_str::<Pairs>(&text).unwrap(), both);
    }
}
