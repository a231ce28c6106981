//! Traffic: which requests go to the canary.
//!
//! - [`track`]: the two roles of a version, stable and canary.
//! - [`weight`]: the canary's share, in basis points.
//! - [`split`]: the assignment of a request or key to a track.
//! - [`prediction_id`]: an identifier from which a label finds its track and share again.

pub mod prediction_id;
pub mod split;
pub mod track;
pub mod weight;
