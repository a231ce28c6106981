//! Scores that are not one probability: a probability for each class, and numbers of any size.

pub(crate) mod classes;
pub(crate) mod scaled;
pub(crate) mod unit;
