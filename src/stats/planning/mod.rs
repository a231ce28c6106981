//! The room `planning`.

pub(crate) mod power;
pub(crate) mod proportion_power;
