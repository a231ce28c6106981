//! A model on the rows of a file.

use std::path::Path;

use anyhow::bail;

use crate::cli::local::reading::ReadingArgs;
use crate::model::Artifact;
use crate::model::Features;
use crate::model::artifact::card::Target;
use crate::model::dataset::Column;
use crate::model::dataset::DatasetOptions;
use crate::model::dataset::for_model;
use crate::model::dataset::for_model::Outcomes;

/// What a model answers for every row.
pub(in crate::cli::local) struct Scored<'m> {
    pub(in crate::cli::local) path: &'m Path,
    pub(in crate::cli::local) model: &'m Artifact,
    /// Its features.
    pub(in crate::cli::local) columns: Vec<Column>,
    /// Its probability for each row.
    pub(in crate::cli::local) scores: Vec<f64>,
    /// Its label for each row.
    pub(in crate::cli::local) labels: Vec<u8>,
    /// The label is 1 at and above this probability.
    pub(in crate::cli::local) threshold: f64,
}

impl<'m> Scored<'m> {
    /// Reads the model's features by name, whatever else the file contains, and asks the model about every row.
    ///
    /// # Errors
    /// When the file does not have the features, or the model is not one of two classes.
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
        for row in 0..rows {
            let values = columns.iter().map(|column| column.value(row)).collect();
            let output = predictor.predict(&schema.row(Features::Ordered(values))?)?;
            scores.push(output.score());
            labels.push(u8::from(output.score() >= threshold));
        }
        Ok(Self { path, model, columns, scores, labels, threshold })
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
