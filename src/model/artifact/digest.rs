//! BLAKE3 digest, the identity of an artifact.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use thiserror::Error;
use utoipa::ToSchema;

use crate::text::lists::quoted;

/// Bytes in a digest.
pub const DIGEST_BYTES: usize = 32;

/// 32 bytes, written as 64 hexadecimal digits.
///
/// ```
/// use serin::model::Digest;
///
/// let digest = Digest::of(&[b"serin"]);
/// assert_eq!(digest.to_string().parse(), Ok(digest));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, min_length = 64, max_length = 64)]
pub struct Digest([u8; DIGEST_BYTES]);

impl Digest {
    /// The digest of the concatenated parts.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// A digest of these bytes.
    pub const fn from_bytes(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refusal = || DigestError { text: quoted(text), bytes: text.len() };
        let digest = Self(*blake3::Hash::from_hex(text).map_err(|_| refusal())?.as_bytes());
        // Lower case only, so that a digest has one spelling.
        if digest.to_string() == text { Ok(digest) } else { Err(refusal()) }
    }
}

/// As a string of hexadecimal digits.
impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("digest: {text} ({bytes} bytes) is not a digest; use 64 lower-case hexadecimal digits")]
pub struct DigestError {
    text: String,
    bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_blake3() {
        // The empty input, from BLAKE3's published test vectors.
        let expected = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Digest::of(&[]).to_string(), expected);
        assert_eq!(Digest::of(&[b"ab", b"c"]), Digest::of(&[b"abc"]));
    }

    #[test]
    fn a_digest_has_one_spelling() {
        let digest = Digest::of(&[b"x"]);
        let text = digest.to_string();
        assert_eq!(text.parse(), Ok(digest));
        for bad in
            ["", "abc", &text.to_uppercase(), &text[1..], &format!("{text}0"), &"g".repeat(64)]
        {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        assert!("é".repeat(32).parse::<Digest>().is_err());
    }

    #[test]
    fn a_digest_is_a_string_in_json() {
        let digest = Digest::of(&[b"x"]);
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{digest}\""));
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
    }
}
