//! Commands for statistics without a server.
//!
//! - [`analyze`]: two files compared; `columns` and `metrics_file` read them.
//! - [`power`]: sample sizes.
//! - [`simulate`]: false alarms and detection times on simulated traffic.
//! - [`replay`]: verdicts recomputed from a store.

pub mod analyze;
pub(crate) mod columns;
pub(crate) mod metrics_file;
pub mod power;
pub mod replay;
pub mod simulate;
