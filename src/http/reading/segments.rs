//! Reading `segments` of a prediction: an object of short words or numbers.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;
use serde::de::MapAccess;
use serde::de::Visitor;

use crate::canary::policy::segments::MAX_KEYS;
use crate::canary::policy::segments::Segments;
use crate::http::problem::Problem;
use crate::service::serving::segment_slots::Named;

/// What a request says of its segments.
#[derive(Debug, Default)]
pub struct Asked<'a>(Named<'a>);

impl<'a> Asked<'a> {
    /// The same, if it may say so.
    ///
    /// # Errors
    /// Names the first key or value that it may not.
    pub fn checked(self, declared: &Segments) -> Result<Named<'a>, Problem> {
        let given = self.0.iter().map(|(key, value)| (&**key, &**value));
        declared.check(given).map_err(|cause| Problem::field(cause.to_string()))?;
        Ok(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Asked<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Asked<'a>, D::Error> {
        deserializer.deserialize_map(Entries).map(Asked)
    }
}

/// A key or a value, borrowed from the body where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Named<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("segments to be an object, such as {\"region\": \"north\"},")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Named<'de>, A::Error> {
        let mut named: Named<'de> = Vec::new();
        while let Some(Text(key)) = entries.next_key()? {
            if named.iter().any(|(other, _)| *other == key) {
                return Err(A::Error::custom(format_args!(
                    "segments has {:?} twice; give each key once",
                    key.chars().take(64).collect::<String>()
                )));
            }
            if named.len() == MAX_KEYS {
                return Err(A::Error::custom(format_args!(
                    "segments has more than {MAX_KEYS} keys, and no more can be declared; leave some out"
                )));
            }
            let Value(value) = entries.next_value()?;
            named.push((key, value));
        }
        Ok(named)
    }
}

/// The value of a key: a text, or a number as it is written.
struct Value<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value<'a>, D::Error> {
        deserializer.deserialize_any(OneValue).map(Value)
    }
}

struct OneValue;

impl<'de> Visitor<'de> for OneValue {
    type Value = Cow<'de, str>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value of segments to be a text or a number, such as \"north\" or 7,")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(value.to_owned()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(value.to_string()))
    }
}
