//! Commands for statistics without a server.
//!
//! - [`analyze`]: two files compared; `columns` and `metrics_file` read them.
//! - [`power`]: requests that a comparison takes.
//! - [`simulate`]: false alarms and detection times on simulated traffic.
//! - [`replay`]: verdicts recomputed from a store.
//! - [`tune`]: settings suggested by the rollouts in a store.

pub mod analyze;
pub(crate) mod columns;
pub(crate) mod metrics_file;
pub mod power;
pub mod replay;
pub mod simulate;
pub mod tune;
