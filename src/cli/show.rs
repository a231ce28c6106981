//! Output of the commands: color on a terminal, plain text in a pipe, JSON for programs.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::io::IsTerminal as _;
use std::io::Write as _;
use std::process;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use anstyle::AnsiColor;
use anstyle::Style;
use comfy_table::ContentArrangement;
use comfy_table::Table;
use comfy_table::presets;
use serde::Serialize;

use super::exit::USAGE_ERROR;
use crate::service::status::report::Tone;
use crate::text::lists::is_one_line;

/// Good news.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Bad news.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Undecided.
pub const WAIT: Style = AnsiColor::Yellow.on_default().bold();
/// Important.
pub const STRONG: Style = Style::new().bold();
/// Less important.
pub const FAINT: Style = Style::new().dimmed();

/// The style of a word that is meant like this.
pub fn style_of(tone: Tone) -> Style {
    match tone {
        Tone::Calm => STRONG,
        Tone::Passes => GOOD,
        Tone::Holds => WAIT,
        Tone::Fails => BAD,
        Tone::Muted => FAINT,
    }
}

/// Prints to standard output, as `print!` does; see [`print`].
macro_rules! out {
    ($($arg:tt)*) => { $crate::cli::show::print(format_args!($($arg)*)) };
}
pub(crate) use out;

/// Prints a line to standard output, as `println!` does; see [`print`].
macro_rules! outln {
    () => { $crate::cli::show::print(format_args!("\n")) };
    ($($arg:tt)*) => { $crate::cli::show::print(format_args!("{}\n", format_args!($($arg)*))) };
}
pub(crate) use outln;

/// Whether the reader of standard output is gone.
static READER_IS_GONE: AtomicBool = AtomicBool::new(false);

/// Prints to standard output. If it cannot be written (a full disk), the process ends with an error message. If
/// the reader is gone (`| head`), the rest of the output is dropped, and the command ends with its own exit code.
pub fn print(text: fmt::Arguments<'_>) {
    if reader_is_gone() {
        return;
    }
    let mut stdout = anstream::stdout().lock();
    match stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            READER_IS_GONE.store(true, Ordering::Relaxed);
        }
        Err(error) => {
            // There is nowhere left to report an error of standard error.
            let _ = writeln!(anstream::stderr(), "serin: cannot write to standard output: {error}");
            process::exit(USAGE_ERROR.into());
        }
    }
}

/// Whether the reader of standard output is gone, so that a command without another purpose can end.
pub fn reader_is_gone() -> bool {
    READER_IS_GONE.load(Ordering::Relaxed)
}

/// A text in a style.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints JSON for programs.
///
/// # Errors
/// When the value cannot be written as JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    outln!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A table as lines: names on the left, numbers aligned on the right. Cells that do not fit are broken into lines.
pub fn aligned<'h>(
    header: impl IntoIterator<Item = &'h str>,
    rows: impl IntoIterator<Item = impl IntoIterator<Item = String>>,
) -> Vec<String> {
    aligned_within(width() - 2, header, rows)
}

fn aligned_within<'h>(
    width: usize,
    header: impl IntoIterator<Item = &'h str>,
    rows: impl IntoIterator<Item = impl IntoIterator<Item = String>>,
) -> Vec<String> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Width of the output: that of the terminal, at most 120 columns.
pub fn width() -> usize {
    textwrap::termwidth().min(120)
}

/// A text broken into lines with this indent.
pub fn wrapped(text: &str, indent: &str) -> String {
    textwrap::fill(text, lines_of(width() - 2).initial_indent(indent).subsequent_indent(indent))
}

/// A text behind its name, broken into lines below its beginning.
pub fn hanging(name: &str, text: &str) -> String {
    let indent = " ".repeat(textwrap::core::display_width(name));
    textwrap::fill(text, lines_of(width() - 2).initial_indent(name).subsequent_indent(&indent))
}

/// Lines of this width, in which no flag is broken at its hyphens.
fn lines_of(width: usize) -> textwrap::Options<'static> {
    textwrap::Options::new(width).word_splitter(textwrap::WordSplitter::NoHyphenation)
}

/// Prints on standard error why a command did not do what it was asked; on a terminal in lines that fit.
pub fn error(text: &str) {
    let stderr = io::stderr();
    let width = stderr.is_terminal().then(width);
    // There is nowhere left to report an error of standard error.
    let _ = writeln!(anstream::stderr(), "{}", error_lines(text, width));
}

/// The text of an error, in lines of at most this width. Paths and digests stay whole, so that they can be copied.
fn error_lines(text: &str, width: Option<usize>) -> String {
    let text = format!("serin: {text}");
    match width {
        Some(width) => textwrap::fill(&text, lines_of(width).break_words(false)),
        None => text,
    }
}

/// A text from outside with its control characters escaped, so that it cannot move the cursor.
pub fn plain(text: &str) -> Cow<'_, str> {
    if is_one_line(text) { text.into() } else { text.escape_debug().to_string().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_too_wide_breaks_its_cells_and_another_one_stays() {
        let wide = ["a".repeat(50), "b".repeat(50), "4.5".to_owned()];
        let lines = aligned_within(78, ["", "one/long/path.bin", "n"], [wide.clone()]);
        assert!(lines.iter().all(|line| line.chars().count() <= 78), "{lines:?}");
        let count =
            |c: char| lines.iter().flat_map(|line| line.chars()).filter(|one| *one == c).count();
        assert_eq!((count('b') >= 50, lines.join("").contains("4.5")), (true, true), "{lines:?}");
        assert_eq!(aligned_within(120, ["", "one/long/path.bin", "n"], [wide]).len(), 2);
    }

    #[test]
    fn an_error_is_wrapped_on_a_terminal_alone() {
        let long =
            format!("rows.csv: use --missing-only to change it, {}.", "or drop it ".repeat(12));
        let lines = error_lines(&long, Some(80));
        assert!(lines.lines().count() > 1 && lines.lines().all(|line| line.len() <= 80), "{lines}");
        assert!(error_lines(&long, Some(29)).contains("--missing-only"));
        let path = format!("{} cannot be read", "long/".repeat(40));
        assert!(error_lines(&path, Some(80)).contains(&"long/".repeat(40)));
        assert_eq!(error_lines(&long, None), format!("serin: {long}"));
    }
}
