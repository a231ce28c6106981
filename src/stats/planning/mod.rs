//! Planning: how many requests does an answer take? `power` for means, `rank_power` for ranks, and for rates
//! `proportion_power` (normal approximation) and `fisher_power` (exact). When the sequential judge answers is told by
//! `sequential::detection`, next to its bets.

pub(crate) mod fisher_power;
pub(crate) mod power;
pub(crate) mod proportion_power;
pub(crate) mod rank_power;
