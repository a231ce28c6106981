//! A fitted estimator: what computes its answer, and what the answer is.

use crate::model::kinds::parsed::Answer;
use crate::model::kinds::parsed::Scorer;

/// An estimator without the columns before it.
#[derive(Debug)]
pub(crate) struct Estimator {
    pub scorer: Scorer,
    pub answer: Answer,
    pub classes: Vec<String>,
    pub objective: String,
}
