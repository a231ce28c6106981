//! Rows in CSV, with a header, as MLflow sends them, or without one, as SageMaker does.

use std::borrow::Cow;

use csv::StringRecord;

use super::cells::rows_to_make;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::reading::rows::MAX_ROWS;
use crate::http::reading::rows::out_of_range;
use crate::model::Features;
use crate::model::Value;
use crate::model::schema::Feature;
use crate::model::schema::features::MAX_VALUES;
use crate::model::schema::features::Unknown;
use crate::service::serving::live::Live;
use crate::text::tables::number::plain;

const EXAMPLE: &str = "a line of values for each row, below a line with the names of the features";

/// The rows of a body. The first line is a header if it has the name of a feature and no number.
///
/// # Errors
/// Names the line that is not one, or when there are too few or too many.
pub(super) fn read(
    body: &[u8],
    live: &Live,
    unknown: Unknown,
) -> Result<Vec<Features<'static>>, Problem> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body);
    let mut records = reader.records();
    let Some(first) = records.next() else {
        return Err(Problem::new(
            Kind::EmptyBody,
            format_args!("the body is empty; send {EXAMPLE}"),
        ));
    };
    let first = first.map_err(broken)?;
    let columns = if is_header(&first, live) {
        Columns::Named(first.iter().map(|name| name.trim().to_owned()).collect())
    } else {
        Columns::Counted
    };
    let mut rows = Vec::new();
    if matches!(columns, Columns::Counted) {
        rows.push(columns.row(&first, live, unknown)?);
    }
    let most = columns.rows_to_make(live, unknown);
    for record in records.take(most) {
        if rows.len() == MAX_ROWS {
            return Err(Problem::field(out_of_range(format_args!("more than {MAX_ROWS}"))));
        }
        rows.push(columns.row(&record.map_err(broken)?, live, unknown)?);
    }
    if rows.is_empty() {
        return Err(Problem::field(out_of_range(0)));
    }
    Ok(rows)
}

fn broken(cause: csv::Error) -> Problem {
    Problem::field(format_args!("{cause}; send {EXAMPLE}, in UTF-8"))
}

fn is_header(first: &StringRecord, live: &Live) -> bool {
    first.iter().any(|cell| live.intake.accepts(cell.trim()))
        && !first.iter().any(|cell| plain(cell.trim(), false).is_some())
}

/// What the values of a line belong to.
enum Columns {
    Named(Vec<String>),
    /// Stable's features, in their order.
    Counted,
}

impl Columns {
    /// How many rows to read.
    fn rows_to_make(&self, live: &Live, unknown: Unknown) -> usize {
        match (self, unknown) {
            (Columns::Named(names), Unknown::Kept) => {
                rows_to_make(names.iter().map(String::as_str), usize::MAX, live)
            }
            (Columns::Named(_) | Columns::Counted, _) => usize::MAX,
        }
    }

    fn row(
        &self,
        record: &StringRecord,
        live: &Live,
        unknown: Unknown,
    ) -> Result<Features<'static>, Problem> {
        let line = || record.position().map_or(0, csv::Position::line);
        if record.iter().any(|cell| cell.contains(['\n', '\r'])) {
            return Err(Problem::field(format_args!(
                "line {}: a value with a line break; close its quotes",
                line()
            )));
        }
        if record.len() > MAX_VALUES {
            return Err(Problem::field(format_args!(
                "line {}: {} values; no model takes more than {MAX_VALUES}",
                line(),
                record.len()
            )));
        }
        let Columns::Named(names) = self else {
            let features = live.stable.inference.model().schema().features();
            let cells = record.iter().enumerate();
            return Ok(Features::Ordered(
                cells.map(|(place, cell)| value(cell, features.get(place))).collect(),
            ));
        };
        if record.len() != names.len() {
            return Err(Problem::field(format_args!(
                "line {}: {} values, and the header has {}; send a value for each name",
                line(),
                record.len(),
                names.len()
            )));
        }
        let schema = live.intake.layout().joint.schema();
        let is_taken = |name: &str| unknown == Unknown::Kept || live.intake.accepts(name);
        let pairs = names.iter().zip(record).filter(|(name, _)| is_taken(name));
        let pair = |(name, cell): (&String, _)| {
            (Cow::Owned(name.clone()), value(cell, schema.feature(name)))
        };
        Ok(Features::Named(pairs.map(pair).collect()))
    }
}

/// How pandas and numpy write a missing number.
const MISSING: [&str; 6] = ["nan", "NaN", "NA", "N/A", "null", "None"];

/// The value of a cell. What is neither a number nor a marker of a missing value is refused with its row.
fn value(cell: &str, feature: Option<&Feature>) -> Value<'static> {
    let is_number = feature.is_some_and(|feature| feature.kind.is_numeric());
    if is_number && MISSING.contains(&cell.trim()) {
        return Value::Missing;
    }
    let number = is_number.then(|| plain(cell.trim(), false)).flatten();
    number.map_or_else(|| Value::Text(Cow::Owned(cell.to_owned())), Value::Number)
}
