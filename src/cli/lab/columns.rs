//! From a file to numbers: a column of a CSV file, a JSON array, or one number a line.
//!
//! A value that is missing or no number is an error with its line, never skipped: which values are
//! left out is a decision, and not this program's. A first line that may be names or values is an
//! error, too.

use std::io::Read;

use anyhow::Context;
use anyhow::bail;
use csv::ErrorKind;
use csv::StringRecord;
use serde_json::Value;

use crate::stats::MAX_MAGNITUDE;
use crate::stats::is_recordable;
use crate::text::lists::did_you_mean;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// The name of standard input.
pub const STANDARD_INPUT: &str = "-";

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
    let mut bytes = Vec::new();
    let shown = if path == STANDARD_INPUT {
        std::io::stdin().read_to_end(&mut bytes).context("standard input")?;
        "standard input".to_owned()
    } else {
        bytes = std::fs::read(path).with_context(|| {
            format!("{}: cannot read it; check the path and its permissions", path.escape_debug())
        })?;
        path.escape_debug().to_string()
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = line_at(error.as_bytes(), error.utf8_error().valid_up_to());
        anyhow::anyhow!("{shown}: line {line}: it is not UTF-8 text; save the file as UTF-8")
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
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
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
    let elements: Vec<Value> = serde_json::from_str(text).map_err(|cause| {
        anyhow::anyhow!(
            "it begins like JSON but is not an array of numbers ({cause}); use [0.87, 0.85]"
        )
    })?;
    let mut values = Vec::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        let place = || format!("element {} of the array", index + 1);
        let found = match (element, column) {
            (Value::Object(fields), Some(name)) => fields.get(name).with_context(|| {
                let names = || fields.keys().map(String::as_str);
                let near = did_you_mean(name, names());
                format!(
                    "--column: {} has no {}{near}; it has {}",
                    place(),
                    quoted(name),
                    listed(names())
                )
            })?,
            (Value::Object(_), None) => {
                bail!("{} is an object; choose a field with --column", place())
            }
            (_, Some(name)) => {
                bail!("--column {}: {} is no object; leave --column out", quoted(name), place())
            }
            (element, None) => element,
        };
        let number = found.as_f64().with_context(|| {
            let what = match found {
                Value::String(text) => format!("the text {}", quoted(text)),
                other => quoted(&other.to_string()),
            };
            format!("{} is {what}; use numbers without quotes", place())
        })?;
        values.push(comparable(number, place)?);
    }
    Ok(values)
}

fn of_lines(text: &str, column: Option<&str>) -> anyhow::Result<Vec<f64>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .delimiter(delimiter(text))
        .from_reader(text.as_bytes());
    let mut chosen: Option<Chosen> = None;
    let mut values = Vec::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| refusal(text, error))? {
        let line =
            || record.position().map_or(1, |at| line_at(text.as_bytes(), at.byte() as usize));
        let chosen = match &chosen {
            Some(chosen) => chosen,
            None => {
                let first =
                    Chosen::new(&record, column).with_context(|| format!("line {}", line()))?;
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
            bail!("{}: the value is blank; mend or delete that line", place());
        }
        let number = field.parse().map_err(|_| {
            anyhow::anyhow!(
                "{}: {} is no number; write it like 0.87 or 1e-3",
                place(),
                quoted(field)
            )
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
    /// By the first line and what was asked for: a name or, counted from 1, a position.
    fn new(first: &StringRecord, column: Option<&str>) -> anyhow::Result<Chosen> {
        let is_number = |field: &str| field.parse::<f64>().is_ok();
        let has_names = first.iter().any(|field| !field.is_empty() && !is_number(field));
        let columns = first.len();
        let chosen = |index: usize| {
            if has_names && is_number(&first[index]) {
                bail!(
                    "{} may be a name or the first value, for not all beside it are numbers; if it is \
                     a value, put a line of names above it, and if it is a name, give it another, \
                     like x{0}",
                    quoted(&first[index])
                );
            }
            let header = has_names.then(|| first[index].to_owned());
            Ok(Chosen { index, header })
        };
        let Some(column) = column else {
            // A number with a slip in it is no name: read as one, it would be lost without a word.
            let like_a_number = |c: char| c.is_ascii_digit() || "+-.".contains(c);
            return match columns {
                1 if has_names && first[0].starts_with(like_a_number) => {
                    Ok(Chosen { index: 0, header: None })
                }
                1 => chosen(0),
                _ if has_names => {
                    bail!(
                        "there are {columns} columns; choose one with --column: {}",
                        listed(first)
                    )
                }
                _ => bail!("there are {columns} columns; choose one with --column 1 to {columns}"),
            };
        };
        if let Some(index) = first.iter().position(|name| has_names && name == column) {
            return chosen(index);
        }
        match column.parse::<usize>() {
            Ok(position) if (1..=columns).contains(&position) => chosen(position - 1),
            _ if has_names => bail!(
                "--column: there is no column {}{}; the columns are {}, or 1 to {columns}",
                quoted(column),
                did_you_mean(column, first),
                listed(first)
            ),
            _ => bail!(
                "--column: there is no column {}; the first line holds numbers, not names, so give \
                 1 to {columns}",
                quoted(column)
            ),
        }
    }

    fn named(&self) -> String {
        self.header.as_ref().map_or_else(String::new, |name| format!(", column {}", quoted(name)))
    }
}

fn comparable(number: f64, place: impl Fn() -> String) -> anyhow::Result<f64> {
    if is_recordable(number) {
        return Ok(number);
    }
    bail!(
        "{}: {number:e} cannot be compared; mend or delete it (numbers are finite and at most \
         {MAX_MAGNITUDE:e})",
        place()
    )
}

/// What separates the fields of the first line.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    [b'\t', b';'].into_iter().find(|delimiter| first.as_bytes().contains(delimiter)).unwrap_or(b',')
}

fn refusal(text: &str, error: csv::Error) -> anyhow::Error {
    match error.into_kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.map_or(1, |at| line_at(text.as_bytes(), at.byte() as usize));
            anyhow::anyhow!(
                "line {line}: it has {len} fields, the first line has {expected_len}; mend or delete \
                 that line"
            )
        }
        other => anyhow::anyhow!("it is no CSV file ({other:?}); check the file"),
    }
}

/// The line that what begins at this byte stands on, counted from 1; blank lines before it belong to
/// nobody.
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
            ("\u{feff}score\n0.5\n-1\n2e3\n", None),
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
    fn what_is_no_column_of_numbers_is_named_with_its_line() {
        for (text, column, named) in [
            ("", None, "no values"),
            (" \n\n", None, "no values"),
            ("score\n", None, "no values"),
            ("[]", None, "no values"),
            ("1\n2\n\n\nx\n", None, "line 5: `x` is no number"),
            ("1\n0,5\n", None, "line 2: it has 2 fields, the first line has 1"),
            ("0.8x\n1\n", None, "line 1: `0.8x` is no number"),
            ("1\n \n2\n", None, "line 2: the value is blank"),
            ("1\nNaN\n", None, "line 2: NaN cannot be compared"),
            ("1\n-inf\n", None, "line 2: -inf cannot be compared"),
            ("1\n1e999\n", None, "line 2: inf cannot be compared"),
            ("1\n1e200\n", None, "line 2: 1e200 cannot be compared"),
            ("a,b\n1,2\n3\n", Some("a"), "line 3: it has 1 fields, the first line has 2"),
            ("a,b\n1,2\n,2\n", Some("a"), "line 3, column `a`: the value is blank"),
            ("a,b\n1,2\n\n7,8x\n", Some("b"), "line 4, column `b`: `8x` is no number"),
            ("a,b\n1,2\n", None, "line 1: there are 2 columns; choose one with --column: `a`, `b`"),
            ("1,2\n", None, "choose one with --column 1 to 2"),
            ("score,id\n1,2\n", Some("scorre"), "did you mean `score`?"),
            ("score,id\n1,2\n", Some("3"), "there is no column `3`; the columns are `score`, `id`"),
            ("score,id\n1,2\n", Some("0"), "there is no column `0`"),
            ("1,2\n", Some("score"), "holds numbers, not names"),
            ("a,0.5\nb,-1\nc,2\n", Some("2"), "line 1: `0.5` may be a name or the first value"),
            ("a,2\nb,3\n", Some("2"), "line 1: `2` may be a name or the first value"),
            ("[1, \"2\"]", None, "element 2 of the array is the text `2`"),
            ("[1, null]", None, "element 2 of the array is `null`"),
            ("[1, NaN]", None, "line 1 column"),
            ("[1, 1e999]", None, "out of range"),
            ("[1, 1e200]", None, "element 2 of the array: 1e200 cannot"),
            ("{\"a\": 1}", None, "not an array of numbers"),
            ("[{\"score\": 1}]", None, "choose a field with --column"),
            ("[{\"score\": 1}]", Some("scor"), "did you mean `score`?"),
            ("[1]", Some("score"), "leave --column out"),
        ] {
            let error = format!("{:#}", parsed(text, column).unwrap_err());
            assert!(error.contains(named), "{text:?}: {named:?} is not in {error:?}");
        }
    }
}
