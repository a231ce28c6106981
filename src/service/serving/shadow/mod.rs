//! Shadow: the canary is asked in the background what stable has answered.
//!
//! - [`queue`]: requests that wait. `worker`: the thread that asks.
//! - [`disagreements`]: the worst differences. `recent_requests`: requests kept to be asked again.

pub mod disagreements;
pub mod queue;
pub(crate) mod recent_requests;
pub(crate) mod worker;
