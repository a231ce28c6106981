//! How numbers, durations, names and lists are written and read.

pub(crate) mod lists;
