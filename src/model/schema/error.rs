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
    /// What training learned about a feature is invalid.
    #[error("feature {name}: {problem}; retrain the model")]
    Invalid {
        /// The feature.
        name: String,
        /// What is invalid.
        problem: String,
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
    /// The other schema lacks a feature, or has one more.
    #[error(
        "feature {name} is {problem} ({found} features, expected {expected}); train on the same columns"
    )]
    Count {
        /// The first feature that only one schema has.
        name: String,
        /// `missing` or `unexpected`.
        problem: &'static str,
        /// The number expected.
        expected: usize,
        /// The number found.
        found: usize,
    },
}
