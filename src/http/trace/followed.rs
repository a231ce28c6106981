//! A request that is followed: its log lines name its trace and its id, and its answer repeats the id.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::Error;
use actix_web::HttpMessage as _;
use actix_web::dev::ServiceRequest;
use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::http::header::HeaderValue;
use tracing::Instrument as _;
use tracing::Level;
use tracing::Span;
use tracing::field::Empty;
use tracing::field::display;

use super::Exported;
use super::Tracer;
use super::context::REQUEST_ID;
use super::context::TraceParent;
use super::context::request_id;
use super::evaluation::Evaluation;
use super::evaluation::Slot;
use super::outcome::Outcome;
use super::outcome::PROVIDER;
use crate::service::clock::Clock;

/// What requests are followed with.
#[derive(Clone)]
pub(crate) struct Following {
    /// Exports spans, if the environment asks for it.
    pub(crate) tracer: Option<Tracer>,
    /// The name of the model: the key of the flag.
    pub(crate) model: Arc<str>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A request that is followed.
pub(crate) struct Followed {
    method: Method,
    path: String,
    id: Option<HeaderValue>,
    /// Where log lines get the trace from.
    span: Span,
    exported: Option<Exported>,
    evaluation: Slot,
    following: Following,
    begin: Duration,
}

impl Following {
    /// Follows a request if it carries a trace or an id, if spans are exported, or if the log is detailed.
    pub(crate) fn follow(&self, request: &ServiceRequest) -> Option<Box<Followed>> {
        let headers = request.headers();
        let (parent, id) = (TraceParent::of(headers), request_id(headers));
        let is_carried = parent.is_some() || id.is_some();
        if !is_carried && self.tracer.is_none() && !tracing::enabled!(Level::DEBUG) {
            return None;
        }
        let exported = self.tracer.as_ref().map(|tracer| tracer.start(parent, headers));
        let own = exported.as_ref().map(Exported::ids);
        let recorded = match &exported {
            Some(exported) => exported.is_recorded(),
            None => parent.is_some_and(|parent| parent.is_sampled),
        };
        let trace_id = own.map(|(trace, _)| trace).or(parent.map(|parent| parent.trace_id));
        // At the level of errors, so that they name it, whatever the level of the log is.
        let span = tracing::error_span!(
            "request",
            trace_id = trace_id.map(|it| display(format!("{it:032x}"))),
            span_id = own.map(|(_, span)| display(format!("{span:016x}"))),
            request_id = id.and_then(|id| id.to_str().ok()).map(display),
            feature_flag.key = Empty,
            feature_flag.provider.name = Empty,
            feature_flag.result.variant = Empty,
            feature_flag.result.reason = Empty,
            feature_flag.context.id = Empty,
            feature_flag.version = Empty,
        );
        let recorded = trace_id.filter(|_| recorded);
        let evaluation = Slot::of(recorded);
        request.extensions_mut().insert(evaluation.clone());
        Some(Box::new(Followed {
            method: request.method().clone(),
            path: request.path().to_owned(),
            id: id.cloned(),
            span,
            exported,
            evaluation,
            begin: self.clock.steady(),
            following: self.clone(),
        }))
    }
}

impl Followed {
    /// Waits for the answer, logs it in detail, and gives it the id of the request.
    pub(crate) async fn answered<B, F>(self, answer: Pin<&mut F>) -> F::Output
    where
        F: Future<Output = Result<ServiceResponse<B>, Error>>,
    {
        let span = self.span.clone();
        let mut response = answer.instrument(span).await?;
        let evaluation = self.evaluation.taken();
        let route = response.request().match_pattern().map(|pattern| pattern.replace(REGEX, ""));
        let status = response.status();
        let outcome = Outcome {
            method: word(&self.method),
            route: route.as_deref(),
            path: &self.path,
            status: status.as_u16(),
            is_server_error: status.is_server_error(),
            request_id: self.id.as_ref().and_then(|id| id.to_str().ok()),
            model: &self.following.model,
            evaluation,
        };
        self.log(&outcome);
        if let Some(exported) = self.exported {
            exported.end(&outcome);
        }
        if let Some(id) = self.id {
            response.headers_mut().insert(REQUEST_ID.clone(), id);
        }
        Ok(response)
    }

    fn log(&self, outcome: &Outcome<'_>) {
        if let Some(evaluation) = outcome.evaluation {
            let (span, Evaluation { variant, reason, rollout, .. }) = (&self.span, evaluation);
            span.record("feature_flag.key", display(outcome.model));
            span.record("feature_flag.provider.name", display(PROVIDER));
            span.record("feature_flag.result.variant", display(variant.name()));
            span.record("feature_flag.result.reason", display(reason.word()));
            if let Some(id) = evaluation.context_id {
                span.record("feature_flag.context.id", display(format!("{id:016x}")));
            }
            if rollout > 0 {
                span.record("feature_flag.version", rollout);
            }
        }
        let took = self.following.clock.steady().saturating_sub(self.begin).as_secs_f64() * 1e3;
        let Outcome { method, route, status, .. } = *outcome;
        let to = route.unwrap_or("(no route)");
        self.span.in_scope(|| tracing::debug!("{method} {to} answered {status} in {took:.3} ms"));
    }
}

/// What the templates of some routes say of the form of a name.
const REGEX: &str = ":[^/:]+";

/// The method as the conventions for HTTP have it: one of a closed set.
fn word(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.into_iter().find(|known| method == known).unwrap_or("_OTHER")
}
