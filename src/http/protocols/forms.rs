//! The forms in which KServe v1, Vertex AI and MLflow send rows in JSON.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error as _;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

use super::cells::Cell;
use super::cells::Data;
use super::cells::rows_of;
use super::cells::rows_to_make;
use super::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::reading::fields::Text;
use crate::http::reading::rows::InstancesSeed;
use crate::http::reading::rows::MAX_ROWS;
use crate::http::reading::rows::out_of_range;
use crate::model::Features;
use crate::model::Schema;
use crate::model::schema::features::MAX_VALUES;
use crate::model::schema::features::RowSeed;
use crate::model::schema::features::Unknown;
use crate::service::serving::live::Live;
use crate::text::lists::quoted;

/// The body of a request.
pub(super) struct Body<'a> {
    /// The rows, with the name of the member that has them.
    pub(super) rows: Option<(&'static str, Rows<'a>)>,
    pub(super) parameters: Parameters<'a>,
}

/// Rows in one of the forms.
pub(super) enum Rows<'a> {
    /// Row by row.
    Listed(Vec<Features<'a>>),
    /// Column by column.
    Columns(Vec<(Cow<'a, str>, Data<'a>)>),
    /// As pandas writes a table with `orient="split"`.
    Split(Split<'a>),
}

/// A table of pandas.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Split<'a> {
    #[serde(borrow)]
    columns: Option<Vec<Column<'a>>>,
    #[serde(borrow)]
    data: Table<'a>,
    #[serde(rename = "index")]
    _index: Option<IgnoredAny>,
}

/// A column: a name, or a number where pandas has no names.
#[derive(Deserialize)]
#[serde(untagged, expecting = "not a column; use a name")]
enum Column<'a> {
    Name(#[serde(borrow)] Cow<'a, str>),
    Number(usize),
}

/// Which members a protocol has.
#[derive(Clone, Copy)]
pub(super) struct BodySeed<'s> {
    /// The members of rows; one of them is sent.
    pub(super) forms: &'static [&'static str],
    /// The member of parameters.
    pub(super) parameters: &'static str,
    /// A member without a meaning here.
    pub(super) ignored: Option<&'static str>,
    pub(super) row: RowSeed<'s>,
    pub(super) unknown: Unknown,
}

impl<'de> DeserializeSeed<'de> for BodySeed<'_> {
    type Value = Body<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for BodySeed<'_> {
    type Value = Body<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut body, mut has_parameters) =
            (Body { rows: None, parameters: Parameters::default() }, false);
        while let Some(Text(name)) = members.next_key()? {
            let Some(form) = self.forms.iter().find(|form| **form == name) else {
                if name == self.parameters {
                    if std::mem::replace(&mut has_parameters, true) {
                        return Err(A::Error::duplicate_field(self.parameters));
                    }
                    body.parameters = members.next_value()?;
                } else if self.ignored == Some(&*name) || self.unknown == Unknown::Skipped {
                    let IgnoredAny = members.next_value()?;
                } else {
                    return Err(A::Error::custom(format_args!(
                        "{} is not a member of this body; send one of {}, and {}",
                        quoted(&name),
                        self.forms.join(", "),
                        self.parameters
                    )));
                }
                continue;
            };
            if let Some((other, _)) = body.rows {
                return Err(A::Error::custom(format_args!(
                    "{form} excludes {other}; send one of them"
                )));
            }
            let rows = match *form {
                "dataframe_split" => Rows::Split(members.next_value()?),
                "inputs" => members.next_value_seed(InputsSeed(self.row))?,
                _ => Rows::Listed(members.next_value_seed(InstancesSeed(self.row))?),
            };
            body.rows = Some((form, rows));
        }
        Ok(body)
    }
}

/// Reads a list of rows, or an object of columns.
struct InputsSeed<'s>(RowSeed<'s>);

impl<'de> DeserializeSeed<'de> for InputsSeed<'_> {
    type Value = Rows<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for InputsSeed<'_> {
    type Value = Rows<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array of rows, or an object of columns")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        InstancesSeed(self.0).visit_seq(seq).map(Rows::Listed)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut columns = Vec::new();
        while let Some(Text(name)) = map.next_key()? {
            columns.push((name, map.next_value()?));
        }
        Ok(Rows::Columns(columns))
    }
}

/// 1 to 10,000 rows of cells.
struct Table<'a>(Vec<Vec<Cell<'a>>>);

impl<'de: 'a, 'a> Deserialize<'de> for Table<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Table<'a>, D::Error> {
        deserializer.deserialize_seq(TableVisitor)
    }
}

struct TableVisitor;

impl<'de> Visitor<'de> for TableVisitor {
    type Value = Table<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(Data { cells, lengths }) = seq.next_element()? {
            if rows.len() == MAX_ROWS {
                return Err(A::Error::custom(out_of_range(format_args!("more than {MAX_ROWS}"))));
            }
            if lengths.len() > 1 {
                return Err(A::Error::custom("a row has arrays in it; send its values"));
            }
            if cells.len() > MAX_VALUES {
                return Err(A::Error::custom("the row has more values than any model takes"));
            }
            rows.push(cells);
        }
        if rows.is_empty() { Err(A::Error::custom(out_of_range(0))) } else { Ok(Table(rows)) }
    }
}

impl<'a> Rows<'a> {
    /// The rows as the service takes them.
    ///
    /// # Errors
    /// Names the column or the row that does not fit the others.
    pub(super) fn rows(
        self,
        member: &str,
        live: &Live,
        unknown: Unknown,
    ) -> Result<Vec<Features<'a>>, Problem> {
        let read = match self {
            Rows::Listed(rows) => return Ok(rows),
            Rows::Columns(columns) => by_column(columns, live, unknown),
            Rows::Split(Split { columns: Some(columns), data, .. }) if has_names(&columns) => {
                by_name(columns, data, live, unknown)
            }
            Rows::Split(Split { data: Table(rows), .. }) => {
                let schema = live.stable.inference.model().schema();
                return Ok(rows.into_iter().map(|row| by_position(row, schema)).collect());
            }
        };
        read.map_err(|what| Problem::field(format_args!("{member}{what}")))
    }
}

/// Whether columns have names: without them pandas counts from 0.
fn has_names(columns: &[Column<'_>]) -> bool {
    let is_counted = |(place, column): (usize, &Column<'_>)| matches!(column, Column::Number(it) if *it == place);
    !columns.iter().enumerate().all(is_counted)
}

fn by_position<'a>(row: Vec<Cell<'a>>, schema: &Schema) -> Features<'a> {
    let cells = row.into_iter().enumerate();
    Features::Ordered(cells.map(|(at, cell)| cell.value_of(|| schema.features().get(at))).collect())
}

fn by_name<'a>(
    columns: Vec<Column<'a>>,
    Table(rows): Table<'a>,
    live: &Live,
    unknown: Unknown,
) -> Result<Vec<Features<'a>>, String> {
    let schema = live.intake.layout().joint.schema();
    let name = |column| match column {
        Column::Name(name) => name,
        Column::Number(number) => Cow::Owned(number.to_string()),
    };
    let names: Vec<Cow<'a, str>> = columns.into_iter().map(name).collect();
    let is_taken = |name: &str| unknown == Unknown::Kept || live.intake.accepts(name);
    let columns: Vec<_> =
        names.iter().map(|name| is_taken(name).then(|| (name, schema.feature(name)))).collect();
    let row = |(number, row): (usize, Vec<Cell<'a>>)| {
        if row.len() != columns.len() {
            return Err(format!(
                ".data[{number}]: {} values for {} columns; send a value for each",
                row.len(),
                columns.len()
            ));
        }
        let pairs = columns.iter().zip(row).filter_map(|(column, cell)| {
            let (name, feature) = (*column)?;
            Some((name.clone(), cell.value_of(|| feature)))
        });
        Ok(Features::Named(pairs.collect()))
    };
    let taken = columns.iter().flatten().map(|(name, _)| &***name);
    let count = rows_to_make(taken, rows.len(), live);
    rows.into_iter().enumerate().take(count).map(row).collect()
}

fn by_column<'a>(
    columns: Vec<(Cow<'a, str>, Data<'a>)>,
    live: &Live,
    unknown: Unknown,
) -> Result<Vec<Features<'a>>, String> {
    let rows = columns.first().map_or(0, |(_, data)| data.cells.len());
    if !(1..=MAX_ROWS).contains(&rows) {
        return Err(format!(": {}", out_of_range(rows)));
    }
    let mut taken = Vec::with_capacity(columns.len());
    for (name, Data { cells, lengths }) in columns {
        if !matches!(lengths.as_slice(), [_] | [_, 1]) {
            return Err(format!(".{}: a list of lists; send a list of values", quoted(&name)));
        }
        if cells.len() != rows {
            return Err(format!(
                ".{}: {} values, and the first column has {rows}; send as many",
                quoted(&name),
                cells.len()
            ));
        }
        if unknown == Unknown::Kept || live.intake.accepts(&name) {
            taken.push((name, cells));
        }
    }
    Ok(rows_of(taken, rows, live))
}
