//! Text: how names, numbers and durations are read and written, everywhere in serin.
//!
//! - [`lists`]: quoting, listing and suggesting names in messages.
//! - [`numbers`]: values, probabilities, differences and percentages.
//! - [`durations`]: parsing durations, and writing settings and measurements.

pub mod durations;
pub mod lists;
pub mod numbers;
