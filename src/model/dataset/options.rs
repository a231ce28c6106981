//! What the user says about a file.

use std::collections::BTreeMap;

use crate::model::schema::FeatureKind;
use crate::model::schema::Missing;
use crate::model::schema::Schema;
use crate::text::tables::encoding::Encoding;

/// Which columns are read, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DatasetOptions {
    /// The column to predict. Rows for a model may have none: then it is empty.
    pub target: String,
    /// The target's value that counts as 1; every other value counts as 0. If it is not given, the target
    /// must be 0 and 1, no and yes, or false and true.
    pub positive: Option<String>,
    /// Columns to ignore, such as identifiers.
    pub drop: Vec<String>,
    /// Columns that are numbers, whatever they look like.
    pub numeric: Vec<String>,
    /// Columns that are words, whatever they look like.
    pub categorical: Vec<String>,
    /// The texts that mean a missing value.
    pub missing: Missing,
    /// Leave out rows without a target, which are an error otherwise.
    pub skips_unlabeled: bool,
    /// The encoding, unless the file says what it is.
    pub encoding: Encoding,
    /// Take these columns alone, for a model that is trained already: they have its kinds, and their words may
    /// be ones that training did not see.
    pub only: Option<Vec<String>>,
    /// The categories that a model lists for a column, in ascending order. One that is a marker of a missing value stays
    /// a word, as in a request.
    pub listed: BTreeMap<String, Vec<String>>,
}

impl DatasetOptions {
    /// Rows for a model, whatever else the file contains: its features, with its markers of missing values, and a
    /// target.
    pub fn of_schema(schema: &Schema, target: String) -> Self {
        let named = |is_numeric: bool| {
            let features = schema.features().iter();
            let of_kind = features.filter(move |feature| feature.kind.is_numeric() == is_numeric);
            of_kind.map(|feature| feature.name.clone()).collect::<Vec<String>>()
        };
        Self {
            target,
            numeric: named(true),
            categorical: named(false),
            missing: schema.missing().clone(),
            only: Some(schema.feature_names().map(str::to_owned).collect()),
            ..Self::default()
        }
        .with_listed(schema)
    }

    /// The same with the categories that a model lists, in addition to those of others.
    #[must_use]
    pub fn with_listed(mut self, schema: &Schema) -> Self {
        for feature in schema.features() {
            if let FeatureKind::Categorical { levels } = &feature.kind {
                let listed = self.listed.entry(feature.name.clone()).or_default();
                listed.extend_from_slice(levels);
                listed.sort_unstable();
            }
        }
        self
    }

    /// The kind that is asked for a column.
    pub(super) fn wanted(&self, name: &str) -> Wanted {
        let is_in = |names: &[String]| names.iter().any(|one| one == name);
        if is_in(&self.numeric) {
            Wanted::Numeric
        } else if is_in(&self.categorical) {
            Wanted::Categorical
        } else {
            Wanted::Any
        }
    }
}

/// The kind the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Decided by the values.
    Any,
    /// Numbers; anything else is an error.
    Numeric,
    /// Words, also where they look like numbers.
    Categorical,
}
