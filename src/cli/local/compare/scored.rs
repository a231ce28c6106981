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
use crate::model::artifact::card::Target;
use crate::model::dataset::Column;
use crate::model::dataset::DatasetOptions;
use crate::model::dataset::for_model;
use crate::model::dataset::for_model::Outcomes;
use crate::model::output::Label;
use crate::text::numbers::grouped;

/// What a model answers for every row.
pub(in crate::cli::local) struct Scored<'m> {
    pub(in crate::cli::local) path: &'m Path,
    pub(in crate::cli::local) model: &'m Artifact,
    /// Its features.
    pub(in crate::cli::local) columns: Vec<Column>,
    /// Its probability for each row; NaN without an answer.
    pub(in crate::cli::local) scores: Vec<f64>,
    /// Its label for each row.
    pub(in crate::cli::local) labels: Vec<u8>,
    /// The label is 1 at and above this probability.
    pub(in crate::cli::local) threshold: f64,
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
    /// When the file does not have the features, or the model is not one of two classes or answers no row.
    pub(in crate::cli::local) fn new(
        path: &'m Path,
        model: &'m Artifact,
        data: &Path,
        reading: &ReadingArgs,
    ) -> anyhow::Result<Self> {
        let predictor = model.model();
        let schema = predictor.schema();
        let Some(threshold) = predictor.output().threshold() else {
            bail!(
                "{} answers {}; rows are compared for models of two classes",
                path.display(),
                predictor.output()
            );
        };
        let options = reading.applied(DatasetOptions::of_schema(schema, String::new()));
        let columns = for_model::columns(data, &options)?;
        let rows = columns.first().map_or(0, Column::rows);
        let (mut scores, mut labels) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let mut failed = Failed::default();
        for row in 0..rows {
            let number = row + 1;
            let values = columns.iter().map(|column| column.value(row)).collect();
            let fitted = schema.row(Features::Ordered(values));
            let fitted = fitted.with_context(|| format!("row {number}"))?;
            let answer = match predictor.predict(&fitted) {
                Ok(output) => answer(predictor.output(), &output),
                Err(cause) => Err(cause.to_string()),
            };
            let (score, label) = answer.unwrap_or_else(|cause| {
                failed.rows += 1;
                failed.first.get_or_insert_with(|| format!("row {number}: {cause}"));
                (f64::NAN, 0)
            });
            scores.push(score);
            labels.push(label);
        }
        if let Failed { rows: failures, first: Some(first) } = &failed
            && *failures == rows
        {
            bail!("the model answers none of the {rows} rows; {first}");
        }
        Ok(Self { path, model, columns, scores, labels, threshold, failed })
    }

    /// Whether the model has an answer for a row.
    pub(in crate::cli::local) fn answers(&self, row: usize) -> bool {
        !self.scores[row].is_nan()
    }
}

/// The probability and the label of an output, unless it is not valid.
fn answer(kind: &OutputKind, output: &Output) -> Result<(f64, u8), String> {
    match kind.label(output) {
        Some(Label::Binary(label)) if kind.allows(output) => Ok((output.score(), label)),
        _ => Err(format!("it answers {}", output.score())),
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

/// Outcomes, and what they are the outcomes of.
pub(super) struct Labeled {
    pub(super) target: Target,
    pub(super) of_rows: Vec<Option<bool>>,
}

/// The outcomes of the rows, with the model's markers of missing values.
///
/// # Errors
/// When the column is not there or not a target of two classes.
pub(in crate::cli::local) fn outcomes(
    model: &Artifact,
    data: &Path,
    reading: &ReadingArgs,
    target: &str,
    positive: Option<&str>,
) -> anyhow::Result<Outcomes> {
    let options = reading.applied(DatasetOptions {
        target: target.to_owned(),
        positive: positive.map(str::to_owned),
        missing: model.card().missing_values.clone(),
        ..DatasetOptions::default()
    });
    Ok(for_model::outcomes(data, &options)?)
}
