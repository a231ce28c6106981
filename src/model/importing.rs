//! Import: from a model file of another library to an artifact that answers as the original does.
//!
//! - `mlflow`: a model folder of MLflow, which names the file and its inputs.
//! - `names`: the inputs of the file under the names of the data's columns.
//! - `rows`: rows with the answers of the original.
//! - `parity`: the comparison with them.
//! - `positive`: the class whose probability the file gives, and the one that the user names.
//!
//! The file itself is not changed. An import is refused if any row differs by more than the tolerance.

mod names;
mod parity;
mod positive;
mod rows;

pub mod mlflow;

pub(crate) mod error;

use std::path::Path;

pub use self::error::ImportingError;
pub use self::names::Column;
pub use self::names::ColumnKind;
use self::parity::Compared;
use super::Artifact;
use super::Model;
use super::artifact::card::Target;
use super::artifact::codec::ImportedPayload;
use super::artifact::codec::Probe;
use super::artifact::imported;
use super::artifact::imported::DEFAULT_THRESHOLD;
use super::artifact::imported::plain_probe;
use super::artifact::imported::probe;
use super::kinds::imported::Format;
use super::kinds::imported::ImportError;
use super::kinds::imported::ImportedModel;
use super::kinds::limits::MAX_BYTES;
use super::schema::Missing;

/// Rows that become probes, spread over all of them.
const PROBES: usize = 32;

/// What the user says about an import.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportOptions {
    /// The name of the file, without its folder.
    pub source: String,
    /// The label is 1 at and above this probability, 0 to 1; `None`: the file's, or one half.
    pub threshold: Option<f64>,
    /// What the model predicts.
    pub target: Option<Target>,
    /// What means a missing value in requests.
    pub missing: Missing,
    /// The largest difference from the original's answers that counts as equal; of a number above 1, as a share of it.
    pub tolerance: f64,
    /// The column with the original's answers; for many classes `answers:class` for each.
    pub answers: String,
}

/// Whether this column of a file has answers of the original, and is none of the inputs.
pub fn is_answer(column: &str, answers: &str) -> bool {
    column == answers || rows::class_of(column, answers).is_some()
}

/// Imports a file.
///
/// `columns` are those of the data, if the user or an MLflow signature gives any; `expected` is a CSV file of rows with
/// the original's answers.
///
/// # Errors
///
/// [`ImportingError`] names the place in the file, the feature or the row.
pub fn import(
    file: Vec<u8>,
    columns: Option<&[Column]>,
    expected: Option<&Path>,
    options: ImportOptions,
) -> Result<Artifact, ImportingError> {
    if file.len() > MAX_BYTES {
        return Err(ImportingError::TooLarge { size: file.len() });
    }
    let format = Format::detect(&file).ok_or(ImportingError::UnknownFormat)?;
    let parsed = format.read(&file).map_err(ImportError::from)?;
    let target = options.target.as_ref().map(|target| target.column.as_str());
    let names = match columns {
        Some(columns) => names::of_columns(&parsed.features, columns, target)?,
        None => names::of_file(&parsed.features),
    };
    names::check_words(&parsed.features)?;
    positive::check(options.target.as_ref(), &parsed)?;
    let (answers, classes) = match expected {
        None => (Vec::new(), Vec::new()),
        Some(path) => {
            let count = parsed.answer.numbers();
            rows::columns_of(path, &options.answers, count, &parsed.classes)?
        }
    };
    let threshold = options.threshold.or(parsed.threshold).unwrap_or(DEFAULT_THRESHOLD);
    let model = ImportedModel::new(parsed, &names, threshold, &classes)?
        .with_missing(options.missing.clone());
    if options.target.is_some() && model.output().threshold().is_none() {
        return Err(ImportingError::Positive { answers: model.output().to_string() });
    }
    if options.threshold.is_some() && model.output().threshold().is_none() {
        return Err(ImportingError::Threshold { answers: model.output().to_string() });
    }
    let (parity, rows) = match expected {
        None => (None, None),
        Some(path) => {
            if format == Format::Lightgbm {
                names::check_blanks(model.schema(), path)?;
            }
            let rows = rows::read(path, model.schema(), &answers)?;
            let compared = Compared::new(&model, &rows, options.tolerance, format)?;
            (Some(compared.parity), Some(rows))
        }
    };
    let model = model.with_missing(imported::probe_markers());
    let probes = match &rows {
        None => vec![plain_probe(&model)?],
        Some(rows) => probes(&model, rows)?,
    };
    let inputs = rows.as_ref().map(rows::Rows::inputs);
    let ImportOptions { source, target, missing, .. } = options;
    let classes = model.output().classes().to_vec();
    let payload = ImportedPayload {
        format,
        source,
        names,
        threshold,
        missing,
        target,
        parity,
        probes,
        file,
        classes,
        inputs,
    };
    Ok(Artifact::seal_imported(&payload)?)
}

fn probes(model: &ImportedModel, rows: &rows::Rows) -> Result<Vec<Probe>, ImportingError> {
    let step = rows.len().div_ceil(PROBES).max(1);
    let values = (0..rows.len()).step_by(step).map(|row| rows.values(row));
    values.map(|values| Ok(probe(model, values)?)).collect()
}

#[cfg(test)]
mod tests;
