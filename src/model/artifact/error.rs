//! Why bytes are no artifact, or a file could not be read or written. Messages leave the path to the caller.

use std::io;

use thiserror::Error;

use super::digest::Digest;
use super::limits::FORMAT_VERSION;
use super::limits::MAX_ARTIFACT_BYTES;
use crate::model::PredictError;
use crate::model::kinds::logistic::LogisticError;
use crate::model::schema::error::SchemaError;
use crate::model::schema::row::RowError;

/// Why bytes are no artifact, or a file could not be read or written.
#[derive(Debug, Error)]
pub enum ArtifactError {
    /// The file cannot be opened or read.
    #[error("it cannot be read ({cause}); check the path and its permissions")]
    Unreadable {
        /// The system's reason.
        cause: io::Error,
    },
    /// A folder, a pipe, a device.
    #[error("it is not a regular file; give the path of a file that `serin train` wrote")]
    NotAFile,
    /// The file cannot be written.
    #[error(
        "it cannot be written: failed to {step} ({cause}); check the folder, its permissions and the free space"
    )]
    Unwritable {
        /// The step that failed.
        step: &'static str,
        /// The system's reason.
        cause: io::Error,
    },
    /// More than 8 MiB.
    #[error(
        "size: {size} bytes, allowed are {MAX_ARTIFACT_BYTES}; this is no model that serin trained"
    )]
    TooLarge {
        /// Size in bytes.
        size: u64,
    },
    /// Not even a header.
    #[error(
        "size: {size} bytes, the header alone takes {header}; the file is cut short, copy or train it again"
    )]
    TooShort {
        /// Size in bytes.
        size: usize,
        /// Size of the header in bytes.
        header: usize,
    },
    /// Some other file.
    #[error(
        "magic: the first bytes are not `SERINMDL`, so this is not a model file; give one that `serin train` wrote"
    )]
    Magic,
    /// Written by another release, or damaged in the version.
    #[error(
        "format version: {found}, this release reads {FORMAT_VERSION}; train the model again with this release, or use the release that wrote it"
    )]
    Version {
        /// The version in the header.
        found: u32,
    },
    /// Cut short, or something appended.
    #[error(
        "payload length: the header says {declared} bytes and {found} follow it; the file is cut short or something was appended, copy or train it again"
    )]
    Length {
        /// Length in the header.
        declared: u64,
        /// Length found.
        found: u64,
    },
    /// Changed since it was written.
    #[error(
        "digest: the header says {stored} and the contents have {computed}; the file was changed after it was written, copy or train it again"
    )]
    Digest {
        /// Digest in the header.
        stored: Digest,
        /// Digest of the contents.
        computed: Digest,
    },
    /// The payload is not in the format.
    #[error("payload: it does not decode ({problem}); the file was not written by `serin train`")]
    Payload {
        /// The decoder's reason.
        problem: String,
    },
    /// A number that is not finite.
    #[error(
        "{field}: it contains {value}, allowed are finite numbers; the file was not written by `serin train`"
    )]
    NotFinite {
        /// Where.
        field: &'static str,
        /// The number.
        value: f64,
    },
    /// Features that make no schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Coefficients that make no model.
    #[error(transparent)]
    Model(#[from] LogisticError),
    /// Nothing to check the model by.
    #[error("probes: there are none, so the model cannot be checked; train it again")]
    NoProbes,
    /// A probe the schema refuses.
    #[error(
        "probe {index}: the schema refuses its input ({cause}); the file was not written by `serin train`"
    )]
    ProbeInput {
        /// Which probe, from 0.
        index: usize,
        /// The schema's reason.
        cause: RowError,
    },
    /// A probe the model does not answer.
    #[error("probe {index}: the model gives no answer ({cause}); train the model again")]
    ProbeUnanswered {
        /// Which probe, from 0.
        index: usize,
        /// The model's reason.
        cause: PredictError,
    },
    /// A probe answered otherwise than while training.
    #[error(
        "probe {index}: the model answers {computed}, its trainer saw {expected}; the file is forged, or this release computes otherwise: train the model again"
    )]
    ProbeOutput {
        /// Which probe, from 0.
        index: usize,
        /// What the trainer saw.
        expected: f64,
        /// What comes out now.
        computed: f64,
    },
}
