//! The `parameters` of a request, which v2, KServe v1, Vertex AI and MLflow all have: those that serin knows.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::Visitor;

use crate::http::predicting::Attributes;
use crate::http::reading::fields::Text;

/// The parameters of a request. Others, such as `priority` and `timeout`, are for servers with queues.
#[derive(Default)]
pub(super) struct Parameters<'a> {
    /// `key`, `segments.NAME` and `covariate`.
    pub(super) attributes: Attributes<'a>,
    /// `binary_data_output`.
    pub(super) binary: bool,
}

/// The beginning of the name of a segment.
const SEGMENT: &str = "segments.";

impl<'de: 'a, 'a> Deserialize<'de> for Parameters<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Parameters<'a>, D::Error> {
        deserializer.deserialize_option(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Parameters<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object of parameters, for example {\"key\": \"customer-17\"}")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Parameters::default())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Parameters::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut parameters = Parameters::default();
        let attributes = &mut parameters.attributes;
        while let Some(Text(name)) = entries.next_key()? {
            match &*name {
                "key" => {
                    let key = entries.next_value::<Option<Text<'de>>>()?.map(|key| key.0);
                    if let Some(key) = key
                        && attributes.key.replace(key).is_some()
                    {
                        return Err(A::Error::duplicate_field("key"));
                    }
                }
                "covariate" => {
                    let covariate = entries.next_value()?;
                    if attributes.covariate.is_some() {
                        return Err(A::Error::duplicate_field("covariate"));
                    }
                    attributes.covariate = covariate;
                }
                "segments" => {
                    return Err(A::Error::custom(format_args!(
                        "segments: name each in a parameter of its own, for example {SEGMENT}region"
                    )));
                }
                "binary_data_output" => {
                    parameters.binary = entries.next_value::<Option<bool>>()?.unwrap_or_default();
                }
                _ => match segment(&name) {
                    Some(segment) => attributes.segments.read(segment, &mut entries)?,
                    None => {
                        let IgnoredAny = entries.next_value()?;
                    }
                },
            }
        }
        Ok(parameters)
    }
}

/// The segment that a parameter names.
fn segment<'a>(name: &Cow<'a, str>) -> Option<Cow<'a, str>> {
    match name {
        Cow::Borrowed(name) => name.strip_prefix(SEGMENT).map(Cow::Borrowed),
        Cow::Owned(name) => name.strip_prefix(SEGMENT).map(|name| Cow::Owned(name.to_owned())),
    }
}
