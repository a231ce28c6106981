//! Comparison of an imported model with the original, row by row.

use super::error::ImportingError;
use super::rows::Rows;
use crate::model::Model;
use crate::model::artifact::card::Parity;
use crate::model::kinds::imported::Format;
use crate::model::kinds::imported::ImportedModel;
use crate::model::output::Output;
use crate::model::output::OutputKind;
use crate::model::schema::features::Features;
use crate::text::lists::quoted;

/// A comparison within the tolerance.
pub(super) struct Compared {
    pub(super) parity: Parity,
}

impl Compared {
    /// Answers each row and compares.
    ///
    /// # Errors
    ///
    /// [`ImportingError::Differs`], if any row differs by more than the tolerance.
    pub(super) fn new(
        model: &ImportedModel,
        rows: &Rows,
        tolerance: f64,
        format: Format,
    ) -> Result<Self, ImportingError> {
        let answer = |row: usize| -> Result<Output, ImportingError> {
            let values = Features::Ordered(rows.values(row));
            let values = model.schema().row(values);
            let values = values.map_err(|cause| ImportingError::Row { row: row + 1, cause })?;
            Ok(model.predict(&values)?)
        };
        let answers = (0..rows.len()).map(answer).collect::<Result<Vec<Output>, _>>()?;
        let differences: Vec<Difference> = answers
            .iter()
            .enumerate()
            .map(|(row, answer)| Difference::of(answer, rows, row))
            .collect();
        let worst =
            (0..rows.len()).max_by(|a, b| differences[*a].size.total_cmp(&differences[*b].size));
        let above = differences.iter().filter(|difference| difference.size > tolerance).count();
        if let Some(row) = worst.filter(|_| above > 0) {
            let Difference { place, expected, answered, .. } = differences[row];
            let class = model.output().classes().get(place);
            return Err(ImportingError::Differs {
                above,
                rows: rows.len(),
                tolerance,
                row: row + 1,
                expected,
                of_class: class.map_or_else(String::new, |it| format!(" for class {}", quoted(it))),
                answered,
                values: rows.in_words(row),
                hint: hint(above, rows, &answers, model.output(), format),
            });
        }
        let parity = Parity {
            source: rows.source.clone(),
            rows: rows.len() as u64,
            largest_difference: worst.map_or(0.0, |row| differences[row].size),
            tolerance,
            rows_above: above as u64,
        };
        Ok(Self { parity })
    }
}

/// The largest difference among the numbers of a row.
struct Difference {
    /// Of a number above 1 as a share of it; infinite for an answer that is not a number, which equals none.
    size: f64,
    /// Which number.
    place: usize,
    expected: f64,
    answered: f64,
}

impl Difference {
    fn of(answer: &Output, rows: &Rows, row: usize) -> Self {
        let mut worst = Self { size: 0.0, place: 0, expected: f64::NAN, answered: f64::NAN };
        for (place, (expected, answered)) in rows.answer(row).zip(answer.numbers()).enumerate() {
            let size = (answered - expected).abs() / expected.abs().max(1.0);
            let size = if size.is_nan() { f64::INFINITY } else { size };
            if place == 0 || size > worst.size {
                worst = Self { size, place, expected, answered: *answered };
            }
        }
        worst
    }
}

/// What is probably wrong.
fn hint(
    above: usize,
    rows: &Rows,
    answers: &[Output],
    kind: &OutputKind,
    format: Format,
) -> String {
    match kind {
        OutputKind::Probability { .. } => {
            if let Some(mistake) = of_probabilities(rows, answers) {
                return mistake.to_owned();
            }
        }
        OutputKind::Probabilities { .. } if are_rearranged(rows, answers) => {
            return "The numbers agree under other classes: the columns name the classes in another order than the \
                    model has them (classes_)."
                .to_owned();
        }
        OutputKind::Probabilities { .. } | OutputKind::Score => {}
    }
    if above < rows.len() / 2 && format == Format::Onnx {
        return "ONNX holds thresholds of trees in single precision, so that rows next to one take another leaf: import the \
         library's own file instead (LightGBM's text, XGBoost's JSON, skops for scikit-learn)."
            .to_owned();
    }
    if above < rows.len() / 4 {
        "Most rows agree: look at this row for a category that is written in another way, a missing value, or a number \
         that was rounded."
            .to_owned()
    } else {
        "Most rows differ: the file is perhaps another version of the model, or its inputs are in another order.".to_owned()
    }
}

fn of_probabilities(rows: &Rows, answers: &[Output]) -> Option<&'static str> {
    let expected = || (0..rows.len()).flat_map(|row| rows.answer(row));
    let is_complement =
        answers.iter().zip(expected()).all(|(one, other)| (one.score() + other - 1.0).abs() < 1e-6);
    if is_complement {
        return Some(
            "Every answer is 1 minus the original's: the expected column has the probability of the other class.",
        );
    }
    if expected().any(|answer| !(0.0..=1.0).contains(&answer)) {
        return Some(
            "The expected column has numbers that are not probabilities: perhaps scores before the sigmoid.",
        );
    }
    expected()
        .all(|answer| answer == 0.0 || answer == 1.0)
        .then_some("The expected column has 0 and 1 alone: it needs probabilities, not labels.")
}

/// Whether the numbers of each row are the original's in another order.
fn are_rearranged(rows: &Rows, answers: &[Output]) -> bool {
    let sorted = |numbers: &mut dyn Iterator<Item = f64>| {
        let mut numbers: Vec<f64> = numbers.collect();
        numbers.sort_by(f64::total_cmp);
        numbers
    };
    answers.iter().enumerate().all(|(row, answer)| {
        let ours = sorted(&mut answer.numbers().iter().copied());
        let theirs = sorted(&mut rows.answer(row));
        ours.iter().zip(&theirs).all(|(one, other)| (one - other).abs() < 1e-6)
    })
}
