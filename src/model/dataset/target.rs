//! The target: which rows are of which class.

use super::cells::CellValues;
use super::cells::Cells;
use super::cells::MAX_TEXTS;
use super::cells::Text;
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

/// More different numbers than this are a quantity, not classes.
const MAX_NUMERIC_CLASSES: usize = 20;

/// The classes of the rows.
pub(super) struct Target {
    /// The value that counts as 1.
    pub(super) positive: String,
    /// The outcome of each labeled row.
    pub(super) labels: Vec<bool>,
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
            return Err(DatasetError::Regression {
                target,
                different: format!("more than {MAX_TEXTS}"),
            });
        }
        CellValues::Discarded => {
            return Err(DatasetError::TooManyClasses { target, different: MAX_TEXTS });
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
        return Err(DatasetError::BlankTarget { target, found, line: first.line, rows });
    }
    let mut values: Vec<&str> = known.iter().map(|text| &*text.text).collect();
    values.sort_unstable();
    let positive = match &options.positive {
        Some(positive) => named(&values, positive, &target)?,
        None => usual(&values, &target)?,
    };
    let is_positive = |value: &str| value == positive || same_number(value, &positive);
    if rows > 0 {
        let of_all = format!("{rows} of {} rows", codes.len());
        notes.push(format!("target {target}: {of_all} have none and are left out"));
    }
    let others: Vec<&str> = values.iter().copied().filter(|value| !is_positive(value)).collect();
    if others.len() > 1 && !others.iter().all(|other| same_number(other, others[0])) {
        let (words, positive) = (listed(others), quoted(&positive));
        notes.push(format!(
            "target {target}: {words} all count as 0, since only {positive} counts as 1"
        ));
    }
    let class: Vec<Option<bool>> = cells
        .texts
        .iter()
        .map(|text| (!is_missing(text)).then(|| is_positive(&text.text)))
        .collect();
    let of_rows = || codes.iter().map(|code| class[*code as usize]);
    let labels = of_rows().flatten().collect();
    let labeled =
        if rows > 0 { of_rows().map(|class| class.is_some()).collect() } else { Vec::new() };
    Ok(Target { positive, labels, labeled })
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

/// The positive value of a target that is a usual pair, or 0 and 1 in any form.
fn usual(values: &[&str], target: &str) -> Result<String, DatasetError> {
    let target = target.to_owned();
    let mut numbers: Vec<f64> = values.iter().filter_map(|value| number(value)).collect();
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    let are_numbers = values.iter().all(|value| number(value).is_some());
    if are_numbers && (numbers == [0.0, 1.0] || numbers == [-1.0, 1.0]) {
        let one = values.iter().find(|value| number(value) == Some(1.0));
        return Ok((*one.unwrap_or(&"1")).to_owned());
    }
    if are_numbers && numbers.len() > MAX_NUMERIC_CLASSES {
        return Err(DatasetError::Regression { target, different: numbers.len().to_string() });
    }
    let lower: Vec<String> = values.iter().map(|value| value.to_lowercase()).collect();
    let is_usual = |pair: &&[&str; 2]| lower.iter().all(|value| pair.contains(&&**value));
    if let Some([_, one]) = USUAL_PAIRS.iter().find(is_usual)
        && let Some(place) = lower.iter().position(|value| value == one)
        && lower.iter().any(|value| value != one)
    {
        return Ok(values[place].to_owned());
    }
    let rest = if values.len() > 2 { " (the others count as 0)" } else { "" };
    Err(DatasetError::PositiveUnknown { target, values: listed(values.iter().copied()), rest })
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn same_number(one: &str, other: &str) -> bool {
    number(one).is_some_and(|one| number(other) == Some(one))
}

impl Target {
    /// The outcome of each row; `None` for one without.
    pub(super) fn outcomes(&self) -> Vec<Option<bool>> {
        if self.labeled.is_empty() {
            return self.labels.iter().copied().map(Some).collect();
        }
        let mut known = self.labels.iter().copied();
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
