//! Serde format of values with counts, as gaps between the buckets of their layout.
//!
//! ```text
//! values = for each, ascending: 2 (empty buckets since the one before) + (1 if the count is not 1),
//!          and the count if it is not 1
//! ```
//!
//! The bucket gives the value back to the bit, because every observed value is the middle of a bucket within the range
//! of its layout.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error;

use crate::stats::Layout;

/// Serde format of values with counts: ascending middles of the buckets of a layout.
pub(super) struct Gaps<L>(PhantomData<L>);

/// A layout by type, for [`Gaps`].
pub(super) trait Buckets {
    /// The layout.
    const LAYOUT: Layout;
}

/// [`Layout::Seconds`].
pub(super) struct Seconds;

/// [`Layout::UnitInterval`].
pub(super) struct UnitInterval;

/// [`Layout::Difference`].
pub(super) struct Difference;

/// [`Layout::Any`].
pub(super) struct Any;

impl Buckets for Seconds {
    const LAYOUT: Layout = Layout::Seconds;
}

impl Buckets for UnitInterval {
    const LAYOUT: Layout = Layout::UnitInterval;
}

impl Buckets for Difference {
    const LAYOUT: Layout = Layout::Difference;
}

impl Buckets for Any {
    const LAYOUT: Layout = Layout::Any;
}

impl<L: Buckets> Gaps<L> {
    /// Writes the values.
    pub(super) fn serialize<S: Serializer>(
        values: &[(f64, u64)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        // Observed values ascend. Whatever is written can be read, in any order.
        let mut counts = BTreeMap::<usize, u64>::new();
        for (value, count) in values {
            let sum = counts.entry(L::LAYOUT.bucket(*value)).or_default();
            *sum = sum.saturating_add(*count);
        }
        let mut numbers = Vec::with_capacity(counts.len());
        let mut next = 0;
        for (bucket, count) in counts {
            numbers.push(2 * (bucket - next) as u64 + u64::from(count != 1));
            if count != 1 {
                numbers.push(count);
            }
            next = bucket + 1;
        }
        numbers.serialize(to)
    }

    /// Reads the values.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(f64, u64)>, D::Error> {
        let numbers = Vec::<u64>::deserialize(from)?;
        let mut values = Vec::with_capacity(numbers.len());
        let mut numbers = numbers.into_iter();
        let mut next = 0;
        while let Some(number) = numbers.next() {
            let bucket = usize::try_from(number / 2).ok().and_then(|gap| gap.checked_add(next));
            let bucket = bucket.filter(|bucket| *bucket < L::LAYOUT.buckets());
            let bucket = bucket.ok_or_else(|| D::Error::custom("a bucket is out of range"))?;
            let count = if number % 2 == 0 { Some(1) } else { numbers.next() };
            let count = count.ok_or_else(|| D::Error::custom("a count is missing"))?;
            values.push((L::LAYOUT.value(bucket), count));
            next = bucket + 1;
        }
        Ok(values)
    }
}
