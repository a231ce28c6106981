//! Keys of requests: which were seen, and which replica judges them.
//!
//! - `seen_keys`: the keys of a rollout. `homes`: the replica that judges a key. `visitors`: keys that came without
//!   a rollout.

pub(crate) mod homes;
pub mod seen_keys;
pub mod visitors;
