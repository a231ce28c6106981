//! Limit of a replay: whether its answer is still awaited.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use super::ReplayError;

/// When a replay ends before it has read all ticks. The default never does.
#[derive(Clone, Debug, Default)]
pub struct Limit {
    is_abandoned: Arc<AtomicBool>,
}

impl Limit {
    /// Ends the replay as soon as `is_abandoned` is true.
    pub fn new(is_abandoned: Arc<AtomicBool>) -> Limit {
        Limit { is_abandoned }
    }

    /// Checks that the replay may go on with the next tick.
    pub(super) fn check(&self) -> Result<(), ReplayError> {
        match self.is_abandoned.load(Ordering::Relaxed) {
            true => Err(ReplayError::Abandoned),
            false => Ok(()),
        }
    }
}
