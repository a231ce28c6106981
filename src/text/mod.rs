//! Text: how names, numbers and durations are read and written.
//!
//! - [`lists`]: quoting, listing and suggesting names in messages.
//! - [`numbers`]: values, probabilities, percentages and counts.
//! - [`durations`]: writing durations of settings and measurements.
//! - [`fields`]: reading settings and bodies, with errors that name the field.
//! - [`ranges`]: reading durations and numbers within a range.

pub mod durations;
pub mod fields;
pub mod lists;
pub mod numbers;
pub mod ranges;
