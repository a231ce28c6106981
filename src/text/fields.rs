//! Fields of settings and bodies: reads them, with errors that name the field.

use std::error::Error;
use std::fmt;
use std::fmt::Display;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::DeserializeSeed;
use serde_json::Value;

use super::lists::did_you_mean;

/// Fields that replace those of a default.
pub type Changes = serde_json::Map<String, Value>;

/// A field that is missing, unknown or invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field, such as `plan.steps[0].weight`; empty for the whole.
    pub path: String,
    /// What is wrong with it, and what to do.
    pub message: String,
}

impl Error for FieldError {}

impl Display for FieldError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.path.is_empty() { "" } else { ": " };
        write!(out, "{}{colon}{}", self.path, self.message)
    }
}

impl FieldError {
    /// A field with what is wrong and what to do.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> FieldError {
        FieldError { path: path.into(), message: message.into() }
    }

    /// A value outside its range.
    pub fn out_of_range(
        path: impl Into<String>,
        value: impl Display,
        allowed: impl Display,
    ) -> FieldError {
        FieldError::new(path, format!("{value} is out of range; use {allowed}"))
    }

    /// The same field with the path of the section that it is in.
    pub fn within(self, section: &str) -> FieldError {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        FieldError { path: format!("{section}{dot}{}", self.path), ..self }
    }
}

/// Reads a value of this type.
///
/// # Errors
/// Names the first field that does not fit, by its path.
pub fn read<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, FieldError> {
    read_with(PhantomData, from)
}

/// [`read`] of what a seed reads.
///
/// # Errors
/// As [`read`].
pub fn read_with<'de, S: DeserializeSeed<'de>, D: Deserializer<'de>>(
    seed: S,
    from: D,
) -> Result<S::Value, FieldError> {
    let mut track = serde_path_to_error::Track::new();
    let outcome = seed.deserialize(serde_path_to_error::Deserializer::new(from, &mut track));
    outcome.map_err(|error| {
        let path = track.path().to_string();
        let path = if path == "." { String::new() } else { shortened(&path) };
        FieldError { path, message: plain(&error.to_string()) }
    })
}

/// A path that fits into a message, even if a client sends a name of 100 kB.
fn shortened(path: &str) -> String {
    const MAX_CHARACTERS: usize = 100;
    let mut shown: String = path.chars().take(MAX_CHARACTERS).collect();
    if shown.len() < path.len() {
        shown.push('…');
    }
    shown
}

/// The default with these fields in place of its own; objects are merged field by field.
///
/// # Errors
/// Names the first field that does not fit.
pub fn overlay<T: Serialize + DeserializeOwned>(
    default: &T,
    changes: &Changes,
) -> Result<T, FieldError> {
    let default = serde_json::to_value(default);
    let mut merged = default.map_err(|cause| FieldError::new("", cause.to_string()))?;
    for (key, change) in changes {
        merge(&mut merged[key], change);
    }
    read(merged)
}

fn merge(into: &mut Value, change: &Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(into.entry(key).or_insert(Value::Null), change);
            }
        }
        (into, change) => *into = change.clone(),
    }
}

/// What a parser says, in the words of settings and JSON rather than of Rust.
pub(crate) fn plain(message: &str) -> String {
    // The position is that of the end of the value; the path says more.
    let message = message.rsplit_once(" at line ").map_or(message, |(before, _)| before);
    let Some((mistake, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    if mistake.starts_with("unknown ") {
        // Every second piece is between backticks: the unknown word, then the known ones.
        let mut words = message.split('`').skip(1).step_by(2);
        let meant = words.next().map(|word| did_you_mean(word, words)).unwrap_or_default();
        return format!("{mistake}{meant}; use {expected}");
    }
    let Some((kind, value)) = mistake.split_once(": ") else { return message.to_owned() };
    let value = match value {
        "sequence" => "a list",
        "map" => "an object",
        // `integer `5`` or `string "5"`: the value shows its type.
        _ => value.strip_prefix("string ").or(value.split('`').nth(1)).unwrap_or(value),
    };
    let (noun, remedy) = match expected {
        "f64" => ("a number", "a number without quotes, for example 0.87"),
        "u64" | "usize" => ("a whole number", "a whole number of 0 or more"),
        "u32" => ("a whole number", "a whole number from 0 to 4294967295"),
        "a boolean" => ("true or false", "true or false without quotes"),
        "a string" | "string" => ("a text", "a text in quotes"),
        "a sequence" => ("a list", "a list in brackets"),
        _ if expected == "a map" || expected.starts_with("struct ") => {
            ("an object", "an object with named fields")
        }
        _ => return format!("{value} does not fit; use {expected}"),
    };
    if kind == "invalid value" {
        return format!("{value} is out of range; use {remedy}");
    }
    format!("{value} is not {noun}; use {remedy}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Section {
        samples: u64,
        inner: Inner,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        share: f64,
        list: Vec<f64>,
    }

    fn changes(value: Value) -> Changes {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_is_left_out_stays_as_it_was() {
        let default = Section { samples: 3, inner: Inner { share: 0.5, list: vec![1.0] } };
        let changed = overlay(&default, &changes(json!({"inner": {"list": []}}))).unwrap();
        assert_eq!(changed, Section { samples: 3, inner: Inner { share: 0.5, list: vec![] } });
    }

    #[test]
    fn errors_name_the_field_what_is_there_and_what_is_allowed() {
        for (change, said) in [
            (
                json!({"smaples": 1}),
                "smaples: unknown field `smaples` (did you mean `samples`?); use `samples` or `inner`",
            ),
            (
                json!({"samples": "two"}),
                "samples: \"two\" is not a whole number; use a whole number of 0 or more",
            ),
            (
                json!({"inner": {"list": [1, null]}}),
                "inner.list[1]: null is not a number; use a number without quotes, for example 0.87",
            ),
            (
                json!({"samples": -3}),
                "samples: -3 is out of range; use a whole number of 0 or more",
            ),
            (
                json!({"samples": 2.5}),
                "samples: 2.5 is not a whole number; use a whole number of 0 or more",
            ),
            (
                json!({"inner": null}),
                "inner: null is not an object; use an object with named fields",
            ),
        ] {
            let error = overlay(&Section::default(), &changes(change)).unwrap_err();
            assert_eq!(error.to_string(), said);
        }
    }
}
