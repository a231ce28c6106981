//! The terminal as a screen: raw keys, the alternate buffer, lines that are drawn where they have changed.

use std::io;
use std::io::IsTerminal as _;
use std::io::Write as _;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use anstream::AutoStream;
use anstream::ColorChoice;
use rustix::process;
use rustix::process::Signal;
use rustix::termios;
use rustix::termios::OptionalActions;
use rustix::termios::SpecialCodeIndex;
use rustix::termios::Termios;

use super::canvas::Canvas;

/// The alternate buffer, without a cursor, and without wrapping where a character is wider than expected.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
/// Undoes [`ENTER`].
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// Around the lines of a frame, so that terminals that know it show the frame at once.
const FRAME: [&str; 2] = ["\x1b[?2026h", "\x1b[?2026l"];
/// Where the terminal does not tell its size.
const USUAL: (usize, usize) = (80, 24);
/// Ctrl-C as a key.
const INTERRUPT: u8 = 3;
/// Ctrl-Z as a key.
const SUSPEND: u8 = 26;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// `q` or Ctrl-C.
    Leave,
    /// Ctrl-Z.
    Suspend,
}

/// A terminal that is drawn on; dropping it restores the terminal.
pub(super) struct Screen {
    restorer: Arc<Restorer>,
    /// Without line editing, echo and keys that send signals.
    raw: Termios,
    canvas: Option<Canvas>,
    shown: Vec<String>,
    has_color: bool,
    is_utf8: bool,
}

/// How the terminal was before.
struct Restorer {
    before: Termios,
    is_done: AtomicBool,
}

impl Restorer {
    /// Restores the terminal, once.
    fn restore(&self) {
        if self.is_done.swap(true, Ordering::Relaxed) {
            return;
        }
        // A terminal that is gone needs no restoration.
        let _ = write(LEAVE);
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Whether standard input and output are a terminal with a cursor that can be moved.
pub(in crate::cli::remote) fn is_possible() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
}

impl Screen {
    /// Takes over the terminal.
    pub(super) fn open() -> io::Result<Screen> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        // A read waits for a key for a tenth of a second.
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 1;
        let restorer = Arc::new(Restorer { before, is_done: AtomicBool::new(false) });
        let mut screen = Screen {
            restorer: restorer.clone(),
            raw,
            canvas: None,
            shown: Vec::new(),
            has_color: AutoStream::choice(&io::stdout()) != ColorChoice::Never,
            is_utf8: is_utf8(|name| std::env::var(name).ok()),
        };
        // The message of a panic would be lost with the alternate buffer.
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            restorer.restore();
            report(info);
        }));
        screen.take_over()?;
        Ok(screen)
    }

    /// Takes over the terminal, again after another program has had it; the next frame is drawn whole.
    pub(super) fn take_over(&mut self) -> io::Result<()> {
        self.restorer.is_done.store(false, Ordering::Relaxed);
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.raw)?;
        self.canvas = None;
        write(ENTER)
    }

    /// Gives the terminal back, stops this process, and takes the terminal over once a shell lets it go on.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        self.restorer.restore();
        // SIGTSTP has a handler here, which would call this again.
        process::kill_process(process::getpid(), Signal::STOP)?;
        self.take_over()
    }

    /// Draws the lines that have changed; all of them on a terminal of another size.
    pub(super) fn draw(&mut self, lines: impl FnOnce(&Canvas) -> Vec<String>) -> io::Result<()> {
        let canvas = self.measured();
        let mut frame = FRAME[0].to_owned();
        if self.canvas.replace(canvas) != Some(canvas) {
            frame += "\x1b[2J";
            self.shown.clear();
        }
        let mut lines = lines(&canvas);
        lines.truncate(canvas.rows);
        if !self.has_color {
            for line in &mut lines {
                *line = anstream::adapter::strip_str(line).to_string();
            }
        }
        lines.resize(canvas.rows, String::new());
        for (row, line) in lines.iter().enumerate() {
            if self.shown.get(row) != Some(line) {
                frame += &format!("\x1b[{};1H\x1b[0m\x1b[2K{line}\x1b[0m", row + 1);
            }
        }
        if lines != self.shown {
            self.shown = lines;
            write(&(frame + FRAME[1]))?;
        }
        Ok(())
    }

    /// Waits for a key for a tenth of a second; of several, the first that asks for something.
    pub(super) fn key(&self) -> io::Result<Option<Key>> {
        let mut keys = [0; 64];
        match rustix::io::read(io::stdin(), &mut keys) {
            Ok(count) => Ok(keys[..count].iter().copied().find_map(meaning)),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn measured(&self) -> Canvas {
        let size = termios::tcgetwinsize(io::stdout()).ok();
        let size = size.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        let (columns, rows) = size.filter(|(columns, rows)| columns * rows > 0).unwrap_or(USUAL);
        Canvas { columns, rows, is_utf8: self.is_utf8 }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.restorer.restore();
    }
}

fn meaning(key: u8) -> Option<Key> {
    match key {
        b'q' | b'Q' | INTERRUPT => Some(Key::Leave),
        SUSPEND => Some(Key::Suspend),
        _ => None,
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Whether the locale of these environment variables is one of UTF-8.
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable);
    let locale = set.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_terminal_sends_control_keys_as_bytes() {
        assert_eq!([3, b'q'].map(meaning), [Some(Key::Leave); 2]);
        assert_eq!([26, b'x'].map(meaning), [Some(Key::Suspend), None]);
    }

    #[test]
    fn the_first_variable_that_is_set_names_the_encoding() {
        let of = |set: &[(&str, &str)]| {
            is_utf8(|name| {
                set.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(of(&[("LANG", "de_DE.UTF-8")]) && of(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]));
        assert!(!of(&[]) && !of(&[("LANG", "C")]));
        assert!(!of(&[("LC_ALL", "POSIX"), ("LANG", "en_US.UTF-8")]));
    }
}
