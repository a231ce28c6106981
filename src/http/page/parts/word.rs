//! A state in a word.

/// A state as a word with an icon; the color only repeats them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The class of its color.
    pub(super) color: &'static str,
    /// The id of its icon; empty without one.
    pub(super) icon: &'static str,
    pub(super) text: &'static str,
}

pub(super) const fn word(color: &'static str, icon: &'static str, text: &'static str) -> Word {
    Word { color, icon, text }
}
