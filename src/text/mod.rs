//! Text: how names, numbers and durations are read and written, everywhere in serin.
//!
//! - [`lists`]: quoting, listing and suggesting names in messages.
//! - [`numbers`]: values, probabilities, differences and percentages.
//! - [`durations`]: parsing durations, and writing settings and measurements.
//! - [`fields`]: reading settings and bodies, with errors that name the field.
//! - [`ranges`]: fields that are read within a range.

pub mod durations;
pub mod fields;
pub mod lists;
pub mod numbers;
pub mod ranges;
