//! One metric over all visits of keys: what its own monitor knows goes to [`Keyed`](super::by_key::Keyed).

use super::by_key::KeyCells;
use super::measured::Measured;
use super::metric::Monitored;
use crate::canary::observed::increment::Increment;
use crate::stats::sequential::EProcess;

impl Monitored {
    /// Begins with the first key, before its visit is bet on.
    pub(super) fn begin_keys(&mut self) {
        let first = firsts(&self.measured_first());
        if let Some(keyed) = &mut self.keyed {
            keyed.begin(first);
        }
    }

    /// Takes in what a tick has of keys, after it was bet on, and a look that has this share of the levels.
    pub(super) fn tick_keys(&mut self, increment: &Increment, cells: &KeyCells, look: Option<f64>) {
        if !self.keyed.as_ref().is_some_and(|keyed| keyed.has_begun()) {
            return;
        }
        let first = self.measured_first();
        if let Some(keyed) = &mut self.keyed {
            let known = (firsts(&first), first.stable_spread);
            keyed.tick(self.source, known, increment, cells, look);
        }
    }
}

/// The evidence of harm, of a shift and of the proof.
fn firsts(first: &Measured) -> [EProcess; 3] {
    [first.harm, first.shift.unwrap_or_default(), first.proven]
}
