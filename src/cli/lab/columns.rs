//! Numbers of a file: a column of a CSV file, a JSON array, or one number per line.
//!
//! A value that is missing or not a number is an error with its line and never skipped: the user decides
//! which values are left out. So is a first line that could be names or values.

use std::fs::File;
use std::io::Read;

use anyhow::Context;
use anyhow::bail;
use csv::ErrorKind;
use csv::StringRecord;
use serde_json::Map;
use serde_json::Value;

use crate::stats::MAX_MAGNITUDE;
use crate::stats::is_recordable;
use crate::text::fields;
use crate::text::lists::did_you_mean;
use crate::text::lists::listed;
use crate::text::lists::quoted;
use crate::text::tables::dialect::DecimalSigns;
use crate::text::tables::dialect::Dialect;
use crate::text::tables::encoding::Encoding;
use crate::text::tables::encoding::decoded;
use crate::text::tables::number::number;

/// The name of standard input.
pub const STANDARD_INPUT: &str = "-";

/// Maximum length of a text, packed or not: tens of millions of numbers.
const MAX_BYTES: u64 = 1 << 30;

/// A file that was read, or standard input.
pub struct TextFile {
    shown: String,
    text: String,
}

/// Reads a file, or standard input.
///
/// # Errors
/// When it cannot be read as UTF-8 text.
pub fn read(path: &str) -> anyhow::Result<TextFile> {
    let (decoded, shown) = if path == STANDARD_INPUT {
        (decoded(std::io::stdin(), Encoding::Utf8), "standard input".to_owned())
    } else {
        let file = File::open(path);
        let shown = path.escape_debug().to_string();
        (file.and_then(|file| decoded(file, Encoding::Utf8)), shown)
    };
    let mut bytes = Vec::new();
    decoded
        .and_then(|text| text.reader.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {shown}; check the path and its permissions"))?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("{shown}: more than {} MiB of text; compare a sample of it", MAX_BYTES >> 20);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = line_at(error.as_bytes(), error.utf8_error().valid_up_to());
        anyhow::anyhow!("{shown}: line {line}: not UTF-8 text; save the file as UTF-8")
    })?;
    Ok(TextFile { shown, text })
}

impl TextFile {
    /// The numbers of a column; of the only one if none is named.
    ///
    /// # Errors
    /// When the column is missing, or a value in it is not a number.
    pub fn numbers(&self, column: Option<&str>) -> anyhow::Result<Vec<f64>> {
        parsed(&self.text, column).with_context(|| self.shown.clone())
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The numbers in a text.
fn parsed(text: &str, column: Option<&str>) -> anyhow::Result<Vec<f64>> {
    if text.trim().is_empty() {
        bail!("there are no values; use at least one");
    }
    let values = match text.trim_start().bytes().next() {
        Some(b'[' | b'{') => of_json(text, column)?,
        _ => of_lines(text, column)?,
    };
    if values.is_empty() {
        bail!("there are no values; use at least one");
    }
    Ok(values)
}

fn of_json(text: &str, column: Option<&str>) -> anyhow::Result<Vec<f64>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let values: Vec<f64> = match column {
        None => fields::read(&mut json)
            .context("not a JSON array of numbers; for objects choose a field with --column")?,
        Some(name) => {
            let rows: Vec<Map<String, Value>> = fields::read(&mut json)
                .context("not a JSON array of objects; leave out --column for numbers")?;
            let rows = rows.iter().enumerate();
            rows.map(|(index, row)| of_object(row, name).with_context(|| format!("[{index}]")))
                .collect::<anyhow::Result<_>>()?
        }
    };
    json.end().context("not a single JSON array")?;
    for (index, value) in values.iter().enumerate() {
        comparable(*value, || format!("[{index}]"))?;
    }
    Ok(values)
}

fn of_object(row: &Map<String, Value>, name: &str) -> anyhow::Result<f64> {
    let names = || row.keys().map(String::as_str);
    let value = row.get(name).with_context(|| {
        let near = did_you_mean(name, names());
        format!("--column: {} is not a field{near}; use one of {}", quoted(name), listed(names()))
    })?;
    Ok(fields::read(value).map_err(|error| error.within(name))?)
}

fn of_lines(text: &str, column: Option<&str>) -> anyhow::Result<Vec<f64>> {
    let dialect = Dialect::of(text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .delimiter(dialect.separator)
        .from_reader(&text.as_bytes()[dialect.preamble..]);
    let start = |at: &csv::Position| at.byte() as usize + dialect.preamble;
    let mut chosen: Option<Chosen> = None;
    let mut values = Vec::new();
    let mut signs = DecimalSigns::default();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| refusal(text, dialect, error))? {
        let line = || record.position().map_or(1, |at| line_at(text.as_bytes(), start(at)));
        let chosen = match &chosen {
            Some(chosen) => chosen,
            None => {
                let first = Chosen::new(&record, column, dialect)
                    .with_context(|| format!("line {}", line()))?;
                let first = chosen.insert(first);
                if first.header.is_some() {
                    continue;
                }
                first
            }
        };
        let field = record.get(chosen.index).unwrap_or_default();
        let place = || format!("line {}{}", line(), chosen.named());
        if field.is_empty() {
            bail!("{}: the value is blank; correct or delete the line", place());
        }
        signs.see(field, || line() as u64);
        if let Some([(first, line), (other, other_line)]) = signs.both() {
            bail!(
                "line {line}{} has {}, and {} in line {other_line}; write the numbers with one decimal sign",
                chosen.named(),
                quoted(first),
                quoted(other)
            );
        }
        // NaN and inf are numbers out of range.
        let of_text = || field.parse().ok().filter(|number: &f64| !number.is_finite());
        let read = number(field, dialect.has_decimal_comma).map(|read| read.0).or_else(of_text);
        let number = read.with_context(|| {
            format!("{}: {} is not a number; use for example 0.87 or 1e-3", place(), quoted(field))
        })?;
        values.push(comparable(number, place)?);
    }
    Ok(values)
}

/// The column that is read.
struct Chosen {
    index: usize,
    /// Its name, if the first line holds names.
    header: Option<String>,
}

impl Chosen {
    /// The column with this name or this position from 1, or the only one.
    fn new(first: &StringRecord, column: Option<&str>, dialect: Dialect) -> anyhow::Result<Chosen> {
        let is_number = |field: &str| {
            field.parse::<f64>().is_ok() || number(field, dialect.has_decimal_comma).is_some()
        };
        // A blank field is not a value, but pandas leaves the index of a Series without a name.
        let has_names = first.iter().any(|field| !is_number(field));
        let columns = first.len();
        let index = match column {
            None if columns > 1 && has_names => {
                bail!("there are {columns} columns; choose one with --column: {}", listed(first))
            }
            None if columns > 1 => {
                bail!("there are {columns} columns; choose one with --column 1 to {columns}")
            }
            // A mistyped number is not a name: as a name it would be dropped silently.
            None if first[0].starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
                return Ok(Chosen { index: 0, header: None });
            }
            None => 0,
            Some(column) => {
                if first.iter().filter(|name| has_names && *name == column).count() > 1 {
                    bail!(
                        "--column: {} occurs more than once; choose one by its position, 1 to {columns}",
                        quoted(column)
                    );
                }
                let named = first.iter().position(|name| has_names && name == column);
                let counted = || column.parse::<usize>().ok().filter(|n| (1..=columns).contains(n));
                named.or_else(|| counted().map(|n| n - 1)).with_context(|| match has_names {
                    true => format!(
                        "--column: {} is not a column{}; use one of {}, or 1 to {columns}",
                        quoted(column),
                        did_you_mean(column, first),
                        listed(first)
                    ),
                    false => format!(
                        "--column: {} is not a column; use 1 to {columns}, because the first line holds \
                         numbers, not names",
                        quoted(column)
                    ),
                })?
            }
        };
        if has_names && is_number(&first[index]) {
            bail!(
                "{} could be a name or the first value, because other fields of the line are not numbers; \
                 add a line of names, or rename the column",
                quoted(&first[index])
            );
        }
        Ok(Chosen { index, header: has_names.then(|| first[index].to_owned()) })
    }

    fn named(&self) -> String {
        self.header.as_ref().map_or_else(String::new, |name| format!(", column {}", quoted(name)))
    }
}

fn comparable(number: f64, place: impl Fn() -> String) -> anyhow::Result<f64> {
    if is_recordable(number) {
        return Ok(number);
    }
    bail!("{}: {number:e} is out of range; use -{MAX_MAGNITUDE:e} to {MAX_MAGNITUDE:e}", place())
}

fn refusal(text: &str, dialect: Dialect, error: csv::Error) -> anyhow::Error {
    match error.into_kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let start = |at: csv::Position| at.byte() as usize + dialect.preamble;
            let line = pos.map_or(1, |at| line_at(text.as_bytes(), start(at)));
            anyhow::anyhow!(
                "line {line} has {len} fields, but the first line has {expected_len}; correct or delete it"
            )
        }
        other => anyhow::anyhow!("not a CSV file ({other:?}); check the file"),
    }
}

/// The line of the record that begins at this byte, from 1, skipping blank lines.
fn line_at(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let blank = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    1 + bytes[..start + blank].iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_same_numbers_is_read() {
        for (text, column) in [
            ("0.5\n-1\n2e3\n", None),
            ("0.5\r\n\r\n-1\r\n2e3", None),
            ("sep=;\nid;score\na;0,5\nb;-1\nc;2000,0\n", Some("score")),
            ("id;score\na;0,5\nb;-1\nc;2.000\n", Some("score")),
            ("id;score\na;0,5\nb;-1,0\nc;2.000,00 €\n", Some("score")),
            ("id;score\na;0.5\nb;-1\nc;2,000\n", Some("score")),
            ("score\n0.5\n-1\n2e3\n", Some("score")),
            ("[0.5, -1, 2e3]", None),
            ("\n [0.5,\n -1, 2000.0]\n", None),
            ("id,score\na,0.5\nb,-1\nc, 2e3 \n", Some("score")),
            ("id,score\na,0.5\nb,-1\nc,2e3\n", Some("2")),
            ("7,0.5\n8,-1\n9,2000\n", Some("2")),
            ("id\tscore\na\t0.5\nb\t-1\nc\t2e3\n", Some("score")),
            ("id;score\na;0.5\nb;-1\nc;2e3\n", Some("score")),
            ("\"the score\",n\n\"0.5\",1\n-1,2\n2e3,3\n", Some("the score")),
            (r#"[{"score": 0.5}, {"score": -1}, {"score": 2e3, "id": 7}]"#, Some("score")),
        ] {
            assert_eq!(parsed(text, column).unwrap(), [0.5, -1.0, 2000.0], "{text:?}");
        }
    }

    #[test]
    fn invalid_files_are_refused_with_the_line() {
        for (text, column, named) in [
            ("", None, "no values"),
            (" \n\n", None, "no values"),
            ("score\n", None, "no values"),
            ("[]", None, "no values"),
            ("1\n2\n\n\nx\n", None, "line 5: `x` is not a number"),
            ("1\n0,5\n", None, "line 2 has 2 fields, but the first line has 1"),
            ("0.8x\n1\n", None, "line 1: `0.8x` is not a number"),
            ("1\n \n2\n", None, "line 2: the value is blank"),
            ("1\nNaN\n", None, "line 2: NaN is out of range"),
            ("1\n-inf\n", None, "line 2: -inf is out of range"),
            ("1\n1e999\n", None, "line 2: inf is out of range"),
            ("1\n1e200\n", None, "line 2: 1e200 is out of range"),
            ("a,b\n1,2\n3\n", Some("a"), "line 3 has 1 fields, but the first line has 2"),
            ("a,b\n1,2\n,2\n", Some("a"), "line 3, column `a`: the value is blank"),
            ("a,b\n1,2\n\n7,8x\n", Some("b"), "line 4, column `b`: `8x` is not a number"),
            ("a,b\n1,2\n", None, "line 1: there are 2 columns; choose one with --column: `a`, `b`"),
            ("1,2\n", None, "choose one with --column 1 to 2"),
            ("score,id\n1,2\n", Some("scorre"), "did you mean `score`?"),
            ("score,id\n1,2\n", Some("3"), "`3` is not a column; use one of `score`, `id`"),
            ("score,id\n1,2\n", Some("0"), "`0` is not a column"),
            ("1,2\n", Some("score"), "holds numbers, not names"),
            ("a,0.5\nb,-1\nc,2\n", Some("2"), "line 1: `0.5` could be a name or the first value"),
            ("a,2\nb,3\n", Some("2"), "line 1: `2` could be a name or the first value"),
            (",0\n0,10.5\n1,11.5\n", Some("2"), "line 1: `0` could be a name or the first value"),
            (
                "v,v\n1,2\n",
                Some("v"),
                "`v` occurs more than once; choose one by its position, 1 to 2",
            ),
            ("sep=;\na;b\n1;2\n3\n", Some("a"), "line 4 has 1 fields"),
            (
                "a;b\n1;1,5\n2;1,25\n3;1.5\n",
                Some("b"),
                "line 2, column `b` has `1,5`, and `1.5` in line 4; write the numbers with one",
            ),
            ("[1, \"2\"]", None, "[1]: \"2\" is not a number"),
            ("[1, null]", None, "[1]: null is not a number"),
            ("[1, NaN]", None, "[1]: expected value"),
            ("[1, 1e999]", None, "out of range"),
            ("[1, 1e200]", None, "[1]: 1e200 is out of range"),
            ("{\"a\": 1}", None, "not a JSON array of numbers"),
            ("[{\"score\": 1}]", None, "choose a field with --column"),
            ("[{\"score\": 1}]", Some("scor"), "did you mean `score`?"),
            ("[1] 2", None, "not a single JSON array"),
            (r#"[{"score": "1"}]"#, Some("score"), "[0]: score: \"1\" is not a number"),
            ("[1]", Some("score"), "leave out --column"),
        ] {
            let error = format!("{:#}", parsed(text, column).unwrap_err());
            assert!(error.contains(named), "{text:?}: {named:?} is not in {error:?}");
        }
    }
}
