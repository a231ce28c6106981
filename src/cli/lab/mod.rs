//! The room `lab`.

pub mod analyze;
pub(crate) mod columns;
pub mod power;
pub mod replay;
pub mod simulate;
