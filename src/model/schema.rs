//! Features of a model: names, order and kinds.
//!
//! Training learns the schema, the artifact stores it, and it is the only way to a [`Row`]. Two versions of a
//! model may take other features in another order: a [`Joint`] schema reads requests for both.
//!
//! ```
//! use serin::model::schema::{Feature, FeatureKind, Features, Schema};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let levels = vec!["monthly".to_owned(), "yearly".to_owned()];
//! let schema = Schema::new(vec![
//!     Feature { name: "tenure".into(), kind: FeatureKind::Numeric { mean: 32.4, scale: 24.6 } },
//!     Feature { name: "contract".into(), kind: FeatureKind::Categorical { levels } },
//! ])?;
//!
//! let features: Features = serde_json::from_str(r#"{"contract": "yearly", "tenure": null}"#)?;
//! assert!(schema.row(features).is_ok());
//!
//! let misspelled: Features = serde_json::from_str(r#"{"contract": "yearly", "tenrue": 12}"#)?;
//! let refusal = schema.row(misspelled).map(drop).map_err(|e| e.to_string());
//! assert!(refusal.is_err_and(|text| text.contains("did you mean `tenure`?")));
//! # Ok(())
//! # }
//! ```

pub(crate) mod error;
pub(crate) mod features;
pub(crate) mod joint;
pub(crate) mod missing;
pub(crate) mod row;

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use serde::Serializer;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;

pub use self::error::SchemaConflict;
pub use self::error::SchemaError;
pub use self::features::Features;
pub use self::features::Value;
pub use self::joint::Joint;
pub use self::missing::Missing;
pub use self::row::Row;
pub use self::row::RowError;
use crate::text::bounded::text;
use crate::text::bounded::texts;
use crate::text::lists::quoted;

/// The most levels of a category in a file.
const MAX_LEVELS: usize = 1_000_000;

/// One input of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Feature {
    /// The column's name in the training data, and the key in a request.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// Number or category, with what training learned about it.
    pub kind: FeatureKind,
}

/// Kind of a feature, and how its values enter the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// A number `x`, encoded as `(x - mean) / scale`. A missing value is imputed with the mean.
    Numeric {
        /// Mean of the training rows with a value.
        mean: f64,
        /// Population standard deviation of the filled training rows; 1 for a constant column.
        scale: f64,
    },
    /// A category, one-hot encoded. A missing or unseen one is all zeros and adds nothing to the sum.
    Categorical {
        /// The categories seen in training, sorted.
        #[serde(deserialize_with = "texts::<_, MAX_LEVELS>")]
        levels: Vec<String>,
    },
    /// A number that enters an imported model as it is. What a missing one means is up to the model.
    Number,
}

impl FeatureKind {
    /// Whether clients send a number.
    pub fn is_numeric(&self) -> bool {
        match self {
            Self::Numeric { .. } | Self::Number => true,
            Self::Categorical { .. } => false,
        }
    }

    /// A boolean as a value: 1 or 0, or the word for it that training has seen.
    pub fn boolean(&self, flag: bool) -> Value<'static> {
        let Self::Categorical { levels } = self else {
            return Value::Number(f64::from(u8::from(flag)));
        };
        let words = if flag { ["True", "true", "1"] } else { ["False", "false", "0"] };
        let seen = |word: &&str| levels.iter().any(|level| level == word);
        Value::Text(words.into_iter().find(seen).unwrap_or(words[0]).into())
    }

    /// Number of encoded columns.
    pub fn width(&self) -> usize {
        match self {
            Self::Numeric { .. } | Self::Number => 1,
            Self::Categorical { levels } => levels.len(),
        }
    }
}

impl fmt::Display for FeatureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Numeric { .. } | Self::Number => "numeric",
            Self::Categorical { .. } => "categorical",
        })
    }
}

/// The features of a model, in order. Names are unique; every number is finite; scales are positive;
/// levels are ascending and unique.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    features: Vec<Feature>,
    /// Positions of the features sorted by name, for binary search: unlike a hash table, clients cannot
    /// force collisions.
    by_name: Vec<usize>,
    /// What means a missing value in addition to `null` and blanks.
    missing: Missing,
}

impl Schema {
    /// Checks the features. The usual texts mean a missing value.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] names the feature that breaks an invariant of the type.
    pub fn new(features: Vec<Feature>) -> Result<Self, SchemaError> {
        if features.is_empty() {
            return Err(SchemaError::Empty);
        }
        for feature in &features {
            check(feature)?;
        }
        let mut by_name: Vec<usize> = (0..features.len()).collect();
        by_name.sort_by(|a, b| features[*a].name.cmp(&features[*b].name));
        for pair in by_name.windows(2) {
            if features[pair[0]].name == features[pair[1]].name {
                return Err(SchemaError::DuplicateName { name: quoted(&features[pair[0]].name) });
            }
        }
        Ok(Self { features, by_name, missing: Missing::default() })
    }

    /// The same features with these markers of missing values.
    #[must_use]
    pub fn with_missing(self, missing: Missing) -> Self {
        Self { missing, ..self }
    }

    /// What means a missing value in addition to `null` and blanks.
    pub fn missing(&self) -> &Missing {
        &self.missing
    }

    /// The features, in order.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The names, in order.
    pub fn feature_names(&self) -> impl Iterator<Item = &str> {
        self.features.iter().map(|feature| feature.name.as_str())
    }

    /// Number of encoded columns: one per number, one per level.
    pub fn encoded_width(&self) -> usize {
        self.features.iter().map(|feature| feature.kind.width()).sum()
    }

    /// Whether `other` takes features of the same names in the same order.
    pub fn has_order_of(&self, other: &Self) -> bool {
        self.feature_names().eq(other.feature_names())
    }

    /// The feature of this name.
    pub fn feature(&self, name: &str) -> Option<&Feature> {
        self.position(name, 0).map(|position| &self.features[position])
    }

    /// The features of `self` that `other` does not take, in order.
    pub fn not_in<'s>(&'s self, other: &'s Self) -> impl Iterator<Item = &'s Feature> {
        self.features.iter().filter(|feature| other.feature(&feature.name).is_none())
    }

    /// These features, and then others whose names are not among them.
    fn followed_by(&self, others: impl Iterator<Item = Feature>) -> Self {
        let features: Vec<Feature> = self.features.iter().cloned().chain(others).collect();
        let mut by_name: Vec<usize> = (0..features.len()).collect();
        by_name.sort_by(|a, b| features[*a].name.cmp(&features[*b].name));
        Self { features, by_name, missing: self.missing.clone() }
    }

    /// The position of a name; `guess` is tried first, since most clients send schema order.
    fn position(&self, name: &str, guess: usize) -> Option<usize> {
        if self.features.get(guess).is_some_and(|feature| feature.name == name) {
            return Some(guess);
        }
        self.by_name
            .binary_search_by(|index| self.features[*index].name.as_str().cmp(name))
            .ok()
            .map(|found| self.by_name[found])
    }
}

/// As the list of its features.
impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.features.serialize(serializer)
    }
}

impl PartialSchema for Schema {
    fn schema() -> RefOr<utoipa::openapi::Schema> {
        Vec::<Feature>::schema()
    }
}

impl ToSchema for Schema {
    fn schemas(schemas: &mut Vec<(String, RefOr<utoipa::openapi::Schema>)>) {
        Vec::<Feature>::schemas(schemas);
    }
}

fn check(feature: &Feature) -> Result<(), SchemaError> {
    if feature.name.trim().is_empty() {
        return Err(SchemaError::BlankName);
    }
    let problem = match &feature.kind {
        FeatureKind::Numeric { mean, .. } if !mean.is_finite() => {
            format!("mean {mean} is not finite")
        }
        FeatureKind::Numeric { scale, .. } if !(scale.is_finite() && *scale > 0.0) => {
            format!("scale {scale} is not a finite number above 0")
        }
        FeatureKind::Categorical { levels } if levels.is_empty() => "it has no levels".to_owned(),
        FeatureKind::Categorical { levels } => {
            match levels.windows(2).find(|pair| pair[0] >= pair[1]) {
                Some(pair) => format!("level {} repeats or is out of order", quoted(&pair[1])),
                None => return Ok(()),
            }
        }
        FeatureKind::Numeric { .. } | FeatureKind::Number => return Ok(()),
    };
    Err(SchemaError::Invalid { name: quoted(&feature.name), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(name: &str) -> Feature {
        Feature { name: name.into(), kind: FeatureKind::Numeric { mean: 1.0, scale: 2.0 } }
    }

    fn categorical(name: &str, levels: &[&str]) -> Feature {
        let levels = levels.iter().map(|level| (*level).to_owned()).collect();
        Feature { name: name.into(), kind: FeatureKind::Categorical { levels } }
    }

    #[test]
    fn a_schema_that_breaks_an_invariant_is_refused() {
        let bad_scale =
            Feature { name: "x".into(), kind: FeatureKind::Numeric { mean: 0.0, scale: 0.0 } };
        let bad_mean =
            Feature { name: "x".into(), kind: FeatureKind::Numeric { mean: f64::NAN, scale: 1.0 } };
        let cases = [
            (vec![], "no features"),
            (vec![numeric(" ")], "blank"),
            (vec![numeric("a"), numeric("b"), numeric("a")], "`a` occurs twice"),
            (vec![bad_scale], "scale 0"),
            (vec![bad_mean], "mean NaN"),
            (vec![categorical("c", &[])], "no levels"),
            (vec![categorical("c", &["b", "b"])], "`b` repeats"),
            (vec![categorical("c", &["b", "a"])], "out of order"),
        ];
        for (features, expected) in cases {
            let message = Schema::new(features).unwrap_err().to_string();
            assert!(message.contains(expected), "{message} should contain {expected}");
        }
    }
}
