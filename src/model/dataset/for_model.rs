//! Rows for models that are trained already: the columns they take, and the outcomes row by row.

use std::fs::File;
use std::path::Path;

use super::classes::Classes;
use super::classes::Labels;
use super::columns::Column;
use super::error::DatasetError;
use super::kinds;
use super::options::DatasetOptions;
use super::reading::Table;
use super::target;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// The outcomes of the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcomes {
    /// The target's value that counts as 1.
    pub positive: String,
    /// One for each row; `None` for a row without.
    pub of_rows: Vec<Option<bool>>,
}

/// The columns that the options name, in that order, with all rows.
///
/// # Errors
///
/// As [`Dataset::from_csv`](super::Dataset::from_csv).
pub fn columns(path: &Path, options: &DatasetOptions) -> Result<Vec<Column>, DatasetError> {
    let table = table(path, options)?;
    let mut notes = Vec::new();
    let column = |(name, cells): (String, _)| {
        let wanted = options.wanted(&name);
        kinds::column(name, cells, wanted, options, &mut notes)
    };
    table.columns.into_iter().map(column).collect()
}

/// The outcomes of all rows, from the target of the options.
///
/// # Errors
///
/// As [`Dataset::from_csv`](super::Dataset::from_csv).
pub fn outcomes(path: &Path, options: &DatasetOptions) -> Result<Outcomes, DatasetError> {
    let options =
        DatasetOptions { only: Some(Vec::new()), skips_unlabeled: true, ..options.clone() };
    let Some(cells) = table(path, &options)?.take(&options.target) else {
        return Err(DatasetError::NoRows);
    };
    let found = target::labels(cells, &options, &mut Vec::new())?;
    match &found.labels {
        Labels::Two { positive, of_rows } => {
            Ok(Outcomes { of_rows: found.of_all(of_rows), positive: positive.clone() })
        }
        Labels::Many(Classes { names, .. }) => Err(DatasetError::PositiveUnknown {
            target: quoted(&options.target),
            values: listed(names.iter().map(String::as_str)),
            rest: " (the others count as 0)",
        }),
    }
}

fn table(path: &Path, options: &DatasetOptions) -> Result<Table, DatasetError> {
    let file = File::open(path).map_err(|cause| DatasetError::Unreadable { cause })?;
    let table = Table::read(file, options)?;
    if table.rows == 0 { Err(DatasetError::NoRows) } else { Ok(table) }
}
