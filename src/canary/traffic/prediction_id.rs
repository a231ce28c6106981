//! Prediction id: everything that a label of the prediction needs, so that no prediction is stored.
//!
//! ```text
//! id    = URL-safe base64: 64 characters of two classes
//! bytes = version, flags, share in basis points (2), step (4), rollout (6), second (6), number (8), what was
//!         predicted, and their code of 16 bytes
//! version 1: the probability of one of two classes as f32 (4)
//! version 2: a score as f64 (8)
//! version 3: the probability of each class with six bits of exponent and ten of mantissa (2 each)
//! code  = SipHash-2-4 with 128 bits (Aumasson and Bernstein 2012, doi:10.1007/978-3-642-34931-7_28)
//! ```
//!
//! Numbers are little-endian; seconds count from 1970. The key prevents forging an id, not reading it: an id
//! reveals nothing that its response did not. The number makes two ids of equal predictions differ.

use std::hash::Hasher;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use siphasher::sip128::Hasher128;
use siphasher::sip128::SipHasher24;
use smallvec::SmallVec;
use thiserror::Error;

use super::weight::Weight;
use crate::canary::traffic::track::Track;

/// The content of a prediction id.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionId {
    /// The rollout at the time; 0 for none.
    pub rollout: u64,
    /// Its step.
    pub step: u32,
    /// The canary's share of traffic at the time.
    pub weight: Weight,
    /// The track that answered.
    pub track: Track,
    /// How its label is used.
    pub attribution: Attribution,
    /// The time, in seconds since 1970.
    pub second: u64,
    /// A number that makes the id unique.
    pub number: u64,
    /// What was predicted.
    pub predicted: Predicted,
}

/// What was predicted, as far as a label needs it.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicted {
    /// The probability of the positive class.
    Probability(f32),
    /// A score.
    Score(f64),
    /// The probability of each class, to 0.05 %.
    Classes(Vec<f32>),
}

/// How the label of a prediction is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribution {
    /// Reported and judged: its track was assigned independently.
    Judged,
    /// Reported only: its track follows from another prediction of the same key or request.
    Reported,
    /// Excluded: stable answered in place of the canary, or there was no canary.
    Excluded,
}

/// The key that authenticates this server's ids.
#[derive(Clone)]
pub struct IdKey([u8; IdKey::BYTES]);

/// Why a text is not an id of this server.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum IdError {
    /// It does not have the form of an id.
    #[error(
        "prediction_id: not at least {CHARACTERS} characters of A-Z, a-z, 0-9, - and _; send the id of the prediction's \
         answer unchanged"
    )]
    Malformed,
    /// Its code does not match.
    #[error(
        "prediction_id: not issued by this server, or changed; send the id of the prediction's answer unchanged, \
         to the server with the same store"
    )]
    Forged,
}

/// Bytes before what was predicted.
const HEAD: usize = 28;
const CODE: usize = 16;
/// The least length of an id: that of two classes.
pub const CHARACTERS: usize = (HEAD + 4 + CODE) / 3 * 4;

/// The most classes that an id carries.
const MAX_CLASSES: usize = 1000;

/// The greatest length of an id.
const MAX_CHARACTERS: usize = (HEAD + 2 * MAX_CLASSES + CODE).div_ceil(3) * 4;

const CANARY: u8 = 1;
const REPORTED: u8 = 2;
const EXCLUDED: u8 = 4;

impl IdKey {
    /// The length of a key.
    pub const BYTES: usize = 16;

    /// A key of these bytes, which must stay secret.
    pub fn new(bytes: [u8; IdKey::BYTES]) -> IdKey {
        IdKey(bytes)
    }

    fn code(&self, signed: &[u8]) -> [u8; CODE] {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(signed);
        hasher.finish128().as_bytes()
    }
}

impl PredictionId {
    /// The id as text.
    pub fn written(&self, key: &IdKey) -> String {
        let flags = match self.track {
            Track::Stable => 0,
            Track::Canary => CANARY,
        } | match self.attribution {
            Attribution::Judged => 0,
            Attribution::Reported => REPORTED,
            Attribution::Excluded => EXCLUDED,
        };
        let mut head = [0; HEAD];
        head[..2].copy_from_slice(&[self.predicted.version(), flags]);
        head[2..4].copy_from_slice(&self.weight.basis_points().to_le_bytes());
        head[4..8].copy_from_slice(&self.step.to_le_bytes());
        head[8..14].copy_from_slice(&self.rollout.to_le_bytes()[..6]);
        head[14..20].copy_from_slice(&self.second.to_le_bytes()[..6]);
        head[20..].copy_from_slice(&self.number.to_le_bytes());
        let mut bytes: SmallVec<[u8; 64]> = SmallVec::from_slice(&head);
        match &self.predicted {
            Predicted::Probability(probability) => {
                bytes.extend_from_slice(&probability.to_le_bytes());
            }
            Predicted::Score(score) => bytes.extend_from_slice(&score.to_le_bytes()),
            Predicted::Classes(classes) => {
                classes.iter().for_each(|one| bytes.extend(packed(*one).to_le_bytes()));
            }
        }
        let code = key.code(&bytes);
        bytes.extend_from_slice(&code);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The content of an id, and a fingerprint: 64 bits that cannot be chosen without the key.
    ///
    /// # Errors
    /// When it is malformed, or made with another key.
    pub fn read(text: &str, key: &IdKey) -> Result<(PredictionId, u64), IdError> {
        let bytes = decoded(text).ok_or(IdError::Malformed)?;
        let (signed, code) = bytes.split_at(bytes.len() - CODE);
        let expected = key.code(signed);
        // In constant time, so that timing does not reveal the code byte by byte.
        let differs = expected.iter().zip(code).fold(0, |seen, (a, b)| seen | (a ^ b));
        if differs != 0 {
            return Err(IdError::Forged);
        }
        let mut rest = signed;
        let mut number = |length: usize| {
            let (part, after) = rest.split_at(length.min(rest.len()));
            rest = after;
            part.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let (version, flags) = (number(1), number(1) as u8);
        let weight = Weight::from_basis_points(number(2) as u16).ok_or(IdError::Malformed)?;
        let (step, rollout, second) = (number(4) as u32, number(6), number(6));
        let unique = number(8);
        let predicted = Predicted::read(version, rest).ok_or(IdError::Malformed)?;
        let track = if flags & CANARY == 0 { Track::Stable } else { Track::Canary };
        let attribution = match (flags & REPORTED, flags & EXCLUDED) {
            (0, 0) => Attribution::Judged,
            (_, 0) => Attribution::Reported,
            (_, _) => Attribution::Excluded,
        };
        let id = PredictionId {
            rollout,
            step,
            weight,
            track,
            attribution,
            second,
            number: unique,
            predicted,
        };
        let fingerprint = code.iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        Ok((id, fingerprint))
    }
}

impl Predicted {
    fn version(&self) -> u8 {
        match self {
            Predicted::Probability(_) => 1,
            Predicted::Score(_) => 2,
            Predicted::Classes(_) => 3,
        }
    }

    /// The content of an id of this version; `None` if its length is another one's.
    fn read(version: u64, bytes: &[u8]) -> Option<Predicted> {
        match version {
            1 => Some(Predicted::Probability(f32::from_le_bytes(bytes.try_into().ok()?))),
            2 => Some(Predicted::Score(f64::from_le_bytes(bytes.try_into().ok()?))),
            3 => {
                let classes = bytes.as_chunks::<2>();
                let unpack = |one: &[u8; 2]| unpacked(u16::from_le_bytes(*one));
                classes
                    .1
                    .is_empty()
                    .then(|| Predicted::Classes(classes.0.iter().map(unpack).collect()))
            }
            _ => None,
        }
    }
}

/// The exponent field of 2^-63 in an `f32`.
const LOWEST_EXPONENT: u32 = 64;

/// A probability in two bytes: the exponent and the first ten bits of the mantissa, rounded; 0 below 2^-62.
fn packed(probability: f32) -> u16 {
    let rounded = (probability.clamp(0.0, 1.0).to_bits() + (1 << 12)) >> 13;
    rounded.saturating_sub(LOWEST_EXPONENT << 10) as u16
}

fn unpacked(packed: u16) -> f32 {
    if packed < 1 << 10 {
        return 0.0;
    }
    f32::from_bits((u32::from(packed) + (LOWEST_EXPONENT << 10)) << 13).min(1.0)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    if !(CHARACTERS..=MAX_CHARACTERS).contains(&text.len()) {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    (bytes.len() >= HEAD + CODE).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    fn key(byte: u8) -> IdKey {
        IdKey::new([byte; IdKey::BYTES])
    }

    fn any_id() -> impl Strategy<Value = PredictionId> {
        let attribution = prop::sample::select(vec![
            Attribution::Judged,
            Attribution::Reported,
            Attribution::Excluded,
        ]);
        let numbers = (0_u64..1 << 48, any::<u32>(), 0..=Weight::WHOLE, 0_u64..1 << 48);
        let as_read = |classes: Vec<f32>| {
            Predicted::Classes(classes.into_iter().map(|one| unpacked(packed(one))).collect())
        };
        let predicted = prop_oneof![
            (0.0_f32..=1.0).prop_map(Predicted::Probability),
            (-1e300..1e300_f64).prop_map(Predicted::Score),
            prop::collection::vec(0.0_f32..=1.0, 2..100).prop_map(as_read),
        ];
        (numbers, any::<bool>(), attribution, any::<u64>(), predicted).prop_map(
            |((rollout, step, weight, second), is_canary, attribution, number, predicted)| {
                PredictionId {
                    rollout,
                    step,
                    weight: Weight::from_basis_points(weight).unwrap(),
                    track: if is_canary { Track::Canary } else { Track::Stable },
                    attribution,
                    second,
                    number,
                    predicted,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn an_id_is_read_back_with_the_same_key_only(id in any_id()) {
            let text = id.written(&key(1));
            let is_binary = matches!(id.predicted, Predicted::Probability(_));
            prop_assert!(!is_binary || text.len() == CHARACTERS);
            prop_assert_eq!(PredictionId::read(&text, &key(1)).unwrap().0, id);
            prop_assert_eq!(PredictionId::read(&text, &key(2)), Err(IdError::Forged));
        }

        #[test]
        fn any_other_character_anywhere_is_refused(
            id in any_id(), place in 0..CHARACTERS, other in prop::sample::select(ALPHABET.to_vec()),
        ) {
            let mut text = id.written(&key(1)).into_bytes();
            prop_assume!(text[place] != other);
            text[place] = other;
            let text = String::from_utf8(text).unwrap();
            // The last character of some lengths has bits that must be 0.
            prop_assert!(PredictionId::read(&text, &key(1)).is_err());
        }

        #[test]
        fn any_text_is_refused(text in ".{0,80}") {
            prop_assert!(PredictionId::read(&text, &key(1)).is_err());
        }
    }

    #[test]
    fn an_id_of_an_earlier_release_is_read() {
        // Written by the release before scores and classes, with the key of sixteen ones.
        let bytes = |id: &PredictionId| URL_SAFE_NO_PAD.decode(id.written(&key(1))).unwrap();
        let id = PredictionId {
            rollout: 3,
            step: 2,
            weight: Weight::from_basis_points(1000).unwrap(),
            track: Track::Canary,
            attribution: Attribution::Judged,
            second: 1_800_000_000,
            number: 7,
            predicted: Predicted::Probability(0.75),
        };
        let head = [
            1, 1, 0xe8, 3, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0xd2, 0x49, 0x6b, 0, 0, 7, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0x40, 0x3f,
        ];
        assert_eq!(bytes(&id)[..32], head);
        assert_eq!(bytes(&id).len(), 48);
        assert_eq!(PredictionId::read(&id.written(&key(1)), &key(1)).unwrap().0, id);
    }

    #[test]
    fn a_probability_of_two_bytes_is_known_to_five_hundredths_of_a_percent() {
        for exponent in 0..57 {
            for mantissa in 1..20 {
                let probability = 2_f32.powi(-exponent) * (mantissa as f32 / 20.0);
                let read = unpacked(packed(probability));
                assert!((read - probability).abs() <= 5e-4 * probability, "{probability} {read}");
            }
        }
        assert_eq!(
            [0.0, 1.0, 2.0, f32::MIN_POSITIVE].map(|p| unpacked(packed(p))),
            [0.0, 1.0, 1.0, 0.0]
        );
    }

    #[test]
    fn an_id_is_url_safe_and_other_forms_of_base64_are_refused() {
        let id = PredictionId {
            rollout: 3,
            step: 2,
            weight: Weight::from_basis_points(1000).unwrap(),
            track: Track::Canary,
            attribution: Attribution::Judged,
            second: 1_800_000_000,
            number: u64::MAX,
            predicted: Predicted::Probability(0.75),
        };
        let text = id.written(&key(1));
        assert!(text.bytes().all(|byte| ALPHABET.contains(&byte)), "{text}");
        for other in
            [format!("{text}="), format!(" {text}"), text.replacen('A', "+", 1), String::new()]
        {
            assert_eq!(PredictionId::read(&other, &key(1)), Err(IdError::Malformed), "{other}");
        }
    }
}
