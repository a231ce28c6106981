//! How do the commands look? Words in color on a terminal, plain text in a pipe, JSON on demand.

use std::borrow::Cow;

use anstyle::AnsiColor;
use anstyle::Style;
use comfy_table::Table;
use comfy_table::presets;
use serde_json::Value;

use crate::text::durations;
use crate::text::lists::is_one_line;

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

/// What may be concluded at any time, as lines: the verdict, a sentence for each metric, the forecast.
pub fn watch(health: &Value, indent: &str) -> Vec<String> {
    let sequential = &health["sequential"];
    let verdict = text(&sequential["verdict"]);
    let style = match &*verdict {
        "promote" => GOOD,
        "rollback" => BAD,
        _ => WAIT,
    };
    let forecast = &health["forecast"]["message"];
    let mut lines = vec![format!("{indent}at any time: {}", styled(style, verdict))];
    let metrics = sequential["metrics"].as_array().into_iter().flatten();
    let sentences = metrics.map(|metric| &metric["sentence"]).chain([forecast]);
    let inner = format!("{indent}  ");
    let findings = health["segments"]["findings"].as_array().into_iter().flatten();
    let beside = findings.map(|finding| &finding["sentence"]);
    let sentences = sentences
        .chain(beside)
        .chain([&health["sample_ratio"]["message"], &health["machine"]["message"]]);
    lines.extend(sentences.filter(|one| one.is_string()).map(|one| wrapped(&text(one), &inner)));
    lines
}

/// JSON for programs.
pub fn json(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

/// What was observed of both tracks, side by side, as lines; fewer columns on a narrow terminal.
pub fn tracks(stable: &Value, canary: Option<&Value>) -> Vec<String> {
    let columns: &[(&str, Cell)] = &[
        ("requests", |track| whole(&track["requests"])),
        ("failures", |track| whole(&track["failures"])),
        ("mean", |track| milliseconds(&track["mean_ms"])),
        ("std", |track| milliseconds(&track["std_ms"])),
        ("p50", |track| milliseconds(&track["p50_ms"])),
        ("p95", |track| milliseconds(&track["p95_ms"])),
        ("p99", |track| milliseconds(&track["p99_ms"])),
        ("score", |track| number(&track["mean_score"], 4)),
    ];
    let dropped: &[&str] = if width() < 92 { &["std", "p50"] } else { &[] };
    let columns: Vec<_> = columns.iter().filter(|(name, _)| !dropped.contains(name)).collect();
    let header = [""].into_iter().chain(columns.iter().map(|(name, _)| *name));
    let tracks = [("stable", Some(stable)), ("canary", canary)];
    let rows = tracks.into_iter().filter_map(|(name, track)| {
        let track = track?;
        let cells = columns.iter().map(move |(_, cell)| cell(track));
        Some([name.to_owned()].into_iter().chain(cells))
    });
    aligned(header, rows)
}

/// A table as lines: names on the left, numbers aligned on the right.
pub fn aligned<'h>(
    header: impl IntoIterator<Item = &'h str>,
    rows: impl IntoIterator<Item = impl IntoIterator<Item = String>>,
) -> Vec<String> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Reads a cell from a track.
type Cell = fn(&Value) -> String;

/// Columns to write in: those of the terminal, and never more than read well.
fn width() -> usize {
    textwrap::termwidth().min(100)
}

fn whole(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), |n| n.to_string())
}

fn milliseconds(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |ms| durations::duration(ms / 1e3))
}

/// A text broken into lines that fit beside an indent.
pub fn wrapped(text: &str, indent: &str) -> String {
    let options =
        textwrap::Options::new(width() - 2).initial_indent(indent).subsequent_indent(indent);
    textwrap::fill(text, options)
}

/// A number with so many decimals, or a dash.
pub fn number(value: &Value, decimals: usize) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |x| format!("{x:.decimals$}"))
}

/// A text, or a dash; what could move the cursor or hide other text is shown escaped.
pub fn text(value: &Value) -> Cow<'_, str> {
    plain(value.as_str().unwrap_or("-"))
}

/// A text from outside, fit for a terminal.
pub fn plain(text: &str) -> Cow<'_, str> {
    if is_one_line(text) { text.into() } else { text.escape_debug().to_string().into() }
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
