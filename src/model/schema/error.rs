//! Why features make no schema, and in what two schemas differ.

use thiserror::Error;

/// Why a list of features is no schema.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SchemaError {
    /// No feature at all.
    #[error("features: there are none; a model needs at least one")]
    Empty,
    /// A name of nothing but spaces.
    #[error("features: a name is blank; every feature needs a name")]
    BlankName,
    /// Two features of one name.
    #[error("features: the name {name} stands twice; names must be unique")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// The mean is not finite.
    #[error(
        "feature {name}: its mean is {value}, allowed are finite numbers; train the model again"
    )]
    Mean {
        /// The feature.
        name: String,
        /// Its mean.
        value: f64,
    },
    /// The scale is not finite, or not positive.
    #[error(
        "feature {name}: its scale is {value}, allowed are finite numbers above 0; train the model again"
    )]
    Scale {
        /// The feature.
        name: String,
        /// Its scale.
        value: f64,
    },
    /// A categorical feature without levels.
    #[error("feature {name}: it has no levels; a categorical feature needs at least one")]
    NoLevels {
        /// The feature.
        name: String,
    },
    /// Levels that repeat or are out of order.
    #[error("feature {name}: level {level} repeats or is out of order; levels must ascend")]
    Levels {
        /// The feature.
        name: String,
        /// The level at fault.
        level: String,
    },
}

/// The first feature in which two schemas differ.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SchemaDifference {
    /// Another name at a position.
    #[error(
        "feature {position} is {found} where {expected} is expected; train on the same columns in the same order"
    )]
    Name {
        /// Position, counted from 1.
        position: usize,
        /// The name expected there.
        expected: String,
        /// The name found there.
        found: String,
    },
    /// The same name, another kind.
    #[error(
        "feature {name} is {found} where {expected} is expected; train on columns of the same kind"
    )]
    Kind {
        /// The feature.
        name: String,
        /// The kind expected.
        expected: String,
        /// The kind found.
        found: String,
    },
    /// The other schema ends early.
    #[error(
        "feature {name} is absent ({found} features where {expected} are expected); train on the same columns"
    )]
    Absent {
        /// The first feature that is absent.
        name: String,
        /// How many are expected.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The other schema goes on.
    #[error(
        "feature {name} is one too many ({found} features where {expected} are expected); train on the same columns"
    )]
    Extra {
        /// The first feature too many.
        name: String,
        /// How many are expected.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}
