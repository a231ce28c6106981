//! Names of the inputs of a file: those of the data's columns.

use super::error::ImportingError;
use crate::model::kinds::features::FeatureKind;
use crate::model::kinds::features::FeatureSpec;
use crate::text::lists::did_you_mean;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// A column of the data that a model was trained on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The kind of its values, if the source says so.
    pub kind: Option<ColumnKind>,
}

/// The kind of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Numbers.
    Number,
    /// True and false, which are 1 and 0 where a model takes numbers.
    Flag,
    /// Words.
    Word,
}

/// The column of each input, in the order of the file.
///
/// LightGBM writes `_` for a blank in a name. A file that was trained on an array without names has `f0`, `f1`, ..
/// or `Column_0`, ..; its inputs are the columns except the target, in their order.
pub(super) fn of_columns(
    inputs: &[FeatureSpec],
    columns: &[Column],
    target: Option<&str>,
) -> Result<Vec<String>, ImportingError> {
    if are_bare(inputs) {
        let others: Vec<&Column> =
            columns.iter().filter(|column| Some(column.name.as_str()) != target).collect();
        if others.len() == inputs.len() {
            let named = |(input, column): (&FeatureSpec, &Column)| checked(input, column);
            return inputs.iter().zip(others).map(named).collect();
        }
        let target = if target.is_some() { " besides the target" } else { "" };
        return Err(ImportingError::NoNames { inputs: inputs.len(), found: others.len(), target });
    }
    let names = || columns.iter().map(|column| column.name.as_str());
    let column = |input: &FeatureSpec| {
        let same = columns.iter().find(|column| column.name == input.name);
        let written = || {
            columns
                .iter()
                .find(|column| column.name.replace(char::is_whitespace, "_") == input.name)
        };
        let found = same.or_else(written).ok_or_else(|| ImportingError::NoColumn {
            name: quoted(&input.name),
            suggestion: did_you_mean(&input.name, names()),
            columns: listed(names()),
        })?;
        checked(input, found)
    };
    inputs.iter().map(column).collect()
}

/// The name of a column whose values the input takes.
fn checked(input: &FeatureSpec, column: &Column) -> Result<String, ImportingError> {
    let (found, expected) = match (column.kind, &input.kind) {
        (
            Some(ColumnKind::Word),
            FeatureKind::Number | FeatureKind::Numbers(_) | FeatureKind::Codes,
        ) => ("strings", "numbers"),
        (Some(ColumnKind::Number), FeatureKind::Words(_)) => ("numbers", "words"),
        _ => return Ok(column.name.clone()),
    };
    Err(ImportingError::OtherKind { name: quoted(&column.name), found, expected })
}

/// Whether the library numbered the inputs because it was given no names.
fn are_bare(inputs: &[FeatureSpec]) -> bool {
    ["f", "Column_", "x"].iter().any(|prefix| {
        inputs.iter().enumerate().all(|(index, input)| input.name == format!("{prefix}{index}"))
    })
}
