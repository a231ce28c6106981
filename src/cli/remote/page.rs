//! A report as lines of a terminal: headline, tables, what is missing.

use anstyle::Style;
use textwrap::Options;
use textwrap::WordSplitter;
use textwrap::core::display_width;

use crate::canary::policy::metric::Role;
use crate::cli::show;
use crate::cli::show::outln;
use crate::cli::show::styled;
use crate::service::status::Status;
use crate::service::status::quality::TrackQuality;
use crate::service::status::report::Report;
use crate::service::status::report::rows::MetricRow;
use crate::service::status::tracks::TrackStatus;
use crate::service::status::tracks::Tracks;
use crate::text::durations::duration;
use crate::text::numbers::grouped;

/// Lines and the width they fit in.
pub struct Page {
    width: usize,
    /// The lines.
    pub lines: Vec<String>,
}

/// Between two columns.
const GAP: usize = 3;

/// The narrowest column of text.
const NARROWEST: usize = 16;

/// Longer lines of prose are hard to read.
const MAX_PROSE: usize = 100;

/// The column of the text behind a label.
const INDENT: usize = 10;

impl Page {
    /// An empty page.
    pub fn new(width: usize) -> Page {
        Page { width, lines: Vec::new() }
    }

    /// Options for prose: lines of at most 100 columns, not broken at hyphens, as in a date or `p-value`.
    fn prose(&self) -> Options<'static> {
        Options::new(self.width.min(MAX_PROSE)).word_splitter(WordSplitter::NoHyphenation)
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.lines.push(String::new());
    }

    /// A text behind a label; without a label, below the one before.
    pub fn labelled(&mut self, label: &str, style: Style, text: &str) {
        let text = show::plain(text);
        let first = " ".repeat((label.len() + 2).max(INDENT));
        let options = self.prose().initial_indent(&first).subsequent_indent("          ");
        for (place, line) in textwrap::wrap(&text, options).into_iter().enumerate() {
            let line = match line.strip_prefix(&first) {
                Some(rest) if place == 0 && !label.is_empty() => {
                    format!("{}{}{rest}", styled(style, label), &first[label.len()..])
                }
                Some(_) | None => line.into_owned(),
            };
            self.lines.push(line);
        }
    }

    /// A paragraph from the left margin.
    pub fn paragraph(&mut self, text: &str) {
        let text = show::plain(text);
        self.lines
            .extend(textwrap::wrap(&text, self.prose()).into_iter().map(|it| it.into_owned()));
    }

    /// Condition, subject and reason; the rollout on the right if there is room.
    pub fn headline(&mut self, status: &Status, report: &Report) {
        let place = status.rollout.as_ref().map(|rollout| {
            let step = match &rollout.plan {
                Some(plan) => format!(", step {} of {}", plan.position, plan.plan.steps.len()),
                None => String::new(),
            };
            format!("rollout {}{step}", rollout.id)
        });
        let word = report.condition.word();
        let taken = (word.len() + 2).max(INDENT) + report.headline.chars().count();
        let place = place.unwrap_or_default();
        let room = self.width.min(80).saturating_sub(taken + place.len());
        let text = match (place.is_empty(), room > 2) {
            (true, _) => report.headline.clone(),
            (false, true) => format!("{}{}{place}", report.headline, " ".repeat(room)),
            (false, false) => format!("{}; {place}", report.headline),
        };
        self.labelled(word, show::style_of(report.condition.tone()), &text);
        if let Some(why) = &report.why {
            self.labelled("", Style::new(), why);
        }
    }

    /// What happens next.
    pub fn next(&mut self, report: &Report) {
        self.labelled("Next", show::STRONG, &report.next);
    }

    /// What was observed of both versions; of stable alone without a canary.
    pub fn tracks(&mut self, tracks: &Tracks, has_canary: bool) {
        let header = ["", "requests", "failed", "p50", "p95", "p99", "mean score"];
        let row = |name: &str, track: &TrackStatus| {
            let ms = |value: Option<f64>| value.map_or_else(dash, |ms| duration(ms / 1e3));
            let mut row = vec![name.to_owned(), grouped(track.requests), grouped(track.failures)];
            row.extend([track.latency.p50_ms, track.latency.p95_ms, track.latency.p99_ms].map(ms));
            row.push(track.mean_score.map_or_else(dash, |score| format!("{score:.3}")));
            row
        };
        let mut rows = vec![row("stable", &tracks.stable)];
        rows.extend(has_canary.then(|| row("canary", &tracks.canary)));
        self.table(&header, &rows, &[0]);
    }

    /// A row per metric.
    pub fn metrics(&mut self, rows: &[MetricRow]) {
        if rows.is_empty() {
            return;
        }
        let mut shown = COLUMNS.to_vec();
        for left_out in [None, Some("canary"), Some("stable"), Some("role"), Some("interval")] {
            shown.retain(|column| Some(*column) != left_out);
            let is_last = left_out == Some("interval");
            let cells: Vec<Vec<String>> = rows.iter().map(|row| cells_of(row, &shown)).collect();
            let widths = widths(&shown, &cells);
            if is_last || widths.iter().sum::<usize>() + GAP * (shown.len() - 1) <= self.width {
                let left = ["metric", "role", "state"];
                let left = (0..shown.len()).filter(|place| left.contains(&shown[*place]));
                return self.table(&shown, &cells, &left.collect::<Vec<_>>());
            }
        }
    }

    /// Prediction quality by labels; nothing before the first label.
    pub fn quality(&mut self, status: &Status) {
        let Some(quality) = &status.quality else { return };
        if quality.stable.labels + quality.canary.labels == 0 {
            return;
        }
        type Figure = fn(&TrackQuality) -> Option<f64>;
        let of_classes: [(&str, Figure); 5] = [
            ("log loss", |it| it.log_loss),
            ("brier", |it| it.brier),
            ("accuracy", |it| it.accuracy),
            ("auc", |it| it.auc),
            ("calibration", |it| it.calibration_error),
        ];
        let of_scores: [(&str, Figure); 3] =
            [("RMSE", |it| it.rmse), ("MAE", |it| it.mae), ("mean error", |it| it.mean_error)];
        let both = [&quality.stable, &quality.canary];
        let is_known = |figure: &&(&str, Figure)| both.iter().any(|it| figure.1(it).is_some());
        let known: Vec<_> = of_classes.iter().chain(&of_scores).filter(is_known).collect();
        let row = |name: &str, track: &TrackQuality| {
            let numbers = known
                .iter()
                .map(|(_, figure)| figure(track).map_or_else(dash, |it| format!("{it:.4}")));
            let first = [name.to_owned(), grouped(track.labels)];
            first.into_iter().chain(numbers).collect::<Vec<String>>()
        };
        let names = known.iter().map(|(name, _)| *name);
        let header: Vec<&str> = ["", "labels"].into_iter().chain(names).collect();
        self.gap();
        let rows = [row("stable", &quality.stable), row("canary", &quality.canary)];
        self.table(&header, &rows, &[0]);
    }

    /// A table: these columns on the left, the others right-aligned. The last column is wrapped where it does not fit.
    pub fn table(&mut self, header: &[&str], rows: &[Vec<String>], left: &[usize]) {
        let widths = widths(header, rows);
        let before: usize = widths.iter().rev().skip(1).map(|width| width + GAP).sum();
        let room = self.width.saturating_sub(before).max(NARROWEST);
        let line = |cells: &[String]| {
            let mut line = String::new();
            for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                let pad = " ".repeat(width.saturating_sub(display_width(cell)));
                let gap = " ".repeat(if column == 0 { 0 } else { GAP });
                line += &match left.contains(&column) {
                    true => format!("{gap}{cell}{pad}"),
                    false => format!("{gap}{pad}{cell}"),
                };
            }
            line.trim_end().to_owned()
        };
        let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
        self.lines.push(styled(show::FAINT, line(&header)));
        for row in rows {
            let Some((last, others)) = row.split_last() else { continue };
            let options = Options::new(room).word_splitter(WordSplitter::NoHyphenation);
            let mut parts = textwrap::wrap(last, options).into_iter().map(|part| part.into_owned());
            let first = parts.next().unwrap_or_default();
            self.lines.push(line(&[others, &[first]].concat()));
            self.lines.extend(parts.map(|part| format!("{}{part}", " ".repeat(before))));
        }
    }

    /// Prints the page.
    pub fn print(&self) {
        for line in &self.lines {
            outln!("{line}");
        }
    }
}

/// The columns of the metrics, if there is room for all.
pub(super) const COLUMNS: [&str; 8] =
    ["metric", "role", "difference", "interval", "margin", "canary", "stable", "state"];

/// The cells of a metric in these columns. Without the column of roles, the state names a role that is not the usual.
pub(super) fn cells_of(row: &MetricRow, columns: &[&str]) -> Vec<String> {
    let text = |cell: &Option<String>| cell.clone().unwrap_or_default();
    let cell = |column: &&str| match *column {
        "metric" => row.metric.clone(),
        "role" => row.role.word().to_owned(),
        "difference" => text(&row.difference),
        "interval" => text(&row.interval),
        "margin" => text(&row.margin),
        "canary" => grouped(row.canary_samples),
        "stable" => grouped(row.stable_samples),
        _ if columns.contains(&"role") || row.role == Role::Guardrail => state(row),
        _ => format!("{} ({})", state(row), row.role.word()),
    };
    columns.iter().map(cell).collect()
}

/// The width of each column.
fn widths(header: &[&str], rows: &[Vec<String>]) -> Vec<usize> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| display_width(cell)).chain([header[column].len()]).max().unwrap_or(0)
    };
    (0..header.len()).map(width).collect()
}

fn dash() -> String {
    "-".to_owned()
}

/// The state in its color, with its detail.
pub fn state(row: &MetricRow) -> String {
    let word = styled(show::style_of(row.state.tone()), row.state.word());
    row.detail.as_ref().map_or_else(|| word.clone(), |detail| format!("{word}: {detail}"))
}
