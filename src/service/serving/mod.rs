//! The room `serving`.

pub mod breaker;
pub mod disagreements;
pub mod faults;
pub mod inference;
pub mod live;
pub mod predict;
pub(crate) mod recent_requests;
pub mod recorder;
pub mod seen_keys;
pub(crate) mod segment_counts;
pub mod segment_slots;
pub mod shadow;
pub(crate) mod timed;
pub mod tripwire;
