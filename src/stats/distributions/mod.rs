//! The room `distributions`.

pub(crate) mod binomial;
pub(crate) mod incomplete_beta;
pub(crate) mod lattice_paths;
pub(crate) mod noncentral_t;
pub(crate) mod normal;
pub(crate) mod rank_sum;
pub(crate) mod root;
pub(crate) mod student_t;
