//! Typed columns.

use super::words::Words;
use crate::model::schema::features::Value;

/// One feature's values.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The name in the header.
    pub name: String,
    /// A value per row.
    pub values: ColumnValues,
}

/// The values of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnValues {
    /// Finite numbers; NaN if missing.
    Numeric(Vec<f64>),
    /// Texts.
    Categorical(Words),
}

impl Column {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        match &self.values {
            ColumnValues::Numeric(numbers) => numbers.len(),
            ColumnValues::Categorical(words) => words.rows(),
        }
    }

    /// The value of a row, as a client would send it.
    pub fn value(&self, row: usize) -> Value<'_> {
        match &self.values {
            ColumnValues::Numeric(numbers) => {
                let known = numbers.get(row).filter(|number| !number.is_nan());
                known.map_or(Value::Missing, |number| Value::Number(*number))
            }
            ColumnValues::Categorical(words) => {
                words.text(row).map_or(Value::Missing, |text| Value::Text(text.into()))
            }
        }
    }
}
