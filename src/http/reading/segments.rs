//! The `segments` of a prediction: an object of short texts or numbers.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;
use serde::de::MapAccess;
use serde::de::Visitor;

use super::fields::Text;
use crate::canary::policy::segments::MAX_KEYS;
use crate::canary::policy::segments::Segments;
use crate::http::problem::Problem;
use crate::service::serving::segment_slots::Named;

/// The segments of a request.
#[derive(Debug, Default)]
pub struct RequestSegments<'a>(Named<'a>);

impl<'a> RequestSegments<'a> {
    /// The segments, if all are declared.
    ///
    /// # Errors
    /// Names the first key or value that is not allowed.
    pub fn checked(self, declared: &Segments) -> Result<Named<'a>, Problem> {
        let given = self.0.iter().map(|(key, value)| (&**key, &**value));
        declared.check(given).map_err(Problem::field)?;
        Ok(self.0)
    }

    /// Reads the value of this key from the map that it is in.
    pub(crate) fn read<A: MapAccess<'a>>(
        &mut self,
        key: Cow<'a, str>,
        entries: &mut A,
    ) -> Result<(), A::Error> {
        if self.0.iter().any(|(other, _)| *other == key) {
            return Err(A::Error::custom(format_args!(
                "key {:?} occurs twice; send each key once",
                key.chars().take(64).collect::<String>()
            )));
        }
        if self.0.len() == MAX_KEYS {
            return Err(A::Error::custom(format_args!(
                "more than {MAX_KEYS} keys; send only declared ones"
            )));
        }
        let value = match entries.next_value()? {
            Value::Text(text) => text,
            Value::Whole(number) => Cow::Owned(number.to_string()),
            Value::Number(number) => Cow::Owned(number.to_string()),
        };
        self.0.push((key, value));
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RequestSegments<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RequestSegments<'a>, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = RequestSegments<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object, for example {\"region\": \"north\"}")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut entries: A,
    ) -> Result<RequestSegments<'de>, A::Error> {
        let mut segments = RequestSegments::default();
        while let Some(Text(key)) = entries.next_key()? {
            segments.read(key, &mut entries)?;
        }
        Ok(segments)
    }
}

/// The value of a key: a text or a number. `7` and `7.0` are the same segment.
#[derive(Deserialize)]
#[serde(untagged, expecting = "not a value; use a text or a number, for example \"north\" or 7")]
enum Value<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Whole(i64),
    Number(f64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_the_same_segment_with_and_without_a_fraction() {
        for (json, value) in
            [("7", "7"), ("7.0", "7"), ("-3", "-3"), ("0.5", "0.5"), ("1e3", "1000")]
        {
            let body = format!("{{\"shard\": {json}}}");
            let RequestSegments(named) = serde_json::from_str(&body).unwrap();
            assert_eq!(named, [(Cow::from("shard"), Cow::from(value))], "{json}");
        }
    }
}
