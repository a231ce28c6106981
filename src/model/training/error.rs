//! Why there is no model, and what to do about it.

use thiserror::Error;

use crate::model::PredictError;
use crate::model::artifact::error::ArtifactError;
use crate::model::kinds::logistic::LogisticError;
use crate::model::schema::error::SchemaError;
use crate::model::schema::row::RowError;

/// Why there is no model.
#[derive(Debug, Error)]
pub enum TrainingError {
    /// A penalty that is none.
    #[error(
        "l2: {value}, allowed are numbers above 0 and up to {max:e}; 1 is a good start (at 0 the levels of a category have no unique coefficients)"
    )]
    L2 {
        /// The value.
        value: f64,
        /// The maximum.
        max: f64,
    },
    /// A threshold that is no probability.
    #[error("threshold: {value}, allowed are numbers from 0 to 1; 0.5 is usual")]
    Threshold {
        /// The value.
        value: f64,
    },
    /// A share that leaves a part empty.
    #[error("test fraction: {value}, allowed are numbers above 0 and below 1; 0.2 is usual")]
    Fraction {
        /// The value.
        value: f64,
    },
    /// A step that leaves nothing to train on.
    #[error("holdout every: {value}, allowed are whole numbers from 2; 5 holds out a fifth")]
    Every {
        /// The value.
        value: usize,
    },
    /// A part without both classes.
    #[error(
        "the {rows} {part} rows are not of both classes; use more rows, another seed or another share"
    )]
    OneClass {
        /// Which part.
        part: &'static str,
        /// How many rows it has.
        rows: usize,
    },
    /// A column known in the holdout only.
    #[error(
        "column {name}: it is blank in every training row; leave it out with --drop, or use another seed"
    )]
    NoValues {
        /// The column.
        name: String,
    },
    /// A column whose spread is not representable.
    #[error(
        "column {name}: its values are too large or too close together to be standardized; change its unit or leave it out with --drop"
    )]
    Magnitude {
        /// The column.
        name: String,
    },
    /// Constant columns only.
    #[error(
        "every column is constant in the training rows ({names}), so there is nothing to learn; add columns that vary"
    )]
    NothingVaries {
        /// The columns.
        names: String,
    },
    /// The solver gave up.
    #[error("fit: the solver failed ({problem}); try a larger l2")]
    Solver {
        /// Its reason.
        problem: String,
    },
    /// The solver stopped short of the minimum.
    #[error("fit: it did not converge (the remaining step is {step:e}); try a larger l2")]
    NotConverged {
        /// How far from the minimum it stopped, about.
        step: f64,
    },
    /// What was learned makes no schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// What was fitted makes no model.
    #[error(transparent)]
    Model(#[from] LogisticError),
    /// A row of the data does not fit its own schema.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The model gives no answer.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The artifact does not pass its own checks.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}
