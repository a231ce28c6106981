//! Two-sample analysis: baseline and canary compared once, one metric or several.
//!
//! - `options`: thresholds, direction and margin of one metric
//! - `sample`: the values of one track
//! - `statistics`: p-values, effect sizes, intervals and drift of one pair of samples
//! - `two_samples`: the decision about one metric
//! - `metric_table`: several metrics with a correction, a verdict each and a score
//!
//! The tests are made for one look. Repeated after every value, they report a difference that does
//! not exist far more often than `p_threshold` says; the sequential judge is made for that.

pub mod metric_table;
pub mod options;
pub mod sample;
pub mod statistics;
pub mod two_samples;
