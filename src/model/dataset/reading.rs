//! CSV file as named columns of cells.

use std::collections::HashSet;
use std::io::BufReader;
use std::io::Read;
use std::sync::Arc;

use csv::ErrorKind;
use csv::StringRecord;

use super::cells::Cells;
use super::cells::NumberReading;
use super::error::DatasetError;
use super::options::DatasetOptions;
use crate::text::lists::did_you_mean;
use crate::text::lists::listed;
use crate::text::lists::quoted;
use crate::text::tables::dialect::Dialect;
use crate::text::tables::encoding;
use crate::text::tables::row_limit::LimitedRows;
use crate::text::tables::row_limit::RowTooLong;

/// The columns of a file.
pub(super) struct Table {
    /// Names and cells, in header order.
    pub(super) columns: Vec<(String, Cells)>,
    /// Number of rows.
    pub(super) rows: usize,
    /// What was recognized.
    pub(super) notes: Vec<String>,
}

impl Table {
    /// Reads everything except the columns to drop. Rows without any value are ignored.
    pub(super) fn read(
        source: impl Read + 'static,
        options: &DatasetOptions,
    ) -> Result<Self, DatasetError> {
        let unreadable = |cause| DatasetError::Unreadable { cause };
        let text = encoding::decoded(source, options.encoding).map_err(unreadable)?;
        let dialect = Dialect::of(&text.head);
        let mut body = BufReader::with_capacity(1 << 16, text.reader);
        let mut preamble = (&mut body).take(dialect.preamble as u64);
        std::io::copy(&mut preamble, &mut std::io::sink()).map_err(unreadable)?;
        let lines_before = u64::from(dialect.preamble > 0);
        let (body, row_start) = LimitedRows::new(body);
        let mut reader =
            csv::ReaderBuilder::new().flexible(true).delimiter(dialect.separator).from_reader(body);
        let refusal = |error: csv::Error, before: u64| match error.into_kind() {
            ErrorKind::Utf8 { pos, .. } => {
                let line = pos.map_or(1, |position| position.line());
                DatasetError::NotUtf8 { line: line + lines_before }
            }
            ErrorKind::Io(cause) if RowTooLong::caused(&cause) => {
                DatasetError::LongRow { line: before + lines_before }
            }
            ErrorKind::Io(cause) => unreadable(cause),
            other => unreadable(std::io::Error::other(format!("{other:?}"))),
        };
        let header = reader.headers().map_err(|error| refusal(error, 1))?;
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let mut index = check(&header)?.then(RowCount::default);
        let kept = kept(&header, options)?;
        let missing = Arc::new(options.missing.clone());
        let mut cells: Vec<Cells> = kept
            .iter()
            .map(|column| {
                let wanted = options.wanted(&header[*column]);
                let has_decimal_comma = dialect.has_decimal_comma;
                let missing = missing.clone();
                let listed = options.listed.get(&header[*column]).cloned().unwrap_or_default();
                Cells::new(NumberReading { has_decimal_comma, wanted, missing, listed })
            })
            .collect();
        let mut rows = 0;
        let mut record = StringRecord::new();
        loop {
            row_start.next();
            let before = reader.position().line();
            if !reader.read_record(&mut record).map_err(|error| refusal(error, before))? {
                break;
            }
            let line = record.position().map_or(0, csv::Position::line) + lines_before;
            if record.iter().all(|field| field.trim().is_empty()) {
                continue;
            }
            if record.len() != header.len() {
                let (found, expected) = (record.len() as u64, header.len() as u64);
                return Err(DatasetError::Ragged { line, found, expected });
            }
            if let Some(count) = &mut index
                && !count.goes_on(record.get(0).unwrap_or_default())
            {
                return Err(DatasetError::BlankHeader { position: 1 });
            }
            for (cells, column) in cells.iter_mut().zip(&kept) {
                cells.push(record.get(*column).unwrap_or_default().trim(), line);
            }
            rows += 1;
        }
        let mut notes = Vec::new();
        if index.is_some() {
            notes.push(
                "the first column has no name and counts the rows: it is left out".to_owned(),
            );
        }
        let names = kept.iter().map(|column| header[*column].clone());
        Ok(Self { columns: names.zip(cells).collect(), rows, notes })
    }

    /// Removes a column.
    pub(super) fn take(&mut self, name: &str) -> Option<Cells> {
        let index = self.columns.iter().position(|(other, _)| other == name)?;
        Some(self.columns.remove(index).1)
    }
}

/// The names in the header, without that of a column that counts the rows.
pub(super) fn header(source: impl Read + 'static) -> Result<Vec<String>, DatasetError> {
    let unreadable = |cause| DatasetError::Unreadable { cause };
    let text = encoding::decoded(source, encoding::Encoding::default()).map_err(unreadable)?;
    let dialect = Dialect::of(&text.head);
    let mut body = BufReader::new(text.reader);
    let mut preamble = (&mut body).take(dialect.preamble as u64);
    std::io::copy(&mut preamble, &mut std::io::sink()).map_err(unreadable)?;
    let (body, _) = LimitedRows::new(body);
    let mut reader = csv::ReaderBuilder::new().delimiter(dialect.separator).from_reader(body);
    let names = reader.headers().map_err(|error| match error.into_kind() {
        ErrorKind::Io(cause) if RowTooLong::caused(&cause) => DatasetError::LongRow { line: 1 },
        ErrorKind::Io(cause) => unreadable(cause),
        _ => DatasetError::NotUtf8 { line: 1 },
    })?;
    let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    check(&names)?;
    Ok(names.into_iter().filter(|name| !name.is_empty()).collect())
}

/// A column that counts the rows, as pandas writes it.
#[derive(Default)]
struct RowCount {
    next: Option<u64>,
}

impl RowCount {
    fn goes_on(&mut self, cell: &str) -> bool {
        let Ok(number) = cell.trim().parse::<u64>() else { return false };
        let expected = self.next.replace(number.saturating_add(1));
        expected.is_none_or(|expected| expected == number)
    }
}

/// Checks that names are unique and not blank; whether the first column may count the rows.
fn check(header: &[String]) -> Result<bool, DatasetError> {
    let is_counted = header.len() > 2 && header[0].is_empty();
    let mut names = HashSet::new();
    for (index, name) in header.iter().enumerate().skip(usize::from(is_counted)) {
        if name.is_empty() && header.len() > 1 {
            return Err(DatasetError::BlankHeader { position: index + 1 });
        }
        if !names.insert(name) {
            return Err(DatasetError::DuplicateHeader { name: quoted(name) });
        }
    }
    if header.iter().all(String::is_empty) {
        return Err(DatasetError::NoRows);
    }
    Ok(is_counted)
}

/// Positions of the columns to keep.
fn kept(header: &[String], options: &DatasetOptions) -> Result<Vec<usize>, DatasetError> {
    let DatasetOptions { target, drop, numeric, categorical, .. } = options;
    let names = || header.iter().map(String::as_str).filter(|name| !name.is_empty());
    let known = |option, name: &String| {
        if names().any(|one| one == name) {
            return Ok(());
        }
        let is_several = options.only.is_none()
            && name.split(',').all(|part| names().any(|one| one == part.trim()));
        let suggestion = if is_several {
            format!(" (repeat --{option} for each column)")
        } else {
            did_you_mean(name, names())
        };
        let (name, names) = (quoted(name), listed(names()));
        Err(DatasetError::UnknownColumn { option, name, suggestion, names })
    };
    if let Some(only) = &options.only {
        if !target.is_empty() {
            known("target", target)?;
        }
        only.iter().try_for_each(|name| known("feature of the model", name))?;
        // In the order of the model, which may be another than that of the file.
        let place = |name: &String| header.iter().position(|one| one == name);
        let target = Some(target).filter(|target| !target.is_empty());
        return Ok(only.iter().chain(target).filter_map(place).collect());
    }
    known("target", target)?;
    for (option, given) in [("drop", drop), ("numeric", numeric), ("categorical", categorical)] {
        given.iter().try_for_each(|name| known(option, name))?;
    }
    if drop.contains(target) {
        return Err(DatasetError::TargetDropped { name: quoted(target) });
    }
    if let Some(name) = numeric.iter().find(|name| categorical.contains(name)) {
        return Err(DatasetError::TwoKinds { name: quoted(name) });
    }
    let is_kept = |index: &usize| !header[*index].is_empty() && !drop.contains(&header[*index]);
    let kept: Vec<usize> = (0..header.len()).filter(is_kept).collect();
    if kept.len() == 1 {
        return Err(DatasetError::NoFeatures { target: quoted(target) });
    }
    Ok(kept)
}
