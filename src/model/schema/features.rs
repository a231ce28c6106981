//! Values of a request, in schema order or by name.
//!
//! JSON is read into borrowed values: a string without escapes is a slice of the request. This file
//! refuses only what can never be a feature (a boolean, a nested array, an object); [`Schema::row`]
//! checks the rest.
//!
//! [`Schema::row`]: super::Schema::row

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::DeserializeSeed;
use serde::de::Error;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_json::Value as Json;

use super::Schema;
use crate::text::bounded::text;
use crate::text::lists::quoted;

/// One value of one feature. Its derived form is that of probes in a model file; requests are read as
/// [`Features`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value<'a> {
    /// A number.
    Number(f64),
    /// A category.
    Text(#[serde(deserialize_with = "cow")] Cow<'a, str>),
    /// Unknown; `null` in JSON.
    Missing,
}

fn cow<'de, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'a, str>, D::Error> {
    Ok(Cow::Owned(text(deserializer)?))
}

impl Value<'_> {
    /// A value that no feature takes, so that the joint schema counts it as lacking.
    pub(super) const NONE_OF_ITS_KIND: Value<'static> = Value::Number(f64::NAN);

    /// The value as a client sends it.
    pub fn into_json(self) -> Json {
        match self {
            Self::Number(number) => Json::from(number),
            Self::Text(text) => Json::from(text),
            Self::Missing => Json::Null,
        }
    }

    /// The value with owned text.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Number(number) => Value::Number(number),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Missing => Value::Missing,
        }
    }
}

/// The unchecked values of a row.
///
/// ```
/// use serin::model::{Features, Value};
///
/// let features: Features = serde_json::from_str(r#"[0.5, null, "yearly"]"#)?;
/// let values = vec![Value::Number(0.5), Value::Missing, Value::Text("yearly".into())];
/// assert_eq!(features, Features::Ordered(values));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Features<'a> {
    /// Values in schema order.
    Ordered(Vec<Value<'a>>),
    /// Values by name, in any order.
    Named(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl Features<'_> {
    /// How many values there are.
    pub fn count(&self) -> usize {
        match self {
            Features::Ordered(values) => values.len(),
            Features::Named(pairs) => pairs.len(),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Features<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RowSeed::default().deserialize(deserializer)
    }
}

/// More features than a model file of 8 MiB can hold. It bounds the memory of a row that fits no model.
pub(crate) const MAX_VALUES: usize = 400_000;

/// The features that a row may have.
#[derive(Clone, Copy)]
pub(crate) struct Known<'s> {
    /// All of them.
    pub(super) schema: &'s Schema,
    /// The places of those that it may lack, ascending.
    pub(super) optional: &'s [usize],
    /// Further names that it may have. Their values are skipped, whatever they are.
    pub(super) ignored: &'s BTreeSet<String>,
}

impl Known<'_> {
    /// Whether there are features that are read leniently.
    pub(crate) fn has_lenient(&self) -> bool {
        !self.optional.is_empty() || !self.ignored.is_empty()
    }
}

/// Reads a row.
#[derive(Clone, Copy)]
pub(crate) struct RowSeed<'s> {
    /// The number of values that are expected. Nothing is reserved for a row without any: a client could send
    /// hundreds of thousands of them.
    values: usize,
    /// The features that a row may have; `None`: any, and a value of each must be one that a feature can have.
    known: Option<Known<'s>>,
    /// The features that a boolean may be a value of; `None`: booleans are refused.
    booleans: Option<&'s Schema>,
    unknown: Unknown,
    optional: Optional,
}

/// What becomes of features that a row may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// They are kept: an error when the row is fitted to the model.
    Kept,
    /// They are skipped, whatever their values are.
    Skipped,
}

/// How the features are read that a row may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Optional {
    /// A value that is none of a feature is lacking.
    Read,
    /// All their values are lacking: one of them cannot be read at all, such as a number beyond all numbers.
    Skipped,
}

impl Default for RowSeed<'_> {
    fn default() -> Self {
        RowSeed {
            values: 8,
            known: None,
            booleans: None,
            unknown: Unknown::Kept,
            optional: Optional::Read,
        }
    }
}

impl<'s> RowSeed<'s> {
    /// Reads a row that may have these features.
    pub(crate) fn of(known: Known<'s>, unknown: Unknown, optional: Optional) -> RowSeed<'s> {
        // Most rows need no look at their names here.
        let is_plain = unknown == Unknown::Kept && !known.has_lenient();
        let known = (!is_plain).then_some(known);
        RowSeed { known, unknown, optional, ..RowSeed::default() }
    }

    /// Takes a boolean for a value of its feature: protocols of tables have columns of them.
    #[must_use]
    pub(crate) fn with_booleans(self, known: Known<'s>) -> Self {
        RowSeed { booleans: Some(known.schema), ..self }
    }

    /// Expects a row like this one.
    #[must_use]
    pub(crate) fn like(self, row: &Features<'_>) -> Self {
        RowSeed { values: row.count(), ..self }
    }

    fn push<T, E: Error>(self, values: &mut Vec<T>, value: T) -> Result<(), E> {
        if values.is_empty() {
            values.reserve_exact(self.values.max(1));
        }
        if values.len() == MAX_VALUES {
            return Err(E::custom("the row has more values than any model takes"));
        }
        values.push(value);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = Features<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = Features<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of values in the model's order, or an object of values by name")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(ValueSeed {
            place: Place::Position(values.len()),
            booleans: self.booleans,
        })? {
            self.push(&mut values, value)?;
        }
        Ok(Features::Ordered(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(name) = map.next_key_seed(NameSeed)? {
            let mut place = Place::Name(&name);
            if let Some(known) = self.known {
                match known.schema.position(&name, pairs.len()) {
                    None if self.unknown == Unknown::Skipped || known.ignored.contains(&*name) => {
                        let IgnoredAny = map.next_value()?;
                        continue;
                    }
                    Some(position) if known.optional.binary_search(&position).is_ok() => {
                        if self.optional == Optional::Skipped {
                            let IgnoredAny = map.next_value()?;
                            self.push(&mut pairs, (name, Value::NONE_OF_ITS_KIND))?;
                            continue;
                        }
                        place = Place::Optional(&name);
                    }
                    Some(_) | None => {}
                }
            }
            let value = map.next_value_seed(ValueSeed { place, booleans: self.booleans })?;
            self.push(&mut pairs, (name, value))?;
        }
        Ok(Features::Named(pairs))
    }
}

/// Reads a name, borrowed if it has no escapes.
struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a feature")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Position of a value, for error messages.
#[derive(Clone, Copy)]
enum Place<'n> {
    Position(usize),
    Name(&'n str),
    /// Of a feature that a request may lack: there is no error.
    Optional(&'n str),
}

/// Reads one value, with its position for error messages.
#[derive(Clone, Copy)]
struct ValueSeed<'n> {
    place: Place<'n>,
    booleans: Option<&'n Schema>,
}

impl ValueSeed<'_> {
    fn refuse<'de, E: Error>(&self, what: &str) -> Result<Value<'de>, E> {
        let place = match self.place {
            Place::Position(index) => format!("features[{index}]"),
            Place::Name(name) => format!("feature {}", quoted(name)),
            Place::Optional(_) => return Ok(Value::NONE_OF_ITS_KIND),
        };
        Err(E::custom(format_args!("{place}: {what}; send a number, a string or null")))
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a string or null")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Value::Missing)
    }

    fn visit_bool<E: Error>(self, word: bool) -> Result<Self::Value, E> {
        let feature = self.booleans.and_then(|schema| match self.place {
            Place::Position(index) => schema.features().get(index),
            Place::Name(name) | Place::Optional(name) => schema.feature(name),
        });
        if let Some(feature) = feature {
            return Ok(feature.kind.boolean(word));
        }
        self.refuse(&format!(
            "the boolean {word} is not a feature value (use 1 or 0, or the text in the training data)"
        ))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.refuse("an array is not a feature value (send several rows as `instances`)")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.refuse("an object is not a feature value")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_strings_are_borrowed_and_escaped_ones_are_owned() {
        let features: Features = serde_json::from_str(r#"{"a": "plain", "b\n": "tab\t"}"#).unwrap();
        let Features::Named(pairs) = features else { panic!("an object gives names") };
        assert!(matches!(&pairs[0], (Cow::Borrowed("a"), Value::Text(Cow::Borrowed("plain")))));
        assert!(
            matches!(&pairs[1], (Cow::Owned(name), Value::Text(Cow::Owned(text))) if name == "b\n" && text == "tab\t")
        );
    }

    #[test]
    fn a_row_longer_than_any_model_is_not_read_to_its_end() {
        for (values, ends) in [(MAX_VALUES, false), (MAX_VALUES + 1, true), (3_000_000, true)] {
            let row = format!("[{}]", vec!["1"; values].join(","));
            let read = serde_json::from_str::<Features>(&row);
            assert_eq!(read.is_err(), ends, "{values} values");
            let place = read.map_or_else(|error| error.column(), |_| 0);
            assert!(place <= 2 * MAX_VALUES + 3, "{values} values: stopped at {place}");
        }
    }

    #[test]
    fn integers_are_numbers() {
        let features: Features = serde_json::from_str("[1, -2, 18446744073709551615]").unwrap();
        let numbers = [1.0, -2.0, 18_446_744_073_709_551_615.0].map(Value::Number);
        assert_eq!(features, Features::Ordered(numbers.to_vec()));
    }

    #[test]
    fn a_value_that_cannot_be_a_feature_is_refused_with_its_place() {
        let cases = [
            ("[1, true]", "features[1]: the boolean true"),
            ("[[1, 2]]", "features[0]: an array is not a feature value"),
            (r#"{"tenure": {"years": 3}}"#, "feature `tenure`: an object"),
            (r#"{"tenure": false}"#, "feature `tenure`: the boolean false"),
            ("12", "expected an array of values"),
            ("\"text\"", "expected an array of values"),
            ("null", "expected an array of values"),
            ("[1e999]", "number out of range"),
            ("[NaN]", "expected value"),
        ];
        for (json, expected) in cases {
            let message = serde_json::from_str::<Features>(json).unwrap_err().to_string();
            assert!(message.contains(expected), "{json}: {message} should contain {expected}");
        }
    }
}
