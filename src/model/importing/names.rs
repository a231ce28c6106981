//! Names of the inputs of a file: those of the data's columns.

use super::error::ImportingError;
use crate::model::kinds::features::FeatureSpec;
use crate::text::lists::did_you_mean;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// The column of each input, in the order of the file.
///
/// LightGBM writes `_` for a blank in a name. A file that was trained on an array without names has `f0`, `f1`, ..
/// or `Column_0`, ..; its inputs are the columns except the target, in their order.
pub(super) fn of_columns(
    inputs: &[FeatureSpec],
    columns: &[String],
    target: Option<&str>,
) -> Result<Vec<String>, ImportingError> {
    if are_bare(inputs) {
        let others: Vec<&String> =
            columns.iter().filter(|name| Some(name.as_str()) != target).collect();
        if others.len() == inputs.len() {
            return Ok(others.into_iter().cloned().collect());
        }
        let target = if target.is_some() { " besides the target" } else { "" };
        return Err(ImportingError::NoNames { inputs: inputs.len(), found: others.len(), target });
    }
    let column = |input: &FeatureSpec| {
        let same = columns.iter().find(|name| **name == input.name);
        let written =
            || columns.iter().find(|name| name.replace(char::is_whitespace, "_") == input.name);
        same.or_else(written).cloned().ok_or_else(|| ImportingError::NoColumn {
            name: quoted(&input.name),
            suggestion: did_you_mean(&input.name, columns.iter().map(String::as_str)),
            columns: listed(columns.iter().map(String::as_str)),
        })
    };
    inputs.iter().map(column).collect()
}

/// Whether the library numbered the inputs because it was given no names.
fn are_bare(inputs: &[FeatureSpec]) -> bool {
    ["f", "Column_", "x"].iter().any(|prefix| {
        inputs.iter().enumerate().all(|(index, input)| input.name == format!("{prefix}{index}"))
    })
}
