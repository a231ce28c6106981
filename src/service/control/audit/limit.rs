//! Limit of a replay: how long it may take, and whether its answer is still awaited.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::ReplayError;
use crate::service::clock::Clock;
use crate::store::StoreError;

/// When a replay ends before it has read all ticks. The default never does.
#[derive(Clone, Default)]
pub struct Limit {
    budget: Option<Budget>,
    is_abandoned: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Budget {
    clock: Arc<dyn Clock>,
    time: Duration,
    /// By the steady clock.
    end: Duration,
}

impl Limit {
    /// Ends the replay after this much time from now on, and as soon as `is_abandoned` is true.
    pub fn new(clock: Arc<dyn Clock>, time: Duration, is_abandoned: Arc<AtomicBool>) -> Limit {
        let end = clock.steady() + time;
        Limit { budget: Some(Budget { clock, time, end }), is_abandoned }
    }

    /// Checks that the replay of a rollout, which has come to this tick of `all`, may go on with the next.
    pub(super) fn check(
        &self,
        rollout: u64,
        tick: u64,
        all: impl FnOnce() -> Result<u64, StoreError>,
    ) -> Result<(), ReplayError> {
        if self.is_abandoned.load(Ordering::Relaxed) {
            return Err(ReplayError::Abandoned);
        }
        match &self.budget {
            Some(Budget { clock, time, end }) if clock.steady() >= *end => {
                Err(ReplayError::TooLong { rollout, tick, ticks: all()?, time: *time })
            }
            Some(_) | None => Ok(()),
        }
    }
}
