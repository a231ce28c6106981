//! Cells of one column while the file is read: codes of few distinct texts, or numbers.
//!
//! No cell is kept as text. A column starts as a dictionary with a code per row, from which its kind can be
//! decided at the end. With more distinct texts than the dictionary takes it must be numbers, and its
//! cells are parsed as they come; the exceptions stay in the dictionary.

use std::collections::HashMap;
use std::sync::Arc;

use super::options::Wanted;
use crate::model::schema::Missing;
use crate::text::tables::dialect::DecimalSigns;
use crate::text::tables::number::is_code;
use crate::text::tables::number::number;

/// Maximum number of distinct texts in the dictionary: several times the levels that a category may have.
pub(super) const MAX_TEXTS: usize = 4_096;

/// A distinct text of a column.
pub(super) struct Text {
    /// The trimmed text; empty for a blank cell.
    pub(super) text: String,
    /// Rows with it.
    pub(super) rows: usize,
    /// Line of the first one.
    pub(super) line: u64,
}

/// How the texts of a column are read as numbers.
#[derive(Clone)]
pub(super) struct NumberReading {
    /// Whether the file writes decimal commas.
    pub(super) has_decimal_comma: bool,
    /// The kind that is asked for. If it is numbers, digits after a zero are one as well, and not a code.
    pub(super) wanted: Wanted,
    /// What means a missing value, also where it is a number, such as -999.
    pub(super) missing: Arc<Missing>,
    /// Words in any case, in ascending order.
    pub(super) listed: Vec<String>,
}

impl NumberReading {
    /// The number, and whether it has marks: grouped thousands, a currency, a percent sign.
    pub(super) fn number(&self, cell: &str) -> Option<(f64, bool)> {
        self.any_number(cell)
            .filter(|(number, _)| !self.is_marker(*number) && !self.missing.is_given(cell))
    }

    /// Whether the text is missing in any column.
    pub(super) fn is_missing(&self, cell: &str) -> bool {
        let is_listed = self.listed.binary_search_by(|word| word.as_str().cmp(cell)).is_ok();
        !is_listed
            && (self.missing.is(cell)
                || self.any_number(cell).is_some_and(|(number, _)| self.is_marker(number)))
    }

    /// The number, also if it means a missing value.
    fn any_number(&self, cell: &str) -> Option<(f64, bool)> {
        if self.wanted != Wanted::Numeric && is_code(cell) {
            return None;
        }
        // As pandas writes a column of booleans.
        match cell {
            "True" | "true" | "TRUE" if self.wanted == Wanted::Numeric => Some((1.0, false)),
            "False" | "false" | "FALSE" if self.wanted == Wanted::Numeric => Some((0.0, false)),
            _ => number(cell, self.has_decimal_comma),
        }
    }

    fn is_marker(&self, number: f64) -> bool {
        self.missing.numbers().contains(&number)
    }
}

/// The cells of a column.
pub(super) struct Cells {
    /// The distinct texts; those that are not numbers once the column is `Numbers`.
    pub(super) texts: Vec<Text>,
    codes: HashMap<String, u32>,
    /// Rows with a value.
    pub(super) filled: usize,
    pub(super) values: CellValues,
    pub(super) reading: NumberReading,
    /// A number with marks among those that are not in the dictionary any more.
    pub(super) marked: Option<String>,
    pub(super) signs: DecimalSigns,
}

/// What is kept per row.
pub(super) enum CellValues {
    /// The code of the text.
    Codes(Vec<u32>),
    /// Numbers; NaN where the cell is blank or not a number.
    Numbers(Vec<f64>),
    /// Nothing: too many distinct texts for a category, and most of them are not numbers or must not be.
    Discarded,
}

impl Cells {
    pub(super) fn new(reading: NumberReading) -> Self {
        let values = CellValues::Codes(Vec::new());
        Self {
            texts: Vec::new(),
            codes: HashMap::new(),
            filled: 0,
            values,
            reading,
            marked: None,
            signs: DecimalSigns::default(),
        }
    }

    /// Adds the trimmed cell of the next row.
    pub(super) fn push(&mut self, cell: &str, line: u64) {
        self.filled += usize::from(!cell.is_empty());
        if let CellValues::Numbers(numbers) = &mut self.values
            && let Some((number, is_marked)) = self.reading.number(cell)
        {
            numbers.push(number);
            self.signs.see(cell, || line);
            if is_marked && self.marked.is_none() {
                self.marked = Some(cell.to_owned());
            }
            return;
        }
        if matches!(self.values, CellValues::Discarded) {
            return;
        }
        let code = self.code(cell, line);
        match &mut self.values {
            CellValues::Codes(codes) => codes.push(code),
            CellValues::Numbers(numbers) => numbers.push(f64::NAN),
            CellValues::Discarded => {}
        }
        if self.texts.len() > MAX_TEXTS {
            self.overflow();
        }
    }

    /// The code of a text, new or known.
    fn code(&mut self, cell: &str, line: u64) -> u32 {
        if let Some(code) = self.codes.get(cell) {
            self.texts[*code as usize].rows += 1;
            return *code;
        }
        if !self.reading.is_missing(cell) {
            self.signs.see(cell, || line);
        }
        let code = self.texts.len() as u32;
        self.codes.insert(cell.to_owned(), code);
        self.texts.push(Text { text: cell.to_owned(), rows: 1, line });
        code
    }

    /// Turns a full dictionary into numbers, or gives the column up.
    fn overflow(&mut self) {
        let read: Vec<Option<(f64, bool)>> =
            self.texts.iter().map(|text| self.reading.number(&text.text)).collect();
        let is_marked = |(text, read): &(&Text, &Option<(f64, bool)>)| {
            read.is_some_and(|(_, is_marked)| is_marked).then(|| text.text.clone())
        };
        self.marked = self.texts.iter().zip(&read).find_map(|both| is_marked(&both));
        let of_texts: Vec<Option<f64>> = read.into_iter().map(|read| Some(read?.0)).collect();
        let numeric = of_texts.iter().flatten().count();
        let becomes_numbers = match self.reading.wanted {
            Wanted::Any => mostly(numeric, self.texts.len()),
            Wanted::Numeric => true,
            Wanted::Categorical => false,
        };
        let CellValues::Codes(codes) = &self.values else {
            self.values = CellValues::Discarded;
            return;
        };
        if !becomes_numbers {
            self.values = CellValues::Discarded;
            return;
        }
        let mut numbers = Vec::with_capacity(2 * codes.len());
        numbers.extend(codes.iter().map(|code| of_texts[*code as usize].unwrap_or(f64::NAN)));
        let texts = std::mem::take(&mut self.texts).into_iter().zip(&of_texts);
        self.texts = texts.filter(|(_, number)| number.is_none()).map(|(text, _)| text).collect();
        self.codes = (0..).zip(&self.texts).map(|(code, text)| (text.text.clone(), code)).collect();
        self.values = CellValues::Numbers(numbers);
    }
}

/// At least nine in ten.
pub(super) fn mostly(some: usize, all: usize) -> bool {
    some * 10 >= all * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading() -> NumberReading {
        NumberReading {
            has_decimal_comma: false,
            wanted: Wanted::Any,
            missing: Arc::default(),
            listed: Vec::new(),
        }
    }

    #[test]
    fn a_marker_is_missing_even_if_it_is_a_number_and_in_a_column_of_many_numbers() {
        let missing = Missing::default().and(&["-999".to_owned()]).into();
        let mut cells = Cells::new(NumberReading { missing, ..reading() });
        for row in 0..10_000_u32 {
            cells.push(&row.to_string(), 2);
            cells.push(if row % 2 == 0 { "-999" } else { "-999.0" }, 3);
        }
        let CellValues::Numbers(numbers) = &cells.values else { panic!("the column is numeric") };
        let missing = numbers.iter().filter(|number| number.is_nan()).count();
        assert_eq!((missing, numbers.contains(&-999.0)), (10_000, false));
    }

    #[test]
    fn a_column_with_more_texts_than_the_dictionary_becomes_numbers_and_keeps_the_exceptions() {
        let mut cells = Cells::new(reading());
        cells.push("unknown", 2);
        for row in 0..10_000_u32 {
            cells.push(&format!("{row}.5"), 3);
            cells.push("", 4);
        }
        let CellValues::Numbers(numbers) = &cells.values else { panic!("the column is numeric") };
        assert_eq!((numbers.len(), cells.filled), (20_001, 10_001));
        assert_eq!((numbers[1], numbers[19_999]), (0.5, 9_999.5));
        assert!(numbers[0].is_nan() && numbers[20_000].is_nan());
        let texts: Vec<_> =
            cells.texts.iter().map(|text| (text.text.as_str(), text.rows)).collect();
        assert_eq!(texts, [("unknown", 1), ("", 10_000)]);
    }

    #[test]
    fn a_column_of_too_many_words_is_not_kept() {
        let mut cells = Cells::new(reading());
        for row in 0..10_000_u32 {
            cells.push(&format!("customer-{row}"), 2);
        }
        assert!(matches!(cells.values, CellValues::Discarded));
        assert!(cells.texts.len() <= MAX_TEXTS + 1);
    }
}
