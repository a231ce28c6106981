//! Artifact of a model that another library trained: its file, untouched, with what serin adds.

use std::sync::Arc;

use super::Artifact;
use super::PROBE_TOLERANCE_IMPORTED;
use super::PROBE_TOLERANCE_ONNX;
use super::card;
use super::card::Card;
use super::card::Import;
use super::card::Origin;
use super::codec;
use super::codec::ImportedPayload;
use super::codec::Probe;
use super::digest::Digest;
use super::error::ArtifactError;
use super::first_rows;
use super::replay;
use crate::model::Model;
use crate::model::PredictError;
use crate::model::inputs::Inputs;
use crate::model::kinds::imported::Format;
use crate::model::kinds::imported::ImportError;
use crate::model::kinds::imported::ImportedModel;
use crate::model::kinds::imported::Library;
use crate::model::kinds::limits::MAX_BYTES;
use crate::model::kinds::parsed::Answer;
use crate::model::kinds::parsed::Parsed;
use crate::model::schema::FeatureKind;
use crate::model::schema::Missing;
use crate::model::schema::Schema;
use crate::model::schema::features::Features;
use crate::model::schema::features::Value;

/// The threshold where neither the user nor the file names one.
pub(crate) const DEFAULT_THRESHOLD: f64 = 0.5;

impl Artifact {
    /// A file as its library wrote it, under the names it has. A later load is a check only of the file itself.
    ///
    /// # Errors
    ///
    /// [`ArtifactError`] names the place in the file.
    pub(super) fn of_file(format: Format, bytes: &[u8]) -> Result<Self, ArtifactError> {
        if bytes.len() > MAX_BYTES {
            return Err(ArtifactError::TooLarge { size: bytes.len() as u64, limit: MAX_BYTES });
        }
        let parsed = format.read(bytes).map_err(ImportError::from)?;
        let (objective, two_classes) = (parsed.objective.clone(), two_classes(&parsed));
        let names: Vec<String> = parsed.features.iter().map(|input| input.name.clone()).collect();
        let threshold = parsed.threshold.unwrap_or(DEFAULT_THRESHOLD);
        let model = ImportedModel::new(parsed, &names, threshold, &[])?;
        let library = library(&model);
        let import = Import {
            format,
            source: None,
            objective,
            target: None,
            classes: two_classes,
            parity: None,
            constant: None,
            library,
        };
        let kept = Kept { rows: Arc::default(), inputs: None };
        Ok(Self::imported(bytes, model, Digest::of(&[bytes]), None, import, kept))
    }

    pub(super) fn of_import(
        bytes: &[u8],
        payload: ImportedPayload,
        digest: Digest,
        version: u32,
    ) -> Result<Self, ArtifactError> {
        let ImportedPayload { format, source, names, threshold, missing, .. } = payload;
        let ImportedPayload { target, parity, probes, file, classes, inputs, .. } = payload;
        if file.len() > MAX_BYTES {
            return Err(ArtifactError::TooLarge { size: file.len() as u64, limit: MAX_BYTES });
        }
        let parsed = format.read(&file).map_err(ImportError::from)?;
        let (objective, two_classes) = (parsed.objective.clone(), two_classes(&parsed));
        let model = ImportedModel::new(parsed, &names, threshold, &classes)?;
        let model = model.with_missing(probe_markers());
        if probes.is_empty() {
            return Err(ArtifactError::NoProbes);
        }
        match model.library() {
            // Without the library the model is known but cannot answer; it is replayed where it is to run.
            Some(Library::Absent) => {}
            Some(Library::Open(_)) => replay(&model, &probes, PROBE_TOLERANCE_ONNX)?,
            None => replay(&model, &probes, PROBE_TOLERANCE_IMPORTED)?,
        }
        let model = model.with_missing(missing);
        // Without a comparison the only probe is a row of zeros.
        let rows = if parity.is_some() { first_rows(&probes) } else { Arc::default() };
        inputs.iter().try_for_each(|inputs| inputs.check(model.schema()))?;
        let kept = Kept { rows, inputs };
        let import = Import {
            format,
            source: Some(source),
            objective,
            target,
            classes: two_classes,
            constant: parity.as_ref().and_then(|_| constant(&probes)),
            parity,
            library: library(&model),
        };
        Ok(Self::imported(bytes, model, digest, Some(version), import, kept))
    }

    fn imported(
        bytes: &[u8],
        model: ImportedModel,
        digest: Digest,
        format_version: Option<u32>,
        import: Import,
        kept: Kept,
    ) -> Self {
        let card = Card {
            kind: import.format.word(),
            digest,
            size_bytes: bytes.len() as u64,
            format_version,
            features: model.schema().clone(),
            missing: card::IMPORTED_MISSING_RULE,
            missing_values: model.schema().missing().clone(),
            output: model.output().clone(),
            kept_rows: kept.rows,
            inputs: kept.inputs,
            origin: Origin::Imported { import: Box::new(import) },
        };
        Self { bytes: bytes.into(), model: Arc::new(model), card }
    }

    /// Makes an artifact of an imported model, with the checks of a file.
    pub(crate) fn seal_imported(payload: &ImportedPayload) -> Result<Self, ArtifactError> {
        Self::from_bytes(&codec::encode_imported(payload)?)
    }
}

/// What is kept of the rows that a model was compared with.
struct Kept {
    rows: Arc<[Vec<Value<'static>>]>,
    inputs: Option<Inputs>,
}

/// The classes of a file that names two, and answers with the probability of the second.
fn two_classes(parsed: &Parsed) -> Vec<String> {
    match (parsed.answer, parsed.classes.as_slice()) {
        (Answer::Probability, [_, _]) => parsed.classes.clone(),
        _ => Vec::new(),
    }
}

/// The answer of several probes that all have the same.
fn constant(probes: &[Probe]) -> Option<f64> {
    let (first, rest) = probes.split_first()?;
    let is_same = |probe: &Probe| probe.first == first.first && probe.more == first.more;
    (!rest.is_empty() && rest.iter().all(is_same)).then_some(first.first)
}

/// The library that is open and computes the model, in words.
fn library(model: &ImportedModel) -> Option<&'static str> {
    match model.library() {
        Some(Library::Open(library)) => Some(library),
        Some(Library::Absent) | None => None,
    }
}

/// The markers of missing values in probes: blanks only, so that a probe means the same whatever markers mean.
pub(crate) fn probe_markers() -> Missing {
    Missing::only(&[])
}

/// Probes for rows without an original's answer: zeros, and each list's first word.
pub(crate) fn plain_probe(model: &ImportedModel) -> Result<Probe, PredictError> {
    let value = |kind: &FeatureKind| match kind {
        FeatureKind::Numeric { .. } | FeatureKind::Number => Value::Number(0.0),
        FeatureKind::Categorical { levels } => {
            levels.first().map_or(Value::Missing, |word| Value::Text(word.clone().into()))
        }
    };
    let features = model.schema().features().iter();
    probe(model, features.map(|feature| value(&feature.kind)).collect())
}

/// A probe of these values, with the model's answer.
pub(crate) fn probe(
    model: &ImportedModel,
    values: Vec<Value<'static>>,
) -> Result<Probe, PredictError> {
    let schema: &Schema = model.schema();
    let row = schema.row(Features::Ordered(values.clone()));
    let row = row.map_err(|cause| PredictError::ForeignRow { problem: cause.to_string() })?;
    let output = model.predict(&row)?;
    Ok(Probe::new(values, &output))
}
