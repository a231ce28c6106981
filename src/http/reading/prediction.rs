//! The body of a prediction, read in one pass.
//!
//! A server that ignores unknown fields skips them as they come, whatever their values are, so its clients are held to
//! the same rules in everything else.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error as _;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::Visitor;

use super::body;
use super::fields::Text;
use super::rows::InstancesSeed;
use super::segments::RequestSegments;
use crate::http::problem::Problem;
use crate::model::Features;
use crate::model::schema::features::Known;
use crate::model::schema::features::Optional;
use crate::model::schema::features::RowSeed;
use crate::model::schema::features::Unknown;

/// The body of a prediction.
#[derive(Debug, Default)]
pub(crate) struct PredictionBody<'a> {
    /// One row.
    pub(crate) features: Option<Features<'a>>,
    /// Many rows, all answered by the same track.
    pub(crate) instances: Option<Vec<Features<'a>>>,
    /// Requests with the same key get the same track.
    pub(crate) key: Option<Cow<'a, str>>,
    /// The segments of the request.
    pub(crate) segments: RequestSegments<'a>,
    /// A positive number known beforehand that latency may depend on.
    pub(crate) covariate: Option<f64>,
    /// Returned unchanged in the answer.
    pub(crate) id: Option<Cow<'a, str>>,
    /// Whether the answer says what each feature contributed to it.
    pub(crate) explain: bool,
}

/// Reads the body of a prediction.
#[derive(Clone, Copy)]
pub(crate) struct BodySeed<'s> {
    /// The features that rows may have.
    pub(crate) known: Known<'s>,
    /// What becomes of other fields and features. Unknown fields are refused here, and unknown features when the row
    /// is fitted to the model.
    pub(crate) unknown: Unknown,
    pub(crate) optional: Optional,
}

/// The body of a prediction.
///
/// # Errors
/// When it is not one, even if the features that it may lack are not read.
pub(crate) fn parsed<'a>(
    seed: BodySeed<'_>,
    body: &'a [u8],
    example: &str,
) -> Result<PredictionBody<'a>, Problem> {
    leniently(seed.known, |optional| body::parse_with(BodySeed { optional, ..seed }, body, example))
}

/// What is read, if need be without the features that rows may lack.
///
/// # Errors
/// Those of reading everything.
pub(crate) fn leniently<T>(
    known: Known<'_>,
    read: impl Fn(Optional) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let whole = read(Optional::Read);
    if whole.is_ok() || !known.has_lenient() {
        return whole;
    }
    // A number beyond all numbers ends the reading of JSON, unless its value is skipped.
    read(Optional::Skipped).or(whole)
}

const FIELDS: &[&str] = &["features", "instances", "key", "segments", "covariate", "id", "explain"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Features,
    Instances,
    Key,
    Segments,
    Covariate,
    Id,
    Explain,
}

impl Field {
    fn of(name: &str) -> Option<Field> {
        Some(match name {
            "features" => Field::Features,
            "instances" => Field::Instances,
            "key" => Field::Key,
            "segments" => Field::Segments,
            "covariate" => Field::Covariate,
            "id" => Field::Id,
            "explain" => Field::Explain,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        FIELDS[self as usize]
    }
}

impl<'de> DeserializeSeed<'de> for BodySeed<'_> {
    type Value = PredictionBody<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_struct("Body", FIELDS, self)
    }
}

impl<'de> Visitor<'de> for BodySeed<'_> {
    type Value = PredictionBody<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("struct Body")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let row = RowSeed::of(self.known, self.unknown, self.optional);
        let mut body = PredictionBody::default();
        let mut seen = [false; FIELDS.len()];
        while let Some(field) = fields.next_key_seed(FieldSeed { skips: self.skips() })? {
            let Some(field) = field else {
                let IgnoredAny = fields.next_value()?;
                continue;
            };
            if std::mem::replace(&mut seen[field as usize], true) {
                return Err(A::Error::duplicate_field(field.name()));
            }
            match field {
                Field::Features => body.features = fields.next_value_seed(Nullable(row))?,
                Field::Instances => {
                    body.instances = fields.next_value_seed(Nullable(InstancesSeed(row)))?;
                }
                Field::Key => body.key = fields.next_value::<Option<Text<'de>>>()?.map(|it| it.0),
                Field::Segments => body.segments = fields.next_value()?,
                Field::Covariate => body.covariate = fields.next_value()?,
                Field::Id => body.id = fields.next_value::<Option<Text<'de>>>()?.map(|it| it.0),
                Field::Explain => {
                    body.explain = fields.next_value::<Option<bool>>()?.unwrap_or_default();
                }
            }
        }
        Ok(body)
    }
}

impl BodySeed<'_> {
    fn skips(self) -> bool {
        self.unknown == Unknown::Skipped
    }
}

/// Reads the name of a field; an unknown one is `None`, or refused.
struct FieldSeed {
    skips: bool,
}

impl<'de> DeserializeSeed<'de> for FieldSeed {
    type Value = Option<Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for FieldSeed {
    type Value = Option<Field>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the name of a field")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        match Field::of(name) {
            None if !self.skips => Err(E::unknown_field(name, FIELDS)),
            field => Ok(field),
        }
    }
}

/// A value that may be `null`.
struct Nullable<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value or null")
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Schema;
    use crate::model::schema::Feature;
    use crate::model::schema::FeatureKind;
    use crate::model::schema::Joint;
    use crate::model::schema::joint::Seen;

    /// The features `a` and `b` of stable, and `c` of the canary.
    fn joint() -> Joint {
        let numeric = FeatureKind::Numeric { mean: 0.0, scale: 1.0 };
        let of = |name: &str| Feature { name: name.to_owned(), kind: numeric.clone() };
        let schema = |names: &[&str]| Schema::new(names.iter().map(|name| of(name)).collect());
        let (stable, canary) = (schema(&["a", "b"]).unwrap(), schema(&["c", "a"]).unwrap());
        let gone = ["gone".to_owned()].into();
        Joint::new(&stable, Some(&canary), &Default::default(), &gone)
    }

    fn read<'a>(
        body: &'a [u8],
        known: Known<'_>,
        unknown: Unknown,
    ) -> Result<PredictionBody<'a>, String> {
        let seed = BodySeed { known, unknown, optional: Optional::Read };
        parsed(seed, body, "{}").map_err(|it| it.to_string())
    }

    #[test]
    fn a_lenient_server_differs_in_unknown_names_alone() {
        let joint = joint();
        let row = r#"{"a": 1, "b": 2}"#;
        for body in [
            format!("\u{feff}{{\"features\": {row}, \"key\": \"k\", \"id\": null}}"),
            format!(r#"{{"instances": [{row}, [1, 2]], "segments": {{"s": 1}}}}"#),
            format!(r#"{{"features": {row}, "features": {row}}}"#),
            r#"{"features": {"a": 1, "a": 2}}"#.to_owned(),
            r#"{"features": {"a": true}}"#.to_owned(),
            r#"{"features": [1, [2]]}"#.to_owned(),
            r#"{"features": "a"}"#.to_owned(),
            r#"{"instances": []}"#.to_owned(),
            r#"{"instances": [{"a": {"b": 2}}]}"#.to_owned(),
            r#"{"segments": null}"#.to_owned(),
            r#"{"key": 7}"#.to_owned(),
            r#"{"covariate": 7, "features": [1, 2]}"#.to_owned(),
            r#"{"covariate": "7"}"#.to_owned(),
            r#"{"features": null, "instances": null}"#.to_owned(),
            "[]".to_owned(),
            "{} {}".to_owned(),
            "{".to_owned(),
        ] {
            let texts = [Unknown::Kept, Unknown::Skipped]
                .map(|it| format!("{:?}", read(body.as_bytes(), joint.known(), it)));
            assert_eq!(texts[0], texts[1], "{body}");
        }
    }

    #[test]
    fn a_lenient_server_skips_unknown_fields_and_features() {
        let joint = joint();
        let plain = r#"{"features": {"a": 1, "b": 2}, "instances": [{"b": 2, "a": 1}, {}]}"#;
        let more = r#"{"x": [{}], "features": {"x": {"y": [true]}, "a": 1, "x": 7, "b": 2, "y": false},
            "x": 1, "instances": [{"b": 2, "": [[]], "a": 1}, {"y": null}], "y": "1"}"#;
        let lenient = read(more.as_bytes(), joint.known(), Unknown::Skipped).unwrap();
        let plain = read(plain.as_bytes(), joint.known(), Unknown::Kept).unwrap();
        assert_eq!(format!("{lenient:?}"), format!("{plain:?}"));
        let refused = read(more.as_bytes(), joint.known(), Unknown::Kept).unwrap_err();
        assert!(refused.contains("unknown field `x`"), "{refused}");
    }

    /// Clients may have sent it before there was a canary, when it was skipped.
    #[test]
    fn any_value_of_a_feature_that_only_the_canary_takes_is_read_or_lacking() {
        let joint = joint();
        for unknown in [Unknown::Kept, Unknown::Skipped] {
            for (value, lacks) in [
                ("true", true),
                ("[1]", true),
                (r#"{"a": {}}"#, true),
                ("3", false),
                ("null", false),
                (r#""x""#, true),
                ("1e999", true),
                ("-1e999", true),
                (r#"2, "c": 3"#, true),
                (r#"2, "c": 1e999"#, true),
                (r#"2, "gone": true, "gone": 1e999"#, false),
            ] {
                let body = format!(r#"{{"features": {{"a": 1, "c": {value}, "b": 2}}}}"#);
                let features = read(body.as_bytes(), joint.known(), unknown).unwrap().features;
                let mut seen = Seen::default();
                let row = joint.row(features.unwrap(), &mut seen);
                assert!(row.is_ok(), "{value}: {row:?}");
                assert_eq!(seen.gaps.contains(&true), lacks, "{value}");
            }
        }
        for body in
            [r#"{"features": {"a": 1e999, "c": 2}}"#, r#"{"features": {"a": true, "c": 2}}"#]
        {
            assert!(read(body.as_bytes(), joint.known(), Unknown::Kept).is_err(), "{body}");
        }
    }
}
