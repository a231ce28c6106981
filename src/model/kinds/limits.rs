//! Limits of a model file. They bound memory and the time of a row before anything is allocated.

/// Bytes of a file: the largest forest of the comparison (100 trees of depth 10) has 8 MB as skops.
pub const MAX_BYTES: usize = 64 << 20;

/// Bytes of a file of coefficients: 100,000 levels with names of 60 bytes.
pub const MAX_COEFFICIENT_BYTES: usize = 8 << 20;

/// Trees of an ensemble: ten times the largest ones that competitions are won with.
pub const MAX_TREES: usize = 100_000;

/// Splits and leaves of an ensemble. At 16 bytes a node they fill 80 MB.
pub const MAX_NODES: usize = 5_000_000;

/// Splits on the way to a leaf. A balanced tree of all [`MAX_NODES`] has 23.
pub const MAX_DEPTH: u32 = 1024;

/// Features of a model. A node names its feature in 16 bits.
pub const MAX_FEATURES: usize = 65_000;

/// Categories of all inputs together.
pub const MAX_CATEGORIES: usize = 1_000_000;

/// Numbers of an answer.
pub const MAX_OUTPUTS: usize = 1_000;

/// Nesting of a document.
pub const MAX_NESTING: u32 = 128;
