//! Features of a model: names, kinds, and the number that a value becomes.
//!
//! The evaluators take one number per feature. [`MISSING`] stands for a missing value, [`UNKNOWN`] for a
//! category that training never saw.

use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;
use crate::model::schema;
use crate::model::schema::Missing;
use crate::model::schema::features::Value;

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
}

/// From a value of the row to the number of an input.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    /// A number as it is.
    Number,
    /// A word, to its position in the list of the file; sorted by word.
    Words(Vec<(String, f64)>),
    /// A number, to its position in the list of the file; sorted by number.
    Numbers(Vec<(f64, f64)>),
}

impl Values {
    /// The look-up of an input.
    pub(crate) fn of(kind: &FeatureKind) -> Self {
        match kind {
            FeatureKind::Number | FeatureKind::Codes | FeatureKind::Unused => Self::Number,
            FeatureKind::Words(words) => {
                let numbered = words.iter().cloned().zip(0_u32..);
                let mut numbered: Vec<(String, f64)> =
                    numbered.map(|(word, number)| (word, f64::from(number))).collect();
                numbered.sort_by(|a, b| a.0.cmp(&b.0));
                Self::Words(numbered)
            }
            FeatureKind::Numbers(levels) => {
                let numbered = levels.iter().copied().zip(0_u32..);
                let mut numbered: Vec<(f64, f64)> =
                    numbered.map(|(level, number)| (level + 0.0, f64::from(number))).collect();
                numbered.sort_by(|a, b| a.0.total_cmp(&b.0));
                Self::Numbers(numbered)
            }
        }
    }

    /// The number of a value; `None` for a value of another kind. A number that is a marker is missing, and so is a
    /// word that is one, unless the file lists it.
    pub(crate) fn number(&self, value: &Value<'_>, missing: &Missing) -> Option<f64> {
        match (self, value) {
            (_, Value::Missing) => Some(MISSING),
            (Self::Number | Self::Numbers(_), Value::Number(number))
                if missing.numbers().contains(number) =>
            {
                Some(MISSING)
            }
            (Self::Number, Value::Number(number)) => Some(*number),
            (Self::Words(words), Value::Text(text)) => {
                let found = words.binary_search_by(|(word, _)| word.as_str().cmp(text));
                match found.ok().and_then(|at| words.get(at)) {
                    Some(word) => Some(word.1),
                    None if missing.is(text) => Some(MISSING),
                    None => Some(UNKNOWN),
                }
            }
            (Self::Numbers(levels), Value::Number(number)) => {
                // -0.0 is 0.0, as it is to the libraries.
                let number = *number + 0.0;
                let found = levels.binary_search_by(|(level, _)| level.total_cmp(&number));
                Some(found.ok().and_then(|at| levels.get(at)).map_or(UNKNOWN, |level| level.1))
            }
            (Self::Number | Self::Numbers(_), Value::Text(_))
            | (Self::Words(_), Value::Number(_)) => None,
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
