//! Names of the inputs of a file: those of the data's columns.
//!
//! Blanks around a name or a word are removed in CSV files and around words of requests. So they are removed from the
//! names of a file as well, and a file whose words have them is refused: its words would never be found.

use std::path::Path;

use super::error::ImportingError;
use crate::model::dataset::Dataset;
use crate::model::kinds::features::FeatureKind;
use crate::model::kinds::features::FeatureSpec;
use crate::model::schema::Schema;
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
        let same = columns.iter().find(|column| column.name == input.name.trim());
        let before = || columns.iter().find(|column| written(&column.name) == input.name);
        let found = same.or_else(before).ok_or_else(|| ImportingError::NoColumn {
            name: quoted(&input.name),
            suggestion: did_you_mean(&input.name, names()),
            columns: listed(names()),
        })?;
        checked(input, found)
    };
    inputs.iter().map(column).collect()
}

/// The names in the file, without blanks around them.
pub(super) fn of_file(inputs: &[FeatureSpec]) -> Vec<String> {
    inputs.iter().map(|input| input.name.trim().to_owned()).collect()
}

/// Refuses words with blanks around them.
pub(super) fn check_words(inputs: &[FeatureSpec]) -> Result<(), ImportingError> {
    for input in inputs {
        let FeatureKind::Words(words) = &input.kind else { continue };
        if let Some(word) = words.iter().find(|word| word.trim().len() < word.len()) {
            let (name, word) = (quoted(&input.name), quoted(word));
            return Err(ImportingError::Blanks { name, word });
        }
    }
    Ok(())
}

/// Refuses rows whose header has the names as they were before LightGBM wrote `_` for their blanks.
pub(super) fn check_blanks(schema: &Schema, path: &Path) -> Result<(), ImportingError> {
    let file = || path.display().to_string();
    let header = Dataset::header(path)
        .map_err(|cause| ImportingError::Rows { file: file(), cause: Box::new(cause) })?;
    for name in schema.feature_names().filter(|name| !header.iter().any(|one| one == name)) {
        let before = header.iter().find(|column| written(column) == name);
        if let Some(column) = before {
            let (name, column) = (quoted(name), quoted(column));
            return Err(ImportingError::Underscore { name, column, file: file() });
        }
    }
    Ok(())
}

/// A name as LightGBM writes it.
fn written(name: &str) -> String {
    name.replace(char::is_whitespace, "_")
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
