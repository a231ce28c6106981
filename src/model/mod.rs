//! What answers a prediction: models, their files, and how they are trained.
//!
//! Two ideas carry this layer.
//!
//! - **A request becomes a [`Row`] once.** [`Schema::row`] checks names, kinds and finiteness and
//!   says precisely what is wrong; behind it a model does arithmetic and nothing else.
//! - **A model file is data, never code.** An [`Artifact`] carries a digest, the schema, the training
//!   report and probes (inputs with the outputs the trainer saw), and is checked in full before it
//!   may answer.
//!
//! Reading order: [`schema`] (what a request may contain), [`logistic`] (the arithmetic),
//! [`artifact`] (bytes to model and back), [`card`] (what a person reads about
//! a model), [`dataset`] and [`synthetic`] (training data), [`training`] (data to artifact),
//! [`defaults`] (the two models a fresh server starts with).
//!
//! Deliberately absent: this layer imports nothing else of serin's, reads no clock, starts no thread
//! and keeps no state between two predictions.

pub mod kinds;
pub mod schema;

pub mod artifact;

pub mod dataset;

pub mod training;

use thiserror::Error;

pub use artifact::Artifact;
pub use artifact::ArtifactError;
pub use artifact::card::Card;
pub use artifact::digest::Digest;
pub use artifact::report::HoldoutReport;
pub use dataset::Dataset;
pub use dataset::DatasetError;
pub use kinds::logistic::LogisticRegression;
pub use schema::Features;
pub use schema::Row;
pub use schema::RowError;
pub use schema::Schema;
pub use schema::SchemaDifference;
pub use schema::Value;
pub use training::TrainingError;
pub use training::TrainingOptions;
pub use training::defaults::ensure_default_models;
pub use training::train;

/// Whatever answers predictions: rows in, probabilities of the positive class out.
///
/// # Example
///
/// ```
/// use serin::model::{Features, Model, TrainingOptions, Value, synthetic, train};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let data = synthetic::churn(&synthetic::Churn { rows: 500, ..synthetic::Churn::v1(7) })?;
/// let model = train(&data, &TrainingOptions::default())?.model();
///
/// let values = [0.5, 1.2, 0.8, 0.3, 1.1].map(Value::Number);
/// let row = model.schema().row(Features::Ordered(values.to_vec()))?;
/// let probability = model.probability(&row)?;
/// assert!((0.0..=1.0).contains(&probability));
/// # Ok(())
/// # }
/// ```
pub trait Model: Send + Sync {
    /// The features the model takes, in order, with their kinds.
    fn schema(&self) -> &Schema;

    /// The probability of the positive class for one row.
    ///
    /// # Errors
    ///
    /// [`PredictError`] when the row was made by a schema with other features.
    fn probability(&self, row: &Row<'_>) -> Result<f64, PredictError>;

    /// The probabilities of many rows, in their order; equal, to the bit, to asking one by one.
    ///
    /// # Errors
    ///
    /// The first row's error, as [`Model::probability`] gives it.
    fn probabilities(&self, rows: &[Row<'_>]) -> Result<Vec<f64>, PredictError> {
        rows.iter().map(|row| self.probability(row)).collect()
    }

    /// The probability at and above which the label is 1.
    fn threshold(&self) -> f64;

    /// Where a prediction may run.
    fn execution(&self) -> Execution {
        Execution::Pooled
    }
}

/// Where a model's arithmetic may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// A row costs microseconds at most, whatever it contains: it may run on the request's thread.
    Inline,
    /// A row may take long: it belongs in a bounded pool with a deadline.
    Pooled,
}

/// Why a model gave no probability.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PredictError {
    /// The row was made by another schema.
    #[error(
        "row: it does not fit the model's features ({problem}); make it with this model's own schema, \
         or one with the same features"
    )]
    ForeignRow {
        /// What does not fit.
        problem: String,
    },
}
