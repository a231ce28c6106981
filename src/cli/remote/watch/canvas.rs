//! What is drawn on, and text that fits in it.

use textwrap::core::display_width;

/// What is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Canvas {
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// Otherwise all characters are ASCII.
    pub(super) is_utf8: bool,
}

/// A text in at most this many columns.
pub(super) fn cut(text: &str, width: usize) -> String {
    if display_width(text) <= width {
        return text.to_owned();
    }
    let (mut short, mut taken) = (String::new(), 1);
    for one in text.chars() {
        taken += display_width(one.encode_utf8(&mut [0; 4]));
        if taken > width {
            break;
        }
        short.push(one);
    }
    if width > 0 {
        short.push('…');
    }
    short
}
