//! Tests, effect sizes and intervals for one look at two samples.
//!
//! - means: `welch` and `welch::permutation`, `non_inferiority` (against a `margin`), `effect_size`
//! - distributions: `mann_whitney`, `kolmogorov_smirnov`, `drift`
//! - rates: `fisher`, `proportion_difference`, `binomial_intervals`
//! - two models on the same rows: `paired_difference`
//! - anything else: `bootstrap` (intervals), `quality` (predictions with outcomes), `multiplicity` (several tests)

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
pub(crate) mod paired_difference;
pub(crate) mod proportion_difference;
pub(crate) mod quality;
pub(crate) mod welch;
