//! A model on the rows of a file.

use std::path::Path;

use anyhow::Context;
use anyhow::bail;
use serde::Serialize;

use crate::cli::local::reading::ReadingArgs;
use crate::model::Artifact;
use crate::model::Features;
use crate::model::Output;
use crate::model::OutputKind;
use crate::model::dataset::Column;
use crate::model::dataset::DatasetOptions;
use crate::model::dataset::for_model;
use crate::text::lists::quoted;
use crate::text::numbers::grouped;

/// What a model answers for every row.
pub(in crate::cli::local) struct Scored<'m> {
    pub(in crate::cli::local) path: &'m Path,
    pub(in crate::cli::local) model: &'m Artifact,
    /// What its answers are.
    pub(in crate::cli::local) kind: &'m OutputKind,
    /// Its features.
    pub(in crate::cli::local) columns: Vec<Column>,
    /// Its answer for each row; `None` without a valid one.
    pub(in crate::cli::local) answers: Vec<Option<Output>>,
    pub(in crate::cli::local) failed: Failed,
}

/// Rows without a valid answer. A server counts each of them as a failure of the model.
#[derive(Clone, Default, Serialize)]
pub(in crate::cli::local) struct Failed {
    #[serde(rename = "failures")]
    pub(in crate::cli::local) rows: usize,
    /// Such as `row 2: it answers NaN`.
    #[serde(rename = "first_failure")]
    pub(in crate::cli::local) first: Option<String>,
}

impl<'m> Scored<'m> {
    /// Reads the model's features by name, whatever else the file contains, and asks the model about every row.
    ///
    /// # Errors
    /// When the file does not have the features, or the model answers no row.
    pub(in crate::cli::local) fn new(
        path: &'m Path,
        model: &'m Artifact,
        data: &Path,
        reading: &ReadingArgs,
    ) -> anyhow::Result<Self> {
        let predictor = model.model();
        let (schema, kind) = (predictor.schema(), &model.card().output);
        let options = reading.applied(DatasetOptions::of_schema(schema, String::new()));
        let columns = for_model::columns(data, &options)?;
        let rows = columns.first().map_or(0, Column::rows);
        let mut answers = Vec::with_capacity(rows);
        let mut failed = Failed::default();
        for row in 0..rows {
            let number = row + 1;
            let values = columns.iter().map(|column| column.value(row)).collect();
            let fitted = schema.row(Features::Ordered(values));
            let fitted = fitted.with_context(|| format!("row {number}"))?;
            let answer = match predictor.predict(&fitted) {
                Ok(output) if kind.allows(&output) => Ok(output),
                Ok(output) => Err(invalid(kind, &output)),
                Err(cause) => Err(cause.to_string()),
            };
            answers.push(answer.map_or_else(
                |cause| {
                    failed.rows += 1;
                    failed.first.get_or_insert_with(|| format!("row {number}: {cause}"));
                    None
                },
                Some,
            ));
        }
        if let Failed { rows: failures, first: Some(first) } = &failed
            && *failures == rows
        {
            bail!("the model answers none of the {rows} rows; {first}");
        }
        Ok(Self { path, model, kind, columns, answers, failed })
    }

    /// Whether the model has an answer for a row.
    pub(in crate::cli::local) fn answers(&self, row: usize) -> bool {
        self.answers.get(row).is_some_and(Option::is_some)
    }
}

/// What is wrong with an answer.
fn invalid(kind: &OutputKind, output: &Output) -> String {
    let is_bad = |number: &f64| !(0.0..=1.0).contains(number);
    let bad = output.numbers().iter().zip(kind.classes()).find(|(number, _)| is_bad(number));
    match bad {
        Some((number, class)) => format!("it answers {number} for class {}", quoted(class)),
        None => format!("it answers {}", output.score()),
    }
}

impl Failed {
    /// `B has no answer for 12 rows (row 2: it answers NaN); ...`; `None` if it has one for all.
    pub(in crate::cli::local) fn in_words(&self, name: &str) -> Option<String> {
        let first = self.first.as_ref()?;
        let rows = grouped(self.rows as u64);
        Some(format!(
            "{name} has no answer for {rows} of the rows ({first}); a server would count failures."
        ))
    }
}
