//! Byte format of increments in the tick log: `postcard`, with values as `gaps` between buckets.
//!
//! ```text
//! increment = weight, stable's track, the canary's track, recorded values by metric, tracks by segment,
//!             losses by weight, pairs: in the order of the fields; then the outputs that are not one probability, if
//!             there are any or something follows; then the length in milliseconds, if it was not about a second or
//!             something follows; then the visits of keys and the sums of their latencies, if there are any or something
//!             follows; then the latencies by group of requests, if there are several groups or one that is not the default or
//!             something follows; then the inputs, if there are any or something follows; then the observations of queries,
//!             if there are any
//! ```
//!
//! A weight is its percentage, an `f64` of 8 bytes. Whole numbers are LEB128 varints, so most values take one byte, and a second of 100 requests takes 232. A
//! change of the format needs a new schema version of the store.
//!
//! `postcard` (MIT or Apache-2.0, format stable since 2022) adds itself, `cobs` and `embedded-io` to the build. `bincode`,
//! which reads model files, writes larger varints (3 bytes from 251 on) and is unmaintained.

use thiserror::Error;

use super::groups::GroupsIncrement;
use super::increment::Increment;
use super::increment::Observation;
use super::inputs::InputsIncrement;
use super::outputs::OutputsIncrement;
use super::visits::VisitsIncrement;

/// Bytes that are not an increment.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("not an increment: {0}")]
pub struct CodecError(String);

impl Increment {
    /// The increment as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Fails only for sequences of unknown length and for full buffers; an increment has neither.
        let mut bytes = postcard::to_allocvec(self).unwrap_or_default();
        let has_queried = !self.queried.is_empty();
        let has_inputs = !self.inputs.is_empty() || has_queried;
        let has_groups = !self.groups.is_empty() || has_inputs;
        let has_visits = !self.visits.is_empty() || has_groups;
        if !self.outputs.is_empty() || self.millis != 0 || has_visits {
            bytes.extend(postcard::to_allocvec(&self.outputs).unwrap_or_default());
        }
        if self.millis != 0 || has_visits {
            bytes.extend(postcard::to_allocvec(&self.millis).unwrap_or_default());
        }
        if has_visits {
            bytes.extend(postcard::to_allocvec(&self.visits).unwrap_or_default());
            bytes.extend(postcard::to_allocvec(&self.visits.latencies()).unwrap_or_default());
        }
        if has_groups {
            bytes.extend(postcard::to_allocvec(&self.groups).unwrap_or_default());
        }
        if has_inputs {
            bytes.extend(postcard::to_allocvec(&self.inputs).unwrap_or_default());
        }
        if has_queried {
            bytes.extend(postcard::to_allocvec(&self.queried).unwrap_or_default());
        }
        bytes
    }

    /// Reads an increment. Allocates at most a small multiple of the length of `bytes` plus 2 MiB.
    ///
    /// # Errors
    /// When the bytes end too early or too late, or a number is out of range.
    pub fn from_bytes(bytes: &[u8]) -> Result<Increment, CodecError> {
        let (increment, rest) = postcard::take_from_bytes::<Increment>(bytes)
            .map_err(|cause| CodecError(cause.to_string()))?;
        if rest.is_empty() {
            return Ok(increment);
        }
        let too_many = || CodecError(format!("{} bytes too many", rest.len()));
        let (outputs, last) =
            postcard::take_from_bytes::<OutputsIncrement>(rest).map_err(|_| too_many())?;
        if last.is_empty() {
            // Outputs without a value are written only before a length.
            return if outputs.is_empty() {
                Err(too_many())
            } else {
                Ok(Increment { outputs, ..increment })
            };
        }
        let (millis, last) = postcard::take_from_bytes::<u32>(last).map_err(|_| too_many())?;
        if last.is_empty() {
            // A length of 0 is written only before visits or groups.
            return if millis == 0 {
                Err(too_many())
            } else {
                Ok(Increment { outputs, millis, ..increment })
            };
        }
        let (visits, last) =
            postcard::take_from_bytes::<VisitsIncrement>(last).map_err(|_| too_many())?;
        let (visits, last) = match last {
            // Logs of earlier versions have no sums of latencies.
            [] => (Some(visits), last),
            last => {
                let (latencies, last) =
                    postcard::take_from_bytes::<Vec<[f32; 2]>>(last).map_err(|_| too_many())?;
                (visits.with_latencies(&latencies), last)
            }
        };
        let visits = visits.filter(|visits| visits.is_sound());
        let visits = visits.ok_or_else(too_many)?;
        let (groups, last) = match last {
            [] if visits.is_empty() => return Err(too_many()),
            [] => (GroupsIncrement::default(), last),
            last => match postcard::take_from_bytes::<GroupsIncrement>(last) {
                // Groups without a latency are written only before inputs.
                Ok((groups, last))
                    if groups.is_sound() && !(groups.is_empty() && last.is_empty()) =>
                {
                    (groups, last)
                }
                Ok(_) | Err(_) => return Err(too_many()),
            },
        };
        let (inputs, last) = match last {
            [] => (InputsIncrement::default(), last),
            last => match postcard::take_from_bytes::<InputsIncrement>(last) {
                // Inputs without a bin are written only before observations.
                Ok((inputs, last))
                    if inputs.is_sound() || (inputs.is_empty() && !last.is_empty()) =>
                {
                    (inputs, last)
                }
                Ok(_) | Err(_) => return Err(too_many()),
            },
        };
        let queried = match last {
            [] => Vec::new(),
            last => match postcard::take_from_bytes::<Vec<Observation>>(last) {
                Ok((queried, []))
                    if !queried.is_empty() && queried.iter().all(Observation::is_sound) =>
                {
                    queried
                }
                Ok(_) | Err(_) => return Err(too_many()),
            },
        };
        Ok(Increment { outputs, millis, visits, groups, inputs, queried, ..increment })
    }
}

#[cfg(test)]
#[path = "increment_codec_tests.rs"]
mod tests;
