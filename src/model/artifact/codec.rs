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
//! Only this file uses bincode, which is no longer maintained, so replacing it takes this file and a new
//! format version. This file checks that the bytes are the ones written; the artifact checks what they
//! mean.

use bincode::error::DecodeError;
use serde::Deserialize;
use serde::Serialize;

use super::card::TrainingDescription;
use super::digest::DIGEST_BYTES;
use super::digest::Digest;
use super::error::ArtifactError;
use super::limits::FORMAT_VERSION;
use super::limits::MAX_ARTIFACT_BYTES;
use super::report::HoldoutReport;
use crate::model::schema::Feature;
use crate::model::schema::Value;

/// First bytes of every artifact.
const MAGIC: &[u8; 8] = b"SERINMDL";

/// The part of the header that the digest covers: magic and version.
const PREFIX_BYTES: usize = 12;

/// The whole header.
const HEADER_BYTES: usize = PREFIX_BYTES + DIGEST_BYTES;

/// Limit of decoding, in the bytes that bincode counts; the values take several times as much memory. It stops a
/// forged length from allocating gigabytes.
const DECODED_LIMIT: usize = 2 * MAX_ARTIFACT_BYTES;

/// The unchecked contents of an artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Payload {
    pub(crate) features: Vec<Feature>,
    pub(crate) intercept: f64,
    pub(crate) coefficients: Vec<f64>,
    pub(crate) threshold: f64,
    pub(crate) training: TrainingDescription,
    pub(crate) holdout: HoldoutReport,
    pub(crate) probes: Vec<Probe>,
}

/// An input with its output in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) values: Vec<Value<'static>>,
    pub(crate) probability: f64,
}

/// Header and payload as bytes.
pub(crate) fn encode(payload: &Payload) -> Result<Vec<u8>, ArtifactError> {
    let body = bincode::serde::encode_to_vec(payload, bincode::config::standard())
        .map_err(|error| ArtifactError::Payload { problem: error.to_string() })?;
    Ok(seal(&body))
}

/// The payload in front of its header.
pub(crate) fn seal(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    let digest = Digest::of(&[&bytes, body]);
    bytes.extend_from_slice(digest.as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The payload and digest of an artifact's bytes. The header is checked before the first allocation.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Payload, Digest), ArtifactError> {
    if bytes.len() > MAX_ARTIFACT_BYTES {
        return Err(ArtifactError::TooLarge { size: bytes.len() as u64 });
    }
    if !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
        return Err(ArtifactError::Magic);
    }
    let short = || ArtifactError::TooShort { size: bytes.len(), header: HEADER_BYTES };
    let (version, rest) =
        bytes.get(MAGIC.len()..).and_then(|rest| rest.split_first_chunk()).ok_or_else(short)?;
    let (stored, body) = rest.split_first_chunk().ok_or_else(short)?;
    let found = u32::from_le_bytes(*version);
    if found != FORMAT_VERSION {
        return Err(ArtifactError::Version { found });
    }
    let (stored, computed) =
        (Digest::from_bytes(*stored), Digest::of(&[&bytes[..PREFIX_BYTES], body]));
    if stored != computed {
        return Err(ArtifactError::Digest { stored, computed });
    }
    Ok((decode_payload(body)?, computed))
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

fn decode_payload(body: &[u8]) -> Result<Payload, ArtifactError> {
    let config = bincode::config::standard().with_limit::<DECODED_LIMIT>();
    let (payload, read) = bincode::serde::decode_from_slice(body, config)
        .map_err(|error| ArtifactError::Payload { problem: in_words(&error) })?;
    if read != body.len() {
        let problem = format!("it ends after {read} of {} bytes", body.len());
        return Err(ArtifactError::Payload { problem });
    }
    Ok(payload)
}
