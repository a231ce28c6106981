//! Fields of a body.

use std::borrow::Cow;
use std::fmt::Display;

use serde::Deserialize;
use serde::Deserializer;

use crate::http::problem::Problem;

/// A text, borrowed from the body where it has no escapes.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A field that may be left out, but not `null`.
///
/// # Errors
/// When the value is not of the field's type.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// Maximum length of keys and ids: they are identifiers, not documents.
pub(crate) const MAX_KEY_BYTES: usize = 256;

/// Checks the length of a key or id.
///
/// # Errors
/// When it is too long.
pub fn check_key(field: impl Display, key: Option<&str>) -> Result<(), Problem> {
    let length = key.map_or(0, str::len);
    if length <= MAX_KEY_BYTES {
        return Ok(());
    }
    Err(Problem::field(format_args!(
        "{field}: {length} bytes; use a shorter one, at most {MAX_KEY_BYTES} bytes"
    )))
}

/// Checks a covariate.
///
/// # Errors
/// When it is not a positive number.
pub fn check_covariate(covariate: Option<f64>) -> Result<(), Problem> {
    match covariate {
        Some(number) if !(number > 0.0 && number.is_finite()) => Err(Problem::field(format_args!(
            "covariate: {number}; use a positive number that is known beforehand, for example an expected size, or \
             leave it out"
        ))),
        Some(_) | None => Ok(()),
    }
}
