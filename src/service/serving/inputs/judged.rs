//! Inputs that are judged: the rows of drawn requests, in the bins of the sequential judge, until a tick takes them in.

use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::InputPlan;
use crate::canary::Track;
use crate::canary::observed::inputs::BinTable;
use crate::canary::observed::inputs::InputBins;
use crate::canary::observed::inputs::InputsIncrement;
use crate::canary::observed::inputs::MAX_BINS;

/// The judged bins of a plan.
pub(crate) struct JudgedInputs {
    table: BinTable,
    /// The slots of each feature of the table.
    slots: Vec<Range<usize>>,
    /// Rows that were taken. Written and read under the lock of the judge.
    taken: AtomicU64,
}

/// Rows of a thread that wait.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(super) rows: u64,
    /// Of stable and of the canary, by slot.
    slots: [Vec<u32>; 2],
}

/// Rows that are taken in at once, at least: a tick of the log has 2 bytes for each bin.
const MIN_ROWS: u64 = 100;

/// Rows are taken in when this part of the rows before them waits. So a long step writes few ticks, and a difference is
/// found an eighth later at most.
const PART: u64 = 8;

/// Characters of a feature's name that are kept; one may have a million.
const MAX_NAME: usize = 64;

impl JudgedInputs {
    /// The first features of a plan, each in the bins of the version that comes first, up to [`MAX_BINS`].
    pub(super) fn new(plan: &InputPlan) -> JudgedInputs {
        let mut judged = JudgedInputs {
            table: BinTable::default(),
            slots: Vec::new(),
            taken: AtomicU64::new(0),
        };
        let mut names = std::collections::BTreeSet::new();
        for column in plan.columns().iter().filter(|it| names.insert(it.feature.as_str())) {
            let places = column.training.places();
            if judged.table.bins() + places > MAX_BINS {
                judged.table.left_out += 1;
                continue;
            }
            let values = (0..places).map(|place| column.place_in_words(place)).collect();
            let feature = column.feature.chars().take(MAX_NAME).collect();
            judged.table.features.push(InputBins { feature, values });
            judged.slots.push(column.slots());
        }
        judged.table.left_out += u32::try_from(plan.skipped).unwrap_or(u32::MAX);
        judged
    }

    /// Whether this many rows are taken in now.
    pub(super) fn is_due(&self, waiting: u64, is_overdue: bool) -> bool {
        // Only the number matters; nothing else is published with it.
        let taken = self.taken.load(Ordering::Relaxed);
        waiting >= MIN_ROWS.max(taken / PART) || (is_overdue && waiting > 0)
    }

    /// These rows by bin, with the bins if the judge knows others.
    pub(super) fn increment(&self, rows: &Waiting, known: &BinTable) -> InputsIncrement {
        self.taken.fetch_add(rows.rows, Ordering::Relaxed);
        if rows.rows == 0 || self.slots.is_empty() {
            return InputsIncrement::default();
        }
        let in_slot = |counts: &[u32], slot: usize| counts.get(slot).copied().map_or(0, u64::from);
        let in_both = |slot| [0, 1].map(|track| in_slot(&rows.slots[track], slot));
        InputsIncrement {
            table: (*known != self.table).then(|| self.table.clone()),
            counts: self.slots.iter().cloned().flatten().map(in_both).collect(),
        }
    }
}

impl Waiting {
    /// Counts a row of a request that was drawn to this track in these of all slots.
    pub(super) fn count(&mut self, track: Track, slots: &[u32], of: usize) {
        let [stable, canary] = &mut self.slots;
        let counts = match track {
            Track::Stable => stable,
            Track::Canary => canary,
        };
        self.rows += 1;
        counts.resize(of, 0);
        for slot in slots {
            if let Some(count) = counts.get_mut(*slot as usize) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Adds the rows of another thread.
    pub(super) fn add(&mut self, other: &Waiting) {
        self.rows = self.rows.saturating_add(other.rows);
        for (ours, theirs) in self.slots.iter_mut().zip(&other.slots) {
            ours.resize(ours.len().max(theirs.len()), 0);
            for (sum, one) in ours.iter_mut().zip(theirs) {
                *sum = sum.saturating_add(*one);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Schema;
    use crate::model::schema::Feature;
    use crate::model::schema::FeatureKind;
    use crate::service::serving::inputs::plan::Counted;

    #[test]
    fn features_with_too_many_bins_together_are_left_out() {
        let feature = |number| Feature { name: format!("f{number}"), kind: FeatureKind::Number };
        let schema = Schema::new((0..60).map(feature).collect()).unwrap();
        let plan = InputPlan::new(&schema, &[0], Counted { schema: &schema, inputs: None }, None);
        let table = JudgedInputs::new(&plan).table;
        // Of 22 bins each.
        assert_eq!((table.features.len(), table.bins(), table.left_out), (45, 990, 14));
        assert_eq!(table.features[0].feature, "f1", "the first is redacted");
        assert_eq!(table.features[0].values[0], "missing");
    }
}
