//! The room `fixed_horizon`.

pub(crate) mod binomial_intervals;
pub(crate) mod bootstrap;
pub(crate) mod drift;
pub(crate) mod effect_size;
pub(crate) mod fisher;
pub(crate) mod kolmogorov_smirnov;
pub(crate) mod mann_whitney;
pub(crate) mod margin;
pub(crate) mod multiplicity;
pub(crate) mod non_inferiority;
pub(crate) mod proportion_difference;
pub(crate) mod quality;
pub(crate) mod welch;
