//! Texts of a column: each distinct text once, and its number in every row.

use std::collections::BTreeMap;

/// Code of a missing text.
const MISSING: u32 = u32::MAX;

/// The texts of a categorical column: a code per row into the sorted distinct texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    texts: Vec<String>,
    codes: Vec<u32>,
}

impl Words {
    /// From a code per row into `texts`, in any order; `None` marks the texts that mean a missing value.
    /// Equal texts share a code afterwards.
    pub(super) fn of_codes(texts: Vec<Option<String>>, mut codes: Vec<u32>) -> Self {
        let mut order: BTreeMap<String, u32> =
            texts.iter().flatten().map(|text| (text.clone(), 0)).collect();
        for (place, code) in (0..).zip(order.values_mut()) {
            *code = place;
        }
        let sorted: Vec<u32> = texts
            .iter()
            .map(|text| text.as_ref().and_then(|text| order.get(text)).copied().unwrap_or(MISSING))
            .collect();
        for code in &mut codes {
            *code = sorted.get(*code as usize).copied().unwrap_or(MISSING);
        }
        Self { texts: order.into_keys().collect(), codes }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.codes.len()
    }

    /// The distinct texts, ascending.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The text of a row; `None` if it is missing.
    pub fn text(&self, row: usize) -> Option<&str> {
        self.code(row).map(|code| self.texts[code].as_str())
    }

    /// The position of a row's text among the distinct ones.
    pub fn code(&self, row: usize) -> Option<usize> {
        self.codes.get(row).filter(|code| **code != MISSING).map(|code| *code as usize)
    }
}

/// One text or `None` per row.
impl<'t> FromIterator<Option<&'t str>> for Words {
    fn from_iter<I: IntoIterator<Item = Option<&'t str>>>(rows: I) -> Self {
        let mut texts: Vec<Option<String>> = Vec::new();
        let mut known: BTreeMap<Option<&str>, u32> = BTreeMap::new();
        let codes = rows.into_iter().map(|text| {
            *known.entry(text).or_insert_with(|| {
                texts.push(text.map(str::to_owned));
                texts.len() as u32 - 1
            })
        });
        let codes = codes.collect();
        Self::of_codes(texts, codes)
    }
}
