//! Refusal of a model file: where, and why.

use thiserror::Error;

/// Why a file is refused. The place comes first: `tree 3: split 7 names feature 45 of 45`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {problem}")]
pub struct Refusal {
    /// The part of the file.
    pub place: String,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

impl Refusal {
    /// A refusal of one part of a file.
    pub fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }
}

/// A result of reading.
pub type Reading<T> = Result<T, Refusal>;

/// A word of the file, cut to a length that fits a message.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.escape_debug().to_string();
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{}..", start.escape_debug())
}
