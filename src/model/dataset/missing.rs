//! Texts that mean a missing value.

/// What pandas reads as missing by default, in addition to blanks.
const USUAL: [&str; 18] = [
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// Missing among numbers only; as a word they may mean something.
const AMONG_NUMBERS: [&str; 2] = ["?", "-"];

/// The texts that mean a missing value; a blank always does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// The usual texts.
    #[default]
    Usual,
    /// The usual texts and these.
    UsualAnd(Vec<String>),
    /// These texts only.
    Only(Vec<String>),
}

impl Missing {
    /// Whether a trimmed text is missing in any column.
    pub(super) fn is(&self, text: &str) -> bool {
        text.is_empty()
            || match self {
                Self::Usual => USUAL.contains(&text),
                Self::UsualAnd(texts) => {
                    USUAL.contains(&text) || texts.iter().any(|one| one == text)
                }
                Self::Only(texts) => texts.iter().any(|one| one == text),
            }
    }

    /// The texts that were given.
    pub(super) fn given(&self) -> &[String] {
        match self {
            Self::Usual => &[],
            Self::UsualAnd(texts) | Self::Only(texts) => texts,
        }
    }

    /// The same without the usual texts.
    pub(super) fn without_usual(&self) -> Self {
        match self {
            Self::Usual => Self::Only(Vec::new()),
            Self::UsualAnd(texts) | Self::Only(texts) => Self::Only(texts.clone()),
        }
    }

    /// Whether a trimmed text is missing in a column that is otherwise numeric.
    pub(super) fn is_among_numbers(&self, text: &str) -> bool {
        let has_usual = !matches!(self, Self::Only(_));
        has_usual && AMONG_NUMBERS.contains(&text) || self.is(text)
    }
}
