//! Errors of a schema, and differences between two.

use thiserror::Error;

/// Why a list of features is not a schema.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SchemaError {
    /// The list is empty.
    #[error("features: no features; a model needs at least one")]
    Empty,
    /// A name is blank.
    #[error("features: a name is blank; name every feature")]
    BlankName,
    /// Two features have the same name.
    #[error("features: the name {name} occurs twice; use unique names")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// The mean is not finite.
    #[error("feature {name}: mean {value} is not finite; retrain the model")]
    Mean {
        /// The feature.
        name: String,
        /// Its mean.
        value: f64,
    },
    /// The scale is not finite, or not positive.
    #[error("feature {name}: scale {value} is not a finite number above 0; retrain the model")]
    Scale {
        /// The feature.
        name: String,
        /// Its scale.
        value: f64,
    },
    /// A categorical feature has no levels.
    #[error("feature {name}: no levels; a categorical feature needs at least one")]
    NoLevels {
        /// The feature.
        name: String,
    },
    /// The levels are not sorted and unique.
    #[error(
        "feature {name}: level {level} repeats or is out of order; levels must be sorted and unique"
    )]
    Levels {
        /// The feature.
        name: String,
        /// The level at fault.
        level: String,
    },
}

/// The first difference between two schemas.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SchemaDifference {
    /// The names at a position differ.
    #[error(
        "feature {position} is {found}, expected {expected}; train on the same columns in the same order"
    )]
    Name {
        /// Position, counted from 1.
        position: usize,
        /// The name expected there.
        expected: String,
        /// The name found there.
        found: String,
    },
    /// The kinds of a feature differ.
    #[error("feature {name} is {found}, expected {expected}; train on columns of the same kind")]
    Kind {
        /// The feature.
        name: String,
        /// The kind expected.
        expected: String,
        /// The kind found.
        found: String,
    },
    /// The other schema lacks a feature.
    #[error(
        "feature {name} is missing ({found} features, expected {expected}); train on the same columns"
    )]
    Absent {
        /// The first missing feature.
        name: String,
        /// The number expected.
        expected: usize,
        /// The number found.
        found: usize,
    },
    /// The other schema has more features.
    #[error(
        "feature {name} is unexpected ({found} features, expected {expected}); train on the same columns"
    )]
    Extra {
        /// The first unexpected feature.
        name: String,
        /// The number expected.
        expected: usize,
        /// The number found.
        found: usize,
    },
}
