//! Errors as HTTP answers: the only file that knows status codes.
//!
//! Every error is an `application/problem+json` (RFC 9457) with one extra member: `code`, a stable word for
//! programs. Under the paths of other protocols it has the form that their clients read.

pub(super) mod form;

use std::borrow::Cow;
use std::fmt;
use std::fmt::Display;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use serde::Deserialize;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use self::form::Form;
use crate::canary::Refusal;
use crate::canary::traffic::prediction_id::IdError;
use crate::service::CommandError;
use crate::service::control::audit::ReplayError;
use crate::service::control::registry::RegistryError;
use crate::service::control::sequential_judge::histories::NoHistory;
use crate::service::reported::feedback::FeedbackError;
use crate::service::reported::recordings::RecordError;
use crate::service::serving::predict::PredictError;
use crate::service::serving::shadow::queue::ReplayRecentError;
use crate::store::StoreError;
use crate::text::lists::one_line;

/// Declares the kinds of problems: under their status, each with its code and title.
macro_rules! kinds {
    ($($status:ident { $($kind:ident: $code:literal, $title:expr;)* })*) => {
        /// The kind of a problem. It decides the status, the code and the title.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($($kind,)*)*
        }

        impl Kind {
            /// All kinds, in the order of their statuses.
            pub(super) const ALL: &[Kind] = &[$($(Kind::$kind,)*)*];

            fn row(self) -> (StatusCode, &'static str, &'static str) {
                match self {
                    $($(Kind::$kind => (StatusCode::$status, $code, $title),)*)*
                }
            }
        }
    };
}

const NOT_NOW: &str = "Not possible in the current state";
const NO_LABEL: &str = "Label not accepted";

kinds! {
    BAD_REQUEST {
        InvalidJson: "invalid_json", "Invalid body";
        EmptyBody: "empty_body", "The body is empty";
        BodyBroken: "body_broken", "Incomplete body";
        InvalidQuery: "invalid_query", "Invalid query";
        InvalidIfMatch: "invalid_if_match", "Invalid If-Match header";
    }
    UNAUTHORIZED {
        Unauthorized: "unauthorized", "Token required";
    }
    FORBIDDEN {
        Forbidden: "forbidden", "Access denied";
        InjectionNotAllowed: "injection_not_allowed", "Fault injection is disabled";
    }
    NOT_FOUND {
        NoSuchRoute: "no_such_route", "No such route";
        NoSuchModel: "no_such_model", "No such model";
        NoSuchRollout: "no_such_rollout", "No such rollout";
        NoSuchMetric: "no_such_metric", "No such metric";
    }
    METHOD_NOT_ALLOWED {
        MethodNotAllowed: "method_not_allowed", "Method not allowed";
    }
    REQUEST_TIMEOUT {
        BodyTooSlow: "body_too_slow", "The body took too long";
    }
    CONFLICT {
        CanaryActive: "canary_active", NOT_NOW;
        NoCanary: "no_canary", NOT_NOW;
        OtherRollout: "other_rollout", NOT_NOW;
        StaleJudgement: "stale_judgement", NOT_NOW;
        InsufficientData: "insufficient_data", NOT_NOW;
        NotPassing: "not_passing", NOT_NOW;
        Paused: "paused", NOT_NOW;
        LastStep: "last_step", NOT_NOW;
        NotByPlan: "not_by_plan", NOT_NOW;
        NotApproved: "not_approved", NOT_NOW;
        CoolingDown: "cooling_down", NOT_NOW;
        PromotionMonitored: "promotion_monitored", NOT_NOW;
        NothingToRevert: "nothing_to_revert", NOT_NOW;
        Quarantined: "quarantined", NOT_NOW;
        AlreadyInitialized: "already_initialized", NOT_NOW;
        StableNeeded: "stable_needed", NOT_NOW;
        GateClosed: "gate_closed", "The gate is closed";
        PreviousLost: "previous_lost", "The previous version is not available";
        RevisionConflict: "revision_conflict", "Concurrent change";
        RecentRequestsOff: "recent_requests_off", "Recent requests are not kept";
        TooManyMetrics: "too_many_metrics", "Too many metrics";
        FeedbackDisabled: "feedback_disabled", NO_LABEL;
        RepeatedFeedback: "repeated_feedback", NO_LABEL;
    }
    GONE {
        FeedbackExpired: "feedback_expired", NO_LABEL;
        RolloutGone: "rollout_gone", NO_LABEL;
    }
    PRECONDITION_FAILED {
        RevisionChanged: "revision_changed", "The state has changed";
    }
    PAYLOAD_TOO_LARGE {
        BodyTooLarge: "body_too_large", "The body is too large";
    }
    UNSUPPORTED_MEDIA_TYPE {
        UnsupportedMediaType: "unsupported_media_type", "The body is not plain JSON";
    }
    UNPROCESSABLE_ENTITY {
        InvalidBody: "invalid_body", "Invalid body";
        InvalidHeader: "invalid_header", "Invalid header";
        InvalidFeatures: "invalid_features", "The features do not fit the model";
        PathOutside: "path_outside", "The path is outside the models folder";
        NotExplained: "not_explained", "The model does not explain its answers";
        NotAModel: "not_a_model", "Not a valid model file";
        FeaturesDiffer: "features_differ", "The features differ from stable's";
        OutputDiffers: "output_differs", "The output differs from stable's";
        NameTaken: "name_taken", "Stable has this name";
        WarmUpFailed: "warm_up_failed", "The model failed during warm-up";
        ReasonMissing: "reason_missing", NOT_NOW;
        ReplayStopped: "replay_stopped", "The replay was stopped";
        MalformedId: "malformed_id", NO_LABEL;
        ForgedId: "forged_id", NO_LABEL;
    }
    INTERNAL_SERVER_ERROR {
        Internal: "internal", "Internal error";
    }
    TOO_MANY_REQUESTS {
        TooManyPages: "too_many_pages", "Too many open pages";
    }
    SERVICE_UNAVAILABLE {
        Draining: "draining", "Shutting down";
        Overloaded: "overloaded", "The server is overloaded";
        TooManyBodies: "overloaded", "The server is overloaded";
        VersionFailed: "version_failed", "The version gave no answer";
        StableFailed: "stable_failed", "The stable model failed";
        StoreFailed: "store_failed", "The store failed; nothing changed";
        StoreUnsure: "store_unsure", "It is not known yet whether the change was saved";
        RollbackPending: "rollback_pending", "The rollback took effect but is not yet in the journal";
        TooManyAnalyses: "too_many_analyses", "Too many analyses";
        FeedbackFull: "feedback_full", NO_LABEL;
    }
}

impl Kind {
    /// The word for programs.
    pub(crate) fn code(self) -> &'static str {
        self.row().1
    }

    /// The HTTP status.
    pub(super) fn status(self) -> u16 {
        self.row().0.as_u16()
    }

    /// The kind in words.
    pub(super) fn title(self) -> &'static str {
        self.row().2
    }
}

/// An error on its way to the client.
#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    detail: String,
}

/// The body of a problem (RFC 9457).
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
#[serde(default)]
pub struct ProblemBody<'a> {
    /// The problem type.
    pub r#type: String,
    /// The problem type in words.
    pub title: Cow<'a, str>,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong and what to do.
    pub detail: Cow<'a, str>,
    /// The path of the request.
    pub instance: Cow<'a, str>,
    /// The problem type for programs.
    pub code: Cow<'a, str>,
}

// Cold, so that requests without a problem do not run through code that makes one.
impl Problem {
    /// A problem with what is wrong and what to do.
    #[cold]
    pub(crate) fn new(kind: Kind, detail: impl Display) -> Problem {
        Problem { kind, detail: shortened(detail.to_string()) }
    }

    /// A field of the body is missing, unknown or out of range.
    #[cold]
    pub(crate) fn field(detail: impl Display) -> Problem {
        Problem::new(Kind::InvalidBody, detail)
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// No thread is available.
    pub(crate) fn too_busy() -> Problem {
        Problem::new(Kind::Internal, "the server is too busy; nothing was changed, try again")
    }

    /// A field without which the body says nothing.
    #[cold]
    pub(crate) fn missing(field: &str, example: &str) -> Problem {
        Problem::field(format_args!("{field} is missing; send JSON, for example {example}"))
    }

    /// The same problem with the path of the object it is in.
    #[must_use]
    pub(crate) fn within(self, path: &str) -> Problem {
        Problem::new(self.kind, format_args!("{path}: {}", self.detail))
    }

    /// The response to a request for this path, in the form of its protocol.
    pub fn response(&self, instance: &str) -> HttpResponse {
        let (status, code, title) = self.kind.row();
        let (content_type, body) = match Form::of(instance) {
            Form::ProblemJson => {
                let body = ProblemBody {
                    r#type: format!("urn:serin:problem:{code}"),
                    title: title.into(),
                    status: status.as_u16(),
                    detail: (&self.detail).into(),
                    instance: instance.into(),
                    code: code.into(),
                };
                ("application/problem+json", serde_json::to_string(&body))
            }
            Form::Error => {
                let body = json!({ "error": self.detail, "code": code });
                ("application/json", serde_json::to_string(&body))
            }
            Form::Mlflow => {
                let body = json!({ "error_code": mlflow_code(status), "message": self.detail });
                ("application/json", serde_json::to_string(&body))
            }
            Form::Line => ("text/plain; charset=utf-8", Ok(one_line(&self.detail))),
        };
        let mut response = HttpResponse::build(status);
        // The rest of the body is still in flight, so the connection cannot be reused.
        if matches!(
            self.kind,
            Kind::BodyTooLarge | Kind::BodyTooSlow | Kind::BodyBroken | Kind::TooManyBodies
        ) {
            response.force_close();
        }
        if matches!(self.kind, Kind::Overloaded | Kind::TooManyBodies | Kind::TooManyAnalyses) {
            response.insert_header((header::RETRY_AFTER, "1"));
        }
        // A database that is back is found within about as long.
        if self.kind == Kind::StoreFailed {
            response.insert_header((header::RETRY_AFTER, "5"));
        }
        if self.kind == Kind::Unauthorized {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.content_type(content_type).body(body.unwrap_or_default() + "\n")
    }
}

/// What MLflow calls an error of this status.
fn mlflow_code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "UNAUTHENTICATED",
        StatusCode::FORBIDDEN => "PERMISSION_DENIED",
        StatusCode::NOT_FOUND => "ENDPOINT_NOT_FOUND",
        StatusCode::SERVICE_UNAVAILABLE => "TEMPORARILY_UNAVAILABLE",
        status if status.is_server_error() => "INTERNAL_ERROR",
        _ => "BAD_REQUEST",
    }
}

impl Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.detail)
    }
}

/// Details quote the request, so a long one loses its middle: the mistake is at the beginning, the
/// remedy at the end.
fn shortened(detail: String) -> String {
    const EACH_END: usize = 1000;
    let length = detail.chars().count();
    if length <= 2 * EACH_END {
        return detail;
    }
    let begin: String = detail.chars().take(EACH_END).collect();
    let end: String = detail.chars().skip(length - EACH_END).collect();
    format!("{begin} [...] {end}")
}

/// An error of the layers below, by its kind.
pub(crate) trait Classified: Display {
    fn kind(&self) -> Kind;
}

impl<E: Classified> From<E> for Problem {
    #[cold]
    fn from(error: E) -> Problem {
        Problem::new(error.kind(), error)
    }
}

impl Classified for PredictError {
    fn kind(&self) -> Kind {
        match self {
            PredictError::Row { .. } => Kind::InvalidFeatures,
            PredictError::Stable(_) => Kind::StableFailed,
            PredictError::Overloaded => Kind::Overloaded,
        }
    }
}

impl Classified for ReplayRecentError {
    fn kind(&self) -> Kind {
        match self {
            ReplayRecentError::Refused(refusal) => refusal.kind(),
            ReplayRecentError::NotKept => Kind::RecentRequestsOff,
        }
    }
}

impl Classified for CommandError {
    fn kind(&self) -> Kind {
        match self {
            CommandError::Registry(error) => error.kind(),
            CommandError::Field(_) | CommandError::Contradiction { .. } => Kind::InvalidBody,
            CommandError::PreviousLost { .. } => Kind::PreviousLost,
            CommandError::Refused(refusal) => refusal.kind(),
            CommandError::Store(error) => error.kind(),
            CommandError::PendingRollback(_) => Kind::RollbackPending,
            CommandError::Features { .. } => Kind::FeaturesDiffer,
            CommandError::Output { .. } => Kind::OutputDiffers,
            CommandError::NameTaken { .. } => Kind::NameTaken,
            CommandError::WarmUp { .. } => Kind::WarmUpFailed,
            CommandError::InjectionNotAllowed => Kind::InjectionNotAllowed,
            CommandError::Revision { .. } => Kind::RevisionChanged,
        }
    }
}

impl Classified for RegistryError {
    fn kind(&self) -> Kind {
        match self {
            RegistryError::Outside { .. } => Kind::PathOutside,
            RegistryError::NotFound { .. } => Kind::NoSuchModel,
            RegistryError::NotAModel { .. } | RegistryError::OtherDigest { .. } => Kind::NotAModel,
        }
    }
}

impl Classified for NoHistory {
    fn kind(&self) -> Kind {
        match self {
            NoHistory::Refused(refusal) => refusal.kind(),
            NoHistory::NoSuchMetric { .. } => Kind::NoSuchMetric,
        }
    }
}

impl Classified for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Refusal::CanaryActive { .. } => Kind::CanaryActive,
            Refusal::NoCanary => Kind::NoCanary,
            Refusal::OtherRollout { .. } => Kind::OtherRollout,
            Refusal::StaleJudgement => Kind::StaleJudgement,
            Refusal::NotPassing { waiting_helps: true, .. } => Kind::InsufficientData,
            Refusal::NotPassing { waiting_helps: false, .. } => Kind::NotPassing,
            Refusal::IsPaused { .. } => Kind::Paused,
            Refusal::LastStep { .. } => Kind::LastStep,
            Refusal::NotByPlan { .. } => Kind::NotByPlan,
            Refusal::NotApproved { .. } => Kind::NotApproved,
            Refusal::CoolingDown { .. } => Kind::CoolingDown,
            Refusal::PromotionMonitored { .. } => Kind::PromotionMonitored,
            Refusal::NothingToRevert => Kind::NothingToRevert,
            Refusal::Quarantined { .. } => Kind::Quarantined,
            Refusal::ReasonMissing => Kind::ReasonMissing,
            Refusal::AlreadyInitialized => Kind::AlreadyInitialized,
        }
    }
}

impl Classified for StoreError {
    fn kind(&self) -> Kind {
        match self {
            StoreError::Conflict { .. } => Kind::RevisionConflict,
            StoreError::InUse { .. }
            | StoreError::Gone { .. }
            | StoreError::Open { .. }
            | StoreError::Foreign { .. }
            | StoreError::Damaged { .. }
            | StoreError::NotLeader { .. }
            | StoreError::Shortened { .. }
            | StoreError::Unreachable { .. }
            | StoreError::Database { .. }
            | StoreError::Sqlite(_) => Kind::StoreFailed,
            StoreError::Unsure { .. } => Kind::StoreUnsure,
        }
    }
}

impl Classified for ReplayError {
    fn kind(&self) -> Kind {
        match self {
            ReplayError::NoRollout(_) | ReplayError::NoneYet => Kind::NoSuchRollout,
            ReplayError::Policy(_) | ReplayError::NotRecorded { .. } => Kind::InvalidQuery,
            ReplayError::Store(cause) => cause.kind(),
            ReplayError::TooLong { .. } | ReplayError::Abandoned => Kind::ReplayStopped,
            ReplayError::NotKept { .. } | ReplayError::Log(_) => Kind::StoreFailed,
        }
    }
}

impl Classified for RecordError {
    fn kind(&self) -> Kind {
        match self {
            RecordError::Score(_) | RecordError::NotJudged { .. } => Kind::InvalidBody,
            RecordError::TooManyMetrics { .. } => Kind::TooManyMetrics,
        }
    }
}

impl Classified for FeedbackError {
    fn kind(&self) -> Kind {
        match self {
            FeedbackError::Disabled => Kind::FeedbackDisabled,
            FeedbackError::Id(IdError::Malformed) => Kind::MalformedId,
            FeedbackError::Id(IdError::Forged) => Kind::ForgedId,
            FeedbackError::Outcome { .. } => Kind::InvalidBody,
            FeedbackError::Expired { .. } => Kind::FeedbackExpired,
            FeedbackError::Gone { .. } => Kind::RolloutGone,
            FeedbackError::Repeated => Kind::RepeatedFeedback,
            FeedbackError::Full { .. } => Kind::FeedbackFull,
        }
    }
}
