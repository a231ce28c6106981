//! The metrics as a table with a bar for each, in as many columns as there is room for.

use textwrap::core::display_width;

use super::bars::Glyphs;
use super::canvas::Canvas;
use super::canvas::cut;
use crate::canary::policy::metric::Role;
use crate::cli::show;
use crate::cli::show::plain;
use crate::cli::show::styled;
use crate::service::status::report::axis::Multiples;
use crate::service::status::report::rows::MetricRow;
use crate::service::status::report::rows::MetricState;
use crate::service::status::report::rows::by_urgency;

/// Between two columns.
const GAP: usize = 2;

/// Longer names are cut.
const LONGEST_NAME: usize = 24;

/// A bar with fewer cells says nothing; one with more is not read more easily.
const BAR: [usize; 2] = [17, 61];

/// From this width on there is a column of roles.
const WITH_ROLES: usize = 140;

/// The words under the bars: where each is, in percent of the width.
const PLACES: [(&str, usize); 4] =
    [("worse", 100), ("better", 0), ("stable", 50), ("accepted", 75)];

/// A header and a line for each metric.
pub(super) fn lines(rows: &[MetricRow], canvas: &Canvas) -> Vec<String> {
    let rows = by_urgency(rows);
    if rows.is_empty() {
        return Vec::new();
    }
    let mut left =
        vec![Column::new("metric", &rows, |row| row.metric.clone()).at_most(LONGEST_NAME)];
    let optional = [
        (WITH_ROLES, Column::new("role", &rows, |row| row.role.word().to_owned())),
        (WITH_ROLES, Column::new("stable", &rows, |row| text(&row.stable)).right()),
        (WITH_ROLES, Column::new("canary", &rows, |row| text(&row.canary)).right()),
        (0, Column::new("difference", &rows, |row| text(&row.difference)).right()),
        (100, Column::new("interval", &rows, |row| text(&row.interval)).right()),
        (120, Column::new("accepted", &rows, |row| accepted(row).to_owned()).right()),
    ];
    let shown = optional.into_iter().filter(|(columns, _)| canvas.columns >= *columns);
    left.extend(shown.map(|(_, column)| column));
    let taken: usize = left.iter().map(|column| column.width + GAP).sum();
    let room = canvas.columns.saturating_sub(taken);
    let has_roles = canvas.columns >= WITH_ROLES;
    let longest =
        rows.iter().map(|row| display_width(&plain(&state(row, has_roles)))).max().unwrap_or(0);
    let of_state =
        longest.min(room.saturating_sub(BAR[0] + GAP).max(MetricState::Inconclusive.word().len()));
    // Stable is in the middle of an odd number.
    let cells = (room.saturating_sub(of_state + GAP)).min(BAR[1]).saturating_sub(1) / 2 * 2 + 1;
    let has_bar = cells >= BAR[0] / 2;
    let glyphs = Glyphs::new(canvas.is_utf8);
    let mut lines = vec![styled(show::FAINT, {
        let names = left.iter().map(|column| column.cell(column.name));
        let axis = has_bar.then(|| axis(cells));
        joined(names.chain(axis).chain(["state".to_owned()]))
    })];
    for (place, row) in rows.iter().enumerate() {
        let cells_of_row = left.iter().map(|column| column.cell(&column.cells[place]));
        let multiples = row.numbers.as_ref().and_then(Multiples::of);
        let multiples = multiples.map(|it| if row.is_known() { it } else { it.without_effect() });
        let bar = has_bar.then(|| glyphs.interval(multiples.as_ref(), cells));
        let is_off = row.state == MetricState::Off;
        let text = cut(&plain(&state(row, has_roles)), of_state);
        let word = row.state.word();
        let style = show::style_of(row.state.tone());
        let state = match text.strip_prefix(word) {
            Some(detail) if !is_off => format!("{}{detail}", styled(style, word)),
            Some(_) | None => text,
        };
        let line = joined(cells_of_row.chain(bar).chain([state]));
        lines.push(if is_off { styled(show::FAINT, line) } else { line });
    }
    lines
}

fn joined(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
}

fn text(cell: &Option<String>) -> String {
    cell.clone().unwrap_or_default()
}

/// The accepted margin, whose name is in the header.
fn accepted(row: &MetricRow) -> &str {
    row.pass_margin.as_deref().unwrap_or_default().trim_start_matches("accepted ")
}

/// The word of a state and what it rests on. Where no column does, it names a role that is not the usual.
fn state(row: &MetricRow, has_roles: bool) -> String {
    let word = row.state.word();
    let detail = row.detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
    let role = match row.role == Role::Guardrail || has_roles {
        true => String::new(),
        false => format!(" ({})", row.role.word()),
    };
    format!("{word}{detail}{role}")
}

/// The words of the axis in this many cells, as many as there is room for.
fn axis(cells: usize) -> String {
    let mut line = vec![' '; cells];
    for (word, percent) in PLACES {
        let start = (cells * percent / 100).saturating_sub(word.len() * percent / 100);
        let end = start + word.len();
        let around = start.saturating_sub(1)..(end + 1).min(cells);
        if end <= cells && line.get(around).is_some_and(|there| there.iter().all(|it| *it == ' ')) {
            line.splice(start..end, word.chars());
        }
    }
    line.into_iter().collect()
}

/// A column of text.
struct Column {
    name: &'static str,
    cells: Vec<String>,
    width: usize,
    is_right: bool,
}

impl Column {
    fn new(name: &'static str, rows: &[&MetricRow], cell: fn(&MetricRow) -> String) -> Column {
        let cells: Vec<String> = rows.iter().map(|row| plain(&cell(row)).into_owned()).collect();
        let width = cells.iter().map(|cell| display_width(cell)).chain([name.len()]).max();
        Column { name, cells, width: width.unwrap_or(0), is_right: false }
    }

    fn right(self) -> Column {
        Column { is_right: true, ..self }
    }

    fn at_most(self, width: usize) -> Column {
        Column { width: self.width.min(width), ..self }
    }

    /// A text as wide as the column.
    fn cell(&self, text: &str) -> String {
        let text = cut(text, self.width);
        let pad = " ".repeat(self.width.saturating_sub(display_width(&text)));
        if self.is_right { format!("{pad}{text}") } else { format!("{text}{pad}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_axis_do_not_touch() {
        assert_eq!(axis(61), "better                     stable      accepted         worse");
        assert_eq!(axis(31), "better      stable        worse");
        assert_eq!(axis(9), "    worse");
    }
}
