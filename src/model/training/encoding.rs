//! Schema of the columns, and rows as the matrix of the solver.

use std::collections::BTreeSet;

use ndarray::Array2;

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
            let known: Vec<f64> = rows.iter().filter_map(|row| numbers[*row]).collect();
            let first = *known.first().ok_or_else(nothing)?;
            if known.iter().all(|number| *number == first) {
                return Ok((FeatureKind::Numeric { mean: first, scale: 1.0 }, false));
            }
            let mean = known.iter().sum::<f64>() / known.len() as f64;
            // Imputed rows equal the mean, so they add only to the count.
            let squares: f64 = known.iter().map(|number| (number - mean).powi(2)).sum();
            let scale = (squares / rows.len() as f64).sqrt();
            if !(mean.is_finite() && scale.is_finite() && scale > 0.0) {
                return Err(TrainingError::Magnitude { name: quoted(&column.name) });
            }
            Ok((FeatureKind::Numeric { mean, scale }, true))
        }
        ColumnValues::Categorical(words) => {
            let levels: BTreeSet<&str> =
                rows.iter().filter_map(|row| words[*row].as_deref()).collect();
            if levels.is_empty() {
                return Err(nothing());
            }
            let blanks = rows.iter().any(|row| words[*row].is_none());
            let varies = levels.len() > 1 || blanks;
            let levels = levels.into_iter().map(str::to_owned).collect();
            Ok((FeatureKind::Categorical { levels }, varies))
        }
    }
}

/// The rows as a matrix: numbers standardized, categories one-hot encoded.
pub(crate) fn matrix(dataset: &Dataset, schema: &Schema, rows: &[usize]) -> Array2<f64> {
    let mut matrix = Array2::zeros((rows.len(), schema.encoded_width()));
    let mut start = 0;
    for (feature, column) in schema.features().iter().zip(dataset.columns()) {
        for (line, row) in rows.iter().enumerate() {
            match (&feature.kind, &column.values) {
                (FeatureKind::Numeric { mean, scale }, ColumnValues::Numeric(numbers)) => {
                    matrix[[line, start]] = numbers[*row].map_or(0.0, |x| (x - mean) / scale);
                }
                (FeatureKind::Categorical { levels }, ColumnValues::Categorical(words)) => {
                    let level =
                        words[*row].as_ref().and_then(|word| levels.binary_search(word).ok());
                    if let Some(level) = level {
                        matrix[[line, start + level]] = 1.0;
                    }
                }
                // The schema was learned from these columns, so that the kinds agree.
                (FeatureKind::Numeric { .. }, ColumnValues::Categorical(_))
                | (FeatureKind::Categorical { .. }, ColumnValues::Numeric(_)) => {}
            }
        }
        start += feature.kind.width();
    }
    matrix
}
