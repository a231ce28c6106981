//! Planning: how many requests does an answer take? `power` for means, `proportion_power` for rates.

pub(crate) mod power;
pub(crate) mod proportion_power;
