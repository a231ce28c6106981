//! Why is a command not carried out? In sentences that say what to do instead.

use thiserror::Error;

use super::registry::RegistryError;
use crate::canary::Refusal;
use crate::canary::policy::metric_overrides::JudgePolicyError;
use crate::canary::policy::plan_overrides::PlanError;
use crate::canary::policy::post_promotion_overrides::PostPromotionError;
use crate::model::SchemaDifference;
use crate::service::serving::inference::InferenceError;
use crate::store::StoreError;

/// Why a command was not carried out. Nothing has changed then.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The file is not there, or no model.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Its features are not stable's.
    #[error("{path:?} cannot be a canary of {stable}: {cause}; retrain it on the same features")]
    Features {
        /// The file.
        path: String,
        /// The stable version.
        stable: String,
        /// The difference.
        cause: SchemaDifference,
    },
    /// It fails before the first user would see it.
    #[error("{path:?} fails its warm-up ({}); it was not deployed", .cause.detail)]
    WarmUp {
        /// The file.
        path: String,
        /// How.
        cause: InferenceError,
    },
    /// A value of the command is out of range.
    #[error("{field} = {value} is out of range; give {allowed}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The metrics it is to be judged by cannot be.
    #[error(transparent)]
    Judge(#[from] JudgePolicyError),
    /// The plan cannot be.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// What happens after a promotion cannot be.
    #[error(transparent)]
    PostPromotionPolicy(#[from] PostPromotionError),
    /// There is nothing to revert to.
    #[error(
        "{version} could not be loaded after the last start, so it cannot be reverted to; deploy it"
    )]
    PreviousLost {
        /// The version before the promotion.
        version: String,
    },
    /// Two fields contradict each other.
    #[error("{given} goes with mode {mode}; {instead}")]
    Contradiction {
        /// The field.
        given: &'static str,
        /// The mode it goes with.
        mode: &'static str,
        /// What to give instead.
        instead: &'static str,
    },
    /// Nothing may be broken here on purpose.
    #[error(
        "this server injects nothing; a test server that is started with --allow-injection does"
    )]
    InjectionNotAllowed,
    /// It cannot happen in this state.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller has decided on an older state.
    #[error("the state is at revision {actual}, not {expected}; look at the status and retry")]
    Revision {
        /// What the caller had seen.
        expected: u64,
        /// What there is.
        actual: u64,
    },
    /// The journal could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A rollback took effect, but the journal could not be written.
    #[error(
        "the canary gets no traffic any more, but the journal does not have it yet: {0}; serin goes on \
         trying, and until it succeeds a restart would bring the canary back"
    )]
    PendingRollback(StoreError),
}
