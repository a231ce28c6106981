//! How do the commands look? Words in color on a terminal, plain text in a pipe, JSON on demand.

use anstyle::AnsiColor;
use anstyle::Style;
use comfy_table::Table;
use comfy_table::presets;
use serde_json::Value;

use crate::canary::narrative;

/// Good news.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Bad news.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Neither.
pub const WAIT: Style = AnsiColor::Yellow.on_default().bold();
/// What matters.
pub const STRONG: Style = Style::new().bold();
/// What matters less.
pub const FAINT: Style = Style::new().dimmed();

/// A text in a style.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The status in its color.
pub fn health_word(status: &str) -> String {
    let style = match status {
        "ok" => GOOD,
        "alert" => BAD,
        _ => WAIT,
    };
    styled(style, status.replace('_', " "))
}

/// JSON for programs.
pub fn json(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

/// What was observed of both tracks, side by side.
pub fn tracks(stable: &Value, canary: Option<&Value>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["", "requests", "failures", "mean", "std", "p50", "p95", "p99", "score"]);
    for (name, track) in [("stable", Some(stable)), ("canary", canary)] {
        let Some(track) = track else { continue };
        let mut row = vec![name.to_owned(), whole(&track["requests"]), whole(&track["failures"])];
        for field in ["mean_ms", "std_ms", "p50_ms", "p95_ms", "p99_ms"] {
            row.push(milliseconds(&track[field]));
        }
        row.push(number(&track["mean_score"], 4));
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    table
}

fn whole(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), |n| n.to_string())
}

fn milliseconds(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |ms| narrative::duration(ms / 1e3))
}

/// A text broken into lines that fit beside an indent.
pub fn wrapped(text: &str, indent: &str) -> String {
    let options = textwrap::Options::new(96).initial_indent(indent).subsequent_indent(indent);
    textwrap::fill(text, options)
}

/// A number with so many decimals, or a dash.
pub fn number(value: &Value, decimals: usize) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |x| format!("{x:.decimals$}"))
}

/// A text, or a dash.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// Seconds as people say them.
pub fn duration(value: &Value) -> String {
    let seconds = value.as_f64().unwrap_or(0.0).max(0.0).round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}
