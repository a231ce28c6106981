//! How does an increment become few bytes, and come back from them to the bit?
//!
//! ```text
//! increment = 1 (the version), the weight in basis points, stable's track, the canary's track,
//!             how many recorded metrics, and for each: the length of its name, its name,
//!             stable's values, the canary's values
//!           | 2, all of that, then parts: how many, and for each, in ascending order: what it is,
//!             its length in bytes, its content
//! part 1    = how many segments, and for each: the length of its key, its key, the length of its
//!             value, its value, stable's track, the canary's track
//! part 2    = how many shares, and for each: the share in basis points, logarithmic losses of stable
//!             and canary, Brier scores of both
//! part 3    = the canary's failures, differences, flips, stable's latencies, the canary's latencies
//! track     = requests, failures, latencies, scores
//! values    = 2 n,     then n times: 2 (buckets since the one before) + (1 if the count is not 1),
//!                      and the count if it is not 1
//!           | 2 n + 1, then n times: the 8 bytes of the value, the count
//! ```
//!
//! Whole numbers are LEB128 varints. The second form is for values that are not the middles of
//! ascending buckets of their source's layout; serin observes none, but whatever the judge takes in
//! can be written down. Every increment has exactly one encoding, that of version 1 if it has no parts,
//! and anything else is refused.

use std::collections::BTreeMap;

use thiserror::Error;

use super::increment::Increment;
use super::increment::RecordedIncrement;
use super::increment::SegmentIncrement;
use super::increment::TrackIncrement;
use super::labels;
use super::labels::LossIncrement;
use super::labels::TrackLosses;
use super::pairs::PairsIncrement;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::segments::SegmentName;
use crate::canary::policy::segments::Word;
use crate::canary::traffic::weight::Weight;
use crate::stats::Layout;

/// What has no parts.
const WITHOUT_PARTS: u8 = 1;

/// What has some. Grows by one with each change of the encoding that is no further part.
const WITH_PARTS: u8 = 2;

/// What was observed by segment.
const SEGMENTS: u64 = 1;

/// What labels say.
const LOSSES: u64 = 2;

/// What both versions said to the same requests.
const PAIRS: u64 = 3;

/// Bytes that are no increment.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CodecError {
    /// It was written by a newer serin, or by none.
    #[error("version {0} of an increment, and only {WITHOUT_PARTS} and {WITH_PARTS} are known")]
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
        let parts: Vec<(u64, Vec<u8>)> = [
            (SEGMENTS, (!self.segments.is_empty()).then(|| self.segment_bytes())),
            (LOSSES, (!self.losses.is_empty()).then(|| loss_bytes(&self.losses))),
            (PAIRS, (!self.pairs.is_empty()).then(|| pair_bytes(&self.pairs))),
        ]
        .into_iter()
        .filter_map(|(part, content)| Some((part, content?)))
        .collect();
        let mut bytes = vec![if parts.is_empty() { WITHOUT_PARTS } else { WITH_PARTS }];
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
        if !parts.is_empty() {
            write_number(&mut bytes, parts.len() as u64);
            for (part, content) in parts {
                write_number(&mut bytes, part);
                write_number(&mut bytes, content.len() as u64);
                bytes.extend_from_slice(&content);
            }
        }
        bytes
    }

    fn segment_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_number(&mut bytes, self.segments.len() as u64);
        for (name, SegmentIncrement { stable, canary }) in &self.segments {
            for word in [&name.key, &name.value] {
                write_number(&mut bytes, word.as_str().len() as u64);
                bytes.extend_from_slice(word.as_str().as_bytes());
            }
            write_track(&mut bytes, stable);
            write_track(&mut bytes, canary);
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
        if version != WITHOUT_PARTS && version != WITH_PARTS {
            return Err(CodecError::Version(version));
        }
        let mut increment = Increment {
            weight: reader.weight()?,
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
        if version == WITH_PARTS {
            for _ in 0..reader.number()? {
                let part = reader.number()?;
                let length = reader.number()?;
                let mut content = Reader(reader.bytes(length)?);
                match part {
                    SEGMENTS => increment.segments = content.segments()?,
                    LOSSES => increment.losses = content.losses()?,
                    PAIRS => increment.pairs = content.pairs()?,
                    _ => return Err(CodecError::OutOfRange("a part")),
                }
            }
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

fn loss_bytes(losses: &[LossIncrement]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_number(&mut bytes, losses.len() as u64);
    for LossIncrement { weight, stable, canary } in losses {
        write_number(&mut bytes, u64::from(weight.basis_points()));
        write_values(&mut bytes, labels::LOG_LOSS, &stable.log_loss);
        write_values(&mut bytes, labels::LOG_LOSS, &canary.log_loss);
        write_values(&mut bytes, labels::BRIER, &stable.brier);
        write_values(&mut bytes, labels::BRIER, &canary.brier);
    }
    bytes
}

fn pair_bytes(pairs: &PairsIncrement) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_number(&mut bytes, pairs.failures);
    write_values(&mut bytes, Layout::DIFFERENCE, &pairs.differences);
    write_values(&mut bytes, Layout::DIFFERENCE, &pairs.flips);
    write_values(&mut bytes, Layout::SECONDS, &pairs.stable_latency);
    write_values(&mut bytes, Layout::SECONDS, &pairs.canary_latency);
    bytes
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

    fn weight(&mut self) -> Result<Weight, CodecError> {
        let weight = u16::try_from(self.number()?).ok().and_then(Weight::from_basis_points);
        weight.ok_or(CodecError::OutOfRange("weight"))
    }

    fn losses(&mut self) -> Result<Vec<LossIncrement>, CodecError> {
        let mut losses = Vec::new();
        for _ in 0..self.number()? {
            losses.push(self.loss()?);
        }
        Ok(losses)
    }

    fn loss(&mut self) -> Result<LossIncrement, CodecError> {
        let weight = self.weight()?;
        let log_loss = (self.values(labels::LOG_LOSS)?, self.values(labels::LOG_LOSS)?);
        let brier = (self.values(labels::BRIER)?, self.values(labels::BRIER)?);
        let stable = TrackLosses { log_loss: log_loss.0, brier: brier.0 };
        let canary = TrackLosses { log_loss: log_loss.1, brier: brier.1 };
        Ok(LossIncrement { weight, stable, canary })
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

    fn segments(&mut self) -> Result<BTreeMap<SegmentName, SegmentIncrement>, CodecError> {
        let mut segments = BTreeMap::new();
        for _ in 0..self.number()? {
            let name = SegmentName { key: self.word()?, value: self.word()? };
            let (stable, canary) = (self.track()?, self.track()?);
            segments.insert(name, SegmentIncrement { stable, canary });
        }
        Ok(segments)
    }

    fn word(&mut self) -> Result<Word, CodecError> {
        let length = self.number()?;
        let text = std::str::from_utf8(self.bytes(length)?).ok();
        text.and_then(|text| Word::new(text).ok()).ok_or(CodecError::OutOfRange("a segment"))
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
#[path = "increment_codec_tests.rs"]
mod tests;
