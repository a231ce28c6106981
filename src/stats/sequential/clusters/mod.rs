//! Clusters: tracks compared over all visits of keys that come back.
//!
//! A sticky key is drawn once, so its visits are one draw. Keys fall into cells by a hash that is independent of the
//! track; the cells of a track are independent sums over its keys, however many keys there are.
//!
//! - [`means`]: are the canary's values larger? - [`failures`]: does it fail more often?
//! - [`looks`]: when to look, and the e-process of all looks.

pub(crate) mod failures;
pub(crate) mod looks;
pub(crate) mod means;

/// Neither track is compared with fewer cells.
pub const MIN_CLUSTERS: usize = 8;
