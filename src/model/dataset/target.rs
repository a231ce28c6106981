//! The target: which rows are of which class.

use super::cells::CellValues;
use super::cells::Cells;
use super::cells::MAX_TEXTS;
use super::cells::Text;
use super::classes;
use super::classes::Classes;
use super::classes::Labels;
use super::classes::number;
use super::classes::same_number;
use super::columns::Column;
use super::columns::ColumnValues;
use super::error::DatasetError;
use super::options::DatasetOptions;
use super::words::Words;
use crate::model::schema::Missing;
use crate::text::lists::did_you_mean;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// Pairs of values whose second one counts as 1 without being named; compared in lower case.
const USUAL_PAIRS: [[&str; 2]; 6] = [
    ["no", "yes"],
    ["n", "y"],
    ["false", "true"],
    ["f", "t"],
    ["negative", "positive"],
    ["-", "+"],
];

/// The classes of the rows.
pub(super) struct Target {
    /// The class of each labeled row.
    pub(super) labels: Labels,
    /// Whether a row is labeled; empty if all are.
    labeled: Vec<bool>,
}

/// Finds the classes; adds to the notes which rows and values were put together.
pub(super) fn labels(
    cells: Cells,
    options: &DatasetOptions,
    notes: &mut Vec<String>,
) -> Result<Target, DatasetError> {
    let target = quoted(&options.target);
    let codes = match &cells.values {
        CellValues::Codes(codes) => codes,
        CellValues::Numbers(_) => {
            return Err(DatasetError::regression(
                &options.target,
                format!("more than {MAX_TEXTS}"),
            ));
        }
        CellValues::Discarded => {
            return Err(DatasetError::TooManyClasses {
                target,
                different: format!("more than {MAX_TEXTS}"),
            });
        }
    };
    let missing = missing_in(&cells, &options.missing);
    let is_missing = |text: &Text| missing.is(&text.text);
    let known: Vec<&Text> = cells.texts.iter().filter(|text| !is_missing(text)).collect();
    match known[..] {
        [] => return Err(DatasetError::NoTarget { target }),
        [only] if options.positive.is_none() => {
            let value = quoted(&only.text);
            return Err(DatasetError::OneValue { target, value, rows: only.rows });
        }
        _ => {}
    }
    let unlabeled = || cells.texts.iter().filter(|text| is_missing(text));
    let rows: usize = unlabeled().map(|text| text.rows).sum();
    if let Some(first) = unlabeled().next().filter(|_| !options.skips_unlabeled) {
        let is_blank = first.text.is_empty();
        let found = match is_blank {
            true => "blank".to_owned(),
            false => format!("{}, which counts as missing", quoted(&first.text)),
        };
        let or = if is_blank { "" } else { ", or --missing-only '' if it is a class" };
        return Err(DatasetError::BlankTarget { target, found, or, line: first.line, rows });
    }
    let mut values: Vec<&str> = known.iter().map(|text| &*text.text).collect();
    values.sort_unstable();
    let positive = match &options.positive {
        Some(positive) => Some(named(&values, positive, &target)?),
        None => usual(&values),
    };
    if rows > 0 {
        let of_all = format!("{rows} of {} rows", codes.len());
        notes.push(format!("target {target}: {of_all} have none and are left out"));
    }
    // Of each row, by its class, if it has one.
    let of_rows = |class: &dyn Fn(&str) -> usize| {
        let of_text = |text: &Text| (!is_missing(text)).then(|| class(&text.text));
        let classes: Vec<Option<usize>> = cells.texts.iter().map(of_text).collect();
        codes.iter().map(|code| classes[*code as usize]).collect::<Vec<Option<usize>>>()
    };
    let (classes, labels) = match positive {
        Some(positive) => {
            let is_positive = |value: &str| value == positive || same_number(value, &positive);
            note_others(&target, &values, &positive, &is_positive, notes);
            let classes = of_rows(&|value| usize::from(is_positive(value)));
            let of_rows = classes.iter().flatten().map(|class| *class == 1).collect();
            (classes, Labels::Two { positive, of_rows })
        }
        None => {
            let names = classes::names(options, &values, notes)?;
            let place = |value: &str| place_of(value, &names).unwrap_or_default();
            let classes = of_rows(&place);
            // There are at most a hundred.
            let of_rows = classes.iter().flatten().map(|class| *class as u8).collect();
            (classes, Labels::Many(Classes { names, of_rows }))
        }
    };
    let labeled = match rows > 0 {
        true => classes.iter().map(Option::is_some).collect(),
        false => Vec::new(),
    };
    Ok(Target { labels, labeled })
}

/// The place of a value among the names of classes; numbers are compared as numbers.
fn place_of(value: &str, names: &[String]) -> Option<usize> {
    let exact = names.iter().position(|name| name == value);
    exact.or_else(|| names.iter().position(|name| same_number(name, value)))
}

/// Notes which values count as 0, if there are several.
fn note_others(
    target: &str,
    values: &[&str],
    positive: &str,
    is_positive: &dyn Fn(&str) -> bool,
    notes: &mut Vec<String>,
) {
    let others: Vec<&str> = values.iter().copied().filter(|value| !is_positive(value)).collect();
    if others.len() > 1 && !others.iter().all(|other| same_number(other, others[0])) {
        let (words, positive) = (listed(others), quoted(positive));
        notes.push(format!(
            "target {target}: {words} all count as 0, since only {positive} counts as 1"
        ));
    }
}

/// The texts that are missing in the target: the usual ones only if two other values are left, since a
/// target of `None` and `Severe` has two classes.
fn missing_in(cells: &Cells, missing: &Missing) -> Missing {
    let known = cells.texts.iter().filter(|text| !missing.is(&text.text)).count();
    if known < 2 { missing.without_usual() } else { missing.clone() }
}

/// The positive value as the file writes it. Numbers are compared as numbers.
fn named(values: &[&str], positive: &str, target: &str) -> Result<String, DatasetError> {
    let exact = values.iter().find(|value| **value == positive);
    let found = exact.or_else(|| values.iter().find(|value| same_number(value, positive)));
    found.map(|found| (*found).to_owned()).ok_or_else(|| DatasetError::PositiveAbsent {
        target: target.to_owned(),
        positive: quoted(positive),
        suggestion: did_you_mean(positive, values.iter().copied()),
        values: listed(values.iter().copied()),
    })
}

/// The positive value of a target that is a usual pair, or 0 and 1 in any form; `None` for any other target.
fn usual(values: &[&str]) -> Option<String> {
    let mut numbers: Vec<f64> = values.iter().filter_map(|value| number(value)).collect();
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    let are_numbers = values.iter().all(|value| number(value).is_some());
    if are_numbers && (numbers == [0.0, 1.0] || numbers == [-1.0, 1.0]) {
        let one = values.iter().find(|value| number(value) == Some(1.0));
        return Some((*one.unwrap_or(&"1")).to_owned());
    }
    let lower: Vec<String> = values.iter().map(|value| value.to_lowercase()).collect();
    let is_usual = |pair: &&[&str; 2]| lower.iter().all(|value| pair.contains(&&**value));
    let [_, one] = USUAL_PAIRS.iter().find(is_usual)?;
    let place = lower.iter().position(|value| value == one)?;
    lower.iter().any(|value| value != one).then(|| values[place].to_owned())
}

impl Target {
    /// The outcomes of all rows, of which `known` are those that have one.
    pub(super) fn of_all(&self, known: &[bool]) -> Vec<Option<bool>> {
        if self.labeled.is_empty() {
            return known.iter().copied().map(Some).collect();
        }
        let mut known = known.iter().copied();
        self.labeled.iter().map(|labeled| if *labeled { known.next() } else { None }).collect()
    }

    /// A column without the rows that have no label.
    pub(super) fn labeled_rows(
        &self,
        column: Column,
        options: &DatasetOptions,
    ) -> Result<Column, DatasetError> {
        if self.labeled.is_empty() {
            return Ok(column);
        }
        let Column { name, values } = column;
        let kept =
            || self.labeled.iter().enumerate().filter(|(_, kept)| **kept).map(|(row, _)| row);
        let values = match values {
            ColumnValues::Numeric(numbers) => {
                ColumnValues::Numeric(kept().map(|row| numbers[row]).collect())
            }
            ColumnValues::Categorical(words) => {
                ColumnValues::Categorical(kept().map(|row| words.text(row)).collect::<Words>())
            }
        };
        let is_known = match &values {
            ColumnValues::Numeric(numbers) => numbers.iter().any(|number| !number.is_nan()),
            ColumnValues::Categorical(words) => !words.texts().is_empty(),
        };
        if is_known || options.only.is_some() {
            Ok(Column { name, values })
        } else {
            Err(DatasetError::BlankColumn { name: quoted(&name) })
        }
    }
}
