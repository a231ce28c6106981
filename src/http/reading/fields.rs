//! Reading single fields of a body, so that an error names the field and what belongs there.

use std::fmt;

use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::SeqAccess;
use serde::de::Visitor;

use crate::http::problem::Problem;

/// A number. `null` and numbers in quotes are none.
///
/// # Errors
/// When it is something else.
pub fn number<'de, D: Deserializer<'de>>(
    deserializer: D,
    field: &'static str,
) -> Result<f64, D::Error> {
    Number { field, index: None }.deserialize(deserializer)
}

/// An array of numbers.
///
/// # Errors
/// When it is something else; an element is named with its index, counted from 0.
pub fn numbers<'de, D: Deserializer<'de>>(
    deserializer: D,
    field: &'static str,
) -> Result<Vec<f64>, D::Error> {
    deserializer.deserialize_any(Numbers(field))
}

/// `true` or `false`.
///
/// # Errors
/// When it is something else.
pub fn flag<'de, D: Deserializer<'de>>(
    deserializer: D,
    field: &'static str,
) -> Result<bool, D::Error> {
    deserializer.deserialize_any(Flag(field))
}

/// A text.
///
/// # Errors
/// When it is something else.
pub fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
    field: &'static str,
) -> Result<String, D::Error> {
    deserializer.deserialize_any(Text(field))
}

/// Longer keys and ids are refused: they are identifiers, not documents.
const MAX_KEY_BYTES: usize = 256;

/// A key or id that is short enough.
///
/// # Errors
/// When it is longer.
pub fn check_key(field: &str, key: Option<&str>) -> Result<(), Problem> {
    let length = key.map_or(0, str::len);
    if length <= MAX_KEY_BYTES {
        return Ok(());
    }
    Err(Problem::field(format!(
        "{field} has {length} bytes, allowed are {MAX_KEY_BYTES}; give a shorter one"
    )))
}

#[derive(Clone, Copy)]
struct Number {
    field: &'static str,
    index: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for Number {
    type Value = f64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<f64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Number {
    type Value = f64;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.field)?;
        if let Some(index) = self.index {
            write!(out, "[{index}]")?;
        }
        out.write_str(" to be a number without quotes, such as 0.87,")
    }

    fn visit_f64<E>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_u64<E>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_i64<E>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }
}

struct Numbers(&'static str);

impl<'de> Visitor<'de> for Numbers {
    type Value = Vec<f64>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} to be an array of numbers, such as [0.87, 0.85],", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<f64>, A::Error> {
        let mut values = Vec::new();
        loop {
            let element = Number { field: self.0, index: Some(values.len()) };
            match elements.next_element_seed(element)? {
                Some(value) => values.push(value),
                None => return Ok(values),
            }
        }
    }
}

struct Flag(&'static str);

impl Visitor<'_> for Flag {
    type Value = bool;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} to be true or false", self.0)
    }

    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }
}

struct Text(&'static str);

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} to be a text in quotes", self.0)
    }

    fn visit_str<E>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }
}
