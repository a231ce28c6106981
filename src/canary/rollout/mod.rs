//! State machine of rollouts, and what a rollout by plan does next.
//!
//! - [`state`], [`event`], [`cause`] and [`refusal`]: the data.
//! - [`apply`]: the state machine, the only way from one state to the next.
//! - [`journal`]: events in order; a replay gives the state. [`narrative`]: events in sentences.
//! - [`outline`]: the rollouts of a journal, each in outline.
//! - [`next_action`]: what a rollout by plan does at a look.
//! - [`post_promotion`]: the same for a promoted version.

pub mod apply;
pub mod cause;
pub mod event;
pub mod journal;
pub mod narrative;
pub mod next_action;
pub mod outline;
pub mod post_promotion;
pub mod refusal;
pub(crate) mod salt;
pub mod state;
