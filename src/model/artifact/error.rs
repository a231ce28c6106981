//! Errors of model files. Messages do not repeat the path.

use std::io;

use thiserror::Error;

use super::digest::Digest;
use super::limits::NEWEST_VERSION;
use super::limits::OLDEST_VERSION;
use crate::model::PredictError;
use crate::model::kinds::imported::ImportError;
use crate::model::kinds::logistic::LogisticError;
use crate::model::schema::error::SchemaError;
use crate::text::files::WriteError;

/// Why bytes are not an artifact, or a file cannot be read or written.
#[derive(Debug, Error)]
pub enum ArtifactError {
    /// The file cannot be opened or read.
    #[error("cannot be read ({cause}); check the path and its permissions")]
    Unreadable {
        /// The system's reason.
        cause: io::Error,
    },
    /// The path is a folder, a pipe or a device.
    #[error("not a regular file; use a file that `serin train` wrote")]
    NotAFile,
    /// The file cannot be written.
    #[error(transparent)]
    Unwritable(#[from] WriteError),
    /// The file is larger than a model of its kind may be.
    #[error(
        "size: {size} bytes, the maximum is {limit}; use a file that `serin train` or `serin import` wrote"
    )]
    TooLarge {
        /// Size in bytes.
        size: u64,
        /// The maximum for its kind.
        limit: usize,
    },
    /// The file is shorter than a header.
    #[error(
        "size: {size} bytes, the header alone has {header}; the file is truncated, copy it again or retrain"
    )]
    TooShort {
        /// Size in bytes.
        size: usize,
        /// Size of the header in bytes.
        header: usize,
    },
    /// The file has another format.
    #[error(
        "magic: not a model file: the first bytes are neither `SERINMDL` (serin train, serin import) nor those of a LightGBM, XGBoost, skops, ONNX or coefficients file; pickle and joblib are never read: save the model with its own save_model, or with skops.io.dump"
    )]
    Magic,
    /// Another release wrote the file, or the version is damaged.
    #[error(
        "format version: {found}, this release reads {OLDEST_VERSION} to {NEWEST_VERSION}; retrain the model with this release, or use the release that wrote it"
    )]
    Version {
        /// The version in the header.
        found: u32,
    },
    /// The file was changed or truncated.
    #[error(
        "digest: {stored} stored, {computed} computed; the file was changed or truncated, copy it again or retrain"
    )]
    Digest {
        /// Digest in the header.
        stored: Digest,
        /// Digest of the contents.
        computed: Digest,
    },
    /// The payload cannot be decoded.
    #[error("payload: cannot be decoded ({problem}); use a file that `serin train` wrote")]
    Payload {
        /// The decoder's reason.
        problem: String,
    },
    /// A number is not finite.
    #[error("{field}: {value} is not finite; use a file that `serin train` wrote")]
    NotFinite {
        /// The field.
        field: &'static str,
        /// The number.
        value: f64,
    },
    /// The features are not a schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The coefficients are not a model.
    #[error(transparent)]
    Model(#[from] LogisticError),
    /// The imported file is not a model that serin serves.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The file is a model, and this machine cannot run it.
    #[error("{cause}")]
    CannotRun {
        /// Why.
        cause: PredictError,
    },
    /// The file has no probes.
    #[error("probes: none, so the model cannot be verified; retrain it")]
    NoProbes,
    /// A probe is not reproduced.
    #[error(
        "probe {index}: {problem}; the file is forged, or this release computes differently: retrain the model"
    )]
    Probe {
        /// Which probe, from 0.
        index: usize,
        /// What went wrong.
        problem: String,
    },
}
