//! Journal of a store: events in order, appended by compare-and-swap.

use jiff::Timestamp;

use super::error::StoreError;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::State;

/// Entries that [`Entries`] reads at once, so that a long journal does not have to fit in memory.
const PAGE: usize = 1000;

/// The append-only record of all events. One journal per deployment, shared by all replicas.
pub trait Journal: Send + Sync {
    /// Up to `limit` entries with a sequence above `after`, in order.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// The sequence of the newest entry; 0 for an empty journal.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn newest_sequence(&self) -> Result<u64, StoreError>;

    /// The newest entries, in order, up to `limit`. A store that does not answer may know them all the same.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn newest_entries(&self, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.entries(self.newest_sequence()?.saturating_sub(limit as u64), limit)
    }

    /// Appends an event to a journal whose newest entry is `expected`. Returns once the entry would
    /// survive a power failure.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the journal has another newest entry, [`StoreError::NotLeader`] when this process
    /// was the leader and another one has taken over; nothing is written then.
    fn append(&self, expected: u64, at: Timestamp, event: &Event) -> Result<Entry, StoreError>;

    /// A state that the journal led to, and its revision; `None` if none was saved or it cannot be read. The journal has
    /// everything that is in it.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn state(&self) -> Result<Option<(u64, State)>, StoreError> {
        Ok(None)
    }

    /// The state after some entry up to `last`, and that entry, to follow the journal from there; `None` and 0 where the
    /// journal has to be followed from its beginning. A saved state that cannot be read counts as none.
    fn state_up_to(&self, last: u64) -> (Option<State>, u64) {
        let saved = self.state().unwrap_or_else(|cause| {
            tracing::warn!(%cause, "the saved state cannot be read; the whole journal is");
            None
        });
        let saved = saved.filter(|(revision, _)| *revision <= last);
        saved.map_or((None, 0), |(revision, state)| (Some(state), revision))
    }

    /// Saves the state that the journal leads to at this revision, in place of the one before.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn save_state(&self, _revision: u64, _state: &State) -> Result<(), StoreError> {
        Ok(())
    }

    /// Moves what was appended to where a copy of the store finds it. Called once a second.
    ///
    /// # Errors
    /// [`StoreError::Gone`] when the store was deleted or replaced.
    fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Lets another process open the store, or decide, at once. Called last: nothing is written after it.
    fn release(&self) {}

    /// The size of the files of the store; `None` if it has none, or they cannot be found. Waits for no writer.
    fn bytes(&self) -> Option<u64> {
        None
    }

    /// All entries with a sequence above `after`, read page by page. A missing entry is an error.
    fn entries_from(&self, after: u64) -> Entries<'_> {
        let read = Box::new(move |after| self.entries(after, PAGE));
        Entries { read, after, page: Vec::new().into_iter(), is_over: false }
    }
}

/// Iterator over journal entries; see [`Journal::entries_from`]. It ends after its first error.
pub struct Entries<'a> {
    read: Box<dyn Fn(u64) -> Result<Vec<Entry>, StoreError> + 'a>,
    after: u64,
    page: std::vec::IntoIter<Entry>,
    is_over: bool,
}

impl Entries<'_> {
    fn read_next(&mut self) -> Result<Option<Entry>, StoreError> {
        if self.page.len() == 0 {
            self.page = (self.read)(self.after)?.into_iter();
        }
        let Some(entry) = self.page.next() else { return Ok(None) };
        let expected = self.after + 1;
        if entry.sequence != expected {
            let cause = format!("entry {} follows entry {}", entry.sequence, self.after);
            return Err(StoreError::Damaged { what: "a journal".to_owned(), cause });
        }
        self.after = expected;
        Ok(Some(entry))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.read_next().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}
