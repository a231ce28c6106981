//! Models: what they accept and answer, their files, and how they are trained.
//!
//! - [`schema`]: the features of a model, and the only way from a request to a [`Row`].
//! - [`output`]: the numbers a model answers for a row; [`explanation`]: what each feature contributed to them.
//! - [`stop`]: the end of a prediction whose time is over.
//! - [`kinds`]: one file per kind of model.
//! - [`artifact`]: model files. A file is data, never code, and is checked in full before its model answers.
//! - [`dataset`] and [`training`]: from a CSV file to an artifact.
//! - [`importing`]: from a model file of another library to an artifact.
//!
//! Deliberately absent: this layer imports only `text`, reads no clock, starts no thread, and keeps no
//! state between predictions but the library that runs ONNX files.

pub mod explanation;
pub mod kinds;
pub mod output;
pub mod schema;
pub mod stop;

pub mod artifact;

pub mod inputs;

pub mod dataset;

pub mod training;

pub mod importing;

use thiserror::Error;

pub use artifact::Artifact;
pub use artifact::ArtifactError;
pub use artifact::card::Card;
pub use artifact::digest::Digest;
pub use artifact::report::HoldoutReport;
pub use dataset::Dataset;
pub use dataset::DatasetError;
pub use explanation::Explains;
pub use explanation::Explanation;
pub use kinds::logistic::LogisticRegression;
pub use output::Label;
pub use output::Output;
pub use output::OutputKind;
pub use schema::Features;
pub use schema::Row;
pub use schema::RowError;
pub use schema::Schema;
pub use schema::SchemaConflict;
pub use schema::Value;
pub use stop::Stop;
pub use training::TrainingError;
pub use training::TrainingOptions;
pub use training::defaults::ensure_default_models;
pub use training::train;

/// A model that answers predictions: a row in, an [`Output`] out.
///
/// # Example
///
/// ```
/// use serin::model::training::synthetic;
/// use serin::model::{Features, Model, TrainingOptions, Value, train};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let data = synthetic::churn(&synthetic::Churn { rows: 500, ..synthetic::Churn::v1(7) })?;
/// let model = train(&data, &TrainingOptions::default())?.model();
///
/// let values = [0.5, 1.2, 0.8, 0.3, 1.1].map(Value::Number);
/// let row = model.schema().row(Features::Ordered(values.to_vec()))?;
/// let output = model.predict(&row)?;
/// assert!(model.output().allows(&output));
/// # Ok(())
/// # }
/// ```
pub trait Model: Send + Sync {
    /// The features the model takes, in order, with their kinds.
    fn schema(&self) -> &Schema;

    /// What the model's outputs are.
    fn output(&self) -> &OutputKind;

    /// The output for one row.
    ///
    /// # Errors
    ///
    /// [`PredictError`] when the row was made by a schema with other features.
    fn predict(&self, row: &Row<'_>) -> Result<Output, PredictError>;

    /// The outputs for many rows, in their order, equal to those of single calls: to the bit, unless another
    /// library computes them (ONNX), which may round a batch in another way.
    ///
    /// # Errors
    ///
    /// The first error of [`Model::predict`].
    fn predict_many(&self, rows: &[Row<'_>]) -> Result<Vec<Output>, PredictError> {
        rows.iter().map(|row| self.predict(row)).collect()
    }

    /// The outputs for these rows, unless `stop` ends the prediction before.
    ///
    /// # Errors
    ///
    /// Those of [`Model::predict`], and any when it was stopped.
    fn predict_until(&self, rows: &[Row<'_>], _stop: &Stop) -> Result<Vec<Output>, PredictError> {
        self.predict_many(rows)
    }

    /// Opens what the first prediction would open.
    ///
    /// # Errors
    ///
    /// [`PredictError`], if the model cannot run on this machine.
    fn prepare(&self) -> Result<(), PredictError> {
        Ok(())
    }

    /// How the model explains its answers; `None` if it cannot.
    fn explains(&self) -> Option<Explains> {
        None
    }

    /// What each feature contributed to the answer to a row; `None` if the model does not explain it.
    ///
    /// # Errors
    ///
    /// As [`Model::predict`].
    fn explain(&self, _row: &Row<'_>) -> Result<Option<Explanation>, PredictError> {
        Ok(None)
    }

    /// Where the model may run.
    fn execution(&self) -> Execution {
        Execution::Pooled
    }
}

/// Where a model may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// On the request's thread: a value costs nanoseconds, less than reading it did.
    Inline,
    /// In a bounded pool with a deadline: a row may take long.
    Pooled,
}

/// Why a model gave no output.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PredictError {
    /// The row was made by another schema.
    #[error(
        "row: it does not match the model's features ({problem}); build it with this model's schema, \
         or one with the same features"
    )]
    ForeignRow {
        /// The mismatch.
        problem: String,
    },
    /// The library that runs the model gave no answer.
    #[error("{problem}")]
    Failed {
        /// What it said.
        problem: String,
    },
}

#[cfg(test)]
mod golden_tests;
