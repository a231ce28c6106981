//! What did both versions say to the same requests? The summary of a shadow: constant in size, and
//! those of two times merge.
//!
//! In shadow a request is answered by stable, and the canary is asked the same in the background. Such
//! a *pair* tells more than two answers to two requests, because what is peculiar to the request cancels.

use serde::Deserialize;
use serde::Serialize;

use super::samples::Failure;
use super::samples::Failures;
use crate::stats::Layout;
use crate::stats::LayoutMismatch;
use crate::stats::Summary;

/// One request and what both versions said to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair<'a> {
    /// Stable's probabilities, one for each row.
    pub stable: &'a [f64],
    /// The canary's, in the same order.
    pub canary: &'a [f64],
    /// At and above it stable's label is 1.
    pub stable_threshold: f64,
    /// At and above it the canary's label is 1.
    pub canary_threshold: f64,
    /// Seconds that stable took for a row.
    pub stable_seconds: f64,
    /// Seconds that the canary took for a row.
    pub canary_seconds: f64,
}

impl Pair<'_> {
    /// The mean difference of the rows, canary less stable; 0 without rows.
    pub fn difference(&self) -> f64 {
        let rows = self.stable.iter().zip(self.canary);
        rows.map(|(stable, canary)| canary - stable).sum::<f64>() / self.rows()
    }

    /// The row that differs most, and its difference.
    pub fn largest(&self) -> Option<(usize, f64)> {
        let rows = self.stable.iter().zip(self.canary).map(|(stable, canary)| canary - stable);
        rows.enumerate().max_by(|(_, one), (_, other)| one.abs().total_cmp(&other.abs()))
    }

    /// Whether this row's label differs.
    pub fn flips_at(&self, row: usize) -> bool {
        let label =
            |scores: &[f64], threshold: f64| scores.get(row).map(|score| *score >= threshold);
        label(self.stable, self.stable_threshold) != label(self.canary, self.canary_threshold)
    }

    /// The share of the rows whose label differs.
    pub fn flips(&self) -> f64 {
        (0..self.stable.len()).filter(|row| self.flips_at(*row)).count() as f64 / self.rows()
    }

    fn rows(&self) -> f64 {
        self.stable.len().max(1) as f64
    }
}

/// What was seen of all pairs. The rows of a request are one value: they came by one decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pairs {
    /// Requests that stable had answered and the canary failed.
    pub failures: Failures,
    /// Probabilities, canary less stable.
    pub differences: Summary,
    /// Shares of rows whose label differs.
    pub flips: Summary,
    /// The largest difference of any row, as it is.
    pub largest: f64,
    /// Seconds a row.
    pub stable_latency: Summary,
    /// Seconds a row.
    pub canary_latency: Summary,
}

impl Default for Pairs {
    fn default() -> Pairs {
        Pairs {
            failures: Failures::default(),
            differences: Summary::new(Layout::DIFFERENCE),
            flips: Summary::new(Layout::DIFFERENCE),
            largest: 0.0,
            stable_latency: Summary::new(Layout::SECONDS),
            canary_latency: Summary::new(Layout::SECONDS),
        }
    }
}

impl Pairs {
    /// Counts a pair.
    pub fn record(&mut self, pair: &Pair<'_>) {
        self.differences.record(pair.difference());
        self.flips.record(pair.flips());
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

    /// Pairs: requests that both have answered.
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
        self.failures.merge(&other.failures);
        if other.largest.abs() > self.largest.abs() {
            self.largest = other.largest;
        }
        Ok(())
    }

    /// Whether it has the buckets of new ones, and each pair every part.
    pub fn is_sound(&self) -> bool {
        let answered = self.answered();
        let counts = [&self.flips, &self.stable_latency, &self.canary_latency].map(Summary::count);
        Pairs::default().merge(self).is_ok()
            && counts.iter().all(|count| *count == answered)
            && self.largest.is_finite()
    }
}

/// What came between two moments. Values stand with their counts, each as the middle of its bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairsIncrement {
    /// Requests that the canary failed.
    pub failures: u64,
    /// Differences of the pairs.
    pub differences: Vec<(f64, u64)>,
    /// Their shares of flipped labels.
    pub flips: Vec<(f64, u64)>,
    /// Stable's seconds.
    pub stable_latency: Vec<(f64, u64)>,
    /// The canary's seconds.
    pub canary_latency: Vec<(f64, u64)>,
}

impl PairsIncrement {
    /// What came between; `None` if the first is not the earlier one.
    pub fn between(earlier: &Pairs, now: &Pairs) -> Option<PairsIncrement> {
        let since = |earlier: &Summary, now: &Summary| {
            let since = now.histogram().subtract(earlier.histogram())?;
            Some(since.points().as_slice().to_vec())
        };
        Some(PairsIncrement {
            failures: now.failures.total().checked_sub(earlier.failures.total())?,
            differences: since(&earlier.differences, &now.differences)?,
            flips: since(&earlier.flips, &now.flips)?,
            stable_latency: since(&earlier.stable_latency, &now.stable_latency)?,
            canary_latency: since(&earlier.canary_latency, &now.canary_latency)?,
        })
    }

    /// Whether there was no pair and no failure.
    pub fn is_empty(&self) -> bool {
        *self == PairsIncrement::default()
    }

    /// Pairs: requests that both have answered.
    pub fn answered(&self) -> u64 {
        self.differences.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair<'a>(stable: &'a [f64], canary: &'a [f64]) -> Pair<'a> {
        Pair {
            stable,
            canary,
            stable_threshold: 0.5,
            canary_threshold: 0.4,
            stable_seconds: 0.001,
            canary_seconds: 0.002,
        }
    }

    #[test]
    fn the_rows_of_a_request_are_one_pair_and_each_version_has_its_own_threshold() {
        let mut pairs = Pairs::default();
        pairs.record(&pair(&[0.4, 0.6, 0.1, 0.45], &[0.45, 0.2, 0.1, 0.45]));
        pairs.record(&pair(&[0.9], &[0.9]));
        pairs.record_failure(Failure::Panic);
        assert_eq!((pairs.answered(), pairs.asked()), (2, 3));
        // 0.4 and 0.45 are labels 0 of stable's and 1 of the canary's.
        assert_eq!(pairs.flips.mean(), Some(0.375));
        assert!((pairs.differences.mean().unwrap() + 0.35 / 8.0).abs() < 1e-12);
        assert!((pairs.largest + 0.4).abs() < 1e-12);
        assert!(pairs.is_sound());
        pairs.flips.record(0.5);
        assert!(!pairs.is_sound());
    }

    #[test]
    fn equal_answers_differ_by_nothing_at_all() {
        let mut pairs = Pairs::default();
        (0..100).for_each(|n| {
            pairs.record(&pair(&[f64::from(n) / 99.0; 3], &[f64::from(n) / 99.0; 3]))
        });
        let increment = PairsIncrement::between(&Pairs::default(), &pairs).unwrap();
        assert_eq!((increment.differences, increment.failures), (vec![(0.0, 100)], 0));
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
