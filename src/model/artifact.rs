//! Model files.
//!
//! Loading checks size, header and digest (in the codec), then the contents (invariants of the schema,
//! one coefficient per encoded column, finite numbers), then the probes: inputs made in training whose
//! outputs must be reproduced. A loaded model therefore computes what its trainer computed. A file of LightGBM,
//! XGBoost or skops is an artifact as its library wrote it; imported, it has names, probes and a comparison with the
//! original as well.
//!
//! A trained artifact contains no row of the training data (probes are made from means, scales and levels; the inputs
//! of training have the deciles and the ends of each feature's values), no path and no time. An imported one keeps up to 32 of the rows that it was compared with.

pub mod card;
pub mod class_report;
pub(crate) mod codec;
pub mod comparison;
pub mod digest;
pub(crate) mod imported;
pub(crate) mod limits;
pub mod report;
pub(crate) mod trained_classes;

pub(crate) mod error;

use std::fmt;
use std::fs;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub use self::error::ArtifactError;
use super::Model;
use super::artifact::card::Card;
use super::artifact::card::MAX_KEPT_ROWS;
use super::artifact::card::Origin;
use super::artifact::card::Trained;
use super::artifact::codec::Contents;
use super::artifact::codec::Decoded;
use super::artifact::codec::Payload;
use super::artifact::codec::Probe;
use super::artifact::digest::Digest;
use super::artifact::limits::MAX_ARTIFACT_BYTES;
use super::kinds::imported::Format;
use super::kinds::logistic::LogisticRegression;
use super::schema::Schema;
use super::schema::features::Features;
use super::schema::features::Value;
use crate::text::files::write_whole;

/// Tolerance of a probe's output. The arithmetic is the same; only the exponential function of another
/// machine can differ, in the last bits.
const PROBE_TOLERANCE: f64 = 1e-12;

/// The same for an imported model: XGBoost computes its sigmoid in single precision.
const PROBE_TOLERANCE_IMPORTED: f64 = 1e-6;

/// The same for a model in ONNX Runtime, which computes in single precision, and rounds as the processor does.
const PROBE_TOLERANCE_ONNX: f64 = 1e-5;

/// A checked artifact: bytes, model and card.
#[derive(Clone)]
pub struct Artifact {
    bytes: Arc<[u8]>,
    model: Arc<dyn Model>,
    card: Card,
}

impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifact").field("card", &self.card).finish_non_exhaustive()
    }
}

impl Artifact {
    /// Checks the bytes of an artifact in full. Never panics. Allocates in proportion to the bytes, whatever
    /// lengths they declare.
    ///
    /// # Errors
    ///
    /// [`ArtifactError`] names the failed check.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ArtifactError> {
        if let Some(format) = Format::detect(bytes) {
            return Self::of_file(format, bytes);
        }
        let Decoded { contents, digest, version } = codec::decode(bytes)?;
        match contents {
            Contents::Trained(payload) => Self::of_training(bytes, *payload, digest, version),
            Contents::TrainedClasses(payload) => Self::of_classes(bytes, *payload, digest, version),
            Contents::Imported(payload) => Self::of_import(bytes, *payload, digest, version),
        }
    }

    fn of_training(
        bytes: &[u8],
        payload: Payload,
        digest: Digest,
        version: u32,
    ) -> Result<Self, ArtifactError> {
        check_numbers(&payload)?;
        let Payload { features, intercept, coefficients, threshold, training, .. } = payload;
        let Payload { holdout, probes, missing, inputs, .. } = payload;
        let schema = Schema::new(features)?.with_missing(missing.clone());
        let model = LogisticRegression::new(schema.clone(), intercept, &coefficients, threshold)?;
        replay(&model, &probes, PROBE_TOLERANCE)?;
        inputs.iter().try_for_each(|inputs| inputs.check(&schema))?;
        let coefficients = card::coefficients(&schema, &coefficients);
        let trained = Trained { intercept, coefficients, training, holdout };
        let card = Card {
            kind: "logistic_regression",
            digest,
            size_bytes: bytes.len() as u64,
            format_version: Some(version),
            features: schema,
            missing: card::MISSING_RULE,
            missing_values: missing,
            output: model.output().clone(),
            kept_rows: first_rows(&probes),
            inputs,
            origin: Origin::Trained(Box::new(trained)),
        };
        Ok(Self { bytes: bytes.into(), model: Arc::new(model), card })
    }

    /// Reads and checks a regular file of at most 65 MiB.
    ///
    /// # Errors
    ///
    /// [`ArtifactError`]; its messages do not repeat the path.
    pub fn read(path: &Path) -> Result<Self, ArtifactError> {
        Self::from_bytes(&Self::read_bytes(path)?)
    }

    /// The unchecked bytes of a regular file of at most 65 MiB.
    ///
    /// # Errors
    ///
    /// [`ArtifactError`], if the file cannot be read or is too large.
    pub fn read_bytes(path: &Path) -> Result<Vec<u8>, ArtifactError> {
        let unreadable = |cause| ArtifactError::Unreadable { cause };
        // Checked before opening: opening a pipe would wait for a writer.
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(ArtifactError::NotAFile);
        }
        Artifact::bytes_of(File::open(path).map_err(unreadable)?)
    }

    /// The unchecked bytes of an open file, with the same limits.
    ///
    /// # Errors
    ///
    /// [`ArtifactError`], if it is not a regular file, cannot be read or is too large.
    pub fn bytes_of(file: File) -> Result<Vec<u8>, ArtifactError> {
        let unreadable = |cause| ArtifactError::Unreadable { cause };
        let about = file.metadata().map_err(unreadable)?;
        if !about.is_file() {
            return Err(ArtifactError::NotAFile);
        }
        let size = about.len();
        if size > MAX_ARTIFACT_BYTES as u64 {
            return Err(ArtifactError::TooLarge { size, limit: MAX_ARTIFACT_BYTES });
        }
        let mut bytes = Vec::new();
        // One byte beyond the limit, so that a file that grew meanwhile is still refused.
        let mut capped = file.take(MAX_ARTIFACT_BYTES as u64 + 1);
        capped.read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }

    /// Writes the file as a whole, as [`write_whole`] does.
    ///
    /// # Errors
    ///
    /// [`ArtifactError::Unwritable`] names the step that failed.
    pub fn write(&self, path: &Path) -> Result<(), ArtifactError> {
        Ok(write_whole(path, &self.bytes)?)
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest of the bytes: the artifact's identity.
    pub fn digest(&self) -> Digest {
        self.card.digest
    }

    /// The model.
    pub fn model(&self) -> Arc<dyn Model> {
        Arc::clone(&self.model)
    }

    /// Makes sure that the model can run here, and opens what it needs.
    ///
    /// # Errors
    ///
    /// [`ArtifactError::CannotRun`], for an ONNX file without ONNX Runtime, or one that it refuses.
    pub fn prepare(&self) -> Result<(), ArtifactError> {
        self.model.prepare().map_err(|cause| ArtifactError::CannotRun { cause })
    }

    /// The card.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Makes an artifact of a trained model, with the checks of a file.
    pub(super) fn seal(payload: &Payload) -> Result<Self, ArtifactError> {
        Self::from_bytes(&codec::encode(payload)?)
    }
}

/// Checks the numbers that no other check covers.
fn check_numbers(payload: &Payload) -> Result<(), ArtifactError> {
    let report = &payload.holdout;
    let measures = [report.base_rate, report.auc, report.log_loss, report.brier, report.accuracy];
    let bins = report.calibration.iter().flat_map(|b| [b.from, b.to, b.predicted, b.observed]);
    let fields = [
        ("the holdout report", measures.into_iter().chain(bins).find(|n| !n.is_finite())),
        ("the l2 of the training", Some(payload.training.l2).filter(|n| !n.is_finite())),
        ("the intercept", Some(payload.intercept).filter(|n| !n.is_finite())),
        ("a coefficient", payload.coefficients.iter().copied().find(|n| !n.is_finite())),
    ];
    match fields.into_iter().find_map(|(field, found)| Some((field, found?))) {
        Some((field, value)) => Err(ArtifactError::NotFinite { field, value }),
        None if payload.probes.is_empty() => Err(ArtifactError::NoProbes),
        None => Ok(()),
    }
}

/// The inputs of the first probes.
fn first_rows(probes: &[Probe]) -> Arc<[Vec<Value<'static>>]> {
    probes.iter().take(MAX_KEPT_ROWS).map(|probe| probe.values.clone()).collect()
}

/// Replays the probes. The tolerance of a number above 1 is relative to it.
fn replay(model: &dyn Model, probes: &[Probe], tolerance: f64) -> Result<(), ArtifactError> {
    for (index, probe) in probes.iter().enumerate() {
        let values = probe.values.clone();
        let refusal = |problem: String| ArtifactError::Probe { index, problem };
        let row = model.schema().row(Features::Ordered(values));
        let row =
            row.map_err(|cause| refusal(format!("the schema refuses its input ({cause})")))?;
        let output = model.predict(&row);
        let output = output.map_err(|cause| refusal(format!("the model fails ({cause})")))?;
        let expected: Vec<f64> = probe.numbers().collect();
        // Written so that NaN does not agree.
        let agrees = |(output, expected): (&f64, &f64)| {
            (output - expected).abs() <= tolerance * expected.abs().max(1.0)
        };
        let numbers = output.numbers();
        if numbers.len() != expected.len() || !numbers.iter().zip(&expected).all(agrees) {
            let (output, expected) = (in_words(numbers), in_words(&expected));
            return Err(refusal(format!("output {output}, expected {expected}")));
        }
    }
    Ok(())
}

fn in_words(numbers: &[f64]) -> String {
    numbers.iter().map(f64::to_string).collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests;
