//! Tail probabilities and quantiles behind the tests.
//!
//! - `normal`, `student_t`, `noncentral_t`: of statistics
//! - `binomial`, `incomplete_beta`: of counts
//! - `rank_sum`, `lattice_paths`: exact, for Mann-Whitney and Kolmogorov-Smirnov
//! - `root`: where a monotone function is zero

pub(crate) mod binomial;
pub(crate) mod incomplete_beta;
pub(crate) mod lattice_paths;
pub(crate) mod noncentral_t;
pub(crate) mod normal;
pub(crate) mod rank_sum;
pub(crate) mod root;
pub(crate) mod student_t;
