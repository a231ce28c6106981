//! The room `lab`.

pub mod analyze;
pub(crate) mod columns;
pub(crate) mod metrics_file;
pub mod power;
pub mod replay;
pub mod simulate;
