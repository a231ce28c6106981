//! Byte format of an artifact: header and payload.
//!
//! ```text
//! offset  bytes  field
//!      0      8  magic, "SERINMDL"
//!      8      4  format version, little-endian
//!     12     32  BLAKE3 digest of the 12 bytes before it and of the payload
//!     44      n  payload: bincode 2, standard configuration
//! ```
//!
//! | version | payload |
//! |---|---|
//! | 2 | a trained model |
//! | 3 | a trained model and its markers of missing values |
//! | 4 | an imported model that answers one number: a probability, or a score |
//! | 5 | an imported model of many classes: as 4, then their names, and the other numbers of each probe |
//! | 6 | a trained model of many classes, then the other numbers of each probe |
//! | 7 | a byte with one of the versions 3 to 6, its payload, then the inputs of training |
//!
//! Only this file uses bincode, which is no longer maintained, so replacing it takes this file and a new
//! format version. This file checks that the bytes are the ones written; the artifact checks what they
//! mean.

use bincode::error::DecodeError;
use bincode::error::EncodeError;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::card::Parity;
use super::card::Target;
use super::card::TrainingDescription;
use super::class_report::ClassesReport;
use super::digest::DIGEST_BYTES;
use super::digest::Digest;
use super::error::ArtifactError;
use super::limits::CLASSES_VERSION;
use super::limits::FORMAT_VERSION;
use super::limits::IMPORTED_VERSION;
use super::limits::INPUTS_VERSION;
use super::limits::MAX_ARTIFACT_BYTES;
use super::limits::MAX_LIST;
use super::limits::MAX_PROBES;
use super::limits::MAX_TRAINED_BYTES;
use super::limits::NEWEST_VERSION;
use super::limits::OLDEST_VERSION;
use super::limits::TRAINED_CLASSES_VERSION;
use super::report::HoldoutReport;
use crate::model::inputs::Inputs;
use crate::model::kinds::imported::Format;
use crate::model::kinds::limits::MAX_FEATURES;
use crate::model::kinds::limits::MAX_OUTPUTS;
use crate::model::output::Output;
use crate::model::schema::Feature;
use crate::model::schema::Missing;
use crate::model::schema::Value;
use crate::text::bounded::bytes;
use crate::text::bounded::list;
use crate::text::bounded::text;
use crate::text::bounded::texts;

/// First bytes of every artifact.
const MAGIC: &[u8; 8] = b"SERINMDL";

/// The part of the header that the digest covers: magic and version.
const PREFIX_BYTES: usize = 12;

/// The whole header.
const HEADER_BYTES: usize = PREFIX_BYTES + DIGEST_BYTES;

/// Limits of decoding, in the bytes that bincode counts; the values take several times as much memory. Texts and lists
/// reserve nothing that they only declare, and lists end at limits of their own.
const TRAINED_LIMIT: usize = 2 * MAX_TRAINED_BYTES;
const IMPORTED_LIMIT: usize = 2 * MAX_ARTIFACT_BYTES;

/// The unchecked contents of a trained model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Payload {
    #[serde(deserialize_with = "list::<_, _, MAX_LIST>")]
    pub(crate) features: Vec<Feature>,
    pub(crate) intercept: f64,
    pub(crate) coefficients: Vec<f64>,
    pub(crate) threshold: f64,
    pub(crate) training: TrainingDescription,
    pub(crate) holdout: HoldoutReport,
    #[serde(deserialize_with = "list::<_, _, MAX_PROBES>")]
    pub(crate) probes: Vec<Probe>,
    /// Written after the rest, because files of version 2 do not have it.
    #[serde(skip)]
    pub(crate) missing: Missing,
    /// Written last.
    #[serde(skip)]
    pub(crate) inputs: Option<Inputs>,
}

/// The unchecked contents of a trained model of many classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClassesPayload {
    pub(crate) features: Vec<Feature>,
    pub(crate) classes: Vec<String>,
    /// One for each class.
    pub(crate) intercepts: Vec<f64>,
    /// Class by class, one for each encoded column.
    pub(crate) coefficients: Vec<f64>,
    pub(crate) training: TrainingDescription,
    pub(crate) holdout: ClassesReport,
    pub(crate) missing: Missing,
    pub(crate) probes: Vec<Probe>,
    /// Written last.
    #[serde(skip)]
    pub(crate) inputs: Option<Inputs>,
}

/// The unchecked contents of an imported model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImportedPayload {
    pub(crate) format: Format,
    /// The name of the file, without its folder.
    #[serde(deserialize_with = "text")]
    pub(crate) source: String,
    /// The names of the inputs, in the order of the file.
    #[serde(deserialize_with = "texts::<_, MAX_FEATURES>")]
    pub(crate) names: Vec<String>,
    pub(crate) threshold: f64,
    pub(crate) missing: Missing,
    pub(crate) target: Option<Target>,
    pub(crate) parity: Option<Parity>,
    #[serde(deserialize_with = "list::<_, _, MAX_PROBES>")]
    pub(crate) probes: Vec<Probe>,
    /// The file as its library wrote it.
    #[serde(deserialize_with = "bytes")]
    pub(crate) file: Vec<u8>,
    /// The names of more than two classes; empty for other outputs. Written after the rest.
    #[serde(skip)]
    pub(crate) classes: Vec<String>,
    /// Of the rows that were compared. Written last.
    #[serde(skip)]
    pub(crate) inputs: Option<Inputs>,
}

/// What version 5 has after the rest.
#[derive(Serialize, Deserialize)]
struct OfClasses {
    #[serde(deserialize_with = "texts::<_, MAX_OUTPUTS>")]
    classes: Vec<String>,
    /// For each probe.
    #[serde(deserialize_with = "list::<_, _, MAX_PROBES>")]
    more: Vec<Vec<f64>>,
}

/// An input with its output in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Probe {
    #[serde(deserialize_with = "list::<_, _, MAX_LIST>")]
    pub(crate) values: Vec<Value<'static>>,
    /// The probability, the score, or the probability of the first class.
    pub(crate) first: f64,
    /// The probabilities of the other classes. Written after the rest.
    #[serde(skip)]
    pub(crate) more: Vec<f64>,
}

impl Probe {
    /// A probe of these values with a model's answer.
    pub(crate) fn new(values: Vec<Value<'static>>, output: &Output) -> Self {
        let more = output.numbers().get(1..).unwrap_or_default().to_vec();
        Self { values, first: output.score(), more }
    }

    /// The numbers of the answer.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = f64> {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }
}

/// Header and payload as bytes.
pub(crate) fn encode(payload: &Payload) -> Result<Vec<u8>, ArtifactError> {
    let config = bincode::config::standard();
    let unwritable = |error: EncodeError| ArtifactError::Payload { problem: error.to_string() };
    let mut body = bincode::serde::encode_to_vec(payload, config).map_err(unwritable)?;
    body.extend(bincode::serde::encode_to_vec(&payload.missing, config).map_err(unwritable)?);
    seal_with(FORMAT_VERSION, body, payload.inputs.as_ref())
}

/// The same for an imported model.
pub(crate) fn encode_imported(payload: &ImportedPayload) -> Result<Vec<u8>, ArtifactError> {
    let config = bincode::config::standard();
    let unwritable = |error: EncodeError| ArtifactError::Payload { problem: error.to_string() };
    let mut body = bincode::serde::encode_to_vec(payload, config).map_err(unwritable)?;
    if payload.classes.is_empty() {
        return seal_with(IMPORTED_VERSION, body, payload.inputs.as_ref());
    }
    let more = payload.probes.iter().map(|probe| probe.more.clone()).collect();
    let rest = OfClasses { classes: payload.classes.clone(), more };
    let rest = bincode::serde::encode_to_vec(rest, config);
    body.extend(rest.map_err(unwritable)?);
    seal_with(CLASSES_VERSION, body, payload.inputs.as_ref())
}

/// The same for a trained model of many classes.
pub(crate) fn encode_classes(payload: &ClassesPayload) -> Result<Vec<u8>, ArtifactError> {
    let config = bincode::config::standard();
    let unwritable = |error: EncodeError| ArtifactError::Payload { problem: error.to_string() };
    let mut body = bincode::serde::encode_to_vec(payload, config).map_err(unwritable)?;
    let more: Vec<&Vec<f64>> = payload.probes.iter().map(|probe| &probe.more).collect();
    body.extend(bincode::serde::encode_to_vec(more, config).map_err(unwritable)?);
    seal_with(TRAINED_CLASSES_VERSION, body, payload.inputs.as_ref())
}

/// A payload of this version behind its header, with the inputs of training if there are any.
fn seal_with(
    version: u32,
    body: Vec<u8>,
    inputs: Option<&Inputs>,
) -> Result<Vec<u8>, ArtifactError> {
    let Some(inputs) = inputs else { return Ok(seal_as(version, &body)) };
    let unwritable = |error: EncodeError| ArtifactError::Payload { problem: error.to_string() };
    let inputs = bincode::serde::encode_to_vec(inputs, bincode::config::standard());
    // Versions are small numbers.
    let mut all = vec![version.to_le_bytes()[0]];
    all.extend(body);
    all.extend(inputs.map_err(unwritable)?);
    Ok(seal_as(INPUTS_VERSION, &all))
}

/// The payload behind its header.
#[cfg(test)]
pub(crate) fn seal(body: &[u8]) -> Vec<u8> {
    seal_as(FORMAT_VERSION, body)
}

/// The same with any version.
pub(crate) fn seal_as(version: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&version.to_le_bytes());
    let digest = Digest::of(&[&bytes, body]);
    bytes.extend_from_slice(digest.as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// What the bytes of an artifact hold.
pub(crate) struct Decoded {
    pub(crate) contents: Contents,
    pub(crate) digest: Digest,
    pub(crate) version: u32,
}

/// The unchecked contents of an artifact.
pub(crate) enum Contents {
    /// Of a trained model.
    Trained(Box<Payload>),
    /// Of a trained model of many classes.
    TrainedClasses(Box<ClassesPayload>),
    /// Of an imported model.
    Imported(Box<ImportedPayload>),
}

/// Decodes the bytes of an artifact. The header is checked before the first allocation.
pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded, ArtifactError> {
    check_size(bytes, MAX_ARTIFACT_BYTES)?;
    if !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
        return Err(ArtifactError::Magic);
    }
    let short = || ArtifactError::TooShort { size: bytes.len(), header: HEADER_BYTES };
    let (version, rest) =
        bytes.get(MAGIC.len()..).and_then(|rest| rest.split_first_chunk()).ok_or_else(short)?;
    let (stored, body) = rest.split_first_chunk().ok_or_else(short)?;
    let found = u32::from_le_bytes(*version);
    if !(OLDEST_VERSION..=NEWEST_VERSION).contains(&found) {
        return Err(ArtifactError::Version { found });
    }
    let is_trained =
        |version: u32| version < IMPORTED_VERSION || version == TRAINED_CLASSES_VERSION;
    if is_trained(found) {
        check_size(bytes, MAX_TRAINED_BYTES)?;
    }
    let (stored, computed) =
        (Digest::from_bytes(*stored), Digest::of(&[&bytes[..PREFIX_BYTES], body]));
    if stored != computed {
        return Err(ArtifactError::Digest { stored, computed });
    }
    let (of_body, payload) = match found {
        INPUTS_VERSION => body_with_inputs(body)?,
        found => (found, body),
    };
    if is_trained(of_body) {
        check_size(bytes, MAX_TRAINED_BYTES)?;
    }
    let (mut contents, read) = match of_body {
        IMPORTED_VERSION | CLASSES_VERSION => {
            let (payload, read) = decode_imported(payload, of_body)?;
            (Contents::Imported(Box::new(payload)), read)
        }
        TRAINED_CLASSES_VERSION => {
            let (payload, read) = decode_classes(payload)?;
            (Contents::TrainedClasses(Box::new(payload)), read)
        }
        _ => {
            let (payload, read) = decode_trained(payload, of_body)?;
            (Contents::Trained(Box::new(payload)), read)
        }
    };
    let rest = payload.get(read..).unwrap_or_default();
    if found == INPUTS_VERSION {
        let (inputs, end): (Inputs, usize) = decode_part::<_, TRAINED_LIMIT>(rest)?;
        check_end(rest, end)?;
        *contents.inputs_mut() = Some(inputs);
    } else {
        check_end(payload, read)?;
    }
    Ok(Decoded { contents, digest: computed, version: found })
}

/// The version of the payload before the inputs, and the bytes of both.
fn body_with_inputs(body: &[u8]) -> Result<(u32, &[u8]), ArtifactError> {
    let found = body.split_first().map(|(version, rest)| (u32::from(*version), rest));
    found.filter(|(version, _)| (FORMAT_VERSION..INPUTS_VERSION).contains(version)).ok_or_else(
        || ArtifactError::Payload { problem: "it names no version of its contents".to_owned() },
    )
}

impl Contents {
    fn inputs_mut(&mut self) -> &mut Option<Inputs> {
        match self {
            Contents::Trained(payload) => &mut payload.inputs,
            Contents::TrainedClasses(payload) => &mut payload.inputs,
            Contents::Imported(payload) => &mut payload.inputs,
        }
    }
}

fn check_size(bytes: &[u8], limit: usize) -> Result<(), ArtifactError> {
    match bytes.len() > limit {
        true => Err(ArtifactError::TooLarge { size: bytes.len() as u64, limit }),
        false => Ok(()),
    }
}

/// What the decoder found, without the names of its types.
fn in_words(error: &DecodeError) -> String {
    match error {
        DecodeError::UnexpectedEnd { .. } => "it ends too early".to_owned(),
        DecodeError::LimitExceeded => "a length in it is too large".to_owned(),
        DecodeError::Utf8 { .. } => "a text in it is not UTF-8".to_owned(),
        DecodeError::OtherString(message) => message.clone(),
        _ => "its structure is damaged".to_owned(),
    }
}

fn decode_trained(body: &[u8], version: u32) -> Result<(Payload, usize), ArtifactError> {
    let (mut payload, mut read): (Payload, usize) = decode_part::<_, TRAINED_LIMIT>(body)?;
    if version > OLDEST_VERSION {
        let (missing, more) = decode_part::<_, TRAINED_LIMIT>(&body[read..])?;
        payload.missing = missing;
        read += more;
    }
    Ok((payload, read))
}

fn decode_classes(body: &[u8]) -> Result<(ClassesPayload, usize), ArtifactError> {
    let (mut payload, read): (ClassesPayload, usize) = decode_part::<_, TRAINED_LIMIT>(body)?;
    let (more, end): (Vec<Vec<f64>>, usize) = decode_part::<_, TRAINED_LIMIT>(&body[read..])?;
    for (probe, more) in payload.probes.iter_mut().zip(more) {
        probe.more = more;
    }
    Ok((payload, read + end))
}

fn decode_imported(body: &[u8], version: u32) -> Result<(ImportedPayload, usize), ArtifactError> {
    let (mut payload, mut read): (ImportedPayload, usize) = decode_part::<_, IMPORTED_LIMIT>(body)?;
    if version == CLASSES_VERSION {
        let (rest, end): (OfClasses, usize) = decode_part::<_, IMPORTED_LIMIT>(&body[read..])?;
        payload.classes = rest.classes;
        for (probe, more) in payload.probes.iter_mut().zip(rest.more) {
            probe.more = more;
        }
        read += end;
    }
    Ok((payload, read))
}

fn check_end(body: &[u8], read: usize) -> Result<(), ArtifactError> {
    if read != body.len() {
        let problem = format!("it ends after {read} of {} bytes", body.len());
        return Err(ArtifactError::Payload { problem });
    }
    Ok(())
}

/// The value at the start of these bytes, and how many it takes.
fn decode_part<T: DeserializeOwned, const LIMIT: usize>(
    bytes: &[u8],
) -> Result<(T, usize), ArtifactError> {
    let config = bincode::config::standard().with_limit::<LIMIT>();
    bincode::serde::borrow_decode_from_slice(bytes, config)
        .map_err(|error| ArtifactError::Payload { problem: in_words(&error) })
}
