//! How does an increment become few bytes, and come back from them to the bit?
//!
//! ```text
//! increment = the version, the weight in basis points, stable's track, the canary's track,
//!             how many recorded metrics, and for each: the length of its name, its name,
//!             stable's values, the canary's values; and in version 2 the pairs
//! version   = 2 if there are pairs, else 1
//! pairs     = the canary's failures, differences, flips, stable's latencies, the canary's latencies
//! track     = requests, failures, latencies, scores
//! values    = 2 n,     then n times: 2 (buckets since the one before) + (1 if the count is not 1),
//!                      and the count if it is not 1
//!           | 2 n + 1, then n times: the 8 bytes of the value, the count
//! ```
//!
//! Whole numbers are LEB128 varints. The second form is for values that are not the middles of
//! ascending buckets of their source's layout; serin observes none, but whatever the judge takes in
//! can be written down. Every increment has exactly one encoding, and anything else is refused.

use thiserror::Error;

use super::increment::Increment;
use super::increment::RecordedIncrement;
use super::increment::TrackIncrement;
use super::metric::MetricName;
use super::pairs::PairsIncrement;
use super::weight::Weight;
use crate::stats::Layout;

/// Without pairs. The newest grows by one with each change of the encoding.
const VERSION: u8 = 1;

/// With pairs.
const VERSION_WITH_PAIRS: u8 = 2;

/// Bytes that are no increment.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CodecError {
    /// It was written by a newer serin, or by none.
    #[error("version {0} of an increment, and only those up to {VERSION_WITH_PAIRS} are known")]
    Version(u8),
    /// It ends too early.
    #[error("the increment ends in the middle")]
    Ends,
    /// A number has more than 64 bits, or is larger than what it stands for can be.
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
    /// It says the same as an encoding that differs.
    #[error("the increment is not encoded as serin does it")]
    OtherEncoding,
}

impl Increment {
    /// The bytes that stand for it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let has_pairs = !self.pairs.is_empty();
        let mut bytes = vec![if has_pairs { VERSION_WITH_PAIRS } else { VERSION }];
        write_number(&mut bytes, u64::from(self.weight.basis_points()));
        write_track(&mut bytes, &self.stable);
        write_track(&mut bytes, &self.canary);
        write_number(&mut bytes, self.recorded.len() as u64);
        for (name, RecordedIncrement { stable, canary }) in &self.recorded {
            write_number(&mut bytes, name.as_str().len() as u64);
            bytes.extend_from_slice(name.as_str().as_bytes());
            write_values(&mut bytes, Layout::ANY, stable);
            write_values(&mut bytes, Layout::ANY, canary);
        }
        if has_pairs {
            write_pairs(&mut bytes, &self.pairs);
        }
        bytes
    }

    /// The increment that these bytes stand for.
    ///
    /// # Errors
    /// When they are not what [`to_bytes`](Self::to_bytes) gives for any increment.
    pub fn from_bytes(bytes: &[u8]) -> Result<Increment, CodecError> {
        let mut reader = Reader(bytes);
        let version = reader.byte()?;
        if !(VERSION..=VERSION_WITH_PAIRS).contains(&version) {
            return Err(CodecError::Version(version));
        }
        let weight = u16::try_from(reader.number()?).ok().and_then(Weight::from_basis_points);
        let mut increment = Increment {
            weight: weight.ok_or(CodecError::OutOfRange("weight"))?,
            stable: reader.track()?,
            canary: reader.track()?,
            ..Increment::default()
        };
        for _ in 0..reader.number()? {
            let name = reader.name()?;
            let stable = reader.values(Layout::ANY)?;
            let canary = reader.values(Layout::ANY)?;
            increment.recorded.insert(name, RecordedIncrement { stable, canary });
        }
        if version == VERSION_WITH_PAIRS {
            increment.pairs = reader.pairs()?;
        }
        // Overlong numbers, names out of order and what comes after the end all show here.
        if increment.to_bytes() == bytes { Ok(increment) } else { Err(CodecError::OtherEncoding) }
    }
}

fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn write_track(bytes: &mut Vec<u8>, track: &TrackIncrement) {
    write_number(bytes, track.requests);
    write_number(bytes, track.failures);
    write_values(bytes, Layout::SECONDS, &track.latency);
    write_values(bytes, Layout::UNIT_INTERVAL, &track.score);
}

fn write_pairs(bytes: &mut Vec<u8>, pairs: &PairsIncrement) {
    write_number(bytes, pairs.failures);
    write_values(bytes, Layout::DIFFERENCE, &pairs.differences);
    write_values(bytes, Layout::DIFFERENCE, &pairs.flips);
    write_values(bytes, Layout::SECONDS, &pairs.stable_latency);
    write_values(bytes, Layout::SECONDS, &pairs.canary_latency);
}

fn write_values(bytes: &mut Vec<u8>, layout: Layout, values: &[(f64, u64)]) {
    let length = 2 * values.len() as u64;
    let Some(distances) = distances(layout, values) else {
        write_number(bytes, length + 1);
        for (value, count) in values {
            bytes.extend_from_slice(&value.to_le_bytes());
            write_number(bytes, *count);
        }
        return;
    };
    write_number(bytes, length);
    for (distance, (_, count)) in distances.into_iter().zip(values) {
        write_number(bytes, 2 * distance + u64::from(*count != 1));
        if *count != 1 {
            write_number(bytes, *count);
        }
    }
}

/// How many buckets lie between each value's and the one before it; `None` if the values are not
/// the middles of ascending buckets.
fn distances(layout: Layout, values: &[(f64, u64)]) -> Option<Vec<u64>> {
    let mut next = 0;
    let distance = |(value, _): &(f64, u64)| {
        let bucket = layout.bucket(*value);
        let is_middle = layout.value(bucket).to_bits() == value.to_bits();
        let distance = bucket.checked_sub(next).filter(|_| is_middle)?;
        next = bucket + 1;
        Some(distance as u64)
    };
    values.iter().map(distance).collect()
}

/// The bytes that are still to be read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, CodecError> {
        let (first, rest) = self.0.split_first().ok_or(CodecError::Ends)?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, CodecError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(CodecError::OutOfRange("a number"))
    }

    fn track(&mut self) -> Result<TrackIncrement, CodecError> {
        Ok(TrackIncrement {
            requests: self.number()?,
            failures: self.number()?,
            latency: self.values(Layout::SECONDS)?,
            score: self.values(Layout::UNIT_INTERVAL)?,
        })
    }

    fn pairs(&mut self) -> Result<PairsIncrement, CodecError> {
        Ok(PairsIncrement {
            failures: self.number()?,
            differences: self.values(Layout::DIFFERENCE)?,
            flips: self.values(Layout::DIFFERENCE)?,
            stable_latency: self.values(Layout::SECONDS)?,
            canary_latency: self.values(Layout::SECONDS)?,
        })
    }

    /// A number of things that take a byte each at least, so that no length asks for more memory than
    /// some times what there is to read.
    fn length(&self, number: u64) -> Result<usize, CodecError> {
        let length = usize::try_from(number).ok().filter(|length| *length <= self.0.len());
        length.ok_or(CodecError::Ends)
    }

    fn bytes(&mut self, number: u64) -> Result<&[u8], CodecError> {
        let (bytes, rest) = self.0.split_at(self.length(number)?);
        self.0 = rest;
        Ok(bytes)
    }

    fn name(&mut self) -> Result<MetricName, CodecError> {
        let length = self.number()?;
        let text = std::str::from_utf8(self.bytes(length)?).ok();
        text.and_then(|text| MetricName::new(text).ok()).ok_or(CodecError::OutOfRange("a name"))
    }

    fn values(&mut self, layout: Layout) -> Result<Vec<(f64, u64)>, CodecError> {
        let header = self.number()?;
        let length = self.length(header / 2)?;
        let mut values = Vec::with_capacity(length);
        let mut next = 0;
        for _ in 0..length {
            values.push(if header % 2 == 0 {
                self.bucket(layout, &mut next)?
            } else {
                (self.value()?, self.number()?)
            });
        }
        Ok(values)
    }

    fn bucket(&mut self, layout: Layout, next: &mut u64) -> Result<(f64, u64), CodecError> {
        let number = self.number()?;
        let bucket = next.saturating_add(number / 2);
        if bucket >= layout.buckets() as u64 {
            return Err(CodecError::OutOfRange("a bucket"));
        }
        *next = bucket + 1;
        let count = if number % 2 == 0 { 1 } else { self.number()? };
        Ok((layout.value(bucket as usize), count))
    }

    fn value(&mut self) -> Result<f64, CodecError> {
        let bits = self.bytes(8)?.try_into().map_err(|_| CodecError::Ends)?;
        Ok(f64::from_le_bytes(bits))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::canary::Samples;
    use crate::canary::Track;

    /// A second with 100 requests, 10 of them the canary's, of about 50 ms and spread as widely.
    fn second() -> Increment {
        let mut samples = Samples::default();
        for n in 0_u32..100 {
            let spread = f64::from(n.wrapping_mul(2_654_435_761) % 1000) / 1000.0;
            let track = if n % 10 == 0 { Track::Canary } else { Track::Stable };
            samples.of_mut(track).record(0.010 * (2.0 + 3.0 * spread).exp2(), &[spread]);
        }
        let weight = Weight::from_percent(10.0).unwrap();
        Increment::between(weight, &Samples::default(), &samples).unwrap()
    }

    #[test]
    fn a_second_of_a_hundred_requests_takes_some_two_hundred_bytes() {
        let bytes = second().to_bytes();
        assert!((150..300).contains(&bytes.len()), "{}", bytes.len());
        assert_eq!(Increment::from_bytes(&bytes), Ok(second()));
    }

    #[test]
    fn values_that_are_no_middles_come_back_too() {
        let latency = vec![(0.0123, 1), (0.2, 0), (0.2, 3), (-1.0, 1), (1e300, u64::MAX)];
        let stable = TrackIncrement { latency, score: vec![(0.0, 1)], ..TrackIncrement::default() };
        let increment = Increment { stable, ..Increment::default() };
        assert_eq!(Increment::from_bytes(&increment.to_bytes()), Ok(increment));
    }

    #[test]
    fn every_damaged_byte_and_every_other_length_is_refused_or_says_something_else() {
        let (increment, bytes) = (second(), second().to_bytes());
        for place in 0..bytes.len() {
            assert!(Increment::from_bytes(&bytes[..place]).is_err(), "cut at {place}");
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[place] ^= 1 << bit;
                assert_ne!(Increment::from_bytes(&damaged), Ok(increment.clone()));
            }
        }
        assert_eq!(
            Increment::from_bytes(&[&bytes[..], &[0]].concat()),
            Err(CodecError::OtherEncoding)
        );
    }

    #[test]
    fn bytes_that_ask_for_too_much_are_refused_by_name() {
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        for (bytes, cause) in [
            (&[][..], "ends"),
            (&[3], "version 3"),
            // Version 2 says that there are pairs.
            (&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "encoded"),
            (&[1, 0xff, 0xff, 0x7f], "weight"),
            (&[&[1, 0, 0, 0], &most[..]].concat(), "ends"),
            (&[&[1, 0, 0, 0], &most[..9], &[2]].concat(), "a number"),
            (&[1, 0, 0, 0, 2, 0x80, 0x80, 0x10], "a bucket"),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, b' ', 0, 0], "a name"),
            (&[1, 0x80, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0], "encoded"),
        ] {
            let error = Increment::from_bytes(bytes).unwrap_err().to_string();
            assert!(error.contains(cause), "{bytes:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn whatever_can_be_observed_comes_back_to_the_bit(increment in any_increment()) {
            let bytes = increment.to_bytes();
            let read = Increment::from_bytes(&bytes).unwrap();
            prop_assert_eq!(read.to_bytes(), bytes);
            prop_assert_eq!(read, increment);
        }

        #[test]
        fn any_bytes_are_an_increment_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
            let versioned = [VERSION, VERSION_WITH_PAIRS].map(|it| [&[it, 10][..], &bytes].concat());
            for bytes in versioned.into_iter().chain([bytes]) {
                if let Ok(increment) = Increment::from_bytes(&bytes) {
                    prop_assert_eq!(increment.to_bytes(), bytes);
                }
            }
        }
    }

    fn any_increment() -> impl Strategy<Value = Increment> {
        let middles = |layout: Layout| {
            btree_map(0..layout.buckets(), prop_oneof![Just(1_u64), any::<u64>()], 0..40).prop_map(
                move |counts| {
                    counts.into_iter().map(|(bucket, n)| (layout.value(bucket), n)).collect()
                },
            )
        };
        let track = move || {
            let values = (middles(Layout::SECONDS), middles(Layout::UNIT_INTERVAL));
            (any::<u64>(), any::<u64>(), values).prop_map(
                |(requests, failures, (latency, score))| TrackIncrement {
                    requests,
                    failures,
                    latency,
                    score,
                },
            )
        };
        let recorded = (middles(Layout::ANY), middles(Layout::ANY))
            .prop_map(|(stable, canary)| RecordedIncrement { stable, canary });
        let name = "[a-zA-Z0-9_.-]{1,64}".prop_map(|name| MetricName::new(&name).unwrap());
        let differences = (middles(Layout::DIFFERENCE), middles(Layout::DIFFERENCE));
        let latencies = (middles(Layout::SECONDS), middles(Layout::SECONDS));
        let pairs =
            (any::<u64>(), differences, latencies).prop_map(
                |(failures, (differences, flips), (stable_latency, canary_latency))| {
                    PairsIncrement { failures, differences, flips, stable_latency, canary_latency }
                },
            );
        let pairs = prop_oneof![Just(PairsIncrement::default()), pairs];
        (0..=Weight::WHOLE, track(), track(), btree_map(name, recorded, 0..4), pairs).prop_map(
            |(weight, stable, canary, recorded, pairs)| Increment {
                weight: Weight::from_basis_points(weight).unwrap(),
                stable,
                canary,
                recorded,
                pairs,
            },
        )
    }
}
