//! Segments: rows that have the same value in a column.

use std::path::Path;

use anyhow::bail;

use crate::model::dataset::ColumnValues;
use crate::model::dataset::DatasetOptions;
use crate::model::dataset::for_model;

/// Maximum number of values of a column: a comparison of each needs rows of each, and a reader for all.
const MAX_VALUES: usize = 50;

/// The rows with one value.
pub(super) struct Segment {
    pub(super) column: String,
    /// `None`: the value is missing.
    pub(super) value: Option<String>,
    pub(super) rows: Vec<usize>,
}

/// Reads the segments of these columns, in the order of their values.
///
/// # Errors
/// When a column is not there, or has too many values.
pub(super) fn read(
    data: &Path,
    columns: &[String],
    options: DatasetOptions,
) -> anyhow::Result<Vec<Segment>> {
    let mut only: Vec<String> = Vec::new();
    for column in columns {
        if !only.contains(column) {
            only.push(column.clone());
        }
    }
    if only.is_empty() {
        return Ok(Vec::new());
    }
    let (categorical, only) = (only.clone(), Some(only));
    let options = DatasetOptions { categorical, only, ..options };
    let mut segments = Vec::new();
    for column in for_model::columns(data, &options)? {
        let ColumnValues::Categorical(words) = &column.values else { continue };
        let values = words.texts().len();
        if values > MAX_VALUES {
            bail!(
                "--segment {}: {values} different values; use a column with at most {MAX_VALUES}, for example of ranges",
                column.name
            );
        }
        let mut rows = vec![Vec::new(); values + 1];
        for row in 0..column.rows() {
            rows[words.code(row).unwrap_or(values)].push(row);
        }
        let values = words.texts().iter().cloned().map(Some).chain([None]);
        let found = values.zip(rows).filter(|(_, rows)| !rows.is_empty());
        let name = &column.name;
        segments.extend(found.map(|(value, rows)| Segment { column: name.clone(), value, rows }));
    }
    Ok(segments)
}
