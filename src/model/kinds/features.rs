//! Features of a model: names, kinds, and the number that a value becomes.
//!
//! The evaluators take one number per feature. [`MISSING`] stands for a missing value, [`UNKNOWN`] for a
//! category that training never saw.

use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;
use crate::model::schema;

/// The number of a missing value.
pub const MISSING: f64 = f64::NAN;

/// The number of a category that training never saw. Trees treat it as missing; encoders tell the two
/// apart.
pub const UNKNOWN: f64 = -1.0;

/// One input of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureSpec {
    /// The column's name in the training data.
    pub name: String,
    /// Number or category.
    pub kind: FeatureKind,
}

/// Kind of a feature. The number of a category is its position in the list.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureKind {
    /// A number, used as it is.
    Number,
    /// A category that clients send as a word.
    Words(Vec<String>),
    /// A category that clients send as a number.
    Numbers(Vec<f64>),
    /// A category that clients send as its position, because the file has no list.
    Codes,
    /// An input that the pipeline drops. Its value is of any kind and may be left out.
    Unused,
}

impl FeatureKind {
    /// The kind for clients; `None` for an input that the pipeline drops.
    pub fn for_clients(&self) -> Option<schema::FeatureKind> {
        match self {
            Self::Number | Self::Numbers(_) | Self::Codes => Some(schema::FeatureKind::Number),
            Self::Words(words) => {
                let mut levels = words.clone();
                levels.sort();
                Some(schema::FeatureKind::Categorical { levels })
            }
            Self::Unused => None,
        }
    }
}

impl FeatureSpec {
    /// A number.
    pub fn number(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: FeatureKind::Number }
    }

    /// What a word becomes. A word for a number is `None`.
    pub fn word(&self, word: &str) -> Option<f64> {
        let found = match &self.kind {
            FeatureKind::Number | FeatureKind::Codes => return None,
            FeatureKind::Unused => None,
            FeatureKind::Words(levels) => levels.iter().position(|level| level == word),
            FeatureKind::Numbers(levels) => {
                let number: f64 = word.parse().ok()?;
                levels.iter().position(|level| *level == number)
            }
        };
        Some(found.map_or(UNKNOWN, |position| position as f64))
    }

    /// What a number becomes. A number for a category of words is `None`.
    pub fn value(&self, number: f64) -> Option<f64> {
        match &self.kind {
            FeatureKind::Number | FeatureKind::Codes | FeatureKind::Unused => Some(number),
            FeatureKind::Words(_) => None,
            FeatureKind::Numbers(_) if number.is_nan() => Some(MISSING),
            FeatureKind::Numbers(levels) => {
                let found = levels.iter().position(|level| *level == number);
                Some(found.map_or(UNKNOWN, |position| position as f64))
            }
        }
    }
}

/// A list of categories as JSON writes it. All are words (or `true` and `false`), or all are numbers.
pub(crate) fn levels(list: &[serde_json::Value], place: &str) -> Reading<FeatureKind> {
    use serde_json::Value;
    if list.iter().all(Value::is_number) {
        return Ok(FeatureKind::Numbers(list.iter().filter_map(Value::as_f64).collect()));
    }
    let word = |level: &Value| match level {
        Value::String(word) => Ok(word.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        other => {
            let found = excerpt(&other.to_string());
            Err(Refusal::new(place, format!("category {found} is neither a word nor a number")))
        }
    };
    Ok(FeatureKind::Words(list.iter().map(word).collect::<Reading<_>>()?))
}
