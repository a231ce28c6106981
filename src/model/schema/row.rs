//! A row a model may trust: as many values as features, each of its feature's kind, each finite.
//!
//! What is missing and what is wrong are kept apart. `null` says that a value is not known, and the
//! model has a rule for it (the training mean for a number, no level for a category). A name left out,
//! misspelled or given twice is a mistake of the client, and is refused.

use std::borrow::Cow;

use thiserror::Error;

use super::Feature;
use super::FeatureKind;
use super::Schema;
use super::features::Features;
use super::features::Value;
use crate::text::lists::did_you_mean;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// One row in the order of a schema, checked. Made by [`Schema::row`] only.
///
/// It keeps the words of categories as they were sent, not their numbers, so that a row checked by
/// one model's schema serves every model with the same features, whatever levels that one knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'a> {
    values: Vec<Value<'a>>,
}

impl Row<'_> {
    /// The values, in the order of the schema.
    pub fn values(&self) -> &[Value<'_>] {
        &self.values
    }

    /// The same row without the values at these places of the schema: they are not known.
    #[must_use]
    pub fn without(mut self, places: &[usize]) -> Self {
        for place in places {
            if let Some(value) = self.values.get_mut(*place) {
                *value = Value::Missing;
            }
        }
        self
    }

    /// The same row, owning its text, for use after the request's text is gone.
    pub fn into_owned(self) -> Row<'static> {
        Row { values: self.values.into_iter().map(Value::into_owned).collect() }
    }
}

impl Schema {
    /// Checks what a client sent and puts it into the schema's order.
    ///
    /// # Errors
    ///
    /// [`RowError`] names the field, the value and what is expected there.
    pub fn row<'a>(&self, features: Features<'a>) -> Result<Row<'a>, RowError> {
        let values = match features {
            Features::Ordered(values) if values.len() == self.features().len() => values,
            Features::Ordered(values) => return Err(self.wrong_count(values.len())),
            Features::Named(pairs) => self.in_order(pairs)?,
        };
        for (feature, value) in self.features().iter().zip(&values) {
            check(feature, value)?;
        }
        Ok(Row { values })
    }

    fn in_order<'a>(
        &self,
        pairs: Vec<(Cow<'a, str>, Value<'a>)>,
    ) -> Result<Vec<Value<'a>>, RowError> {
        let mut slots: Vec<Option<Value<'a>>> = vec![None; self.features().len()];
        for (guess, (name, value)) in pairs.into_iter().enumerate() {
            let Some(position) = self.position(&name, guess) else {
                return Err(self.unknown(&name));
            };
            if slots[position].replace(value).is_some() {
                return Err(RowError::Duplicate { name: quoted(&name) });
            }
        }
        if slots.iter().any(Option::is_none) {
            return Err(self.absent(&slots));
        }
        Ok(slots.into_iter().flatten().collect())
    }

    #[cold]
    fn wrong_count(&self, found: usize) -> RowError {
        let names = listed(self.feature_names());
        RowError::Count { found, expected: self.features().len(), names }
    }

    #[cold]
    fn unknown(&self, name: &str) -> RowError {
        let suggestion = did_you_mean(name, self.feature_names());
        RowError::Unknown { name: quoted(name), suggestion, names: listed(self.feature_names()) }
    }

    #[cold]
    fn absent(&self, slots: &[Option<Value<'_>>]) -> RowError {
        let absent = self.feature_names().zip(slots).filter(|(_, slot)| slot.is_none());
        RowError::Absent { names: listed(absent.map(|(name, _)| name)) }
    }
}

fn check(feature: &Feature, value: &Value<'_>) -> Result<(), RowError> {
    match (&feature.kind, value) {
        (_, Value::Missing) => Ok(()),
        (FeatureKind::Numeric { .. }, Value::Number(number)) if number.is_finite() => Ok(()),
        (FeatureKind::Numeric { .. }, Value::Number(number)) => {
            Err(RowError::NotFinite { name: quoted(&feature.name), value: *number })
        }
        (FeatureKind::Numeric { .. }, Value::Text(text)) => {
            Err(RowError::TextForNumber { name: quoted(&feature.name), value: quoted(text) })
        }
        (FeatureKind::Categorical { .. }, Value::Text(_)) => Ok(()),
        (FeatureKind::Categorical { levels }, Value::Number(number)) => {
            let levels = listed(levels.iter().map(String::as_str));
            Err(RowError::NumberForCategory { name: quoted(&feature.name), value: *number, levels })
        }
    }
}

/// Why what a client sent is no row of this model.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum RowError {
    /// Too few or too many values in an array.
    #[error(
        "features: {found} values were sent, the model takes {expected}, in this order: {names}; send null for one that is not known"
    )]
    Count {
        /// How many were sent.
        found: usize,
        /// How many the model takes.
        expected: usize,
        /// The names, in order.
        names: String,
    },
    /// A name the model does not have.
    #[error("feature {name}: the model has no such feature{suggestion}; its features are {names}")]
    Unknown {
        /// The name sent.
        name: String,
        /// " (did you mean ..?)", or nothing.
        suggestion: String,
        /// The names the model has.
        names: String,
    },
    /// A name given twice.
    #[error("feature {name}: it was sent twice; send it once")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Names left out.
    #[error("features: {names} not sent; send each feature, null where the value is not known")]
    Absent {
        /// The names left out.
        names: String,
    },
    /// A string where the model takes a number.
    #[error(
        "feature {name}: {value} is text where a number belongs; send it as a number without quotes, or null"
    )]
    TextForNumber {
        /// The feature.
        name: String,
        /// The text sent.
        value: String,
    },
    /// A number where the model takes a category.
    #[error(
        "feature {name}: {value} is a number where a category belongs; send it as a string (known are {levels}), or null"
    )]
    NumberForCategory {
        /// The feature.
        name: String,
        /// The number sent.
        value: f64,
        /// The levels the model knows.
        levels: String,
    },
    /// Not a number, or infinite.
    #[error(
        "feature {name}: {value} is not a finite number; send a finite one, or null where it is not known"
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
    fn a_mistake_is_refused_with_field_value_and_remedy() {
        let cases = [
            ("[1]", "1 values were sent, the model takes 3, in this order: `tenure`, `contract`"),
            ("[]", "0 values were sent"),
            (r#"[1, "yearly", 0, 0]"#, "4 values were sent"),
            ("{}", "`tenure`, `contract`, `SeniorCitizen` not sent"),
            (r#"{"tenure": 1, "contract": "yearly"}"#, "`SeniorCitizen` not sent; send each"),
            (
                r#"{"tenure": 1, "Contract": "yearly", "SeniorCitizen": 0}"#,
                "no such feature (did you mean `contract`?)",
            ),
            (r#"{"height": 1}"#, "no such feature; its features are `tenure`"),
            (r#"{"tenure": 1, "tenure": 1, "contract": null}"#, "`tenure`: it was sent twice"),
            (r#"["12", "yearly", 0]"#, "feature `tenure`: `12` is text where a number belongs"),
            (r#"[12, 1, 0]"#, "feature `contract`: 1 is a number where a category belongs"),
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
