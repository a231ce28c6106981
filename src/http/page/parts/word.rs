//! A state in a word.

use crate::service::status::report::Tone;

/// A state as a word with an icon; the color only repeats them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The class of its color.
    pub(crate) color: &'static str,
    /// The id of its icon; empty without one.
    pub(crate) icon: &'static str,
    pub(crate) text: &'static str,
}

/// The class of a tone.
pub(super) fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Calm => "calm",
        Tone::Passes => "passes",
        Tone::Holds => "holds",
        Tone::Fails => "fails",
        Tone::Muted => "muted",
    }
}

pub(crate) const fn word(color: &'static str, icon: &'static str, text: &'static str) -> Word {
    Word { color, icon, text }
}
