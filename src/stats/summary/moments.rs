//! Streaming moments: count, mean, variance and extremes.
//!
//! [`Moments`] holds the count, the mean, the sum of squared deviations, the smallest and the
//! largest value: 48 bytes, exact up to rounding, whatever the traffic. Two of them merge into the
//! moments of both samples, so workers can count independently.
//!
//! A value that is not finite, or larger than [`MAX_MAGNITUDE`], is ignored: one of them would
//! turn the mean or the variance into NaN or infinity for good. [`Summary`](super::Summary) counts
//! what was ignored.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

/// The largest absolute value that is recorded. With it the sum of squared deviations stays finite
/// for every count a `u64` can hold: (2e144)^2 * 2^64 < 1e308.
pub const MAX_MAGNITUDE: f64 = 1e144;

/// Whether a value can be recorded: finite, and at most [`MAX_MAGNITUDE`] in absolute value.
pub fn is_recordable(value: f64) -> bool {
    value.abs() <= MAX_MAGNITUDE
}

/// Count, mean, squared deviations, minimum and maximum of a sample, in the unit of its values.
///
/// ```text
/// y = x - origin, origin = the first value
/// record (Welford 1962)          n' = n + 1,  mean' = mean + (y - mean)/n',
///                                m2' = m2 + (y - mean)(y - mean')
/// merge (Chan et al. 1983)       n = a + b,  d = mean_b - mean_a,
///                                mean = mean_a + d b/n,  m2 = m2_a + m2_b + d^2 a b/n
/// ```
///
/// where `mean` is that of y, and `m2` the sum of its squared deviations. No formula subtracts
/// two large sums, and measured from the origin even a mean a billion times the spread keeps its
/// digits.
///
/// Welford (1962), Technometrics 4(3), doi:10.1080/00401706.1962.10490022; Chan, Golub and LeVeque
/// (1983), The American Statistician 37(3), doi:10.1080/00031305.1983.10483115.
///
/// ```
/// use serin::stats::Moments;
///
/// let latency_seconds: Moments = [0.012, 0.015, 0.011, 0.030].into_iter().collect();
/// // numpy.mean(x); numpy.std(x, ddof=1)
/// assert!((latency_seconds.mean().unwrap() - 0.017).abs() < 1e-15);
/// assert!((latency_seconds.std_dev().unwrap() - 0.008_831_760_866_327_848).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Fields")]
pub struct Moments {
    count: u64,
    origin: f64,
    /// The mean measured from the origin.
    mean: f64,
    m2: f64,
    min: f64,
    max: f64,
}

impl Moments {
    /// The moments of no values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one value; ignores one that [cannot be recorded](is_recordable).
    pub fn record(&mut self, value: f64) {
        if !is_recordable(value) {
            return;
        }
        if self.count == 0 {
            *self = Self::of_equal_values(value, 1);
            return;
        }
        self.count = self.count.saturating_add(1);
        let from_origin = value - self.origin;
        let before = from_origin - self.mean;
        self.mean += before / self.count as f64;
        self.m2 += before * (from_origin - self.mean);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds the same value `count` times in constant time.
    pub fn record_many(&mut self, value: f64, count: u64) {
        if count > 0 && is_recordable(value) {
            self.merge(&Self::of_equal_values(value, count));
        }
    }

    /// Adds all values of another sample.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let count = self.count.saturating_add(other.count);
        let share = other.count as f64 / count as f64;
        let shift = other.distance_from(self);
        self.mean += shift * share;
        self.m2 += other.m2 + shift * shift * (self.count as f64 * share);
        self.count = count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The arithmetic mean; `None` without values.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.origin + self.mean)
    }

    /// This mean minus another one, with the digits that subtracting the two numbers would lose;
    /// `None` when either sample is empty.
    pub fn mean_difference(&self, other: &Self) -> Option<f64> {
        (self.count > 0 && other.count > 0).then(|| self.distance_from(other))
    }

    /// The unbiased sample variance `m2 / (n - 1)`; `None` below two values.
    pub fn variance(&self) -> Option<f64> {
        (self.count > 1).then(|| self.m2 / (self.count - 1) as f64)
    }

    /// The square root of [`variance`](Self::variance); `None` below two values.
    pub fn std_dev(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }

    /// The smallest value; `None` without values.
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// The largest value; `None` without values.
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }

    fn of_equal_values(value: f64, count: u64) -> Self {
        Self { count, origin: value, mean: 0.0, m2: 0.0, min: value, max: value }
    }

    /// This mean minus the other one; both samples have values.
    fn distance_from(&self, other: &Self) -> f64 {
        (self.origin - other.origin) + (self.mean - other.mean)
    }
}

impl Extend<f64> for Moments {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.record(value));
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut moments = Self::new();
        moments.extend(values);
        moments
    }
}

/// The serialized form, not yet checked for consistency.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    count: u64,
    origin: f64,
    mean: f64,
    m2: f64,
    min: f64,
    max: f64,
}

/// Numbers that are not the moments of any sample.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "no sample has {numbers}: expected finite numbers with min <= origin + mean <= max and \
     0 <= m2 <= count (max - min)^2, all zero for an empty sample; send the moments as they were \
     serialized"
)]
pub struct ImpossibleMoments {
    numbers: String,
}

impl TryFrom<Fields> for Moments {
    type Error = ImpossibleMoments;

    fn try_from(fields: Fields) -> Result<Self, ImpossibleMoments> {
        let Fields { count, origin, mean, m2, min, max } = fields;
        let recordable = [origin, origin + mean, min, max].into_iter().all(is_recordable);
        // The mean of equal values may be off by a rounding, hence the slack.
        let slack = 1e-9 * min.abs().max(max.abs());
        let ordered = min <= max && (min - slack..=max + slack).contains(&(origin + mean));
        let possible = match count {
            0 => [origin, mean, m2, min, max] == [0.0; 5],
            1 => recordable && ordered && m2 == 0.0,
            // No value is farther from the mean than the whole range.
            _ => recordable && ordered && (0.0..=count as f64 * (max - min).powi(2)).contains(&m2),
        };
        if possible {
            Ok(Self { count, origin, mean, m2, min, max })
        } else {
            Err(ImpossibleMoments { numbers: format!("{fields:?}") })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn close(left: f64, right: f64, scale: f64) -> bool {
        (left - right).abs() <= 1e-9 * scale.max(f64::MIN_POSITIVE)
    }

    proptest! {
        #[test]
        fn merging_the_parts_equals_recording_the_whole(
            values in vec(-1e3..1e3_f64, 2..200),
            cuts in vec(0..200_usize, 0..4),
        ) {
            let whole: Moments = values.iter().copied().collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|&cut| cut.min(values.len())).collect();
            cuts.extend([0, values.len()]);
            cuts.sort_unstable();
            let mut merged = Moments::new();
            for pair in cuts.windows(2) {
                merged.merge(&values[pair[0]..pair[1]].iter().copied().collect());
            }
            prop_assert_eq!(merged.count(), whole.count());
            prop_assert_eq!((merged.min(), merged.max()), (whole.min(), whole.max()));
            prop_assert!(close(merged.mean().unwrap(), whole.mean().unwrap(), 1e3));
            prop_assert!(close(merged.m2, whole.m2, whole.m2));
        }

    }

    #[test]
    fn a_large_offset_does_not_eat_the_variance() {
        let moments: Moments = [4.0, 7.0, 13.0, 16.0].map(|x| x + 1e9).into_iter().collect();
        assert_eq!((moments.mean(), moments.variance()), (Some(1e9 + 10.0), Some(30.0)));

        // A mean of 1/3 above a billion, which an f64 itself holds to 7 digits only.
        let above: Moments = [0.0, 0.0, 1.0].map(|x| x + 1e9).into_iter().collect();
        let below: Moments = [0.0, -1.0].map(|x| x + 1e9).into_iter().collect();
        let difference = above.mean_difference(&below).unwrap();
        assert!((difference - 5.0 / 6.0).abs() < 1e-15);
        assert!((above.variance().unwrap() - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn values_that_would_poison_the_sample_are_ignored() {
        let poison = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e200, -1e145];
        let mut moments: Moments = poison.into_iter().chain([1.0, 3.0]).collect();
        poison.iter().for_each(|&value| moments.record_many(value, 5));
        assert_eq!((moments.count(), moments.variance()), (2, Some(2.0)));

        let mut extreme = Moments::new();
        extreme.record_many(MAX_MAGNITUDE, u64::MAX / 2);
        extreme.record_many(-MAX_MAGNITUDE, u64::MAX / 2);
        assert!(extreme.variance().unwrap().is_finite());
    }

    #[test]
    fn too_few_values_have_no_variance() {
        let mut moments = Moments::new();
        assert_eq!((moments.mean(), moments.variance(), moments.min()), (None, None, None));
        moments.record(2.5);
        assert_eq!((moments.mean(), moments.variance()), (Some(2.5), None));
        moments.record_many(2.5, 99);
        assert_eq!((moments.count(), moments.variance()), (100, Some(0.0)));
    }

    #[test]
    fn moments_survive_a_round_trip_and_impossible_ones_are_refused() {
        let moments: Moments = [0.1, 0.2, 0.4].into_iter().collect();
        let text = serde_json::to_string(&moments).unwrap();
        assert_eq!(serde_json::from_str::<Moments>(&text).unwrap(), moments);
        for hostile in [
            r#"{"count":0,"origin":0.0,"mean":1.0,"m2":0.0,"min":0.0,"max":0.0}"#,
            r#"{"count":2,"origin":0.0,"mean":1.0,"m2":-1.0,"min":0.0,"max":2.0}"#,
            r#"{"count":2,"origin":0.0,"mean":3.0,"m2":1.0,"min":0.0,"max":2.0}"#,
            r#"{"count":2,"origin":0.0,"mean":1.0,"m2":1e308,"min":0.0,"max":2.0}"#,
            r#"{"count":2,"origin":1e200,"mean":-1e200,"m2":1.0,"min":-1.0,"max":2.0}"#,
            r#"{"count":2,"origin":0.0,"mean":1e300,"m2":1.0,"min":0.0,"max":1e300}"#,
        ] {
            assert!(serde_json::from_str::<Moments>(hostile).is_err(), "{hostile}");
        }
    }
}
