//! CSV file as named columns of trimmed text.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use csv::ErrorKind;
use csv::StringRecord;

use super::error::DatasetError;
use crate::text::lists::did_you_mean;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// The columns of a file, and the line number of each row.
pub(super) struct Table {
    /// Names and fields, in header order.
    pub(super) columns: Vec<(String, Vec<String>)>,
    /// Line number of each row, from 1.
    pub(super) lines: Vec<u64>,
}

impl Table {
    /// Reads the whole file.
    pub(super) fn read(path: &Path) -> Result<Self, DatasetError> {
        let unreadable = |cause| DatasetError::Unreadable { cause };
        let file = File::open(path).map_err(unreadable)?;
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(BufReader::new(file));
        let refusal = |error: csv::Error| match error.into_kind() {
            ErrorKind::Utf8 { pos, .. } => {
                DatasetError::NotUtf8 { line: pos.map_or(1, |position| position.line()) }
            }
            ErrorKind::UnequalLengths { pos, expected_len, len } => DatasetError::Ragged {
                line: pos.map_or(1, |position| position.line()),
                found: len,
                expected: expected_len,
            },
            ErrorKind::Io(cause) => unreadable(cause),
            other => unreadable(std::io::Error::other(format!("{other:?}"))),
        };
        let header = reader.headers().map_err(refusal)?;
        let mut table = Self::with_header(header)?;
        for record in reader.records() {
            table.push(&record.map_err(refusal)?);
        }
        Ok(table)
    }

    fn with_header(header: &StringRecord) -> Result<Self, DatasetError> {
        let mut columns: Vec<(String, Vec<String>)> = Vec::with_capacity(header.len());
        for (index, name) in header.iter().enumerate() {
            if name.is_empty() {
                return Err(DatasetError::BlankHeader { position: index + 1 });
            }
            if columns.iter().any(|(other, _)| other == name) {
                return Err(DatasetError::DuplicateHeader { name: quoted(name) });
            }
            columns.push((name.to_owned(), Vec::new()));
        }
        if columns.is_empty() {
            return Err(DatasetError::NoRows);
        }
        Ok(Self { columns, lines: Vec::new() })
    }

    fn push(&mut self, record: &StringRecord) {
        self.lines.push(record.position().map_or(0, |position| position.line()));
        for ((_, fields), field) in self.columns.iter_mut().zip(record) {
            fields.push(field.to_owned());
        }
    }

    /// Removes a column.
    pub(super) fn take(&mut self, name: &str) -> Option<Vec<String>> {
        let index = self.columns.iter().position(|(other, _)| other == name)?;
        Some(self.columns.remove(index).1)
    }

    /// The error of an option that names an unknown column.
    pub(super) fn unknown(&self, option: &'static str, name: &str) -> DatasetError {
        let names = || self.columns.iter().map(|(name, _)| name.as_str());
        DatasetError::UnknownColumn {
            option,
            name: quoted(name),
            suggestion: did_you_mean(name, names()),
            names: listed(names()),
        }
    }
}
