//! Text: how names, numbers and durations are read and written.
//!
//! - [`lists`]: quoting, listing and suggesting names in messages.
//! - [`numbers`]: values, probabilities, percentages and counts.
//! - [`durations`]: writing durations of settings and measurements.
//! - [`fields`]: reading settings and bodies, with errors that name the field.
//! - [`ranges`]: reading durations and numbers within a range.
//! - [`files`]: writing a whole file. [`exposition`]: writing metrics for Prometheus.
//! - `hosts`: which hosts are this machine.
//! - [`tables`]: encoding, dialect and numbers of CSV files.
//! - `bounded`: texts and lists of a file, whatever lengths it declares.

pub(crate) mod bounded;
pub mod durations;
pub mod exposition;
pub mod fields;
pub mod files;
pub(crate) mod hosts;
pub mod lists;
pub mod numbers;
pub mod ranges;
pub mod tables;
