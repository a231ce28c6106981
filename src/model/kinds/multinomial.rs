//! Multinomial logistic regression, with the standardization folded into the weights.
//!
//! ```text
//! p[k] = exp(z[k]) / sum over classes of exp(z)        z[k] = b[k] + sum over features of
//!                                                             w[k] (x - mean) / scale    for a number x
//!                                                             w[k][level]                for a category
//! ```
//!
//! Missing values, unseen words and markers mean what they mean to a logistic regression of two classes: a missing
//! number is the training mean, a missing or unseen category adds nothing.

use crate::model::Execution;
use crate::model::Model;
use crate::model::PredictError;
use crate::model::explanation::Explains;
use crate::model::explanation::Explanation;
use crate::model::explanation::Method;
use crate::model::explanation::Unit;
use crate::model::kinds::ensemble::Link;
use crate::model::kinds::logistic::LogisticError;
use crate::model::kinds::logistic::MAX_ADDEND;
use crate::model::kinds::logistic::finite;
use crate::model::output::MAX_CLASSES;
use crate::model::output::Output;
use crate::model::output::OutputKind;
use crate::model::output::bad_class_name;
use crate::model::schema::FeatureKind;
use crate::model::schema::Schema;
use crate::model::schema::features::Value;
use crate::model::schema::row::Row;
use crate::text::lists::quoted;

/// Products of a row up to which it is computed on the request's thread, at about 1 ns each.
const MAX_INLINE_PRODUCTS: usize = 4_000;

/// A fitted multinomial logistic regression.
#[derive(Clone, Debug)]
pub struct MultinomialRegression {
    schema: Schema,
    output: OutputKind,
    /// For each class, the intercept minus what standardization subtracts.
    offsets: Vec<f64>,
    /// One per feature, in schema order.
    terms: Vec<Term>,
}

/// What a feature adds to the sums, class by class.
#[derive(Clone, Debug)]
enum Term {
    /// `weight * x`, with `fill` for a missing `x`.
    Number { weights: Vec<f64>, fill: f64 },
    /// The weights of the level; levels are sorted.
    Category { levels: Vec<(String, Vec<f64>)> },
}

impl MultinomialRegression {
    /// Folds trained coefficients (standardized scale) into a model: an intercept for each class, and class by class
    /// a coefficient for each encoded column.
    ///
    /// # Errors
    ///
    /// [`LogisticError`] when there are fewer than 3 or more than 100 classes, a name is not one, the number of
    /// coefficients differs from classes times encoded columns, or a number is not finite.
    pub fn new(
        schema: Schema,
        classes: &[String],
        intercepts: &[f64],
        coefficients: &[f64],
    ) -> Result<Self, LogisticError> {
        let (count, width) = (classes.len(), schema.encoded_width());
        if !(3..=MAX_CLASSES).contains(&count) || intercepts.len() != count {
            return Err(LogisticError::Classes { names: count, intercepts: intercepts.len() });
        }
        if let Some(name) = bad_class_name(classes) {
            return Err(LogisticError::ClassName { name: quoted(name) });
        }
        if coefficients.len() != count * width {
            let (found, expected) = (coefficients.len(), count * width);
            return Err(LogisticError::Width { found, expected });
        }
        let intercepts = intercepts.iter().map(|intercept| finite("an intercept", *intercept));
        let mut offsets = intercepts.collect::<Result<Vec<f64>, _>>()?;
        let mut terms = Vec::with_capacity(schema.features().len());
        let mut column = 0;
        for feature in schema.features() {
            let what = format!("a coefficient of {}", quoted(&feature.name));
            let weights = |column: usize, scale: f64| {
                let of_class = coefficients.iter().skip(column).step_by(width);
                of_class.map(|weight| finite(&what, weight / scale)).collect::<Result<Vec<_>, _>>()
            };
            terms.push(match &feature.kind {
                FeatureKind::Numeric { mean, scale } => {
                    let weights = weights(column, *scale)?;
                    for (offset, weight) in offsets.iter_mut().zip(&weights) {
                        *offset = finite(&what, *offset - weight * mean)?;
                    }
                    Term::Number { weights, fill: *mean }
                }
                FeatureKind::Number => Term::Number { weights: weights(column, 1.0)?, fill: 0.0 },
                FeatureKind::Categorical { levels } => {
                    let level = |(place, level): (usize, &String)| {
                        Ok((level.clone(), weights(column + place, 1.0)?))
                    };
                    let levels = levels.iter().enumerate().map(level);
                    Term::Category { levels: levels.collect::<Result<_, LogisticError>>()? }
                }
            });
            column += feature.kind.width();
        }
        offsets.iter_mut().for_each(|offset| *offset = clamped(*offset));
        let output = OutputKind::Probabilities { classes: classes.to_vec() };
        Ok(Self { schema, output, offsets, terms })
    }

    /// Adds what a value contributes to the sums; `None` for a value of the other kind.
    fn add(&self, term: &Term, value: &Value<'_>, sums: &mut [f64]) -> Option<()> {
        match (term, value) {
            (Term::Number { weights, fill }, Value::Number(_) | Value::Missing) => {
                let is_missing = |x: &f64| self.schema.missing().numbers().contains(x);
                let x = match value {
                    Value::Number(number) if !is_missing(number) => *number,
                    Value::Number(_) | Value::Missing | Value::Text(_) => *fill,
                };
                sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += clamped(weight * x));
            }
            (Term::Category { levels }, Value::Text(text)) => {
                let found = levels.binary_search_by(|(level, _)| level.as_str().cmp(text));
                if let Some((_, weights)) = found.ok().and_then(|place| levels.get(place)) {
                    sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += clamped(*weight));
                }
            }
            (Term::Category { .. }, Value::Missing) => {}
            (Term::Number { .. }, Value::Text(_)) | (Term::Category { .. }, Value::Number(_)) => {
                return None;
            }
        }
        Some(())
    }

    #[cold]
    fn foreign(&self, index: usize) -> PredictError {
        let feature = &self.schema.features()[index];
        let problem = format!("the value of {} is not {}", quoted(&feature.name), feature.kind);
        PredictError::ForeignRow { problem }
    }
}

/// Clamped, since opposite infinities would add up to NaN.
fn clamped(addend: f64) -> f64 {
    addend.clamp(-MAX_ADDEND, MAX_ADDEND)
}

impl Model for MultinomialRegression {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn output(&self) -> &OutputKind {
        &self.output
    }

    fn predict(&self, row: &Row<'_>) -> Result<Output, PredictError> {
        let values = row.values();
        if values.len() != self.terms.len() {
            let problem = format!("{} values for {} features", values.len(), self.terms.len());
            return Err(PredictError::ForeignRow { problem });
        }
        let mut sums = self.offsets.clone();
        for (index, (term, value)) in self.terms.iter().zip(values).enumerate() {
            self.add(term, value, &mut sums).ok_or_else(|| self.foreign(index))?;
        }
        Link::Softmax.apply(&mut sums);
        Ok(Output::of_many(sums))
    }

    fn explains(&self) -> Option<Explains> {
        let baseline = "the score of the class for a row with the training mean of every number and no known category";
        Some(Explains { method: Method::Linear, adds_up_to: Unit::ClassScore, baseline })
    }

    fn explain(&self, row: &Row<'_>) -> Result<Option<Explanation>, PredictError> {
        let class = self.predict(row)?.largest();
        let (nothing, mut scratch) = (vec![0.0; self.offsets.len()], Vec::new());
        let mut addend = |term: &Term, value: &Value<'_>| {
            scratch.clone_from(&nothing);
            self.add(term, value, &mut scratch)?;
            scratch.get(class).copied()
        };
        let mut baseline = self.offsets.get(class).copied().unwrap_or_default();
        let mut contributions = Vec::with_capacity(self.terms.len());
        for (index, (term, value)) in self.terms.iter().zip(row.values()).enumerate() {
            let added = addend(term, value).ok_or_else(|| self.foreign(index))?;
            let reference = addend(term, &Value::Missing).unwrap_or_default();
            baseline += reference;
            contributions.push(added - reference);
        }
        Ok(Some(Explanation { class: Some(class), baseline, contributions }))
    }

    fn execution(&self) -> Execution {
        match self.terms.len() * self.offsets.len() <= MAX_INLINE_PRODUCTS {
            true => Execution::Inline,
            false => Execution::Pooled,
        }
    }
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

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    const INTERCEPTS: [f64; 3] = [0.25, 0.0, -0.5];
    const COEFFICIENTS: [f64; 9] = [2.0, 0.5, -0.75, -1.0, 0.0, 0.25, -1.0, -0.5, 0.5];

    fn model(schema: Schema) -> MultinomialRegression {
        let classes = names(&["basic", "silver", "gold"]);
        MultinomialRegression::new(schema, &classes, &INTERCEPTS, &COEFFICIENTS).unwrap()
    }

    fn row(x: Value<'static>, c: Value<'static>) -> Row<'static> {
        schema().row(Features::Ordered(vec![x, c])).unwrap()
    }

    #[test]
    fn an_explanation_adds_up_to_the_score_of_the_answered_class() {
        let text = |word: &'static str| Value::Text(word.into());
        let model = model(schema());
        assert_eq!(model.explains().map(|it| it.adds_up_to), Some(Unit::ClassScore));
        let rows = [
            (Value::Number(14.0), text("yearly")),
            (Value::Number(-30.0), text("monthly")),
            (Value::Missing, Value::Missing),
            (Value::Number(12.0), text("never seen")),
        ];
        for (x, c) in rows {
            let row = row(x, c);
            let answer = model.predict(&row).unwrap();
            let explained = model.explain(&row).unwrap().unwrap();
            assert_eq!(explained.class, Some(answer.largest()));
            // The scores of the classes are the logarithms of the probabilities, up to a constant.
            let class = answer.largest();
            let mut sums = model.offsets.clone();
            for (term, value) in model.terms.iter().zip(row.values()) {
                model.add(term, value, &mut sums).unwrap();
            }
            assert!((explained.sum() - sums[class]).abs() < 1e-12, "{explained:?} {sums:?}");
            assert!(sums.iter().all(|sum| *sum <= sums[class]));
        }
        let missing = model.explain(&row(Value::Missing, Value::Missing)).unwrap().unwrap();
        assert_eq!(missing.contributions, [0.0, 0.0]);
    }

    #[test]
    fn the_probabilities_are_the_textbook_ones() {
        let text = |word: &'static str| Value::Text(word.into());
        let cases = [
            (row(Value::Number(12.0), text("monthly")), 0.5, [0.5, 0.0, -0.5]),
            (row(Value::Number(12.0), text("yearly")), 0.5, [-0.75, 0.25, 0.5]),
            (row(Value::Number(2.0), text("weekly")), -2.0, [0.0; 3]),
            (row(Value::Missing, Value::Missing), 0.0, [0.0; 3]),
        ];
        let model = model(schema());
        for (row, x, level) in &cases {
            let sum = |k: usize| INTERCEPTS[k] + COEFFICIENTS[3 * k] * x + level[k];
            let all: f64 = (0..3).map(|k| sum(k).exp()).sum();
            let output = model.predict(row).unwrap();
            for (k, found) in output.numbers().iter().enumerate() {
                assert!((found - sum(k).exp() / all).abs() < 1e-15, "{row:?}, class {k}: {found}");
            }
        }
    }

    #[test]
    fn a_number_that_means_a_missing_value_is_imputed() {
        let marked = model(schema().with_missing(Missing::default().and(&["-999".to_owned()])));
        let [missing, number] =
            [Value::Missing, Value::Number(-999.0)].map(|value| row(value, Value::Missing));
        assert_eq!(marked.predict(&number), marked.predict(&missing));
        assert_ne!(model(schema()).predict(&number), model(schema()).predict(&missing));
    }

    #[test]
    fn extreme_numbers_give_probabilities() {
        let model = model(schema());
        for x in [f64::MAX, f64::MIN, 1e300, -1e200] {
            let output = model.predict(&row(Value::Number(x), Value::Missing)).unwrap();
            assert!(model.output().allows(&output), "{x}: {output:?}");
        }
    }

    #[test]
    fn a_row_of_another_schema_is_an_error() {
        let kind = FeatureKind::Numeric { mean: 0.0, scale: 1.0 };
        let features = ["x", "y"].map(|name| Feature { name: name.into(), kind: kind.clone() });
        let other = Schema::new(features.to_vec()).unwrap();
        let foreign = other.row(Features::Ordered(vec![Value::Number(1.0), Value::Number(1.0)]));
        let message = model(schema()).predict(&foreign.unwrap()).unwrap_err().to_string();
        assert!(message.contains("the value of `c` is not categorical"), "{message}");
    }

    #[test]
    fn what_is_not_a_model_is_refused() {
        let three = ["a", "b", "c"];
        type Case<'a> = (&'a [&'a str], Vec<f64>, Vec<f64>, &'a str);
        let cases: [Case<'_>; 7] = [
            (&["a", "b"], vec![0.0; 2], vec![0.0; 6], "2 names for 2 intercepts"),
            (&three, vec![0.0; 2], vec![0.0; 9], "3 names for 2 intercepts"),
            (&three, vec![0.0; 3], vec![0.0; 8], "8 found, 9 required"),
            (&["a", "b", "a"], vec![0.0; 3], vec![0.0; 9], "`a` is not the name of a class"),
            (&["a", "b", "c\n"], vec![0.0; 3], vec![0.0; 9], "is not the name of a class"),
            (&three, vec![0.0, f64::NAN, 0.0], vec![0.0; 9], "an intercept: NaN"),
            (&three, vec![0.0; 3], vec![f64::INFINITY; 9], "a coefficient of `x`: inf"),
        ];
        for (classes, intercepts, coefficients, expected) in cases {
            let made =
                MultinomialRegression::new(schema(), &names(classes), &intercepts, &coefficients);
            let message = made.unwrap_err().to_string();
            assert!(message.contains(expected), "{message} should contain {expected}");
        }
    }

    #[test]
    fn a_large_model_runs_on_threads_of_its_own() {
        assert_eq!(model(schema()).execution(), Execution::Inline);
        let kind = FeatureKind::Numeric { mean: 0.0, scale: 1.0 };
        let features = (0..401).map(|n| Feature { name: format!("x{n}"), kind: kind.clone() });
        let schema = Schema::new(features.collect()).unwrap();
        let classes: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        let large = MultinomialRegression::new(schema, &classes, &[0.0; 10], &[0.0; 4010]);
        assert_eq!(large.unwrap().execution(), Execution::Pooled);
    }
}
