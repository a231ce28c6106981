//! Shadow: the canary answers copies of requests that stable has answered.
//!
//! - [`queue`]: waiting requests. `worker`: the thread that runs the canary.
//! - [`trial`]: the answers of both versions before the first request.
//! - [`disagreements`]: the largest differences. `recent_requests`: requests kept for replay.

pub mod disagreements;
pub mod queue;
pub(crate) mod recent_requests;
pub mod trial;
pub(crate) mod worker;
