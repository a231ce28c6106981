//! Rollouts of the past: all of them in a list, one of them as it ended, and what another policy would have said.

mod list;
mod recomputed;
mod rollout;
mod what_if;

pub use list::Counts;
pub use list::Rollouts;
pub use recomputed::Outcome;
pub use recomputed::Recomputed;
pub use recomputed::in_words;
pub use rollout::LateLabels;
pub use rollout::PastRollout;
pub use rollout::StoredTicks;
pub use what_if::WhatIf;
