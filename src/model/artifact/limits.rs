//! Format versions and size limits of an artifact.

use crate::model::kinds::limits::MAX_BYTES;

/// The format version of trained models of two classes that this release writes.
pub(crate) const FORMAT_VERSION: u32 = 3;

/// The oldest one it reads: without markers of missing values, for which the usual ones are taken.
pub(crate) const OLDEST_VERSION: u32 = 2;

/// The format version of imported models that answer one number.
pub(crate) const IMPORTED_VERSION: u32 = 4;

/// The format version of imported models of many classes.
pub(crate) const CLASSES_VERSION: u32 = 5;

/// The format version of trained models of many classes.
pub(crate) const TRAINED_CLASSES_VERSION: u32 = 6;

/// The format version of any of them with the inputs of training.
pub(crate) const INPUTS_VERSION: u32 = 7;

/// The newest version that this release reads.
pub(crate) const NEWEST_VERSION: u32 = INPUTS_VERSION;

/// The most probes of a file: `serin train` writes 16, and `serin import` up to 32.
pub(crate) const MAX_PROBES: usize = 1_000;

/// The most items of another list of a file: features, levels of a category, warnings. A trained model has at most eight
/// times as many bytes.
pub(crate) const MAX_LIST: usize = 1_000_000;

/// Maximum size of a trained model: several times what a hundred columns with a thousand levels each need,
/// and small enough to keep in memory and send whole.
pub(crate) const MAX_TRAINED_BYTES: usize = 8 << 20;

/// Maximum size of any artifact: an imported file, with room for names and probes.
pub(crate) const MAX_ARTIFACT_BYTES: usize = MAX_BYTES + (1 << 20);
