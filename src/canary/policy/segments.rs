//! Segments: parts of the traffic that are also judged on their own, by declared keys with few values.
//!
//! A *segment* is one value of one key, `region=north`. Keys and values are bounded, so memory and the number of
//! hypotheses are known before the first request: values beyond the bound are `other`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use crate::text::fields::FieldError;
use crate::text::lists::MAX_NAME_BYTES;
use crate::text::lists::is_name;

const SECTION: &str = "segments";

/// Limit of declared keys.
pub const MAX_KEYS: usize = 4;

/// Limit of the values of a key without `other`. With four keys there are at most 4 x 17 segments.
pub const MAX_VALUES: usize = 16;

/// The value of all requests whose own value has no segment.
pub const OTHER: &str = "other";

/// Declared keys, and what harm in a segment leads to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Segments {
    /// In the order of their names; at most [`MAX_KEYS`].
    pub keys: Vec<Key>,
    /// What harm in a segment leads to.
    pub harm: SegmentHarm,
}

/// What harm in a segment leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SegmentHarm {
    /// The rollout is held, a promotion is refused, and a person decides.
    #[default]
    Hold,
    /// The canary is rolled back. The segments then take half of alpha from the other metrics.
    RollBack,
}

/// A declared key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name.
    pub name: Word,
    /// Its values.
    pub values: Values,
}

/// The values of a key that have a segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// The listed values.
    Listed(Vec<Word>),
    /// The first values that appear in a rollout, up to this number.
    First(usize),
}

/// A key or value: 1 to 64 letters, digits, `_`, `.` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
pub struct Word(String);

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentName {
    /// The key.
    pub key: Word,
    /// Its value, or [`OTHER`].
    pub value: Word,
}

/// `[segments]` of the settings.
pub type SegmentSettings = BTreeMap<String, ValueSettings>;

/// The values of a key in the settings.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "a list of values, such as [\"north\", \"south\"], or { max = 8 }")]
pub enum ValueSettings {
    /// `["north", "south"]`
    Listed(Vec<TextOrNumber>),
    /// `{ max = 8 }`
    First(ValueLimit),
}

/// A number of values.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ValueLimit {
    /// How many values have a segment.
    pub max: usize,
}

/// A value in the settings.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "a text or a whole number")]
pub enum TextOrNumber {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
}

/// A text that is not a word.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "{text:?} is not a name or value; use 1 to {MAX_NAME_BYTES} letters (a-z, A-Z), digits, _, . or -"
)]
pub struct WordError {
    text: String,
}

/// Segments of a request that are not valid.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoSegment {
    /// The key is not declared.
    #[error(
        "segments.{key}: not declared; {}",
        if .declared.is_empty() {
            "declare it under [segments] in serin.toml, or leave segments out".to_owned()
        } else {
            format!("use one of {declared}, or leave segments out")
        }
    )]
    NotDeclared {
        /// The key.
        key: String,
        /// The declared keys.
        declared: String,
    },
    /// The value is not a word.
    #[error("segments.{key}: {cause}, or a number")]
    Value {
        /// The key.
        key: String,
        /// What is wrong.
        cause: WordError,
    },
}

impl Word {
    /// A valid word.
    ///
    /// # Errors
    /// When it is empty, too long, or has other characters.
    pub fn new(text: &str) -> Result<Word, WordError> {
        if is_name(text) {
            return Ok(Word(text.to_owned()));
        }
        // The message is short, whatever was sent.
        let shown = text.chars().take(MAX_NAME_BYTES + 1).collect();
        Err(WordError { text: shown })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// [`OTHER`].
    pub fn other() -> Word {
        Word(OTHER.to_owned())
    }
}

impl TryFrom<String> for Word {
    type Error = WordError;

    fn try_from(text: String) -> Result<Word, WordError> {
        Word::new(&text)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

impl Key {
    /// The number of its segments, including `other`.
    pub fn segments(&self) -> usize {
        1 + match &self.values {
            Values::Listed(values) => values.len(),
            Values::First(max) => *max,
        }
    }
}

impl Segments {
    /// The segments that the settings declare.
    ///
    /// # Errors
    /// Names the first key or value that is not valid.
    pub fn new(settings: &SegmentSettings, harm: SegmentHarm) -> Result<Segments, FieldError> {
        if settings.len() > MAX_KEYS {
            let message = format!("{} keys; use at most {MAX_KEYS}", settings.len());
            return Err(FieldError::new(SECTION, message));
        }
        let keys = settings.iter().map(|(name, values)| {
            let name = Word::new(name).map_err(|it| FieldError::new(SECTION, it.to_string()))?;
            let wrong = |message: String| FieldError::new(format!("{SECTION}.{name}"), message);
            let (count, values) = match values {
                ValueSettings::First(ValueLimit { max }) => (*max, Values::First(*max)),
                ValueSettings::Listed(values) => {
                    (values.len(), Values::Listed(listed(values).map_err(wrong)?))
                }
            };
            if !(1..=MAX_VALUES).contains(&count) {
                let message =
                    format!("{count} values; use 1 to {MAX_VALUES}; all others are `{OTHER}`");
                return Err(wrong(message));
            }
            Ok(Key { name, values })
        });
        Ok(Segments { keys: keys.collect::<Result<_, _>>()?, harm })
    }

    /// Whether nothing is declared.
    pub fn is_off(&self) -> bool {
        self.keys.is_empty()
    }

    /// The number of segments.
    pub fn count(&self) -> usize {
        self.keys.iter().map(Key::segments).sum()
    }

    /// Checks the segments that a request names.
    ///
    /// # Errors
    /// Names the first key or value that is not valid.
    pub fn check<'a>(
        &self,
        named: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), NoSegment> {
        for (key, value) in named {
            // The message is short, whatever was sent.
            let shown = || key.chars().take(MAX_NAME_BYTES).collect::<String>();
            if !self.keys.iter().any(|declared| declared.name.as_str() == key) {
                let names: Vec<&str> = self.keys.iter().map(|key| key.name.as_str()).collect();
                return Err(NoSegment::NotDeclared { key: shown(), declared: names.join(", ") });
            }
            if !is_name(value) {
                Word::new(value).map_err(|cause| NoSegment::Value { key: shown(), cause })?;
            }
        }
        Ok(())
    }
}

fn listed(settings: &[TextOrNumber]) -> Result<Vec<Word>, String> {
    let mut values: Vec<Word> = Vec::with_capacity(settings.len().min(MAX_VALUES));
    for one in settings {
        let value = match one {
            TextOrNumber::Text(text) => Word::new(text),
            TextOrNumber::Number(number) => Word::new(&number.to_string()),
        };
        let value = value.map_err(|error| error.to_string())?;
        if value.as_str() == OTHER {
            return Err(format!("`{OTHER}` means all values that are not listed; leave it out"));
        }
        if values.contains(&value) {
            return Err(format!("{value} is listed twice; list each value once"));
        }
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(toml: &str) -> Result<Segments, FieldError> {
        Segments::new(&toml::from_str(toml).unwrap(), SegmentHarm::Hold)
    }

    #[test]
    fn listed_values_and_a_limit_both_add_a_segment_for_the_others() {
        let segments = declared("region = ['north', 'south']\ndevice = { max = 8 }").unwrap();
        assert_eq!(segments.count(), 3 + 9);
        assert_eq!(declared("shard = [1, 2, 3]").unwrap().count(), 4);
        assert!(declared("").unwrap().is_off());
    }

    #[test]
    fn errors_in_the_settings_name_the_key() {
        for (toml, named) in [
            ("a = [1]\nb = [1]\nc = [1]\nd = [1]\ne = [1]", "5 keys; use at most 4"),
            ("region = []", "segments.region: 0 values; use 1 to 16"),
            ("device = { max = 17 }", "segments.device: 17 values"),
            ("region = ['north', 'north']", "north is listed twice"),
            ("region = ['north pole']", "\"north pole\" is not a name"),
            ("region = ['other']", "segments.region: `other` means"),
            ("'a b' = ['x']", "\"a b\""),
        ] {
            let error = declared(toml).unwrap_err().to_string();
            assert!(error.contains(named), "{toml}: {error}");
        }
        for toml in ["region = 'north'", "device = { least = 3 }", "device = { max = -1 }"] {
            let error = toml::from_str::<SegmentSettings>(toml).unwrap_err().to_string();
            assert!(error.contains("a list of values"), "{toml}: {error}");
        }
    }

    #[test]
    fn a_request_may_name_only_declared_keys() {
        let off = Segments::default();
        assert_eq!(off.check([]), Ok(()));
        let error = off.check([("region", "north")]).unwrap_err().to_string();
        assert!(error.contains("declare it under [segments]"), "{error}");
        let segments = declared("region = ['north']\ndevice = { max = 2 }").unwrap();
        // A value that is not listed belongs to `other`.
        assert_eq!(segments.check([("region", "moon"), ("device", "17.5")]), Ok(()));
        let long = "x".repeat(1000);
        for (key, value, named) in [
            ("regoin", "north", "use one of device, region"),
            (&*long, "north", "not declared"),
            ("region", "", "segments.region: \"\" is not a name or value"),
            ("region", &*long, "use 1 to 64"),
            ("region", "a\nb", "letters"),
        ] {
            let error = segments.check([(key, value)]).unwrap_err().to_string();
            assert!(error.contains(named) && error.len() < 300, "{error}");
        }
    }
}
