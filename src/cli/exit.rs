//! Exit codes other than 0, so that `serin check`, `serin wait` and `serin analyze` can gate a pipeline.

/// The answer is negative.
pub const FAIL: u8 = 1;

/// The command was used wrongly or failed.
pub const USAGE_ERROR: u8 = 2;

/// There is not enough evidence for an answer.
pub const INCONCLUSIVE: u8 = 3;
