//! A checked row: one finite value of the right kind per feature.
//!
//! A missing value is not an error: `null` and the [markers](super::Missing) of training mean that it is unknown,
//! and the model imputes it (numbers with the training mean, categories with no level). A missing, misspelled or
//! repeated name is an error of the client.
//!
//! A number stays in the row even if it is a marker, because another version of the model may read it as a number, and
//! so does a word among categories: each model applies its own markers.

use std::borrow::Cow;

use thiserror::Error;

use super::Feature;
use super::FeatureKind;
use super::Missing;
use super::Schema;
use super::features::Features;
use super::features::Value;
use crate::text::lists::did_you_mean;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// A checked row in schema order; only [`Schema::row`] and [`Joint::row`](super::Joint::row) make one.
///
/// Categories stay text, so that a row works with every model that has the same features, whatever its
/// levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'a> {
    pub(super) values: Vec<Value<'a>>,
}

impl Row<'_> {
    /// The values, in the order of the schema.
    pub fn values(&self) -> &[Value<'_>] {
        &self.values
    }

    /// How many values the row has; a feature of the schema beyond them is missing.
    pub fn width(&self) -> usize {
        self.values.len()
    }

    /// The row with the values at these positions missing.
    #[must_use]
    pub fn without(mut self, places: &[usize]) -> Self {
        for place in places {
            if let Some(value) = self.values.get_mut(*place) {
                *value = Value::Missing;
            }
        }
        self
    }

    /// The row with owned text, which outlives the request.
    pub fn into_owned(self) -> Row<'static> {
        Row { values: self.values.into_iter().map(Value::into_owned).collect() }
    }
}

impl Schema {
    /// Checks a client's values and puts them into schema order.
    ///
    /// # Errors
    ///
    /// [`RowError`] names the field, the value and what is expected.
    pub fn row<'a>(&self, features: Features<'a>) -> Result<Row<'a>, RowError> {
        let mut values = match features {
            Features::Ordered(values) if values.len() == self.features().len() => values,
            Features::Ordered(values) => return Err(self.wrong_count(values.len())),
            Features::Named(pairs) => self.in_order(pairs)?,
        };
        for (feature, value) in self.features().iter().zip(&mut values) {
            settle(feature, self.missing(), value)?;
        }
        Ok(Row { values })
    }

    fn in_order<'a>(
        &self,
        pairs: Vec<(Cow<'a, str>, Value<'a>)>,
    ) -> Result<Vec<Value<'a>>, RowError> {
        let mut slots = Vec::new();
        slots.resize(self.features().len(), None);
        self.fill(&mut slots, pairs, |_| false, |_| false)?;
        if slots.iter().any(Option::is_none) {
            return Err(self.absent(&slots));
        }
        Ok(slots.into_iter().flatten().collect())
    }

    /// Puts the values into schema order; more slots are added as they are needed. Skips unknown names that are
    /// ignored. A feature that may be lacking and is sent twice has no value.
    pub(super) fn fill<'a>(
        &self,
        slots: &mut Vec<Option<Value<'a>>>,
        pairs: Vec<(Cow<'a, str>, Value<'a>)>,
        is_ignored: impl Fn(&str) -> bool,
        may_lack: impl Fn(usize) -> bool,
    ) -> Result<(), RowError> {
        for (guess, (name, value)) in pairs.into_iter().enumerate() {
            let Some(position) = self.position(&name, guess) else {
                if is_ignored(&name) {
                    continue;
                }
                return Err(self.unknown(&name));
            };
            if position >= slots.len() {
                slots.resize(position + 1, None);
            }
            if slots[position].replace(value).is_some() {
                if !may_lack(position) {
                    return Err(RowError::Duplicate { name: quoted(&name) });
                }
                slots[position] = Some(Value::NONE_OF_ITS_KIND);
            }
        }
        Ok(())
    }

    #[cold]
    fn wrong_count(&self, found: usize) -> RowError {
        wrong_count(found, self.features())
    }

    #[cold]
    fn unknown(&self, name: &str) -> RowError {
        let suggestion = did_you_mean(name, self.feature_names());
        RowError::Unknown { name: quoted(name), suggestion, names: listed(self.feature_names()) }
    }

    #[cold]
    pub(super) fn absent(&self, slots: &[Option<Value<'_>>]) -> RowError {
        let absent = self.feature_names().zip(slots).filter(|(_, slot)| slot.is_none());
        RowError::Absent { names: listed(absent.map(|(name, _)| name)) }
    }
}

/// The error of an array of `found` values for these features.
#[cold]
pub(super) fn wrong_count(found: usize, features: &[Feature]) -> RowError {
    let names = listed(features.iter().map(|feature| feature.name.as_str()));
    RowError::Count { found, expected: features.len(), names }
}

/// Checks a value of a feature; a marker of a missing value becomes one.
pub(super) fn settle(
    feature: &Feature,
    missing: &Missing,
    value: &mut Value<'_>,
) -> Result<(), RowError> {
    match value {
        Value::Number(number) if number.is_finite() && feature.kind.is_numeric() => Ok(()),
        _ => settle_other(feature, missing, value),
    }
}

/// The same for what is not a number for a numeric feature.
fn settle_other(
    feature: &Feature,
    missing: &Missing,
    value: &mut Value<'_>,
) -> Result<(), RowError> {
    trim(value);
    if let Err(refusal) = check(feature, value) {
        *value = missing_in(feature, missing, value).ok_or(refusal)?;
    }
    Ok(())
}

/// What a value of the other kind is, if it is a marker of a missing value: a text among numbers, a number among
/// words.
#[cold]
fn missing_in(feature: &Feature, missing: &Missing, value: &Value<'_>) -> Option<Value<'static>> {
    match (&feature.kind, value) {
        (FeatureKind::Numeric { .. } | FeatureKind::Number, Value::Text(text)) => {
            match missing.number(text) {
                Some(number) => Some(Value::Number(number)),
                None => missing.is_among_numbers(text).then_some(Value::Missing),
            }
        }
        (FeatureKind::Categorical { .. }, Value::Number(number)) => {
            missing.numbers().contains(number).then_some(Value::Missing)
        }
        (_, _) => None,
    }
}

/// Trims a text as training does; a blank one is a missing value.
fn trim(value: &mut Value<'_>) {
    let Value::Text(text) = value else { return };
    let trimmed = text.trim();
    if trimmed.is_empty() {
        *value = Value::Missing;
    } else if trimmed.len() < text.len() {
        *text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
    }
}

fn check(feature: &Feature, value: &Value<'_>) -> Result<(), RowError> {
    match (&feature.kind, value) {
        (_, Value::Missing) => Ok(()),
        (FeatureKind::Numeric { .. } | FeatureKind::Number, Value::Number(number))
            if number.is_finite() =>
        {
            Ok(())
        }
        (FeatureKind::Numeric { .. } | FeatureKind::Number, Value::Number(number)) => {
            Err(RowError::NotFinite { name: quoted(&feature.name), value: *number })
        }
        (FeatureKind::Numeric { .. } | FeatureKind::Number, Value::Text(text)) => {
            Err(RowError::TextForNumber { name: quoted(&feature.name), value: quoted(text) })
        }
        (FeatureKind::Categorical { .. }, Value::Text(_)) => Ok(()),
        (FeatureKind::Categorical { levels }, Value::Number(number)) => {
            let levels = listed(levels.iter().map(String::as_str));
            Err(RowError::NumberForCategory { name: quoted(&feature.name), value: *number, levels })
        }
    }
}

/// Why a client's values are not a row of this model.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum RowError {
    /// An array has too few or too many values.
    #[error(
        "features: {found} values, the model takes {expected}, in this order: {names}; send null for an unknown value"
    )]
    Count {
        /// The number sent.
        found: usize,
        /// The number the model takes.
        expected: usize,
        /// The names, in order.
        names: String,
    },
    /// The model has no feature of this name.
    #[error("feature {name}: unknown feature{suggestion}; the model has {names}")]
    Unknown {
        /// The name sent.
        name: String,
        /// " (did you mean ..?)", or nothing.
        suggestion: String,
        /// The names the model has.
        names: String,
    },
    /// A name occurs twice.
    #[error("feature {name}: sent twice; send it once")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Names are missing.
    #[error("features: {names} missing; send every feature, null for an unknown value")]
    Absent {
        /// The missing names.
        names: String,
    },
    /// The model takes a number and a text was sent.
    #[error(
        "feature {name}: {value} is text, expected a number; send a number without quotes, or null"
    )]
    TextForNumber {
        /// The feature.
        name: String,
        /// The text sent.
        value: String,
    },
    /// The model takes a category and a number was sent.
    #[error(
        "feature {name}: {value} is a number, expected a category; send a string (known: {levels}), or null"
    )]
    NumberForCategory {
        /// The feature.
        name: String,
        /// The number sent.
        value: f64,
        /// The levels the model knows.
        levels: String,
    },
    /// The rows of a request lack too many values.
    #[error(
        "features: the rows up to this one lack more than {most} values that the model takes; send fewer rows"
    )]
    LacksTooMany {
        /// The most that they may lack.
        most: usize,
    },
    /// The number is NaN or infinite.
    #[error(
        "feature {name}: {value} is not a finite number; send a finite number, or null if it is unknown"
    )]
    NotFinite {
        /// The feature.
        name: String,
        /// The value sent.
        value: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let levels = vec!["monthly".to_owned(), "yearly".to_owned()];
        let numeric = FeatureKind::Numeric { mean: 32.0, scale: 24.0 };
        Schema::new(vec![
            Feature { name: "tenure".into(), kind: numeric.clone() },
            Feature { name: "contract".into(), kind: FeatureKind::Categorical { levels } },
            Feature { name: "SeniorCitizen".into(), kind: numeric },
        ])
        .unwrap()
    }

    fn row(json: &str) -> Result<Row<'_>, RowError> {
        schema().row(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn named_values_take_the_order_of_the_schema() {
        let ordered = row(r#"[12, "yearly", null]"#).unwrap();
        for json in [
            r#"{"tenure": 12, "contract": "yearly", "SeniorCitizen": null}"#,
            r#"{"SeniorCitizen": null, "contract": "yearly", "tenure": 12}"#,
        ] {
            assert_eq!(row(json).unwrap(), ordered, "{json}");
        }
        assert_eq!(ordered.clone().into_owned(), ordered);
    }

    #[test]
    fn an_unseen_category_and_a_missing_value_are_rows() {
        assert!(row(r#"[null, "weekly", null]"#).is_ok());
        assert!(row("[null, null, null]").is_ok());
    }

    #[test]
    fn a_text_is_trimmed_and_a_blank_one_is_missing_as_in_training() {
        let trimmed = row(r#"[12, "yearly", null]"#).unwrap();
        for json in
            [r#"[12, " yearly ", null]"#, r#"[12, "yearly\t", ""]"#, r#"[12, "yearly", " "]"#]
        {
            assert_eq!(row(json).unwrap(), trimmed, "{json}");
        }
        assert_eq!(row(r#"[12, "  ", 0]"#).unwrap(), row("[12, null, 0]").unwrap());
    }

    #[test]
    fn a_marker_of_training_is_missing_whatever_it_is_sent_as() {
        let marked = Missing::default().and(&["-999".to_owned(), "unknown".to_owned()]);
        let marked = schema().with_missing(marked);
        let row = |json| marked.row(serde_json::from_str(json).unwrap());
        let expected = row(r#"[null, null, 0]"#).unwrap();
        for json in [
            r#"["NA", null, 0]"#,
            r#"["?", null, 0]"#,
            r#"["unknown", -999, 0]"#,
            r#"{"SeniorCitizen": 0, "tenure": " unknown ", "contract": -999.0}"#,
        ] {
            assert_eq!(row(json).unwrap(), expected, "{json}");
        }
        // A number is left to the model.
        let number = row("[-999, null, 0]").unwrap();
        assert_eq!(number.values()[0], Value::Number(-999.0));
        assert_eq!(row(r#"["-999.0", null, 0]"#).unwrap(), number);
        for json in [r#"["-99", "yearly", 0]"#, r#"["unknow", "yearly", 0]"#, r#"[0, -99, 0]"#] {
            assert!(row(json).is_err(), "{json}");
        }
        let blanks_only = schema().with_missing(Missing::only(&[]));
        assert!(blanks_only.row(serde_json::from_str(r#"["NA", "a", 0]"#).unwrap()).is_err());
    }

    #[test]
    fn a_mistake_is_refused_with_field_value_and_remedy() {
        let cases = [
            ("[1]", "1 values, the model takes 3, in this order: `tenure`, `contract`"),
            ("[]", "0 values, the model"),
            (r#"[1, "yearly", 0, 0]"#, "4 values, the model"),
            ("{}", "`tenure`, `contract`, `SeniorCitizen` missing"),
            (r#"{"tenure": 1, "contract": "yearly"}"#, "`SeniorCitizen` missing; send every"),
            (
                r#"{"tenure": 1, "Contract": "yearly", "SeniorCitizen": 0}"#,
                "unknown feature (did you mean `contract`?)",
            ),
            (r#"{"height": 1}"#, "unknown feature; the model has `tenure`"),
            (r#"{"tenure": 1, "tenure": 1, "contract": null}"#, "`tenure`: sent twice"),
            (r#"["12", "yearly", 0]"#, "feature `tenure`: `12` is text, expected a number"),
            (r#"[12, 1, 0]"#, "feature `contract`: 1 is a number, expected a category"),
        ];
        for (json, expected) in cases {
            let message = row(json).unwrap_err().to_string();
            assert!(message.contains(expected), "{json}: {message} should contain {expected}");
        }
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let values = vec![Value::Number(value), Value::Missing, Value::Missing];
            let message = schema().row(Features::Ordered(values)).unwrap_err().to_string();
            assert!(
                message.contains("feature `tenure`") && message.contains("not a finite"),
                "{message}"
            );
        }
    }
}
