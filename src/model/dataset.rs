//! Training data: typed columns and a target of two or more classes, read from a CSV file.
//!
//! - `reading`: the file as columns of `cells`, without a text per cell.
//! - `kinds`: numbers or words.
//! - `sentinels`: numbers that may mean a missing value.
//! - `target`: which rows are of which class; [`classes`]: what the classes are.
//! - [`columns`] and [`words`]: what comes of it; [`for_model`]: rows for models that are trained already.
//! - [`options`]: what the user says about a file.
//!
//! Data that would silently make a useless model is an error with its line and a remedy. What had to be
//! decided about a column is a warning in the report.

pub(crate) mod cells;
pub mod classes;
pub mod columns;
pub(crate) mod error;
pub mod for_model;
pub(crate) mod kinds;
pub mod options;
pub(crate) mod reading;
pub(crate) mod sentinels;
pub(crate) mod target;
pub mod words;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use self::classes::Classes;
pub use self::classes::Labels;
pub use self::columns::Column;
pub use self::columns::ColumnValues;
pub use self::error::DatasetError;
pub use self::options::DatasetOptions;
use self::reading::Table;
use super::schema::Missing;
use super::schema::features::Features;
use crate::text::lists::quoted;

/// Rows to train on, by column. Every class occurs, there is at least one column, and no column is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    source: String,
    target: String,
    columns: Vec<Column>,
    labels: Labels,
    warnings: Vec<String>,
    missing: Missing,
}

impl Dataset {
    /// Reads a CSV file.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] names the line or column and the remedy.
    pub fn from_csv(path: &Path, options: &DatasetOptions) -> Result<Self, DatasetError> {
        let file = File::open(path).map_err(|cause| DatasetError::Unreadable { cause })?;
        let source = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self::from_reader(file, source, options)
    }

    /// Reads CSV from any source, with the name that the model's card shows.
    ///
    /// # Errors
    ///
    /// As [`Dataset::from_csv`].
    pub fn from_reader(
        reader: impl Read + 'static,
        source: String,
        options: &DatasetOptions,
    ) -> Result<Self, DatasetError> {
        let mut table = Table::read(reader, options)?;
        let Some(target) = table.take(&options.target).filter(|_| table.rows > 0) else {
            return Err(DatasetError::NoRows);
        };
        let mut warnings = table.notes;
        let target = target::labels(target, options, &mut warnings)?;
        let mut columns = Vec::with_capacity(table.columns.len());
        for (name, cells) in table.columns {
            let wanted = options.wanted(&name);
            let column = kinds::column(name, cells, wanted, options, &mut warnings)?;
            columns.push(target.labeled_rows(column, options)?);
        }
        let name = options.target.clone();
        let mut dataset = Self::of(source, name, columns, target.labels)?;
        dataset.warnings = warnings;
        dataset.missing = options.missing.clone();
        Ok(dataset)
    }

    /// The names of the columns of a CSV file.
    ///
    /// # Errors
    ///
    /// As [`Dataset::from_csv`].
    pub fn header(path: &Path) -> Result<Vec<String>, DatasetError> {
        let file = File::open(path).map_err(|cause| DatasetError::Unreadable { cause })?;
        reading::header(file)
    }

    /// Data of two classes from another source, named by `source`; columns and labels have the same length.
    pub(crate) fn new(
        source: String,
        target: String,
        positive: String,
        columns: Vec<Column>,
        labels: Vec<bool>,
    ) -> Result<Self, DatasetError> {
        Self::of(source, target, columns, Labels::Two { positive, of_rows: labels })
    }

    fn of(
        source: String,
        target: String,
        columns: Vec<Column>,
        labels: Labels,
    ) -> Result<Self, DatasetError> {
        if labels.rows() == 0 {
            return Err(DatasetError::NoRows);
        }
        if columns.is_empty() {
            return Err(DatasetError::NoFeatures { target: quoted(&target) });
        }
        if let Labels::Two { of_rows, .. } = &labels
            && !(of_rows.contains(&true) && of_rows.contains(&false))
        {
            let (rows, all) = (of_rows.len(), u8::from(of_rows[0]));
            return Err(DatasetError::OneClass { target: quoted(&target), rows, all });
        }
        // No text was read, so none means a missing value.
        let (warnings, missing) = (Vec::new(), Missing::only(&[]));
        Ok(Self { source, target, columns, labels, warnings, missing })
    }

    /// The file name without its folder, or the generator of the data.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The column to predict.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The columns, in the order of the file.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The target, row by row.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Warnings about the data.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What means a missing value in it.
    pub fn missing(&self) -> &Missing {
        &self.missing
    }

    /// One row as a client would send it.
    pub fn features(&self, row: usize) -> Features<'_> {
        Features::Ordered(self.columns.iter().map(|column| column.value(row)).collect())
    }
}

#[cfg(test)]
mod tests;
