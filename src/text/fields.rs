//! Fields of settings and bodies: reads them, and names the one that is wrong.

use std::error::Error;
use std::fmt;
use std::fmt::Display;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::lists::did_you_mean;

/// Fields that replace those of a default.
pub type Changes = serde_json::Map<String, Value>;

/// A field that is missing, unknown or not what it may be.
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

    /// The same field, seen from outside the section that it is in.
    pub fn within(self, section: &str) -> FieldError {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        FieldError { path: format!("{section}{dot}{}", self.path), ..self }
    }
}

/// Reads a value of this type.
///
/// # Errors
/// Names the first field that does not fit, by its path.
pub fn read<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, FieldError>
where
    D::Error: Display,
{
    serde_path_to_error::deserialize(from).map_err(|error| field_error(&error))
}

/// The field that a parser complains of.
pub fn field_error<E: Display>(error: &serde_path_to_error::Error<E>) -> FieldError {
    let path = error.path().to_string();
    let path = if path == "." { String::new() } else { shortened(&path) };
    FieldError { path, message: plain(&error.inner().to_string()) }
}

/// A path that fits into a message even if a client has sent a name of 100 kB.
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
fn plain(message: &str) -> String {
    // The position is that of the end of the value; the path says more.
    let message = message.rsplit_once(" at line ").map_or(message, |(before, _)| before);
    if message.starts_with("unknown field `") || message.starts_with("unknown variant `") {
        // Every second piece is between backticks: the unknown word, then the known ones.
        let mut words = message.split('`').skip(1).step_by(2);
        let meant = words.next().map(|word| did_you_mean(word, words)).unwrap_or_default();
        return message.replacen(", expected ", &format!("{meant}, expected "), 1);
    }
    let Some((before, expected)) = message.split_once(", expected ") else {
        return message.to_owned();
    };
    let expected = match expected {
        "f64" => "a number without quotes, such as 0.87",
        "u64" | "u32" | "usize" => "a whole number of 0 or more",
        "a boolean" => "true or false",
        "a string" | "string" => "text in quotes",
        "a sequence" => "a list",
        "a map" => "an object",
        _ if expected.starts_with("struct ") => "an object of named fields",
        _ => expected,
    };
    format!("{before}, expected {expected}")
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
                "smaples: unknown field `smaples` (did you mean `samples`?), expected `samples` or `inner`",
            ),
            (
                json!({"samples": "two"}),
                "samples: invalid type: string \"two\", expected a whole number of 0 or more",
            ),
            (
                json!({"inner": {"list": [1, null]}}),
                "inner.list[1]: invalid type: null, expected a number without quotes, such as 0.87",
            ),
            (
                json!({"inner": null}),
                "inner: invalid type: null, expected an object of named fields",
            ),
        ] {
            let error = overlay(&Section::default(), &changes(change)).unwrap_err();
            assert_eq!(error.to_string(), said);
        }
    }
}
