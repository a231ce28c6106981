//! Summary of one signal of one track: exact moments and a bucketed distribution.
//!
//! A [`Summary`] is what a worker records into, what workers merge, and what every test reads.
//! Its memory is constant in the traffic, and summaries of the same layout add and subtract.

pub(crate) mod histogram;
pub(crate) mod layout;
pub(crate) mod moments;
pub(crate) mod points;

use serde::Deserialize;
use serde::Serialize;

use super::summary::histogram::Histogram;
use super::summary::histogram::LayoutMismatch;
use super::summary::layout::Layout;
use super::summary::moments::Moments;
use super::summary::moments::is_recordable;
use super::summary::points::Points;

/// Moments and histogram of the same values, and how many values could not be recorded.
///
/// ```
/// use serin::stats::Layout;
/// use serin::stats::Summary;
///
/// let mut worker_1 = Summary::new(Layout::Seconds);
/// let mut worker_2 = Summary::new(Layout::Seconds);
/// worker_1.record(0.010);
/// worker_2.record(0.030);
/// worker_2.record(f64::NAN);
/// worker_1.merge(&worker_2)?;
/// assert_eq!((worker_1.count(), worker_1.unrecordable()), (2, 1));
/// assert!((worker_1.mean().unwrap() - 0.020).abs() < 1e-15);
/// assert_eq!(worker_1.quantile(1.0), Some(0.030));
/// # Ok::<(), serin::stats::LayoutMismatch>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Summary {
    moments: Moments,
    histogram: Histogram,
    /// Values that neither records, counted so that a model that answers NaN is noticed.
    unrecordable: u64,
}

impl Summary {
    /// The summary of no values.
    pub fn new(layout: Layout) -> Self {
        Self { moments: Moments::new(), histogram: Histogram::new(layout), unrecordable: 0 }
    }

    /// Adds one value; one that [cannot be recorded](is_recordable) is only counted as such.
    pub fn record(&mut self, value: f64) {
        if is_recordable(value) {
            self.moments.record(value);
            self.histogram.record(value);
        } else {
            self.unrecordable = self.unrecordable.saturating_add(1);
        }
    }

    /// Adds all values of another summary of the same layout.
    pub fn merge(&mut self, other: &Self) -> Result<(), LayoutMismatch> {
        self.histogram.merge(&other.histogram)?;
        self.moments.merge(&other.moments);
        self.unrecordable = self.unrecordable.saturating_add(other.unrecordable);
        Ok(())
    }

    /// The values added since `earlier`, as middles of buckets with counts; `None` if it is not an earlier state.
    pub fn values_since(&self, earlier: &Self) -> Option<Vec<(f64, u64)>> {
        Some(self.histogram.subtract(&earlier.histogram)?.points().as_slice().to_vec())
    }

    /// The exact moments.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// The bucketed distribution.
    pub fn histogram(&self) -> &Histogram {
        &self.histogram
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.moments.count()
    }

    /// How many values were not finite or too large to record.
    pub fn unrecordable(&self) -> u64 {
        self.unrecordable
    }

    /// The exact mean; `None` without values.
    pub fn mean(&self) -> Option<f64> {
        self.moments.mean()
    }

    /// The exact sample standard deviation; `None` below two values.
    pub fn std_dev(&self) -> Option<f64> {
        self.moments.std_dev()
    }

    /// The q-quantile up to the width of a bucket, never outside the smallest and largest value.
    ///
    /// Q(0) and Q(1) are those two exactly. `None` without values or for `q` outside 0 to 1.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let (min, max) = (self.moments.min()?, self.moments.max()?);
        if q == 0.0 {
            return Some(min);
        }
        if q == 1.0 {
            return Some(max);
        }
        self.histogram.quantile(q).map(|middle| middle.clamp(min, max))
    }

    /// The middles of the occupied buckets with their counts, ascending.
    ///
    /// They are not clamped to the extremes as quantiles are: two tracks must see the same value
    /// for the same bucket, or a rank test would find an order within it that was not measured.
    pub fn points(&self) -> Points {
        self.histogram.points()
    }
}

/// The serialized form, not yet checked to describe the same values.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    moments: Moments,
    histogram: Histogram,
    unrecordable: u64,
}

/// The parts of a summary describe different samples.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "the moments count {moments} values and the histogram {histogram}: expected the same number; \
     send the summary as it was serialized"
)]
pub struct CountMismatch {
    moments: u64,
    histogram: u64,
}

impl TryFrom<Parts> for Summary {
    type Error = CountMismatch;

    fn try_from(parts: Parts) -> Result<Self, CountMismatch> {
        let Parts { moments, histogram, unrecordable } = parts;
        if moments.count() == histogram.count() {
            Ok(Self { moments, histogram, unrecordable })
        } else {
            let (moments, histogram) = (moments.count(), histogram.count());
            Err(CountMismatch { moments, histogram })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(values: &[f64]) -> Summary {
        let mut summary = Summary::new(Layout::Seconds);
        values.iter().for_each(|value| summary.record(*value));
        summary
    }

    #[test]
    fn quantiles_stay_between_the_smallest_and_the_largest_value() {
        let constant = summary(&[0.0123; 7]);
        for q in [0.0, 0.01, 0.5, 0.99, 1.0] {
            assert_eq!(constant.quantile(q), Some(0.0123));
        }
        let above_the_range = summary(&[2000.0, 5000.0]);
        assert_eq!(above_the_range.quantile(0.5), Some(2000.0));
        assert_eq!(above_the_range.quantile(1.0), Some(5000.0));
        assert_eq!(summary(&[]).quantile(0.5), None);
    }

    #[test]
    fn the_same_bucket_has_the_same_value_in_every_summary() {
        let (one, other) = (summary(&[0.1001]), summary(&[0.1002]));
        assert_eq!(one.points(), other.points());
    }

    #[test]
    fn values_since_an_earlier_state_are_those_added_later() {
        let earlier = summary(&[0.1, 0.2, f64::NAN]);
        let later = summary(&[0.1, 0.2, f64::NAN, 0.5, f64::NAN]);
        let added = later.values_since(&earlier).unwrap();
        assert_eq!(added, summary(&[0.5]).points().as_slice());
        assert_eq!(earlier.values_since(&later), None);
    }

    #[test]
    fn a_round_trip_changes_nothing_and_mixed_parts_are_refused() {
        let summary = summary(&[0.1, 0.25, f64::INFINITY]);
        let text = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
        let mixed = text.replacen("\"count\":2", "\"count\":3", 1);
        let error = serde_json::from_str::<Summary>(&mixed).unwrap_err().to_string();
        assert!(error.contains("same number"), "{error}");
    }

    #[test]
    fn summaries_of_different_layouts_stay_as_they_are() {
        let mut seconds = summary(&[0.1]);
        let before = seconds.clone();
        assert!(seconds.merge(&Summary::new(Layout::UnitInterval)).is_err());
        assert_eq!(seconds, before);
    }
}
