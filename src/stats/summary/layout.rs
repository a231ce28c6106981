//! Bucket layouts of histograms.
//!
//! Three layouts cover what a model server measures. The **logarithmic** one keeps the relative
//! error the same from a nanosecond to a quarter of an hour: it reads the bucket from the top bits
//! of the `f64` (exponent and first digits of the mantissa), so there is no logarithm to compute.
//! The **symmetric** one is the same and its mirror image: metrics of any size and either sign. The
//! **linear** one keeps the absolute error the same between two bounds: scores.
//!
//! All have a bucket below their range and one above it, so that no recordable value is lost. The
//! logarithmic layout has one more, for zero and negative values; the symmetric one has three
//! between its halves, for zero and what is too near it.

use serde::Deserialize;
use serde::Serialize;

/// The bits of an `f64` below its exponent.
const MANTISSA_BITS: u8 = 52;

/// How a histogram divides the numbers into buckets. Two histograms merge only if theirs are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// For durations in seconds: 0.93 ns to 1,024 s, relative error at most 0.4 %, 41 kB.
    Seconds,
    /// For scores and probabilities: 0 to 1, absolute error at most 0.0005, 8 kB.
    UnitInterval,
    /// For differences of two scores: -1 to 1, absolute error at most 0.0005, 16 kB. No difference has
    /// a bucket of its own, whose middle is 0.
    Difference,
    /// For metrics of unknown size and sign: magnitudes from 0.93e-9 to 1.1e12, positive, negative
    /// and zero, relative error at most 0.8 %, 72 kB.
    Any,
}

enum Shape {
    /// Positive values.
    Logarithmic(Doublings),
    /// The same for positive values, mirrored for negative ones, and zero between them.
    Symmetric(Doublings),
    /// From low to high in `bins` buckets of equal width.
    Linear { low: f64, high: f64, bins: u32 },
}

/// From 2^low to 2^high, each doubling in 2^bits buckets.
struct Doublings {
    low: i16,
    high: i16,
    bits: u8,
}

impl Layout {
    #[inline]
    fn shape(self) -> Shape {
        match self {
            Self::Seconds => Shape::Logarithmic(Doublings { low: -30, high: 10, bits: 7 }),
            Self::UnitInterval => Shape::Linear { low: 0.0, high: 1.0, bins: 1000 },
            Self::Difference => Shape::Linear { low: -1.0, high: 1.0, bins: 2001 },
            Self::Any => Shape::Symmetric(Doublings { low: -30, high: 40, bits: 6 }),
        }
    }

    /// How many buckets there are, those outside the range included.
    pub fn buckets(self) -> usize {
        match self.shape() {
            Shape::Logarithmic(doublings) => doublings.buckets(),
            Shape::Symmetric(magnitudes) => 2 * magnitudes.buckets() - 1,
            Shape::Linear { bins, .. } => bins as usize + 2,
        }
    }

    /// The bucket of a finite value: below [`buckets`](Self::buckets), and never decreasing.
    #[inline]
    pub fn bucket(self, value: f64) -> usize {
        match self.shape() {
            Shape::Logarithmic(doublings) => doublings.bucket(value),
            Shape::Symmetric(magnitudes) => {
                let (zero, distance) = (magnitudes.buckets() - 1, magnitudes.bucket(value.abs()));
                if value < 0.0 { zero - distance } else { zero + distance }
            }
            Shape::Linear { low, high, bins } => {
                if value < low {
                    return 0;
                }
                if value > high {
                    return bins as usize + 1;
                }
                let position = (value - low) / (high - low) * f64::from(bins);
                1 + (position as usize).min(bins as usize - 1)
            }
        }
    }

    /// The representative value of a bucket: its middle; 0 for the bucket of zero and negative
    /// values; the nearest bound of the range for the buckets outside it (for the logarithmic
    /// bucket between 0 and the lower bound, half of that bound). A number beyond the last bucket gives
    /// the value of the last one.
    pub fn value(self, bucket: usize) -> f64 {
        match self.shape() {
            Shape::Logarithmic(doublings) => doublings.value(bucket),
            Shape::Symmetric(magnitudes) => {
                let zero = magnitudes.buckets() - 1;
                let magnitude = magnitudes.value(bucket.abs_diff(zero));
                if bucket < zero { -magnitude } else { magnitude }
            }
            Shape::Linear { low, high, bins } => match bucket {
                0 => low,
                last if last > bins as usize => high,
                inside => low + (high - low) * ((inside as f64 - 0.5) / f64::from(bins)),
            },
        }
    }
}

impl Doublings {
    fn buckets(&self) -> usize {
        let doublings = i32::from(self.high) - i32::from(self.low);
        ((doublings as usize) << self.bits) + 3
    }

    #[inline]
    fn bucket(&self, value: f64) -> usize {
        if value <= 0.0 {
            return 0;
        }
        // Positive floats sort like their bit patterns, so the top bits number the buckets.
        let top_bits = value.to_bits() >> (MANTISSA_BITS - self.bits);
        let lowest = biased(self.low) << self.bits;
        let above = (top_bits + 2).saturating_sub(lowest) as usize;
        above.clamp(1, self.buckets() - 1)
    }

    fn value(&self, bucket: usize) -> f64 {
        match bucket {
            0 => 0.0,
            1 => power_of_two(self.low) / 2.0,
            last if last + 1 >= self.buckets() => power_of_two(self.high),
            inside => {
                let top_bits = (biased(self.low) << self.bits) + inside as u64 - 2;
                let shift = MANTISSA_BITS - self.bits;
                f64::from_bits((top_bits << shift) | (1 << (shift - 1)))
            }
        }
    }
}

/// The exponent field of an `f64` of magnitude `2^exponent`.
fn biased(exponent: i16) -> u64 {
    (i32::from(exponent) + 1023) as u64
}

fn power_of_two(exponent: i16) -> f64 {
    f64::from_bits(biased(exponent) << MANTISSA_BITS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_middle_of_a_bucket_is_within_four_tenths_of_a_percent(
            exponent in -9.0..3.0_f64,
        ) {
            let seconds = 10_f64.powf(exponent);
            let middle = Layout::Seconds.value(Layout::Seconds.bucket(seconds));
            prop_assert!((middle - seconds).abs() <= 0.004 * seconds);
        }

        #[test]
        fn a_value_of_any_size_and_sign_is_within_eight_tenths_of_a_percent(
            exponent in -9.0..12.0_f64, is_negative: bool,
        ) {
            let value = 10_f64.powf(exponent) * if is_negative { -1.0 } else { 1.0 };
            let middle = Layout::Any.value(Layout::Any.bucket(value));
            prop_assert!((middle - value).abs() <= 0.008 * value.abs());
            prop_assert_eq!(Layout::Any.value(Layout::Any.bucket(-value)), -middle);
        }

        #[test]
        fn a_score_is_within_half_a_bin(score in 0.0..=1.0_f64) {
            let middle = Layout::UnitInterval.value(Layout::UnitInterval.bucket(score));
            prop_assert!((middle - score).abs() <= 0.000_500_000_1);
        }

        #[test]
        fn larger_values_never_fall_into_lower_buckets(
            one in proptest::num::f64::NORMAL | proptest::num::f64::ZERO,
            other in -2.0..2.0_f64,
        ) {
            for layout in [Layout::Seconds, Layout::UnitInterval, Layout::Any] {
                let (low, high) = (one.min(other), one.max(other));
                prop_assert!(layout.bucket(low) <= layout.bucket(high));
                prop_assert!(layout.bucket(high) < layout.buckets());
            }
        }
    }

    #[test]
    fn every_middle_falls_into_its_own_bucket_and_ascends() {
        for layout in [Layout::Seconds, Layout::UnitInterval, Layout::Difference, Layout::Any] {
            let values: Vec<f64> = (0..layout.buckets()).map(|i| layout.value(i)).collect();
            assert!(values.is_sorted_by(|left, right| left < right), "{layout:?}");
            for (bucket, value) in values.iter().enumerate().skip(1).rev().skip(1) {
                assert_eq!(layout.bucket(*value), bucket, "{layout:?}");
            }
        }
    }

    #[test]
    fn values_outside_the_range_have_buckets_of_their_own() {
        let last = Layout::Seconds.buckets() - 1;
        for (value, bucket) in
            [(-1.0, 0), (0.0, 0), (5e-324, 1), (1e-10, 1), (1024.0, last), (1e100, last)]
        {
            assert_eq!(Layout::Seconds.bucket(value), bucket, "{value}");
        }
        assert_eq!(Layout::Seconds.bucket(1023.99), last - 1);
        for (value, bucket) in [(-0.1, 0), (0.0, 1), (1.0, 1000), (1.01, 1001)] {
            assert_eq!(Layout::UnitInterval.bucket(value), bucket, "{value}");
        }
        let (zero, last) = (4482, 8964);
        for (value, bucket) in [
            (-1e100, 0),
            (-1e-10, zero - 1),
            (-0.0, zero),
            (0.0, zero),
            (1e-10, zero + 1),
            (1e100, last),
        ] {
            assert_eq!(Layout::Any.bucket(value), bucket, "{value}");
        }
        assert_eq!(Layout::Any.buckets(), last + 1);
    }
}
