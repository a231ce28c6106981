//! Rows with the answers of the original.

use std::path::Path;

use super::error::ImportingError;
use crate::model::dataset::Column;
use crate::model::dataset::ColumnValues;
use crate::model::dataset::Dataset;
use crate::model::dataset::DatasetOptions;
use crate::model::dataset::for_model;
use crate::model::inputs::Inputs;
use crate::model::schema::Schema;
use crate::model::schema::features::Value;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// The rows, in the order of the schema.
pub(super) struct Rows {
    /// The name of their file, without its folder.
    pub(super) source: String,
    columns: Vec<Column>,
    /// The numbers of the original's answers, one list for each of their columns.
    answers: Vec<Vec<f64>>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.answers.first().map_or(0, Vec::len)
    }

    /// How often each feature has which values.
    pub(super) fn inputs(&self) -> Inputs {
        let rows: Vec<usize> = (0..self.len()).collect();
        Inputs::of_columns(&self.columns, &rows)
    }

    /// The original's answer to a row.
    pub(super) fn answer(&self, row: usize) -> impl Iterator<Item = f64> {
        self.answers.iter().filter_map(move |numbers| numbers.get(row).copied())
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

/// Reads a CSV file with the features of the schema and the columns of the answers.
pub(super) fn read(
    path: &Path,
    schema: &Schema,
    answers: &[String],
) -> Result<Rows, ImportingError> {
    if let Some(name) = answers.iter().find(|name| schema.feature_names().any(|one| one == *name)) {
        return Err(ImportingError::AnswerIsInput { column: quoted(name) });
    }
    let (others, target) = match answers {
        [others @ .., target] => (others, target.clone()),
        [] => (&[][..], String::new()),
    };
    let mut options = DatasetOptions::of_schema(schema, target);
    options.numeric.extend_from_slice(answers);
    options.only.get_or_insert_default().extend_from_slice(others);
    let mut columns = for_model::columns(path, &options).map_err(|cause| {
        let file = path.display().to_string();
        ImportingError::Rows { file, cause: Box::new(cause) }
    })?;
    let source = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // The answers come last, in their order.
    let found = columns.split_off(columns.len().saturating_sub(answers.len()));
    let numbers = |column: Column| {
        let no_answer = |row| ImportingError::NoAnswer { row, column: quoted(&column.name) };
        let ColumnValues::Numeric(numbers) = &column.values else { return Err(no_answer(1)) };
        match numbers.iter().position(|number| number.is_nan()) {
            Some(row) => Err(no_answer(row + 1)),
            None => Ok(numbers.clone()),
        }
    };
    let answers = found.into_iter().map(numbers).collect::<Result<_, _>>()?;
    Ok(Rows { source, columns, answers })
}

/// The columns of the answers: `name` for one number; for many classes `name:class` of each, in the order of the
/// classes, which are those of the file, or else those in the header. Also returns the classes of the header.
pub(super) fn columns_of(
    path: &Path,
    name: &str,
    count: usize,
    in_file: &[String],
) -> Result<(Vec<String>, Vec<String>), ImportingError> {
    if count == 1 {
        return Ok((vec![name.to_owned()], Vec::new()));
    }
    let header = Dataset::header(path).map_err(|cause| {
        let file = path.display().to_string();
        ImportingError::Rows { file, cause: Box::new(cause) }
    })?;
    let found: Vec<String> =
        header.iter().filter_map(|column| class_of(column, name)).map(str::to_owned).collect();
    let column = |class: &String| format!("{name}:{class}");
    if in_file.is_empty() && found.len() == count {
        return Ok((found.iter().map(column).collect(), found));
    }
    let numbered: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    let classes = if in_file.is_empty() { &numbered } else { in_file };
    let is_complete = classes.iter().all(|class| found.contains(class));
    if !is_complete || found.len() != count {
        return Err(ImportingError::AnswerColumns {
            expected: listed(
                classes.iter().map(column).collect::<Vec<_>>().iter().map(String::as_str),
            ),
            found: match found.is_empty() {
                true => "none of them".to_owned(),
                false => {
                    listed(found.iter().map(column).collect::<Vec<_>>().iter().map(String::as_str))
                }
            },
        });
    }
    Ok((classes.iter().map(column).collect(), Vec::new()))
}

/// The class whose probability a column has, if `name` is that of the answers.
pub(super) fn class_of<'c>(column: &'c str, name: &str) -> Option<&'c str> {
    column.strip_prefix(name)?.strip_prefix(':')
}
