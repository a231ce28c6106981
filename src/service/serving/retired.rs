//! Retired recorders and circuit breakers: replaced ones, whose counts stay in the totals.

use std::sync::Arc;

use parking_lot::Mutex;

use super::circuit_breaker::CircuitBreaker;
use super::recorder::Recorder;
use super::totals::Totals;

/// What was replaced. Costs predictions nothing: counts are read when totals are read.
#[derive(Default)]
pub(crate) struct Retired(Mutex<Parts>);

#[derive(Default)]
struct Parts {
    /// The totals of what no request can reach.
    sum: Totals,
    /// Recorders that a request may still write to.
    recorders: Vec<Arc<Recorder>>,
    /// Breakers likewise.
    breakers: Vec<Arc<CircuitBreaker>>,
    /// The last totals that were read.
    newest: Totals,
}

/// What a new state replaces.
#[derive(Default)]
pub(crate) struct Replaced {
    pub(crate) recorder: Option<Arc<Recorder>>,
    pub(crate) breaker: Option<Arc<CircuitBreaker>>,
}

impl Retired {
    /// Replaces what `replace` returns.
    pub(crate) fn retire(&self, replace: impl FnOnce() -> Replaced) {
        let mut parts = self.0.lock();
        let Replaced { recorder, breaker } = replace();
        parts.recorders.extend(recorder);
        parts.breakers.extend(breaker);
        parts.settle();
    }

    /// The totals with the current ones, which are read under the same lock: otherwise a recorder that is being replaced
    /// could count twice.
    pub(crate) fn with(&self, current: impl FnOnce() -> Totals) -> Totals {
        let mut parts = self.0.lock();
        parts.settle();
        let mut totals = parts.sum.clone();
        parts.recorders.iter().for_each(|recorder| totals.add(&recorder.totals()));
        totals.breaker_opened += parts.breakers.iter().map(|it| it.opened()).sum::<u64>();
        totals.add(&current());
        totals.at_least(&parts.newest);
        parts.newest.clone_from(&totals);
        totals
    }
}

impl Parts {
    fn settle(&mut self) {
        let Parts { sum, recorders, breakers, .. } = self;
        recorders.retain(|recorder| {
            let is_reachable = Arc::strong_count(recorder) > 1;
            if !is_reachable {
                sum.add(&recorder.totals());
            }
            is_reachable
        });
        breakers.retain(|breaker| {
            let is_reachable = Arc::strong_count(breaker) > 1;
            if !is_reachable {
                sum.breaker_opened += breaker.opened();
            }
            is_reachable
        });
    }
}
