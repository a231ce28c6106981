//! Planning: how many requests does an answer take? `power` for means, `rank_power` for ranks, and for rates
//! `proportion_power` (normal approximation) and `fisher_power` (exact). `sequential::detection`, next to the bets,
//! predicts when the sequential judge answers.

pub(crate) mod fisher_power;
pub(crate) mod power;
pub(crate) mod proportion_power;
pub(crate) mod rank_power;
