//! Prediction id: everything that a label of the prediction needs, so that no prediction is stored.
//!
//! ```text
//! id    = 64 characters of URL-safe base64 = 48 bytes
//! bytes = 1 (the version), flags, share in basis points (2), step (4), rollout (6), second (6),
//!         number (8), score as f32 (4), and their code of 16 bytes
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
use thiserror::Error;

use super::weight::Weight;
use crate::canary::traffic::track::Track;

/// The content of a prediction id.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// The predicted probability.
    pub score: f32,
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
        "prediction_id: not {CHARACTERS} characters of A-Z, a-z, 0-9, - and _; send the id of the prediction's \
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

const VERSION: u8 = 1;
const SIGNED: usize = 32;
const CODE: usize = 16;
const BYTES: usize = SIGNED + CODE;
/// The length of an id.
pub const CHARACTERS: usize = BYTES / 3 * 4;

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
        let mut bytes = [0; BYTES];
        let flags = match self.track {
            Track::Stable => 0,
            Track::Canary => CANARY,
        } | match self.attribution {
            Attribution::Judged => 0,
            Attribution::Reported => REPORTED,
            Attribution::Excluded => EXCLUDED,
        };
        let parts: [&[u8]; 7] = [
            &[VERSION, flags],
            &self.weight.basis_points().to_le_bytes(),
            &self.step.to_le_bytes(),
            &self.rollout.to_le_bytes()[..6],
            &self.second.to_le_bytes()[..6],
            &self.number.to_le_bytes(),
            &self.score.to_le_bytes(),
        ];
        let mut rest = bytes.as_mut_slice();
        for part in parts {
            let (place, after) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = after;
        }
        let (signed, code) = bytes.split_at_mut(SIGNED);
        code.copy_from_slice(&key.code(signed));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The content of an id, and a fingerprint: 64 bits that cannot be chosen without the key.
    ///
    /// # Errors
    /// When it is malformed, or made with another key.
    pub fn read(text: &str, key: &IdKey) -> Result<(PredictionId, u64), IdError> {
        let bytes = decoded(text).ok_or(IdError::Malformed)?;
        let (signed, code) = bytes.split_at(SIGNED);
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
        // Only this version has ever been signed, so the rest is well-formed.
        let (_version, flags) = (number(1), number(1) as u8);
        let weight = Weight::from_basis_points(number(2) as u16).ok_or(IdError::Malformed)?;
        let (step, rollout, second) = (number(4) as u32, number(6), number(6));
        let (unique, score) = (number(8), f32::from_bits(number(4) as u32));
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
            score,
        };
        let fingerprint = code.iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        Ok((id, fingerprint))
    }
}

fn decoded(text: &str) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    (length == BYTES).then_some(bytes)
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
        (numbers, any::<bool>(), attribution, any::<u64>(), 0.0_f32..=1.0).prop_map(
            |((rollout, step, weight, second), is_canary, attribution, number, score)| {
                PredictionId {
                    rollout,
                    step,
                    weight: Weight::from_basis_points(weight).unwrap(),
                    track: if is_canary { Track::Canary } else { Track::Stable },
                    attribution,
                    second,
                    number,
                    score,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn an_id_is_read_back_with_the_same_key_only(id in any_id()) {
            let text = id.written(&key(1));
            prop_assert_eq!(text.len(), CHARACTERS);
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
            prop_assert_eq!(PredictionId::read(&text, &key(1)), Err(IdError::Forged));
        }

        #[test]
        fn any_text_is_refused(text in ".{0,80}") {
            prop_assert!(PredictionId::read(&text, &key(1)).is_err());
        }
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
            score: 0.75,
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
