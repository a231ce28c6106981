//! Errors of training.

use thiserror::Error;

use crate::model::PredictError;
use crate::model::artifact::error::ArtifactError;
use crate::model::kinds::logistic::LogisticError;
use crate::model::schema::error::SchemaError;
use crate::model::schema::row::RowError;
use crate::text::fields::FieldError;

/// Why training failed.
#[derive(Debug, Error)]
pub enum TrainingError {
    /// An option is out of range.
    #[error(transparent)]
    Option(#[from] FieldError),
    /// A part has one class.
    #[error(
        "the {rows} {part} rows do not contain both classes; use more rows, another seed or another share"
    )]
    OneClass {
        /// Which part.
        part: &'static str,
        /// The number of rows.
        rows: usize,
    },
    /// A part has no row of a class.
    #[error(
        "class {class}: {rows} rows in the data, none of them among the {part} rows; use more rows of it, group it with others, or leave its rows out"
    )]
    NoRowOfClass {
        /// The class.
        class: String,
        /// Which part.
        part: &'static str,
        /// Rows of the class in the data.
        rows: usize,
    },
    /// A column has values in the holdout only.
    #[error(
        "column {name}: blank in every training row; exclude it with --drop, or use another seed"
    )]
    NoValues {
        /// The column.
        name: String,
    },
    /// A column cannot be standardized.
    #[error(
        "column {name}: the values are too large or too close together to standardize; change the unit or exclude it with --drop"
    )]
    Magnitude {
        /// The column.
        name: String,
    },
    /// Every column is constant.
    #[error("every column is constant in the training rows ({names}); add columns that vary")]
    NothingVaries {
        /// The columns.
        names: String,
    },
    /// There are too many coefficients.
    #[error(
        "fit: {width} coefficients (one per number, one per level) from {rows} rows take too much memory; exclude columns of many different texts with --drop"
    )]
    TooWide {
        /// Rows to fit.
        rows: usize,
        /// Columns of the design.
        width: usize,
    },
    /// There are too many coefficients for many classes.
    #[error(
        "fit: {width} coefficients (one per number, one per level) for each of {classes} classes take too much memory; exclude columns of many different texts with --drop, or group rare classes"
    )]
    TooManyCoefficients {
        /// Columns of the design.
        width: usize,
        /// Number of classes.
        classes: usize,
    },
    /// There are too many rows for many classes.
    #[error(
        "fit: {rows} rows of {classes} classes take too much memory; train on a sample of at most {most} rows, or group rare classes"
    )]
    TooManyRows {
        /// Rows to fit.
        rows: usize,
        /// Number of classes.
        classes: usize,
        /// How many can be fitted.
        most: usize,
    },
    /// The solver failed.
    #[error("fit: the solver failed ({problem}); try a larger l2")]
    Solver {
        /// The solver's reason.
        problem: String,
    },
    /// The solver stopped before the minimum.
    #[error("fit: it did not converge (the remaining step is {step:e}); try a larger l2")]
    NotConverged {
        /// Approximate distance to the minimum.
        step: f64,
    },
    /// The columns are not a schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The coefficients are not a model.
    #[error(transparent)]
    Model(#[from] LogisticError),
    /// A row of the data does not fit its own schema.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The model fails on a row.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The artifact does not pass its own checks.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}
