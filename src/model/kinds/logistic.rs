//! The arithmetic of a logistic regression, folded so that one row is one short sum.
//!
//! ```text
//! p = 1 / (1 + exp(-z))        z = b + sum over features of
//!                                      w (x - mean) / scale    for a number x
//!                                      w[level]                for a category, 0 if missing or unseen
//! ```
//!
//! `b` and `w` are as trained, on the standardized scale, which is what a person compares. When the
//! model is made they are folded onto the raw scale: a number costs one multiplication, a category one
//! bisection among its levels. Many rows are the same loop, on purpose: a matrix product would sum in
//! another order, and one row would then differ in its last bits from the same row among many.

use thiserror::Error;

use crate::model::Execution;
use crate::model::Model;
use crate::model::PredictError;
use crate::model::output::Output;
use crate::model::output::OutputKind;
use crate::model::schema::FeatureKind;
use crate::model::schema::Schema;
use crate::model::schema::features::Value;
use crate::model::schema::row::Row;
use crate::text::lists::quoted;

/// Up to so many features a row is worth no thread of its own: at 10 ns for a number and 50 ns for a
/// category that is 13 microseconds at most.
const INLINE_FEATURES: usize = 256;

/// A fitted logistic regression.
#[derive(Clone, Debug)]
pub struct LogisticRegression {
    schema: Schema,
    threshold: f64,
    /// The intercept less what standardizing subtracts.
    offset: f64,
    /// One per feature, in the order of the schema.
    terms: Vec<Term>,
}

/// What one feature adds to the sum.
#[derive(Clone, Debug)]
enum Term {
    /// `weight * x`, with `fill` for a missing `x`.
    Number { weight: f64, fill: f64 },
    /// The level's weight; levels ascend.
    Category { levels: Vec<(String, f64)> },
}

impl LogisticRegression {
    /// Folds trained coefficients (standardized scale, one per encoded column) into a model.
    ///
    /// # Errors
    ///
    /// [`LogisticError`] when there are not as many coefficients as encoded columns, when a number is
    /// not finite, or when the threshold is not within 0 to 1.
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
                FeatureKind::Categorical { levels } => {
                    let weights = own.iter().map(|weight| finite(&what, *weight));
                    let weights = weights.collect::<Result<Vec<f64>, _>>()?;
                    Term::Category { levels: levels.iter().cloned().zip(weights).collect() }
                }
            });
        }
        let offset = offset.clamp(-MAX_ADDEND, MAX_ADDEND);
        Ok(Self { schema, threshold, offset, terms })
    }

    /// The sum `z`, the log-odds of the positive class.
    fn log_odds(&self, row: &Row<'_>) -> Result<f64, PredictError> {
        let values = row.values();
        if values.len() != self.terms.len() {
            return Err(self.foreign_count(values.len()));
        }
        let mut sum = self.offset;
        for (index, (term, value)) in self.terms.iter().zip(values).enumerate() {
            let addend = match (term, value) {
                (Term::Number { weight, .. }, Value::Number(number)) => weight * number,
                (Term::Number { weight, fill }, Value::Missing) => weight * fill,
                (Term::Category { levels }, Value::Text(text)) => weight_of(levels, text),
                (Term::Category { .. }, Value::Missing) => 0.0,
                (Term::Number { .. }, Value::Text(_))
                | (Term::Category { .. }, Value::Number(_)) => {
                    return Err(self.foreign_kind(index));
                }
            };
            // Opposite infinities would add up to NaN; finite ones cannot, however many there are.
            sum += addend.clamp(-MAX_ADDEND, MAX_ADDEND);
        }
        Ok(sum)
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

    fn output(&self) -> OutputKind {
        OutputKind::Probability { threshold: self.threshold }
    }

    fn predict(&self, row: &Row<'_>) -> Result<Output, PredictError> {
        Ok(Output::of(1.0 / (1.0 + (-self.log_odds(row)?).exp())))
    }

    fn execution(&self) -> Execution {
        if self.terms.len() <= INLINE_FEATURES { Execution::Inline } else { Execution::Pooled }
    }
}

/// Log-odds beyond this are a probability of 0 or 1 many times over.
const MAX_ADDEND: f64 = 1e290;

fn weight_of(levels: &[(String, f64)], text: &str) -> f64 {
    let found = levels.binary_search_by(|(level, _)| level.as_str().cmp(text));
    found.map_or(0.0, |index| levels[index].1)
}

fn finite(what: &str, value: f64) -> Result<f64, LogisticError> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(LogisticError::NotFinite { what: what.to_owned(), value })
    }
}

/// Why coefficients make no model.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum LogisticError {
    /// Not one coefficient per encoded column.
    #[error(
        "coefficients: there are {found}, the features need {expected} (one per number, one per level); train the model again"
    )]
    Width {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A number that is not finite, as given or once folded onto the raw scale.
    #[error(
        "{what}: it comes to {value} on the scale of the data, allowed are finite numbers; train the model again"
    )]
    NotFinite {
        /// Which number.
        what: String,
        /// Its value.
        value: f64,
    },
    /// A threshold that no probability could be compared with.
    #[error("threshold: {value} is not a probability; allowed are numbers from 0 to 1")]
    Threshold {
        /// The threshold.
        value: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::Feature;
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
    fn coefficients_that_make_no_model_are_refused() {
        let cases = [
            (0.0, vec![1.0], 0.5, "there are 1, the features need 3"),
            (0.0, vec![1.0, 1.0, f64::NAN], 0.5, "the coefficient of `c`: it comes to NaN"),
            (0.0, vec![f64::MAX, 0.0, 0.0], 0.5, "the coefficient of `x`"),
            (f64::INFINITY, vec![0.0; 3], 0.5, "the intercept: it comes to inf"),
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
