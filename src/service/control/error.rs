//! Command errors. Each message says what to do instead.

use thiserror::Error;

use super::registry::RegistryError;
use crate::canary::Refusal;
use crate::model::OutputKind;
use crate::model::SchemaConflict;
use crate::service::serving::inference::InferenceError;
use crate::store::StoreError;
use crate::text::fields::FieldError;

/// Why a command was refused. Nothing has changed then, except in [`CommandError::PendingRollback`].
#[derive(Debug, Error)]
pub enum CommandError {
    /// The file does not exist or is not a model.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// No request fits both it and stable.
    #[error("{path:?} cannot be a canary of {stable}: {cause}")]
    Features {
        /// The file.
        path: String,
        /// The stable version.
        stable: String,
        /// Why.
        cause: Box<SchemaConflict>,
    },
    /// Its output differs from stable's.
    #[error(
        "{path:?} cannot be a canary of {stable}: it answers {canary_output}, and stable {stable_output}, so their \
         answers cannot be compared; deploy a model with the same output"
    )]
    Output {
        /// The file.
        path: String,
        /// The stable version.
        stable: String,
        /// What the file answers.
        canary_output: OutputKind,
        /// What stable answers.
        stable_output: OutputKind,
    },
    /// Another file has the same name but for its ending.
    #[error(
        "{path:?} would be called {name}, as stable is, which was read from {file:?}; rename the file, so that each \
         version has its own name"
    )]
    NameTaken {
        /// The file.
        path: String,
        /// The name.
        name: String,
        /// The file of stable.
        file: String,
    },
    /// It fails its warm-up.
    #[error("{path:?} fails its warm-up ({cause}); it was not deployed")]
    WarmUp {
        /// The file.
        path: String,
        /// The failure.
        cause: InferenceError,
    },
    /// A field of the command does not fit.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The previous version could not be loaded.
    #[error(
        "{version} could not be loaded at the last start, so the promotion cannot be reverted; deploy it instead"
    )]
    PreviousLost {
        /// The version before the promotion.
        version: String,
    },
    /// Two fields contradict each other.
    #[error("{given} is only for mode {mode}; {instead}")]
    Contradiction {
        /// The field.
        given: &'static str,
        /// The mode it goes with.
        mode: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// Fault injection is off.
    #[error("fault injection is off; start a test server with --allow-injection to use it")]
    InjectionNotAllowed,
    /// The state does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller expects an older state.
    #[error("the state is at revision {actual}, not {expected}; read the status and retry")]
    Revision {
        /// The revision that the caller expects.
        expected: u64,
        /// The current revision.
        actual: u64,
    },
    /// The journal could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A rollback took effect, but the journal could not be written.
    #[error(
        "the canary gets no more traffic, but the rollback is not in the journal yet: {0}; serin keeps \
         trying, and until it succeeds a restart would bring the canary back"
    )]
    PendingRollback(StoreError),
}
