//! Rates of rare events: failures, and values above a quantile.

pub(crate) mod failures;
pub(crate) mod quantile;
