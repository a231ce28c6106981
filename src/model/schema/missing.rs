//! Markers of missing values: the texts and numbers that training reads as missing, and a prediction as well.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::text::bounded::texts;
use crate::text::lists::listed;
use crate::text::lists::quoted;
use crate::text::tables::number::is_code;
use crate::text::tables::number::plain;

/// What pandas reads as missing by default, in addition to blanks. Model files refer to this list: another
/// list takes another format version.
const USUAL: [&str; 18] = [
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// Missing among numbers only; as a word they may mean something.
const AMONG_NUMBERS: [&str; 2] = ["?", "-"];

/// The texts that mean a missing value; a blank always does. A marker that is a number, such as -999, means
/// every number of its value, -999.0 as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MissingMarkers)]
#[serde(from = "Texts", into = "Texts")]
pub struct Missing {
    /// Whether the usual texts are among them.
    usual: bool,
    /// The others.
    further: Vec<String>,
    /// The values of those that are numbers.
    #[schema(ignore)]
    numbers: Vec<f64>,
}

/// [`Missing`] as files and cards have it.
#[derive(Serialize, Deserialize)]
struct Texts {
    usual: bool,
    #[serde(deserialize_with = "texts::<_, MAX_MARKERS>")]
    further: Vec<String>,
}

/// The most markers in a file.
const MAX_MARKERS: usize = 100_000;

impl From<Texts> for Missing {
    fn from(Texts { usual, further }: Texts) -> Self {
        let value = |text: &String| if is_code(text) { None } else { plain(text, false) };
        let numbers = further.iter().filter_map(value).collect();
        Self { usual, further, numbers }
    }
}

impl From<Missing> for Texts {
    fn from(Missing { usual, further, .. }: Missing) -> Self {
        Self { usual, further }
    }
}

/// The usual texts.
impl Default for Missing {
    fn default() -> Self {
        Texts { usual: true, further: Vec::new() }.into()
    }
}

impl Missing {
    /// These texts only.
    pub fn only(texts: &[String]) -> Self {
        Self { usual: false, ..Self::default() }.and(texts)
    }

    /// Those of `self`, and these.
    #[must_use]
    pub fn and(&self, texts: &[String]) -> Self {
        let mut further = self.further.clone();
        for text in texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            if !further.iter().any(|one| one == text) {
                further.push(text.to_owned());
            }
        }
        Texts { usual: self.usual, further }.into()
    }

    /// Whether a trimmed text is missing in any column.
    pub(crate) fn is(&self, text: &str) -> bool {
        text.is_empty()
            || self.is_usual(text, false)
            || self.is_given(text)
            || !self.numbers.is_empty() && !is_code(text) && self.number(text).is_some()
    }

    /// Whether a trimmed text is missing in a column that is otherwise numeric.
    pub(crate) fn is_among_numbers(&self, text: &str) -> bool {
        self.is_usual(text, true) || self.is(text)
    }

    /// Whether a trimmed text is one of the usual ones, among words or among numbers.
    pub(crate) fn is_usual(&self, text: &str, among_numbers: bool) -> bool {
        let is_among_numbers = among_numbers && AMONG_NUMBERS.contains(&text);
        self.usual && (is_among_numbers || USUAL.contains(&text))
    }

    /// Whether a trimmed text is one of those that were named.
    pub(crate) fn is_given(&self, text: &str) -> bool {
        self.further.iter().any(|one| one == text)
    }

    /// The texts that are missing in a numeric column, besides blanks.
    pub fn texts_among_numbers(&self) -> impl Iterator<Item = &str> {
        let usual = USUAL.iter().chain(&AMONG_NUMBERS).filter(|_| self.usual);
        usual.copied().chain(self.further.iter().map(String::as_str))
    }

    /// The numbers that are missing.
    pub(crate) fn numbers(&self) -> &[f64] {
        &self.numbers
    }

    /// The number that a text is, if it is a missing one.
    pub(crate) fn number(&self, text: &str) -> Option<f64> {
        plain(text, false).filter(|number| !is_code(text) && self.numbers.contains(number))
    }

    /// The same without the usual texts.
    pub(crate) fn without_usual(&self) -> Self {
        Self { usual: false, ..self.clone() }
    }

    /// The markers that `other` does not have, in words; empty if there are none.
    pub fn more_than(&self, other: &Self) -> String {
        let usual = (self.usual && !other.usual).then(|| "the usual markers".to_owned());
        let more = self.further.iter().filter(|text| !other.is(text)).map(|text| quoted(text));
        usual.into_iter().chain(more).collect::<Vec<String>>().join(", ")
    }

    /// The texts that `other` does not take for missing, in words; numbers are left out. Empty if there are none.
    pub(crate) fn texts_not_in(&self, other: &Self) -> String {
        let texts = Self { numbers: Vec::new(), ..self.clone() };
        let is_text = |text: &&String| is_code(text) || plain(text, false).is_none();
        let further = texts.further.iter().filter(is_text).cloned().collect();
        Self { further, ..texts }.more_than(other)
    }

    /// The markers in words.
    pub fn in_words(&self) -> String {
        let usual = "blanks, the usual ones such as `NA` and `null`, and among numbers `?` and `-`";
        let further = listed(self.further.iter().map(String::as_str));
        match (self.usual, self.further.is_empty()) {
            (true, true) => usual.to_owned(),
            (true, false) => format!("{usual}; also {further}"),
            (false, true) => "blanks".to_owned(),
            (false, false) => format!("blanks, {further}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn also(marker: &str) -> Missing {
        Missing::default().and(&[marker.to_owned()])
    }

    #[test]
    fn a_marker_that_is_a_number_means_every_number_of_its_value() {
        for text in ["-999", "-999.0", "-9.99e2"] {
            assert!(also("-999").is(text) && also("-999.0").is(text), "{text}");
        }
        for text in ["999", "-999.5", "-999x", "unknown"] {
            assert!(!also("-999").is(text), "{text}");
        }
        // Digits after a zero are a code, and another one than the number.
        assert!(also("007").is("007") && !also("007").is("7") && !also("7").is("007"));
    }

    #[test]
    fn the_usual_markers_can_be_replaced() {
        let only = Missing::only(&["?".to_owned()]);
        assert!(only.is("?") && only.is("") && !only.is("NA") && !only.is_among_numbers("-"));
        assert!(also("x").is("NA") && also("x").is("x"));
        assert!(also("x").is_among_numbers("?") && !also("x").is("?"));
        assert_eq!(only.in_words(), "blanks, `?`");
        assert!(also("-999").in_words().ends_with("also `-999`"));
        assert_eq!(also("-999").more_than(&Missing::default()), "`-999`");
        assert_eq!(also("-999").more_than(&also("-999.0")), "");
        assert_eq!(also("x").more_than(&only), "the usual markers, `x`");
    }
}
