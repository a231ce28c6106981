//! The room `rollout`.

pub mod apply;
pub mod event;
pub mod journal;
pub mod narrative;
pub mod next_action;
pub mod post_promotion;
pub mod refusal;
pub(crate) mod salt;
pub mod state;
