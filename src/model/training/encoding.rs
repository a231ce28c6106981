//! Schema of the columns.

use super::error::TrainingError;
use crate::model::dataset::Column;
use crate::model::dataset::ColumnValues;
use crate::model::dataset::Dataset;
use crate::model::schema::Feature;
use crate::model::schema::FeatureKind;
use crate::model::schema::Schema;
use crate::text::lists::quoted;

/// Learns means, scales and levels from the training rows only, so that nothing about the holdout enters
/// the model. Also returns the names of constant columns.
pub(crate) fn learn_schema(
    dataset: &Dataset,
    rows: &[usize],
) -> Result<(Schema, Vec<String>), TrainingError> {
    let mut constant = Vec::new();
    let mut features = Vec::with_capacity(dataset.columns().len());
    for column in dataset.columns() {
        let (kind, varies) = learn_kind(column, rows)?;
        if !varies {
            constant.push(column.name.clone());
        }
        features.push(Feature { name: column.name.clone(), kind });
    }
    Ok((Schema::new(features)?, constant))
}

fn learn_kind(column: &Column, rows: &[usize]) -> Result<(FeatureKind, bool), TrainingError> {
    let nothing = || TrainingError::NoValues { name: quoted(&column.name) };
    match &column.values {
        ColumnValues::Numeric(numbers) => {
            let known = || rows.iter().map(|row| numbers[*row]).filter(|number| !number.is_nan());
            let first = known().next().ok_or_else(nothing)?;
            let [low, high] = known().fold([first; 2], |[low, high], x| [low.min(x), high.max(x)]);
            if is_constant(low, high) && known().all(|number| is_rounded(number, low, high)) {
                return Ok((FeatureKind::Numeric { mean: first, scale: 1.0 }, false));
            }
            let count = known().count() as f64;
            let mean = known().sum::<f64>() / count;
            // Imputed rows equal the mean, so they add only to the count.
            let squares: f64 = known().map(|number| (number - mean).powi(2)).sum();
            let scale = (squares / rows.len() as f64).sqrt();
            if !(mean.is_finite() && scale.is_finite() && scale > 0.0) {
                return Err(TrainingError::Magnitude { name: quoted(&column.name) });
            }
            Ok((FeatureKind::Numeric { mean, scale }, true))
        }
        ColumnValues::Categorical(words) => {
            let mut seen = vec![false; words.texts().len()];
            let mut blanks = false;
            for row in rows {
                match words.code(*row) {
                    Some(code) => seen[code] = true,
                    None => blanks = true,
                }
            }
            let levels = words.texts().iter().zip(&seen).filter(|(_, seen)| **seen);
            let levels: Vec<String> = levels.map(|(text, _)| text.clone()).collect();
            if levels.is_empty() {
                return Err(nothing());
            }
            let varies = levels.len() > 1 || blanks;
            Ok((FeatureKind::Categorical { levels }, varies))
        }
    }
}

/// Whether numbers in this range differ by some units in the last place at most.
fn is_constant(low: f64, high: f64) -> bool {
    /// More than the rounding of a short computation leaves (0.1 + 0.2 differs from 0.3 by one unit).
    const UNITS: f64 = 64.0;
    high - low <= UNITS * f64::EPSILON * low.abs().max(high.abs())
}

/// Whether a difference can come from rounding: whole numbers are exact, unless all are equal.
fn is_rounded(number: f64, low: f64, high: f64) -> bool {
    low == high || number.fract() != 0.0
}
