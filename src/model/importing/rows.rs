//! Rows with the answers of the original.

use std::path::Path;

use super::error::ImportingError;
use crate::model::dataset::Column;
use crate::model::dataset::ColumnValues;
use crate::model::dataset::Dataset;
use crate::model::dataset::DatasetOptions;
use crate::model::schema::Schema;
use crate::model::schema::features::Value;
use crate::text::lists::quoted;

/// The rows, in the order of the schema.
pub(super) struct Rows {
    /// The name of their file, without its folder.
    pub(super) source: String,
    columns: Vec<Column>,
    /// The original's answer for each.
    pub(super) answers: Vec<f64>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.answers.len()
    }

    /// The values of a row.
    pub(super) fn values(&self, row: usize) -> Vec<Value<'static>> {
        self.columns.iter().map(|column| column.value(row).into_owned()).collect()
    }

    /// The values of a row with their names, cut to a length that fits a message.
    pub(super) fn in_words(&self, row: usize) -> String {
        const MOST: usize = 12;
        let value = |column: &Column| {
            let value = match column.value(row) {
                Value::Number(number) => number.to_string(),
                Value::Text(text) => quoted(&text),
                Value::Missing => "missing".to_owned(),
            };
            format!("{} {value}", column.name)
        };
        let mut words: Vec<String> = self.columns.iter().take(MOST).map(value).collect();
        if self.columns.len() > MOST {
            words.push(format!("and {} more", self.columns.len() - MOST));
        }
        words.join(", ")
    }
}

/// Reads a CSV file with the features of the schema and a column of answers.
pub(super) fn read(path: &Path, schema: &Schema, answers: &str) -> Result<Rows, ImportingError> {
    let mut options = DatasetOptions::of_schema(schema, answers.to_owned());
    options.numeric.push(answers.to_owned());
    let rows = Dataset::rows_with_numbers(path, &options);
    let (columns, found) = rows.map_err(|cause| {
        let file = path.display().to_string();
        ImportingError::Rows { file, cause: Box::new(cause) }
    })?;
    let source = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let ColumnValues::Numeric(answers) = found.values else {
        let column = quoted(&found.name);
        return Err(ImportingError::NoAnswer { row: 1, column });
    };
    match answers.iter().position(|answer| answer.is_nan()) {
        Some(row) => Err(ImportingError::NoAnswer { row: row + 1, column: quoted(&found.name) }),
        None => Ok(Rows { source, columns, answers }),
    }
}
