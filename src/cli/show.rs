//! Output of the commands: color on a terminal, plain text in a pipe, JSON for programs.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::io::Write as _;
use std::process;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use anstyle::AnsiColor;
use anstyle::Style;
use comfy_table::Table;
use comfy_table::presets;
use serde::Serialize;

use super::exit::USAGE_ERROR;
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

/// A table as lines: names on the left, numbers aligned on the right.
pub fn aligned<'h>(
    header: impl IntoIterator<Item = &'h str>,
    rows: impl IntoIterator<Item = impl IntoIterator<Item = String>>,
) -> Vec<String> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
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
    let options =
        textwrap::Options::new(width() - 2).initial_indent(indent).subsequent_indent(indent);
    textwrap::fill(text, options)
}

/// A text from outside with its control characters escaped, so that it cannot move the cursor.
pub fn plain(text: &str) -> Cow<'_, str> {
    if is_one_line(text) { text.into() } else { text.escape_debug().to_string().into() }
}
