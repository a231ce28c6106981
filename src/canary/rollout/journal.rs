//! Journal: all events in order, and the state that follows from them.
//!
//! An event is appended before it takes effect, so the journal has every acknowledged command. Startup
//! is a [`replay`].

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use super::apply::Transition;
use super::apply::apply;
use super::event::Event;
use super::refusal::Refusal;
use super::state::State;

/// One event with its place in the journal and its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// Counted from 1 without gaps; the newest is the revision of the state.
    pub sequence: u64,
    /// When the event was decided.
    pub at: Timestamp,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// The state that these entries lead to; `None` for an empty journal.
///
/// # Errors
/// When an entry is not possible in the state before it.
pub fn replay<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Result<Option<State>, ReplayError> {
    entries.into_iter().try_fold(None, |state, entry| follow(state, entry).map(Some))
}

/// The state after one more entry.
///
/// # Errors
/// When the entry is not possible in this state.
pub fn follow(state: Option<State>, entry: &Entry) -> Result<State, ReplayError> {
    let sequence = entry.sequence;
    let Some(state) = state else {
        let Event::Initialized { stable } = &entry.event else {
            return Err(ReplayError::NoBeginning { sequence });
        };
        return Ok(State::initial(stable.clone(), entry.at));
    };
    match apply(&state, &entry.event, entry.at) {
        Ok(Transition::Changed { state, .. }) => Ok(*state),
        Ok(Transition::Unchanged) => Ok(state),
        Err(refusal) => Err(ReplayError::Impossible { sequence, refusal }),
    }
}

/// Why a journal cannot be replayed.
#[derive(Debug, Error, PartialEq)]
pub enum ReplayError {
    /// The journal does not begin with `initialized`.
    #[error("journal entry {sequence} must be initialized, the first event; restore a backup")]
    NoBeginning {
        /// The entry.
        sequence: u64,
    },
    /// An entry is not possible after the ones before it.
    #[error("journal entry {sequence} is not possible: {refusal}; restore a backup")]
    Impossible {
        /// The entry.
        sequence: u64,
        /// Why.
        refusal: Refusal,
    },
}
