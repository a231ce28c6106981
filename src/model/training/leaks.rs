//! Columns that predict the target alone: usually known only afterwards, or the target under another name.

use crate::model::artifact::report::area_under_curve;
use crate::model::dataset::Classes;
use crate::model::dataset::Column;
use crate::model::dataset::ColumnValues;
use crate::model::dataset::Dataset;
use crate::model::dataset::Labels;
use crate::text::lists::quoted;

/// Area under the curve from which on a column alone is suspicious.
const SUSPICIOUS_AUC: f64 = 0.999;

/// Rows that are looked at, which finds such an area within a few thousandths.
const MAX_ROWS: usize = 10_000;

/// A category with fewer rows per level fits any target by chance.
const ROWS_PER_LEVEL: usize = 10;

/// A class of fewer than one in so many rows is not looked at.
const ROWS_PER_CLASS: usize = 20;

/// One warning per column that alone predicts the target, or one class of many.
pub(crate) fn warnings(dataset: &Dataset, rows: &[usize]) -> Vec<String> {
    let every = rows.len().div_ceil(MAX_ROWS).max(1);
    let rows: Vec<usize> = rows.iter().copied().step_by(every).collect();
    let questions: Vec<(String, Vec<bool>)> = match dataset.labels() {
        Labels::Two { of_rows, .. } => {
            vec![("the target".to_owned(), rows.iter().map(|row| of_rows[*row]).collect())]
        }
        Labels::Many(Classes { names, of_rows }) => {
            let of_class = |(class, name): (usize, &String)| {
                let is_class = |row: &usize| usize::from(of_rows[*row]) == class;
                (format!("the class {}", quoted(name)), rows.iter().map(is_class).collect())
            };
            names.iter().enumerate().map(of_class).filter(is_frequent).collect()
        }
    };
    let of_column = |column| {
        questions.iter().find_map(|(what, outcomes)| warning(column, &rows, what, outcomes))
    };
    dataset.columns().iter().filter_map(of_column).collect()
}

/// Whether a class has rows enough that a column does not tell them apart by chance.
fn is_frequent((_, outcomes): &(String, Vec<bool>)) -> bool {
    let own = outcomes.iter().filter(|outcome| **outcome).count();
    own >= ROWS_PER_LEVEL && own * ROWS_PER_CLASS >= outcomes.len()
}

fn warning(column: &Column, rows: &[usize], what: &str, outcomes: &[bool]) -> Option<String> {
    let scores = match &column.values {
        ColumnValues::Numeric(numbers) => {
            let known = || rows.iter().map(|row| numbers[*row]).filter(|number| !number.is_nan());
            let mean = known().sum::<f64>() / known().count().max(1) as f64;
            let filled = |number: f64| if number.is_nan() { mean } else { number };
            rows.iter().map(|row| filled(numbers[*row])).collect()
        }
        ColumnValues::Categorical(words) => {
            if words.texts().len() * ROWS_PER_LEVEL > rows.len() {
                return None;
            }
            let mut counts = vec![[0.0, 0.0]; words.texts().len() + 1];
            let level = |row: usize| words.code(row).unwrap_or(words.texts().len());
            for (row, outcome) in rows.iter().zip(outcomes) {
                counts[level(*row)][usize::from(*outcome)] += 1.0;
            }
            let share = |[no, yes]: [f64; 2]| yes / (no + yes);
            rows.iter().map(|row| share(counts[level(*row)])).collect::<Vec<f64>>()
        }
    };
    let auc = area_under_curve(outcomes, &scores)?;
    let (shown, auc) = (quoted(&column.name), auc.max(1.0 - auc));
    (auc > SUSPICIOUS_AUC).then(|| {
        format!(
            "column {shown}: alone it predicts {what} (AUC {auc:.4}); if it is known only afterwards, \
             exclude it with --drop '{}'",
            column.name
        )
    })
}
