//! The kind of a column: numbers or words, and what a reader of the report should know about it.
//!
//! A column is numeric if all its known values are numbers. Nearly all is an error, because the exceptions
//! are mistakes or mark missing values; guessing would make words of a quantity.

use std::collections::BTreeSet;

use super::cells::CellValues;
use super::cells::Cells;
use super::cells::MAX_TEXTS;
use super::cells::Text;
use super::cells::mostly;
use super::columns::Column;
use super::columns::ColumnValues;
use super::error::DatasetError;
use super::options::DatasetOptions;
use super::options::Wanted;
use super::sentinels;
use super::words::Words;
use crate::model::schema::Missing;
use crate::text::lists::listed;
use crate::text::lists::quoted;
use crate::text::tables::dialect::is_decimal;
use crate::text::tables::number::is_code;

/// Maximum number of levels of a categorical column.
const MAX_LEVELS: usize = 1_000;

/// A column with more levels than this, and more than half as many as rows, contains identifiers. Also the
/// rows from which on a different whole number in each of them looks like an identifier.
const MIN_IDENTIFIER_LEVELS: usize = 20;

/// With this many different numbers, nine in ten different values, the rest are exceptions, however frequent.
const MIN_DIFFERENT_NUMBERS: usize = 10;

/// A column with its kind; adds to the notes what was decided about it.
pub(super) fn column(
    name: String,
    cells: Cells,
    wanted: Wanted,
    options: &DatasetOptions,
    notes: &mut Vec<String>,
) -> Result<Column, DatasetError> {
    let is_for_model = options.only.is_some();
    let column = Undecided { shown: quoted(&name), cells: &cells, missing: &options.missing };
    let known: Vec<&Text> =
        cells.texts.iter().filter(|text| !cells.reading.is_missing(&text.text)).collect();
    let has_numbers = matches!(cells.values, CellValues::Numbers(_));
    let is_blank =
        known.is_empty() && !has_numbers && !matches!(cells.values, CellValues::Discarded);
    if is_blank && !is_for_model {
        return Err(DatasetError::BlankColumn { name: quoted(&name) });
    }
    let exceptions = column.exceptions(&known);
    column.check_signs(&exceptions, wanted)?;
    let is_numeric = match wanted {
        Wanted::Numeric => true,
        Wanted::Categorical => false,
        Wanted::Any => has_numbers || column.is_numeric(&known, &exceptions),
    };
    if is_numeric && let Some(first) = exceptions.iter().min_by_key(|text| text.line) {
        return Err(if is_for_model {
            column.not_a_number(first)
        } else {
            column.odd(first, wanted)
        });
    }
    notes.extend(column.missing_note(is_numeric));
    let values = if is_numeric {
        notes.extend(column.marked_note());
        let numbers = numbers(cells).ok_or_else(|| too_many(&name, String::new(), 0))?;
        notes.extend(identifier_note(&name, &numbers));
        notes.extend(sentinels::note(&name, &numbers));
        ColumnValues::Numeric(numbers)
    } else {
        notes.extend(column.words_note(&name, &known));
        ColumnValues::Categorical(words(&name, cells, options)?)
    };
    Ok(Column { name, values })
}

/// A column before its kind is decided.
struct Undecided<'c> {
    shown: String,
    cells: &'c Cells,
    missing: &'c Missing,
}

impl Undecided<'_> {
    fn is_number(&self, text: &Text) -> bool {
        self.cells.reading.number(&text.text).is_some()
    }

    /// The known texts that are not numbers.
    fn exceptions<'t>(&self, known: &[&'t Text]) -> Vec<&'t Text> {
        let is_exception =
            |text: &&&Text| !self.is_number(text) && !self.missing.is_among_numbers(&text.text);
        known.iter().filter(is_exception).copied().collect()
    }

    /// Whether the column is numeric: all its values are numbers, or enough of them that the rest count as exceptions. A
    /// column with codes is not.
    fn is_numeric(&self, known: &[&Text], exceptions: &[&Text]) -> bool {
        if exceptions.iter().any(|text| is_code(&text.text)) {
            return false;
        }
        let rows = |texts: &[&Text]| texts.iter().map(|text| text.rows).sum::<usize>();
        let numbers = known.iter().filter(|text| self.is_number(text)).count();
        let different = numbers + exceptions.len();
        numbers > 0
            && (mostly(rows(known) - rows(exceptions), rows(known))
                || numbers >= MIN_DIFFERENT_NUMBERS && mostly(numbers, different))
    }

    /// Refuses numbers with both decimal signs: one of them would be misread, or make words of all.
    fn check_signs(&self, exceptions: &[&Text], wanted: Wanted) -> Result<(), DatasetError> {
        let is_decimal = |text: &&Text| [',', '.'].iter().any(|sign| is_decimal(&text.text, *sign));
        let Some([(first, line), (other, other_line)]) = self.cells.signs.both() else {
            return Ok(());
        };
        if wanted == Wanted::Categorical || !exceptions.iter().all(is_decimal) {
            return Ok(());
        }
        let (first, other) = (quoted(first), quoted(other));
        let (line, other_line) = (*line, *other_line);
        Err(DatasetError::TwoDecimalSigns {
            name: self.shown.clone(),
            line,
            first,
            other_line,
            other,
        })
    }

    fn odd(&self, text: &Text, wanted: Wanted) -> DatasetError {
        let (name, value) = (self.shown.clone(), quoted(&text.text));
        let among = match wanted {
            Wanted::Numeric => "--numeric asks for numbers",
            Wanted::Any | Wanted::Categorical => "nearly all its values are finite numbers",
        };
        let option = text.text.clone();
        DatasetError::OddNumber { name, line: text.line, rows: text.rows, value, among, option }
    }

    fn not_a_number(&self, text: &Text) -> DatasetError {
        let (name, value) = (self.shown.clone(), quoted(&text.text));
        DatasetError::NotANumber { name, line: text.line, rows: text.rows, value }
    }

    /// About texts that are missing without having been named.
    fn missing_note(&self, is_numeric: bool) -> Option<String> {
        let is_missing = |text: &&Text| {
            self.missing.is_usual(&text.text, is_numeric) && !self.missing.is_given(&text.text)
        };
        let texts: Vec<&Text> = self.cells.texts.iter().filter(is_missing).collect();
        let rows: usize = texts.iter().map(|text| text.rows).sum();
        let names = listed(texts.iter().map(|text| text.text.as_str()));
        let shown = &self.shown;
        (rows > 0).then(|| {
            format!("column {shown}: {names} counts as missing, in {rows} rows; change it with --missing-only")
        })
    }

    fn marked_note(&self) -> Option<String> {
        let in_texts = || {
            let marked = self.cells.texts.iter().filter(|text| {
                self.cells.reading.number(&text.text).is_some_and(|(_, is_marked)| is_marked)
            });
            marked.map(|text| text.text.clone()).next()
        };
        let example = self.cells.marked.clone().or_else(in_texts)?;
        let (number, _) = self.cells.reading.number(&example)?;
        let shown = &self.shown;
        Some(format!(
            "column {shown}: {} is read as {number}; send numbers like this",
            quoted(&example)
        ))
    }

    /// About words that could be something else: codes, dates, or numbers in part.
    fn words_note(&self, name: &str, known: &[&Text]) -> Option<String> {
        let shown = &self.shown;
        if let Some(code) = known.iter().find(|text| is_code(&text.text)) {
            return known
                .iter()
                .all(|text| text.text.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| {
                    format!(
                        "column {shown}: codes with leading zeros, such as {}, are categories; \
                         for numbers use --numeric '{name}'",
                        quoted(&code.text)
                    )
                });
        }
        let dates = known.iter().filter(|text| is_date(&text.text)).count();
        if mostly(dates, known.len()) && dates > 0 {
            return Some(format!(
                "column {shown}: dates are not understood, each is a category of its own; derive \
                 numbers from them, such as an age in days, or exclude it with --drop '{name}'"
            ));
        }
        let of_numbers = known.iter().filter(|text| self.is_number(text));
        let rows: usize = of_numbers.clone().map(|text| text.rows).sum();
        let all: usize = known.iter().map(|text| text.rows).sum();
        let word = known.iter().find(|text| !self.is_number(text))?;
        (rows * 2 > all).then(|| {
            format!(
                "column {shown}: {rows} of {all} values are numbers, but {} is not, so that all are \
                 categories; if it marks missing values use --missing",
                quoted(&word.text)
            )
        })
    }
}

/// The numbers of a column without exceptions; NaN where missing.
fn numbers(cells: Cells) -> Option<Vec<f64>> {
    let Cells { texts, values, reading, .. } = cells;
    match values {
        CellValues::Codes(codes) => {
            let number = |text: &Text| reading.number(&text.text).map_or(f64::NAN, |read| read.0);
            let numbers: Vec<f64> = texts.iter().map(number).collect();
            Some(codes.iter().map(|code| numbers[*code as usize]).collect())
        }
        CellValues::Numbers(numbers) => Some(numbers),
        CellValues::Discarded => None,
    }
}

fn words(name: &str, cells: Cells, options: &DatasetOptions) -> Result<Words, DatasetError> {
    let known = || cells.texts.iter().filter(|text| !cells.reading.is_missing(&text.text));
    let rows = match cells.values {
        CellValues::Codes(_) => known().map(|text| text.rows).sum::<usize>(),
        // Texts are no longer counted.
        CellValues::Numbers(_) | CellValues::Discarded => cells.filled,
    };
    let (dates, different) = (known().filter(|text| is_date(&text.text)).count(), known().count());
    let refusal = |levels: String| {
        if dates > 0 && mostly(dates, different) {
            DatasetError::Dates { name: quoted(name), levels, option: name.to_owned() }
        } else {
            too_many(name, levels, rows)
        }
    };
    let CellValues::Codes(codes) = cells.values else {
        return Err(refusal(format!("more than {MAX_TEXTS}")));
    };
    let reading = cells.reading;
    let known = |text: String| (!reading.is_missing(&text)).then_some(text);
    let texts = cells.texts.into_iter().map(|text| known(text.text));
    let words = Words::of_codes(texts.collect(), codes);
    let levels = words.texts().len();
    let identifies = levels > MIN_IDENTIFIER_LEVELS && levels * 2 > rows;
    if options.only.is_none() && (levels > MAX_LEVELS || identifies) {
        return Err(refusal(levels.to_string()));
    }
    Ok(words)
}

fn too_many(name: &str, levels: String, rows: usize) -> DatasetError {
    let option = name.to_owned();
    DatasetError::TooManyLevels { name: quoted(name), levels, rows, max: MAX_LEVELS, option }
}

/// A note if every row has a whole number of its own.
fn identifier_note(name: &str, numbers: &[f64]) -> Option<String> {
    let is_whole =
        numbers.len() >= MIN_IDENTIFIER_LEVELS && numbers.iter().all(|n| n.fract() == 0.0);
    // NaN is not whole. Whole numbers are compared by their bits, in which -0 would be the one exception.
    let different = || numbers.iter().map(|n| n.to_bits()).collect::<BTreeSet<u64>>().len();
    (is_whole && different() == numbers.len()).then(|| {
        format!(
            "column {}: a different whole number in every row; if it identifies rows, exclude it with \
             --drop '{name}'",
            quoted(name)
        )
    })
}

/// Whether a text looks like a date: three groups of digits, one of them a year or all of one or two.
fn is_date(text: &str) -> bool {
    let date = text.split(['T', ' ']).next().unwrap_or_default();
    let Some(separator) = date.chars().find(|c| "-/.".contains(*c)) else { return false };
    let groups: Vec<&str> = date.split(separator).collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let is_short = |length: &usize| (1..=2).contains(length);
    let fits = match lengths[..] {
        [4, ref rest @ ..] | [ref rest @ .., 4 | 2] => rest.len() == 2 && rest.iter().all(is_short),
        _ => false,
    };
    fits && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_digit()))
}
