//! Errors as HTTP answers: the only file that knows status codes.
//!
//! Every error is an `application/problem+json` (RFC 9457) with two extra members: `code`, a stable
//! word for programs, and `error`, the detail again, where clients of the Open Inference Protocol
//! look for it.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use serde::Deserialize;
use serde::Serialize;

use crate::canary::Refusal;
use crate::canary::analysis::metric_table::TableError;
use crate::canary::analysis::options::OptionError;
use crate::canary::policy::metric::MetricNameError;
use crate::canary::traffic::prediction_id::IdError;
use crate::service::CommandError;
use crate::service::control::registry::RegistryError;
use crate::service::reported::feedback::FeedbackError;
use crate::service::reported::recordings::RecordError;
use crate::service::serving::predict::PredictError;
use crate::service::serving::shadow::queue::ReplayRecentError;
use crate::store::StoreError;
use crate::text::durations::DurationError;
use crate::text::fields::FieldError;

/// An error on its way to the client.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    /// The methods the route takes.
    allow: Option<String>,
}

/// The body of a problem (RFC 9457).
#[derive(Default, Serialize, Deserialize)]
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
    /// The same as `detail`.
    pub error: Cow<'a, str>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: String) -> Problem {
        Problem { status, code, title, detail: shortened(detail), allow: None }
    }

    /// The body is not JSON of the right shape.
    pub fn json(cause: &serde_json::Error) -> Problem {
        let (status, code) = match cause.classify() {
            serde_json::error::Category::Data => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_body"),
            serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof
            | serde_json::error::Category::Io => (StatusCode::BAD_REQUEST, "invalid_json"),
        };
        let detail = format!("invalid body: {cause}");
        Problem::new(status, code, "Invalid body", detail)
    }

    /// A field of the body is missing, unknown or out of range.
    pub fn field(detail: impl Into<String>) -> Problem {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Problem::new(status, "invalid_body", "Invalid body", detail.into())
    }

    /// The same problem with the path of the object it is in.
    #[must_use]
    pub fn within(mut self, path: &str) -> Problem {
        self.detail = shortened(format!("{path}: {}", self.detail));
        self
    }

    /// There is no body.
    pub fn empty_body(example: &str) -> Problem {
        let detail = format!("the body is empty; send JSON, for example {example}");
        Problem::new(StatusCode::BAD_REQUEST, "empty_body", "The body is empty", detail)
    }

    /// The body is larger than allowed.
    pub fn too_large(limit: usize) -> Problem {
        let detail = format!("the body is larger than {limit} bytes; send fewer rows at once");
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Problem::new(status, "body_too_large", "The body is too large", detail)
    }

    /// The queue of analyses is full.
    pub fn too_many_analyses() -> Problem {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_analyses",
            "Too many analyses",
            "the queue of analyses is full; try again later".to_owned(),
        )
    }

    /// The body did not arrive in time.
    pub fn too_slow(seconds: f64) -> Problem {
        let detail = format!("the body did not arrive within {seconds} s; send it again");
        let status = StatusCode::REQUEST_TIMEOUT;
        Problem::new(status, "body_too_slow", "The body took too long", detail)
    }

    /// The connection broke while the body was sent.
    pub fn broken(cause: &impl std::fmt::Display) -> Problem {
        let detail = format!("the body is incomplete ({cause}); send it again");
        Problem::new(StatusCode::BAD_REQUEST, "body_broken", "Incomplete body", detail)
    }

    /// The content type or encoding of the body is not supported.
    pub fn media_type(detail: String) -> Problem {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Problem::new(status, "unsupported_media_type", "The body is not plain JSON", detail)
    }

    /// A parameter of the query is unknown or out of range.
    pub fn query(detail: String) -> Problem {
        let status = StatusCode::BAD_REQUEST;
        Problem::new(status, "invalid_query", "Invalid query", detail)
    }

    /// A header of a prediction has an invalid value.
    pub fn header(detail: String) -> Problem {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Problem::new(status, "invalid_header", "Invalid header", detail)
    }

    /// The `If-Match` header is not a revision.
    pub fn if_match(value: &str) -> Problem {
        let detail =
            format!("If-Match: {value:?} is not a revision; use the ETag of /admin/status");
        Problem::new(StatusCode::BAD_REQUEST, "invalid_if_match", "Invalid If-Match header", detail)
    }

    /// No route has this path.
    pub fn no_route(path: &str) -> Problem {
        let detail = format!(
            "no route {path}; predictions are at POST /predict, the status is at GET /admin/status"
        );
        Problem::new(StatusCode::NOT_FOUND, "no_such_route", "No such route", detail)
    }

    /// The route does not take this method.
    pub fn method(method: &str, path: &str, allow: &str) -> Problem {
        let detail = format!("{path} does not take {method}; use {allow}");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let mut problem = Problem::new(status, "method_not_allowed", "Method not allowed", detail);
        problem.allow = Some(allow.to_owned());
        problem
    }

    /// The token is missing or wrong.
    pub fn unauthorized() -> Problem {
        let detail = "this server requires a token; send Authorization: Bearer TOKEN".to_owned();
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Token required", detail)
    }

    /// The caller has no access.
    pub fn forbidden(detail: &str) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "forbidden", "Access denied", detail.to_owned())
    }

    /// The server is about to stop.
    pub fn draining() -> Problem {
        let detail = "this server is shutting down; send the request to another one".to_owned();
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "draining", "Shutting down", detail)
    }

    /// A failure that is not the client's fault.
    pub fn internal(detail: impl Into<String>) -> Problem {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Problem::new(status, "internal", "Internal error", detail.into())
    }

    /// The code and the detail, for one item of a batch.
    pub fn parts(self) -> (&'static str, String) {
        (self.code, self.detail)
    }

    /// Whether the rest of the body is still in flight, so that the connection cannot be reused.
    fn breaks_off(&self) -> bool {
        matches!(self.code, "body_too_large" | "body_too_slow" | "body_broken")
    }

    /// The response to a request for this path.
    pub fn response(&self, instance: &str) -> HttpResponse {
        let body = ProblemBody {
            r#type: format!("urn:serin:problem:{}", self.code),
            title: self.title.into(),
            status: self.status.as_u16(),
            detail: (&self.detail).into(),
            instance: instance.into(),
            code: self.code.into(),
            error: (&self.detail).into(),
        };
        let mut response = HttpResponse::build(self.status);
        if let Some(allow) = &self.allow {
            response.insert_header((header::ALLOW, allow.as_str()));
        }
        if self.breaks_off() {
            response.force_close();
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response
            .content_type("application/problem+json")
            .body(serde_json::to_string(&body).unwrap_or_default() + "\n")
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

impl From<PredictError> for Problem {
    fn from(error: PredictError) -> Problem {
        let detail = error.to_string();
        match error {
            PredictError::Row { .. } => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_features",
                "The features do not fit the model",
                detail,
            ),
            PredictError::Stable(_) => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "stable_failed",
                "The stable model failed",
                detail,
            ),
        }
    }
}

impl From<ReplayRecentError> for Problem {
    fn from(error: ReplayRecentError) -> Problem {
        let detail = error.to_string();
        match error {
            ReplayRecentError::Refused(refusal) => refusal.into(),
            ReplayRecentError::RingIsOff => Problem::new(
                StatusCode::CONFLICT,
                "recent_requests_off",
                "Recent requests are not kept",
                detail,
            ),
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Problem {
        let detail = error.to_string();
        let unprocessable = |code, title| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, title, detail.clone())
        };
        match error {
            CommandError::Registry(error) => error.into(),
            CommandError::Field(error) => error.into(),
            CommandError::PreviousLost { .. } => Problem::new(
                StatusCode::CONFLICT,
                "previous_lost",
                "The previous version is no longer available",
                detail,
            ),
            CommandError::Contradiction { .. } => Problem::field(detail),
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::Store(error) => error.into(),
            CommandError::PendingRollback(_) => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "rollback_pending",
                "The rollback took effect but is not yet in the journal",
                detail,
            ),
            CommandError::Features { .. } => {
                unprocessable("features_differ", "The features differ from stable's")
            }
            CommandError::WarmUp { .. } => {
                unprocessable("warm_up_failed", "The model failed during warm-up")
            }
            CommandError::InjectionNotAllowed => Problem::new(
                StatusCode::FORBIDDEN,
                "injection_not_allowed",
                "Fault injection is disabled",
                detail,
            ),
            CommandError::Revision { .. } => Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "revision_changed",
                "The state has changed",
                detail,
            ),
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Problem {
        let (status, code, title) = match &error {
            RegistryError::Outside { .. } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "path_outside",
                "The path is outside the models folder",
            ),
            RegistryError::NotFound { .. } => {
                (StatusCode::NOT_FOUND, "no_such_model", "No such model")
            }
            RegistryError::NotAModel { .. } | RegistryError::OtherDigest { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "not_a_model", "Not a valid model file")
            }
        };
        Problem::new(status, code, title, error.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let conflict = StatusCode::CONFLICT;
        let (status, code) = match &refusal {
            Refusal::CanaryActive { .. } => (conflict, "canary_active"),
            Refusal::NoCanary => (conflict, "no_canary"),
            Refusal::OtherRollout { .. } => (conflict, "other_rollout"),
            Refusal::StaleJudgement => (conflict, "stale_judgement"),
            Refusal::NotPassing { harm_detected: false, .. } => (conflict, "insufficient_data"),
            Refusal::NotPassing { harm_detected: true, .. } => (conflict, "not_passing"),
            Refusal::IsPaused { .. } => (conflict, "paused"),
            Refusal::LastStep { .. } => (conflict, "last_step"),
            Refusal::NotByPlan { .. } => (conflict, "not_by_plan"),
            Refusal::NotApproved { .. } => (conflict, "not_approved"),
            Refusal::CoolingDown { .. } => (conflict, "cooling_down"),
            Refusal::PromotionMonitored { .. } => (conflict, "promotion_monitored"),
            Refusal::NothingToRevert => (conflict, "nothing_to_revert"),
            Refusal::Quarantined { .. } => (conflict, "quarantined"),
            Refusal::ReasonMissing => (StatusCode::UNPROCESSABLE_ENTITY, "reason_missing"),
            Refusal::AlreadyInitialized => (conflict, "already_initialized"),
        };
        Problem::new(status, code, "Not possible in the current state", refusal.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        match &error {
            StoreError::Conflict { .. } => Problem::new(
                StatusCode::CONFLICT,
                "revision_conflict",
                "Concurrent change",
                error.to_string(),
            ),
            StoreError::InUse { .. }
            | StoreError::Open { .. }
            | StoreError::Foreign { .. }
            | StoreError::Damaged { .. }
            | StoreError::Sqlite(_) => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "store_failed",
                "The store failed; nothing changed",
                error.to_string(),
            ),
        }
    }
}

impl From<OptionError> for Problem {
    fn from(error: OptionError) -> Problem {
        Problem::field(error.to_string())
    }
}

impl From<TableError> for Problem {
    fn from(error: TableError) -> Problem {
        Problem::field(error.to_string())
    }
}

impl From<MetricNameError> for Problem {
    fn from(error: MetricNameError) -> Problem {
        Problem::field(error.to_string())
    }
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Problem {
        Problem::field(error.to_string())
    }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Problem {
        match &error {
            RecordError::Name(_) | RecordError::Score(_) | RecordError::NotJudged { .. } => {
                Problem::field(error.to_string())
            }
            RecordError::TooManyMetrics { .. } => Problem::new(
                StatusCode::CONFLICT,
                "too_many_metrics",
                "Too many metrics",
                error.to_string(),
            ),
        }
    }
}

impl From<FeedbackError> for Problem {
    fn from(error: FeedbackError) -> Problem {
        let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
        let (status, code) = match &error {
            FeedbackError::Disabled => (StatusCode::CONFLICT, "feedback_disabled"),
            FeedbackError::Id(IdError::Malformed) => (unprocessable, "malformed_id"),
            FeedbackError::Id(IdError::Forged) => (unprocessable, "forged_id"),
            FeedbackError::Expired { .. } => (StatusCode::GONE, "feedback_expired"),
            FeedbackError::Gone { .. } => (StatusCode::GONE, "rollout_gone"),
            FeedbackError::Repeated => (StatusCode::CONFLICT, "repeated_feedback"),
            FeedbackError::Full { .. } => (StatusCode::SERVICE_UNAVAILABLE, "feedback_full"),
        };
        Problem::new(status, code, "Label not accepted", error.to_string())
    }
}

impl From<DurationError> for Problem {
    fn from(error: DurationError) -> Problem {
        Problem::field(error.to_string())
    }
}
