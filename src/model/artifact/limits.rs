//! Format version and size limit of an artifact.

/// The format version that this release writes.
pub(crate) const FORMAT_VERSION: u32 = 3;

/// The oldest one it reads: without markers of missing values, for which the usual ones are taken.
pub(crate) const OLDEST_VERSION: u32 = 2;

/// Maximum size of an artifact: several times what a hundred columns with a thousand levels each need,
/// and small enough to keep in memory and send whole.
pub(crate) const MAX_ARTIFACT_BYTES: usize = 8 << 20;
