//! Which parts of the traffic are judged on their own? Declared keys, each with few values.
//!
//! A *segment* is one value of one key, `region=north`. What is declared is bounded, so memory and the
//! number of hypotheses are known before the first request: values beyond the bound are `other`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

/// The most keys that can be declared.
pub const MAX_KEYS: usize = 4;

/// The most values of a key, `other` not counted. All segments there can be are four times seventeen.
pub const MAX_VALUES: usize = 16;

/// The longest key or value, in bytes.
pub const MAX_BYTES: usize = 64;

/// What stands for every value that has no place of its own.
pub const OTHER: &str = "other";

/// The declared keys, and what harm in a segment leads to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segments {
    /// In the order of their names; at most [`MAX_KEYS`].
    pub keys: Vec<Key>,
    /// What a finding leads to.
    pub harm: SegmentHarm,
}

/// What a finding leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentHarm {
    /// The ramp stops, the promotion is refused, and a person decides.
    #[default]
    Hold,
    /// The canary is taken back. The segments then take half of alpha from the other metrics.
    RollBack,
}

/// A declared key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name.
    pub name: Word,
    /// Its values.
    pub values: Values,
}

/// The values of a key that have a place of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// These.
    Listed(Vec<Word>),
    /// The first so many that appear in a rollout.
    First(usize),
}

/// A key or value: 1 to 64 letters, digits, `_`, `.` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Word(String);

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentName {
    /// The key.
    pub key: Word,
    /// Its value, or [`OTHER`].
    pub value: Word,
}

/// Keys as a configuration gives them.
pub type GivenSegments = BTreeMap<String, GivenValues>;

/// The values of a key as a configuration gives them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "a list of values, such as [\"north\", \"south\"], or { most = 8 }")]
pub enum GivenValues {
    /// These.
    Listed(Vec<GivenValue>),
    /// The first so many that appear.
    First(Most),
}

/// A bound as a configuration gives it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Most {
    /// How many values have a place of their own.
    pub most: usize,
}

/// A value as a configuration gives it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "a text or a whole number")]
pub enum GivenValue {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
}

/// Keys that cannot be declared so.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SegmentsError {
    /// There are too many.
    #[error("segments has {0} keys; give at most {MAX_KEYS}")]
    Keys(usize),
    /// A key or value is no word.
    #[error("segments: {0}")]
    Word(#[from] WordError),
    /// A key has no value, or too many.
    #[error("segments.{key} has {count} values; give 1 to {MAX_VALUES}; all others are `{OTHER}`")]
    Values {
        /// The key.
        key: Word,
        /// How many.
        count: usize,
    },
    /// A value stands twice.
    #[error("segments.{key} has {value} twice; give each value once")]
    Twice {
        /// The key.
        key: Word,
        /// The value.
        value: Word,
    },
    /// A value means all the rest already.
    #[error("segments.{0} lists `{OTHER}`, which stands for all the rest anyway; leave it out")]
    Other(Word),
}

/// A text that is no word.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "{text:?} is no name or value; give 1 to {MAX_BYTES} letters (a-z, A-Z), digits, _, . or -"
)]
pub struct WordError {
    text: String,
}

/// What a request says of its segments, and cannot.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoSegment {
    /// Nothing is declared.
    #[error(
        "segments.{0} is not declared, and nothing else is; declare it under [segments] in serin.toml, or \
         leave segments out"
    )]
    NothingDeclared(String),
    /// Something else is declared.
    #[error("segments.{key} is not declared; declared are {declared}; give those, or none")]
    NotDeclared {
        /// The key that was given.
        key: String,
        /// The declared ones.
        declared: String,
    },
    /// The value is no word.
    #[error("segments.{key} = {cause}, or a number")]
    Value {
        /// The key.
        key: String,
        /// What is wrong.
        cause: WordError,
    },
}

impl Word {
    /// The word, if it is one.
    ///
    /// # Errors
    /// When it is empty, too long, or has other characters.
    pub fn new(text: &str) -> Result<Word, WordError> {
        if Word::fits(text) {
            return Ok(Word(text.to_owned()));
        }
        // What is shown is short, whatever was sent.
        let shown = text.chars().take(MAX_BYTES + 1).collect();
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

    fn fits(text: &str) -> bool {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(fits)
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
    /// How many segments it makes, that of all other values included.
    pub fn segments(&self) -> usize {
        1 + match &self.values {
            Values::Listed(values) => values.len(),
            Values::First(most) => *most,
        }
    }
}

impl Segments {
    /// What a configuration declares.
    ///
    /// # Errors
    /// Names the first key or value that cannot be.
    pub fn new(given: &GivenSegments, harm: SegmentHarm) -> Result<Segments, SegmentsError> {
        if given.len() > MAX_KEYS {
            return Err(SegmentsError::Keys(given.len()));
        }
        let keys = given.iter().map(|(name, values)| {
            let name = Word::new(name)?;
            let (count, values) = match values {
                GivenValues::First(Most { most }) => (*most, Values::First(*most)),
                GivenValues::Listed(values) => {
                    (values.len(), Values::Listed(listed(&name, values)?))
                }
            };
            if !(1..=MAX_VALUES).contains(&count) {
                return Err(SegmentsError::Values { key: name, count });
            }
            Ok(Key { name, values })
        });
        Ok(Segments { keys: keys.collect::<Result<_, _>>()?, harm })
    }

    /// As a configuration would give them, without what a finding leads to.
    pub fn given(&self) -> GivenSegments {
        let values = |values: &Values| match values {
            Values::First(most) => GivenValues::First(Most { most: *most }),
            Values::Listed(words) => GivenValues::Listed(
                words.iter().map(|word| GivenValue::Text(word.as_str().to_owned())).collect(),
            ),
        };
        self.keys.iter().map(|key| (key.name.as_str().to_owned(), values(&key.values))).collect()
    }

    /// Whether nothing is declared.
    pub fn is_off(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many segments there can be.
    pub fn count(&self) -> usize {
        self.keys.iter().map(Key::segments).sum()
    }

    /// Whether a request may say this of its segments.
    ///
    /// # Errors
    /// Names the first key or value that it may not.
    pub fn check<'a>(
        &self,
        given: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), NoSegment> {
        for (key, value) in given {
            // What is shown is short, whatever was sent.
            let shown = || key.chars().take(MAX_BYTES).collect::<String>();
            if self.is_off() {
                return Err(NoSegment::NothingDeclared(shown()));
            }
            if !self.keys.iter().any(|declared| declared.name.as_str() == key) {
                let names: Vec<&str> = self.keys.iter().map(|key| key.name.as_str()).collect();
                return Err(NoSegment::NotDeclared { key: shown(), declared: names.join(", ") });
            }
            if !Word::fits(value) {
                Word::new(value).map_err(|cause| NoSegment::Value { key: shown(), cause })?;
            }
        }
        Ok(())
    }
}

fn listed(key: &Word, given: &[GivenValue]) -> Result<Vec<Word>, SegmentsError> {
    let mut values: Vec<Word> = Vec::with_capacity(given.len().min(MAX_VALUES));
    for one in given {
        let value = match one {
            GivenValue::Text(text) => Word::new(text)?,
            GivenValue::Number(number) => Word::new(&number.to_string())?,
        };
        if value.as_str() == OTHER {
            return Err(SegmentsError::Other(key.clone()));
        }
        if values.contains(&value) {
            return Err(SegmentsError::Twice { key: key.clone(), value });
        }
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(toml: &str) -> Result<Segments, SegmentsError> {
        Segments::new(&toml::from_str(toml).unwrap(), SegmentHarm::Hold)
    }

    #[test]
    fn listed_values_and_a_bound_both_leave_room_for_the_others() {
        let segments = declared("region = ['north', 'south']\ndevice = { most = 8 }").unwrap();
        assert_eq!(segments.count(), 3 + 9);
        assert_eq!(declared("shard = [1, 2, 3]").unwrap().count(), 4);
        assert!(declared("").unwrap().is_off());
    }

    #[test]
    fn what_cannot_be_declared_is_named() {
        for (toml, named) in [
            ("a = [1]\nb = [1]\nc = [1]\nd = [1]\ne = [1]", "5 keys; give at most 4"),
            ("region = []", "segments.region has 0 values; give 1 to 16"),
            ("device = { most = 17 }", "segments.device has 17 values"),
            ("region = ['north', 'north']", "north twice"),
            ("region = ['north pole']", "\"north pole\" is no name"),
            ("region = ['other']", "segments.region lists `other`"),
            ("'a b' = ['x']", "\"a b\""),
        ] {
            let error = declared(toml).unwrap_err().to_string();
            assert!(error.contains(named), "{toml}: {error}");
        }
        for toml in ["region = 'north'", "device = { least = 3 }", "device = { most = -1 }"] {
            let error = toml::from_str::<GivenSegments>(toml).unwrap_err().to_string();
            assert!(error.contains("a list of values"), "{toml}: {error}");
        }
    }

    #[test]
    fn a_request_may_say_only_what_is_declared() {
        let off = Segments::default();
        assert_eq!(off.check([]), Ok(()));
        let error = off.check([("region", "north")]).unwrap_err().to_string();
        assert!(error.contains("declare it under [segments]"), "{error}");
        let segments = declared("region = ['north']\ndevice = { most = 2 }").unwrap();
        // A value that is not listed is one of the others.
        assert_eq!(segments.check([("region", "moon"), ("device", "17.5")]), Ok(()));
        let long = "x".repeat(1000);
        for (key, value, named) in [
            ("regoin", "north", "declared are device, region"),
            (&*long, "north", "is not declared"),
            ("region", "", "segments.region = \"\" is no name or value"),
            ("region", &*long, "give 1 to 64"),
            ("region", "a\nb", "letters"),
        ] {
            let error = segments.check([(key, value)]).unwrap_err().to_string();
            assert!(error.contains(named) && error.len() < 300, "{error}");
        }
    }
}
