//! Errors of an import.

use thiserror::Error;

use crate::model::PredictError;
use crate::model::artifact::ArtifactError;
use crate::model::dataset::DatasetError;
use crate::model::kinds::imported::ImportError;
use crate::model::kinds::limits::MAX_BYTES;
use crate::model::schema::RowError;

/// Why a file is not imported.
#[derive(Debug, Error)]
pub enum ImportingError {
    /// The file is larger than serin reads.
    #[error("size: {size} bytes, the maximum is {MAX_BYTES}")]
    TooLarge {
        /// Size in bytes.
        size: usize,
    },
    /// The file has none of the known formats.
    #[error(
        "format: neither LightGBM's text, XGBoost's JSON or UBJSON, skops, ONNX, nor coefficients as JSON; pickle and joblib are never read: \
         save the model with its own save_model, or with skops.io.dump"
    )]
    UnknownFormat,
    /// The file is not a model that serin serves.
    #[error(transparent)]
    Model(#[from] ImportError),
    /// An input of the file is not a column of the data.
    #[error("feature {name}: the data has no such column{suggestion}; it has {columns}")]
    NoColumn {
        /// The input.
        name: String,
        /// " (did you mean ..?)", or nothing.
        suggestion: String,
        /// The columns of the data.
        columns: String,
    },
    /// The data has another kind of values than the model takes.
    #[error(
        "feature {name}: the signature has {found}, the model takes {expected}; give the columns of the training"
    )]
    OtherKind {
        /// The column.
        name: String,
        /// Kind in the signature.
        found: &'static str,
        /// Kind in the model.
        expected: &'static str,
    },
    /// The file has no names, and another number of inputs than the data has columns.
    #[error(
        "features: the file has {inputs} inputs without names, and the data {found} columns{target}; \
         give data with exactly the inputs, in the order of the training"
    )]
    NoNames {
        /// Inputs of the file.
        inputs: usize,
        /// Columns of the data.
        found: usize,
        /// " besides the target", or nothing.
        target: &'static str,
    },
    /// The rows cannot be read.
    #[error("{file}: {cause}")]
    Rows {
        /// The file.
        file: String,
        /// Why.
        cause: Box<DatasetError>,
    },
    /// The column of the answers is an input of the model.
    #[error(
        "column {column}: it is an input of the model; name the column of the original's answers (--expect-column)"
    )]
    AnswerIsInput {
        /// The column.
        column: String,
    },
    /// The column of the answers has a missing value.
    #[error("row {row}: no answer in column {column}; give the original's answer for each row")]
    NoAnswer {
        /// The row, from 1, without the header.
        row: usize,
        /// The column.
        column: String,
    },
    /// The columns of the answers are not those of the classes.
    #[error(
        "answers: the model has a probability for each class, so the data needs the columns {expected}; it has {found}"
    )]
    AnswerColumns {
        /// The columns that the classes need.
        expected: String,
        /// Those that the data has.
        found: String,
    },
    /// A target with a value that the model gives no probability of.
    #[error(
        "positive: the model answers {answers}; leave out --target and --positive, which are for two classes"
    )]
    Positive {
        /// What the model answers.
        answers: String,
    },
    /// The target's value is the first class of the file.
    #[error(
        "positive: {positive} is the first class of the file, and its probability is of the second: use --positive \
         {second}, which makes {second} the label 1, or train again with {positive} as 1 and {second} as 0"
    )]
    FirstClass {
        /// The value.
        positive: String,
        /// The class whose probability the file gives.
        second: String,
    },
    /// The target's value is none of the classes.
    #[error(
        "positive: {positive} is none of the classes of the file, {first} and {second}; its probability is of the \
         second: use --positive {second}"
    )]
    NoClass {
        /// The value.
        positive: String,
        /// The first class.
        first: String,
        /// The second class.
        second: String,
    },
    /// A word of the file that no request can have.
    #[error(
        "feature {name}: the category {word} has blanks around it, which serin removes from the words of requests and \
         CSV files; remove them from the training data (pandas: skipinitialspace=True, or .str.strip()), and train again"
    )]
    Blanks {
        /// The input.
        name: String,
        /// The word.
        word: String,
    },
    /// The rows have the names before LightGBM replaced their blanks.
    #[error(
        "feature {name}: {file} has no such column, but {column}, whose blanks LightGBM replaced; take the names from the \
         data: --schema-from {file}"
    )]
    Underscore {
        /// The input.
        name: String,
        /// The column.
        column: String,
        /// The file with the rows.
        file: String,
    },
    /// A threshold for a model without one.
    #[error(
        "threshold: the model answers {answers}; leave out --threshold, which is for two classes"
    )]
    Threshold {
        /// What the model answers.
        answers: String,
    },
    /// A row is not one of the model.
    #[error("row {row}: {cause}")]
    Row {
        /// The row, from 1, without the header.
        row: usize,
        /// Why.
        cause: RowError,
    },
    /// The model cannot answer.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The answers differ from those of the original.
    #[error(
        "parity: {above} of {rows} rows differ from the original by more than {tolerance:e}; the most in row {row}: \
         the original answered {expected}{of_class}, the imported model {answered} ({values}). {hint}"
    )]
    Differs {
        /// Rows above the tolerance.
        above: usize,
        /// Rows compared.
        rows: usize,
        /// The tolerance.
        tolerance: f64,
        /// The worst row, from 1, without the header.
        row: usize,
        /// Its answer by the original.
        expected: f64,
        /// " for class ..", or nothing.
        of_class: String,
        /// Its answer by the imported model.
        answered: f64,
        /// Its values.
        values: String,
        /// What is probably wrong.
        hint: String,
    },
    /// The artifact is not valid.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}
