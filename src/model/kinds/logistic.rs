//! Logistic regression, with the standardization folded into the weights.
//!
//! ```text
//! p = 1 / (1 + exp(-z))        z = b + sum over features of
//!                                      w (x - mean) / scale    for a number x, 0 if it is missing
//!                                      w[level]                for a category, 0 if missing or unseen
//! ```
//!
//! `b` and `w` are trained on the standardized scale, where they can be compared. Construction folds
//! them onto the raw scale: a number costs one multiplication, a category one binary search among its
//! levels. Batches use the same loop: a matrix product would sum in another order, so a row in a batch
//! would differ from the same row alone in its last bits.
//!
//! A number that means a missing value, such as -999, is imputed here and not in the row, because stable and canary
//! share rows and may have been trained with different markers.

use thiserror::Error;

use crate::model::Execution;
use crate::model::Model;
use crate::model::PredictError;
use crate::model::explanation::Explains;
use crate::model::explanation::Explanation;
use crate::model::explanation::Method;
use crate::model::explanation::Unit;
use crate::model::output::MAX_CLASS_NAME_BYTES;
use crate::model::output::MAX_CLASSES;
use crate::model::output::Output;
use crate::model::output::OutputKind;
use crate::model::schema::FeatureKind;
use crate::model::schema::Schema;
use crate::model::schema::features::Value;
use crate::model::schema::row::Row;
use crate::text::lists::quoted;

/// A fitted logistic regression.
#[derive(Clone, Debug)]
pub struct LogisticRegression {
    schema: Schema,
    output: OutputKind,
    /// The intercept minus what standardization subtracts.
    offset: f64,
    /// One per feature, in schema order.
    terms: Vec<Term>,
}

/// A feature's contribution to the sum.
#[derive(Clone, Debug)]
enum Term {
    /// `weight * x`, with `fill` for a missing `x`.
    Number { weight: f64, fill: f64 },
    /// The weight of the level; levels are sorted.
    Category { levels: Vec<(String, f64)> },
}

impl LogisticRegression {
    /// Folds trained coefficients (standardized scale, one per encoded column) into a model.
    ///
    /// # Errors
    ///
    /// [`LogisticError`] when the number of coefficients differs from the encoded columns, a number is
    /// not finite, or the threshold is not within 0 to 1.
    pub fn new(
        schema: Schema,
        intercept: f64,
        coefficients: &[f64],
        threshold: f64,
    ) -> Result<Self, LogisticError> {
        if coefficients.len() != schema.encoded_width() {
            let (found, expected) = (coefficients.len(), schema.encoded_width());
            return Err(LogisticError::Width { found, expected });
        }
        if !(0.0..=1.0).contains(&threshold) {
            return Err(LogisticError::Threshold { value: threshold });
        }
        let mut offset = finite("the intercept", intercept)?;
        let mut terms = Vec::with_capacity(schema.features().len());
        let mut rest = coefficients;
        for feature in schema.features() {
            let (own, others) = rest.split_at(feature.kind.width());
            rest = others;
            let what = format!("the coefficient of {}", quoted(&feature.name));
            terms.push(match &feature.kind {
                FeatureKind::Numeric { mean, scale } => {
                    let weight = finite(&what, own.iter().sum::<f64>() / scale)?;
                    offset = finite(&what, offset - weight * mean)?;
                    Term::Number { weight, fill: *mean }
                }
                FeatureKind::Number => {
                    Term::Number { weight: finite(&what, own.iter().sum::<f64>())?, fill: 0.0 }
                }
                FeatureKind::Categorical { levels } => {
                    let weights = own.iter().map(|weight| finite(&what, *weight));
                    let weights = weights.collect::<Result<Vec<f64>, _>>()?;
                    Term::Category { levels: levels.iter().cloned().zip(weights).collect() }
                }
            });
        }
        let offset = offset.clamp(-MAX_ADDEND, MAX_ADDEND);
        let output = OutputKind::Probability { threshold };
        Ok(Self { schema, output, offset, terms })
    }

    /// The sum `z`, the log-odds of the positive class.
    fn log_odds(&self, row: &Row<'_>) -> Result<f64, PredictError> {
        let values = row.values();
        if values.len() != self.terms.len() {
            return Err(self.foreign_count(values.len()));
        }
        let mut sum = self.offset;
        for (index, (term, value)) in self.terms.iter().zip(values).enumerate() {
            sum += self.addend(term, value).ok_or_else(|| self.foreign_kind(index))?;
        }
        Ok(sum)
    }

    /// What a value adds to the sum; `None` for a value of the other kind.
    #[inline]
    fn addend(&self, term: &Term, value: &Value<'_>) -> Option<f64> {
        let addend = match (term, value) {
            (Term::Number { weight, fill }, Value::Number(number)) => {
                let is_missing = self.schema.missing().numbers().contains(number);
                weight * if is_missing { fill } else { number }
            }
            (Term::Number { weight, fill }, Value::Missing) => weight * fill,
            (Term::Category { levels }, Value::Text(text)) => weight_of(levels, text),
            (Term::Category { .. }, Value::Missing) => 0.0,
            (Term::Number { .. }, Value::Text(_)) | (Term::Category { .. }, Value::Number(_)) => {
                return None;
            }
        };
        // Clamped, since opposite infinities would add up to NaN.
        Some(addend.clamp(-MAX_ADDEND, MAX_ADDEND))
    }

    #[cold]
    fn foreign_count(&self, found: usize) -> PredictError {
        let problem = format!("{found} values for {} features", self.terms.len());
        PredictError::ForeignRow { problem }
    }

    #[cold]
    fn foreign_kind(&self, index: usize) -> PredictError {
        let feature = &self.schema.features()[index];
        let problem = format!("the value of {} is not {}", quoted(&feature.name), feature.kind);
        PredictError::ForeignRow { problem }
    }
}

impl Model for LogisticRegression {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn output(&self) -> &OutputKind {
        &self.output
    }

    fn predict(&self, row: &Row<'_>) -> Result<Output, PredictError> {
        Ok(Output::of(1.0 / (1.0 + (-self.log_odds(row)?).exp())))
    }

    fn explains(&self) -> Option<Explains> {
        let baseline =
            "the log-odds of a row with the training mean of every number and no known category";
        Some(Explains { method: Method::Linear, adds_up_to: Unit::LogOdds, baseline })
    }

    fn explain(&self, row: &Row<'_>) -> Result<Option<Explanation>, PredictError> {
        let values = row.values();
        if values.len() != self.terms.len() {
            return Err(self.foreign_count(values.len()));
        }
        let mut baseline = self.offset;
        let mut contributions = Vec::with_capacity(values.len());
        for (index, (term, value)) in self.terms.iter().zip(values).enumerate() {
            let addend = self.addend(term, value).ok_or_else(|| self.foreign_kind(index))?;
            let reference = self.addend(term, &Value::Missing).unwrap_or_default();
            baseline += reference;
            contributions.push(addend - reference);
        }
        Ok(Some(Explanation { class: None, baseline, contributions }))
    }

    fn execution(&self) -> Execution {
        Execution::Inline
    }
}

/// Far beyond the log-odds that round to a probability of 0 or 1.
pub(super) const MAX_ADDEND: f64 = 1e290;

fn weight_of(levels: &[(String, f64)], text: &str) -> f64 {
    let found = levels.binary_search_by(|(level, _)| level.as_str().cmp(text));
    found.map_or(0.0, |index| levels[index].1)
}

pub(super) fn finite(what: &str, value: f64) -> Result<f64, LogisticError> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(LogisticError::NotFinite { what: what.to_owned(), value })
    }
}

/// Why coefficients are not a model.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum LogisticError {
    /// The number of coefficients differs from the encoded columns.
    #[error(
        "coefficients: {found} found, {expected} required (one per number, one per level); retrain the model"
    )]
    Width {
        /// The number found.
        found: usize,
        /// The number required.
        expected: usize,
    },
    /// A number is not finite, as given or on the raw scale.
    #[error("{what}: {value} on the scale of the data is not finite; retrain the model")]
    NotFinite {
        /// Which number.
        what: String,
        /// Its value.
        value: f64,
    },
    /// The number of classes is not one of a multinomial regression, or not that of the intercepts.
    #[error(
        "classes: {names} names for {intercepts} intercepts; a multinomial regression has 3 to {MAX_CLASSES} classes with one intercept each, retrain the model"
    )]
    Classes {
        /// The number of names.
        names: usize,
        /// The number of intercepts.
        intercepts: usize,
    },
    /// A class cannot be named so.
    #[error(
        "classes: {name} is not the name of a class: it is empty, repeated, or longer than {MAX_CLASS_NAME_BYTES} bytes of one line"
    )]
    ClassName {
        /// The name.
        name: String,
    },
    /// The threshold is not a probability.
    #[error("threshold: {value} is not a probability; use 0 to 1")]
    Threshold {
        /// The threshold.
        value: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::Feature;
    use crate::model::schema::Missing;
    use crate::model::schema::features::Features;

    fn schema() -> Schema {
        let levels = vec!["monthly".to_owned(), "yearly".to_owned()];
        Schema::new(vec![
            Feature { name: "x".into(), kind: FeatureKind::Numeric { mean: 10.0, scale: 4.0 } },
            Feature { name: "c".into(), kind: FeatureKind::Categorical { levels } },
        ])
        .unwrap()
    }

    fn model() -> LogisticRegression {
        LogisticRegression::new(schema(), 0.25, &[2.0, 0.5, -0.75], 0.5).unwrap()
    }

    fn row(x: Value<'static>, c: Value<'static>) -> Row<'static> {
        schema().row(Features::Ordered(vec![x, c])).unwrap()
    }

    fn sigmoid(z: f64) -> f64 {
        1.0 / (1.0 + (-z).exp())
    }

    #[test]
    fn the_sum_is_the_textbook_one() {
        let text = |word: &'static str| Value::Text(word.into());
        let cases = [
            (row(Value::Number(12.0), text("monthly")), 0.25 + 2.0 * 0.5 + 0.5),
            (row(Value::Number(12.0), text("yearly")), 0.25 + 2.0 * 0.5 - 0.75),
            (row(Value::Number(12.0), text("weekly")), 0.25 + 2.0 * 0.5),
            (row(Value::Number(12.0), Value::Missing), 0.25 + 2.0 * 0.5),
            (row(Value::Missing, text("yearly")), 0.25 - 0.75),
        ];
        let model = model();
        for (row, z) in &cases {
            assert!((model.predict(row).unwrap().score() - sigmoid(*z)).abs() < 1e-15, "{row:?}");
        }
        let rows: Vec<Row<'_>> = cases.iter().map(|(row, _)| row.clone()).collect();
        let one_by_one: Vec<Output> = rows.iter().map(|row| model.predict(row).unwrap()).collect();
        assert_eq!(model.predict_many(&rows).unwrap(), one_by_one);
    }

    #[test]
    fn a_number_that_means_a_missing_value_is_imputed_by_the_model_that_has_the_marker() {
        let marked = schema().with_missing(Missing::default().and(&["-999".to_owned()]));
        let marked = LogisticRegression::new(marked, 0.25, &[2.0, 0.5, -0.75], 0.5).unwrap();
        let [missing, number] = [Value::Missing, Value::Number(-999.0)]
            .map(|value| row(value, Value::Text("yearly".into())));
        assert_eq!(marked.predict(&number), marked.predict(&missing));
        assert_ne!(model().predict(&number), model().predict(&missing));
        assert_eq!(
            marked.predict_many(std::slice::from_ref(&number)).unwrap()[0],
            marked.predict(&missing).unwrap()
        );
    }

    #[test]
    fn extreme_numbers_give_zero_or_one_and_never_nan() {
        let model = model();
        let extreme = |x| model.predict(&row(Value::Number(x), Value::Missing));
        assert_eq!(extreme(f64::MAX), Ok(Output::of(1.0)));
        assert_eq!(extreme(f64::MIN), Ok(Output::of(0.0)));

        let numeric = FeatureKind::Numeric { mean: 0.0, scale: 0.1 };
        let named = |name: &str| Feature { name: name.into(), kind: numeric.clone() };
        let schema = Schema::new(vec![named("a"), named("b")]).unwrap();
        let values = vec![Value::Number(f64::MAX), Value::Number(f64::MAX)];
        let row = schema.row(Features::Ordered(values)).unwrap();
        let model = LogisticRegression::new(schema, 0.0, &[1.0, -1.0], 0.5).unwrap();
        assert_eq!(model.predict(&row), Ok(Output::of(0.5)));
    }

    #[test]
    fn a_row_of_another_schema_is_an_error() {
        let kind = FeatureKind::Numeric { mean: 0.0, scale: 1.0 };
        let features = ["x", "y"].map(|name| Feature { name: name.into(), kind: kind.clone() });
        let other = Schema::new(features.to_vec()).unwrap();
        let foreign = other.row(Features::Ordered(vec![Value::Number(1.0), Value::Number(1.0)]));
        let message = model().predict(&foreign.unwrap()).unwrap_err().to_string();
        assert!(message.contains("the value of `c` is not categorical"), "{message}");
    }

    #[test]
    fn invalid_coefficients_are_refused() {
        let cases = [
            (0.0, vec![1.0], 0.5, "1 found, 3 required"),
            (0.0, vec![1.0, 1.0, f64::NAN], 0.5, "the coefficient of `c`: NaN"),
            (0.0, vec![f64::MAX, 0.0, 0.0], 0.5, "the coefficient of `x`"),
            (f64::INFINITY, vec![0.0; 3], 0.5, "the intercept: inf"),
            (0.0, vec![0.0; 3], 1.5, "threshold: 1.5"),
            (0.0, vec![0.0; 3], f64::NAN, "threshold: NaN"),
        ];
        for (intercept, coefficients, threshold, expected) in cases {
            let made = LogisticRegression::new(schema(), intercept, &coefficients, threshold);
            let message = made.unwrap_err().to_string();
            assert!(message.contains(expected), "{message} should contain {expected}");
        }
    }
}
