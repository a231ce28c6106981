//! Retired recorders: replaced ones, whose counts stay in the totals.

use std::sync::Arc;

use parking_lot::Mutex;

use super::recorder::Recorder;
use super::totals::Totals;

/// The replaced recorders. Costs predictions nothing: their counts are read when totals are read.
#[derive(Default)]
pub(crate) struct Retired(Mutex<Parts>);

#[derive(Default)]
struct Parts {
    /// The totals of recorders that no request can reach.
    sum: Totals,
    /// Recorders that a request may still write to.
    reachable: Vec<Arc<Recorder>>,
}

impl Retired {
    /// Replaces a recorder, which `replace` returns.
    pub(crate) fn retire(&self, replace: impl FnOnce() -> Option<Arc<Recorder>>) {
        let mut parts = self.0.lock();
        parts.reachable.extend(replace());
        parts.settle();
    }

    /// The totals with those of the current recorder, which is read under the same lock: otherwise one that
    /// is being replaced could count twice.
    pub(crate) fn with(&self, current: impl FnOnce() -> Totals) -> Totals {
        let mut parts = self.0.lock();
        parts.settle();
        let mut totals = parts.sum;
        parts.reachable.iter().for_each(|recorder| totals.add(&recorder.totals()));
        totals.add(&current());
        totals
    }
}

impl Parts {
    fn settle(&mut self) {
        let Parts { sum, reachable } = self;
        reachable.retain(|recorder| {
            let is_reachable = Arc::strong_count(recorder) > 1;
            if !is_reachable {
                sum.add(&recorder.totals());
            }
            is_reachable
        });
    }
}
