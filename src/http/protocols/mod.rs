//! Protocols of predictions. Each reads rows into the request of the service, and writes its answer.
//!
//! - [`predict`]: serin's own. [`open_inference`]: v2 of KServe, Triton and MLServer.
//! - [`kserve`]: v1 of KServe, and Vertex AI. [`mlflow`]: MLflow and SageMaker. Both are a `rows_protocol`, whose rows are
//!   in one of the `forms`, or in `csv_rows`.
//! - `cells`: values of tensors and columns. `parameters`: what a request says besides them. `model`: the model's name.

mod cells;
pub(crate) mod model;
mod parameters;

mod csv_rows;
mod forms;

pub mod predict;

mod rows_protocol;

pub mod kserve;
pub mod mlflow;

pub mod open_inference;
