//! Comparison of an imported model with the original, row by row.

use super::error::ImportingError;
use super::rows::Rows;
use crate::model::Model;
use crate::model::artifact::card::Parity;
use crate::model::kinds::imported::ImportedModel;
use crate::model::schema::features::Features;

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
    ) -> Result<Self, ImportingError> {
        let answer = |row: usize| -> Result<f64, ImportingError> {
            let values = Features::Ordered(rows.values(row));
            let values = model.schema().row(values);
            let values = values.map_err(|cause| ImportingError::Row { row: row + 1, cause })?;
            Ok(model.predict(&values)?.score())
        };
        let answers = (0..rows.len()).map(answer).collect::<Result<Vec<f64>, _>>()?;
        let difference = |row: usize| {
            let difference = (answers[row] - rows.answers[row]).abs();
            // An answer that is not a number equals none.
            if difference.is_nan() { f64::INFINITY } else { difference }
        };
        let differences: Vec<f64> = (0..rows.len()).map(difference).collect();
        let worst = (0..rows.len()).max_by(|a, b| differences[*a].total_cmp(&differences[*b]));
        let above = differences.iter().filter(|difference| **difference > tolerance).count();
        if let Some(row) = worst.filter(|_| above > 0) {
            let (expected, answered) = (rows.answers[row], answers[row]);
            return Err(ImportingError::Differs {
                above,
                rows: rows.len(),
                tolerance,
                row: row + 1,
                expected,
                answered,
                values: rows.in_words(row),
                hint: hint(above, rows, &answers),
            });
        }
        let parity = Parity {
            source: rows.source.clone(),
            rows: rows.len() as u64,
            largest_difference: worst.map_or(0.0, |row| differences[row]),
            tolerance,
            rows_above: above as u64,
        };
        Ok(Self { parity })
    }
}

/// What is probably wrong.
fn hint(above: usize, rows: &Rows, answers: &[f64]) -> String {
    let is_complement =
        answers.iter().zip(&rows.answers).all(|(one, other)| (one + other - 1.0).abs() < 1e-6);
    if is_complement {
        return "Every answer is 1 minus the original's: the expected column has the probability of the other class."
            .to_owned();
    }
    if rows.answers.iter().any(|answer| !(0.0..=1.0).contains(answer)) {
        return "The expected column has numbers that are not probabilities: perhaps scores before the sigmoid."
            .to_owned();
    }
    if rows.answers.iter().all(|answer| *answer == 0.0 || *answer == 1.0) {
        return "The expected column has 0 and 1 alone: it needs probabilities, not labels."
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
