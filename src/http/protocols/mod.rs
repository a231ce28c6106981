//! Protocols of predictions. Each reads rows into the request of the service, and writes its answer.
//!
//! - [`predict`]: serin's own. [`open_inference`]: v2 of KServe, Triton and MLServer.
//! - `cells`: values of tensors and columns. `parameters`: what a request says besides them. `model`: the model's name.

mod cells;
pub(crate) mod model;
mod parameters;

pub mod predict;

pub mod open_inference;
