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

/// Why no request fits two versions of a model.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SchemaConflict {
    /// A feature is a number for one and a word for the other.
    #[error(
        "feature {name} is {ours} for stable and {theirs} for it{more}, so no request fits both; retrain it on a \
         column of the same kind, or give the column another name"
    )]
    Kind {
        /// The feature.
        name: String,
        /// The kind for stable.
        ours: String,
        /// The kind for the other.
        theirs: String,
        /// Further features of this sort, in words; or nothing.
        more: String,
    },
    /// They have too little in common.
    #[error(
        "the names of the features that only one of both takes have {bytes} bytes, more than {most}; train it on more \
         of the same columns"
    )]
    TooManyNames {
        /// The size of these names.
        bytes: usize,
        /// The most that is allowed.
        most: usize,
    },
}
