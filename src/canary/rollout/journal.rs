//! The append-only record: every event in order, and the state that follows from it.
//!
//! An event is appended before anything is done about it, so whatever was acknowledged is here.
//! Start-up is [`replay`].

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

use super::apply::Transition;
use super::apply::apply;
use super::event::Event;
use super::refusal::Refusal;
use super::state::State;

/// One event with its place in the journal and its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counted from 1, without gaps. The newest is the state's revision.
    pub sequence: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// The state that these entries lead to; `None` for an empty journal.
///
/// # Errors
/// When the entries are not a history that could have happened.
pub fn replay<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Result<Option<State>, ReplayError> {
    entries.into_iter().try_fold(None, |state, entry| follow(state, entry).map(Some))
}

/// The state after one more entry.
///
/// # Errors
/// When the entry cannot have happened in this state.
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

/// A journal that tells no possible history.
#[derive(Debug, Error, PartialEq)]
pub enum ReplayError {
    /// The first entry is not the first event.
    #[error("journal entry {sequence} comes before the journal was begun; restore a backup")]
    NoBeginning {
        /// The entry.
        sequence: u64,
    },
    /// An entry cannot follow the ones before it.
    #[error("journal entry {sequence} cannot have happened: {refusal}; restore a backup")]
    Impossible {
        /// The entry.
        sequence: u64,
        /// Why.
        refusal: Refusal,
    },
}
