//! Training data: typed columns and a binary target, read from a CSV file.
//!
//! The file has a header; fields are trimmed; a blank field is a missing value. A column is numeric if
//! all its values are finite numbers, and categorical otherwise. Data that would silently make a useless
//! model is an error with its line and a remedy: rows of different lengths, a numeric column with a few
//! texts, a column of identifiers, a target with one class.

pub(crate) mod error;
pub(crate) mod reading;

use std::collections::BTreeMap;
use std::path::Path;

pub use self::error::DatasetError;
use self::reading::Table;
use super::schema::features::Features;
use super::schema::features::Value;
use crate::text::lists::did_you_mean;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// Maximum number of levels of a categorical column.
const MAX_LEVELS: usize = 1_000;

/// A column with more levels than this, and more than half as many as rows, contains identifiers.
const MIN_IDENTIFIER_LEVELS: usize = 20;

/// Target of the training, and columns to ignore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetOptions {
    /// The column to predict.
    pub target: String,
    /// The target's value that counts as 1; every other value counts as 0.
    pub positive: String,
    /// Columns to ignore, such as identifiers.
    pub drop: Vec<String>,
}

/// Rows to train on, by column. Both classes occur, there is at least one column, and no column is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    source: String,
    target: String,
    positive: String,
    columns: Vec<Column>,
    labels: Vec<bool>,
    warnings: Vec<String>,
}

/// One feature's values.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The name in the header.
    pub name: String,
    /// A value per row.
    pub values: ColumnValues,
}

/// The values of a column; `None` if missing.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnValues {
    /// Finite numbers.
    Numeric(Vec<Option<f64>>),
    /// Texts.
    Categorical(Vec<Option<String>>),
}

impl Dataset {
    /// Reads a CSV file.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] names the line or column and the remedy.
    pub fn from_csv(path: &Path, options: &DatasetOptions) -> Result<Self, DatasetError> {
        let mut table = Table::read(path)?;
        if table.lines.is_empty() {
            return Err(DatasetError::NoRows);
        }
        let mut warnings = Vec::new();
        let (labels, others) = take_labels(&mut table, options)?;
        if others.len() > 1 {
            let words = listed(others.iter().map(String::as_str));
            let (target, positive) = (quoted(&options.target), quoted(&options.positive));
            warnings.push(format!(
                "target {target}: {words} all count as 0, since only {positive} counts as 1"
            ));
        }
        for name in &options.drop {
            if *name == options.target {
                return Err(DatasetError::TargetDropped { name: quoted(name) });
            }
            table.take(name).ok_or_else(|| table.unknown("drop", name))?;
        }
        let lines = std::mem::take(&mut table.lines);
        let columns = table
            .columns
            .into_iter()
            .map(|(name, fields)| typed(name, fields, &lines))
            .collect::<Result<Vec<Column>, _>>()?;
        let source = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (target, positive) = (options.target.clone(), options.positive.clone());
        let mut dataset = Self::new(source, target, positive, columns, labels)?;
        dataset.warnings = warnings;
        Ok(dataset)
    }

    /// Data from another source, named by `source`; columns and labels have the same length.
    pub(super) fn new(
        source: String,
        target: String,
        positive: String,
        columns: Vec<Column>,
        labels: Vec<bool>,
    ) -> Result<Self, DatasetError> {
        if labels.is_empty() {
            return Err(DatasetError::NoRows);
        }
        if columns.is_empty() {
            return Err(DatasetError::NoFeatures { target: quoted(&target) });
        }
        if !labels.contains(&true) || !labels.contains(&false) {
            let (rows, all) = (labels.len(), if labels[0] { 1 } else { 0 });
            return Err(DatasetError::OneClass { target: quoted(&target), rows, all });
        }
        Ok(Self { source, target, positive, columns, labels, warnings: Vec::new() })
    }

    /// The file name without its folder, or the generator of the data.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The column to predict.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The target's value that counts as 1.
    pub fn positive(&self) -> &str {
        &self.positive
    }

    /// The columns, in the order of the file.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The target, row by row.
    pub fn labels(&self) -> &[bool] {
        &self.labels
    }

    /// Warnings about the data.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// One row as a client would send it.
    pub fn features(&self, row: usize) -> Features<'_> {
        Features::Ordered(self.columns.iter().map(|column| value(column, row)).collect())
    }
}

fn value(column: &Column, row: usize) -> Value<'_> {
    match &column.values {
        ColumnValues::Numeric(numbers) => numbers[row].map_or(Value::Missing, Value::Number),
        ColumnValues::Categorical(words) => {
            words[row].as_deref().map_or(Value::Missing, |word| Value::Text(word.into()))
        }
    }
}

/// Removes the target from the table; also returns the values that count as 0.
fn take_labels(
    table: &mut Table,
    options: &DatasetOptions,
) -> Result<(Vec<bool>, Vec<String>), DatasetError> {
    let target = quoted(&options.target);
    let fields =
        table.take(&options.target).ok_or_else(|| table.unknown("target", &options.target))?;
    if let Some(row) = fields.iter().position(String::is_empty) {
        return Err(DatasetError::BlankTarget { target, line: table.lines[row] });
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for field in &fields {
        *counts.entry(field).or_default() += 1;
    }
    if !counts.contains_key(options.positive.as_str()) {
        let suggestion = did_you_mean(&options.positive, counts.keys().copied());
        return Err(DatasetError::PositiveAbsent {
            target,
            positive: quoted(&options.positive),
            suggestion,
            values: listed(counts.keys().copied()),
        });
    }
    let labels = fields.iter().map(|field| *field == options.positive).collect();
    let others = counts.keys().filter(|value| **value != options.positive);
    Ok((labels, others.map(|value| (*value).to_owned()).collect()))
}

/// A column with its kind.
fn typed(name: String, fields: Vec<String>, lines: &[u64]) -> Result<Column, DatasetError> {
    let filled = || fields.iter().enumerate().filter(|(_, field)| !field.is_empty());
    let rows = filled().count();
    if rows == 0 {
        return Err(DatasetError::BlankColumn { name: quoted(&name) });
    }
    let number = |field: &str| field.parse::<f64>().ok();
    let parsed = filled().filter(|(_, field)| number(field).is_some()).count();
    let odd = filled().find(|(_, field)| !number(field).is_some_and(f64::is_finite));
    // At least nine numbers in ten: the rest probably marks missing values.
    let mostly_numbers = parsed * 10 >= rows * 9;
    let values = match odd {
        None => {
            let numbers = fields.iter().map(|field| number(field)).collect();
            ColumnValues::Numeric(numbers)
        }
        Some((row, value)) if mostly_numbers => {
            let (name, line, value) = (quoted(&name), lines[row], quoted(value));
            return Err(DatasetError::OddNumber { name, line, value });
        }
        Some(_) => {
            check_levels(&name, filled().map(|(_, field)| field.as_str()), rows)?;
            let words = fields.into_iter().map(|field| Some(field).filter(|f| !f.is_empty()));
            ColumnValues::Categorical(words.collect())
        }
    };
    Ok(Column { name, values })
}

fn check_levels<'f>(
    name: &str,
    fields: impl Iterator<Item = &'f str>,
    rows: usize,
) -> Result<(), DatasetError> {
    let levels = fields.collect::<std::collections::BTreeSet<_>>().len();
    let identifies = levels > MIN_IDENTIFIER_LEVELS && levels * 2 > rows;
    if levels > MAX_LEVELS || identifies {
        return Err(DatasetError::TooManyLevels {
            name: quoted(name),
            levels,
            rows,
            max: MAX_LEVELS,
            option: name.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
