//! Newest entries of the journal, as far as this process has heard: what the page shows without the database.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::canary::Entry;

/// How many of them are kept in memory: more than twice as many as the page shows.
pub(super) const KEPT: usize = 50;

/// How long the journal is, and its end. Any process may append to it.
#[derive(Default)]
pub(super) struct Newest {
    known: AtomicU64,
    /// In order, without a gap.
    kept: Mutex<VecDeque<Entry>>,
}

impl Newest {
    /// The newest entry that this process knows to be in the journal.
    pub(super) fn known(&self) -> u64 {
        self.known.load(Ordering::SeqCst)
    }

    /// Notes that the journal has this entry.
    pub(super) fn hear_of(&self, sequence: u64) {
        self.known.fetch_max(sequence, Ordering::SeqCst);
    }

    /// Adds entries that follow each other. Those before a gap are dropped.
    pub(super) fn add(&self, entries: &[Entry]) {
        let mut kept = self.kept.lock();
        for entry in entries {
            match kept.back().map(|newest| newest.sequence) {
                Some(newest) if entry.sequence <= newest => continue,
                Some(newest) if entry.sequence > newest + 1 => kept.clear(),
                Some(_) | None => {}
            }
            kept.push_back(entry.clone());
            if kept.len() > KEPT {
                kept.pop_front();
            }
        }
        if let Some(newest) = kept.back() {
            self.hear_of(newest.sequence);
        }
    }

    /// The last ones; `None` if there were more of them, or newer ones.
    pub(super) fn last(&self, limit: usize) -> Option<Vec<Entry>> {
        let kept = self.kept.lock();
        let is_all = kept.front()?.sequence == 1 || kept.len() >= limit;
        let is_newest = kept.back()?.sequence >= self.known();
        let skipped = kept.len().saturating_sub(limit);
        (is_all && is_newest).then(|| kept.iter().skip(skipped).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::canary::Event;

    fn entries(sequences: impl IntoIterator<Item = u64>) -> Vec<Entry> {
        let event = Event::Resumed { rollout: 1 };
        let entry = |sequence| Entry { sequence, at: Timestamp::UNIX_EPOCH, event: event.clone() };
        sequences.into_iter().map(entry).collect()
    }

    #[test]
    fn the_end_of_the_journal_is_shown_only_where_all_of_it_is_known() {
        let newest = Newest::default();
        let last = |limit| {
            newest.last(limit).map(|it| it.iter().map(|it| it.sequence).collect::<Vec<_>>())
        };
        assert_eq!(last(2), None);
        newest.add(&entries(1..=3));
        newest.add(&entries(2..=3));
        assert_eq!((last(2), last(9)), (Some(vec![2, 3]), Some(vec![1, 2, 3])));
        newest.hear_of(5);
        assert_eq!(last(2), None, "another process has appended");
        newest.add(&entries(4..=5));
        assert_eq!((last(2), newest.known()), (Some(vec![4, 5]), 5));
        newest.add(&entries(8..=9));
        assert_eq!((last(2), last(3)), (Some(vec![8, 9]), None));
        newest.add(&entries(10..=100));
        assert_eq!(last(KEPT).map(|it| it.len()), Some(KEPT));
    }
}
