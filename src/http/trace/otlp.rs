//! Export of spans by OTLP over HTTP, as protobuf, to the collector that the environment names.
//!
//! OpenTelemetry's SDK samples, batches and retries as its variables say (`OTEL_TRACES_SAMPLER`, `OTEL_BSP_...`). A
//! thread of its own sends batches with the HTTP client that tells webhooks, so a slow collector delays no request; when
//! the queue is full, spans are dropped.

use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use async_trait::async_trait;
use opentelemetry::Array;
use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::StringValue;
use opentelemetry::Value;
use opentelemetry::trace::Span as _;
use opentelemetry::trace::SpanContext;
use opentelemetry::trace::SpanId;
use opentelemetry::trace::SpanKind;
use opentelemetry::trace::Status;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::trace::TraceFlags;
use opentelemetry::trace::TraceId;
use opentelemetry::trace::TraceState;
use opentelemetry::trace::Tracer as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::Bytes;
use opentelemetry_http::HttpClient;
use opentelemetry_http::HttpError;
use opentelemetry_http::Request;
use opentelemetry_http::Response;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_otlp::WithHttpConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracer;
use opentelemetry_sdk::trace::SdkTracerProvider;
use opentelemetry_sdk::trace::Span;
use ureq::Agent;

use super::context::TraceParent;
use super::evaluation::Evaluation;
use super::outcome::Outcome;
use super::outcome::PROVIDER;
use super::trace_state;
use crate::service::clock::Clock as _;
use crate::service::clock::SystemClock;
use crate::service::log_limit::LogLimit;

/// Exports spans by OTLP.
#[derive(Clone, Debug)]
pub struct Tracer {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// The variables that name a collector; the first wins.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];

/// The protocol that this build speaks.
const PROTOCOL: &str = "http/protobuf";

/// The timeout of one export, by OpenTelemetry's specification.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl Tracer {
    /// The tracer that the environment asks for; `None` unless it names a collector.
    ///
    /// # Errors
    /// Names the variable that is not valid.
    pub fn from_environment() -> Result<Option<Tracer>, String> {
        let is_off = variable("OTEL_SDK_DISABLED")
            .is_some_and(|it| it.eq_ignore_ascii_case("true"))
            || variable("OTEL_TRACES_EXPORTER").is_some_and(|it| it == "none");
        if is_off || first(ENDPOINTS).is_none() {
            return Ok(None);
        }
        if let Some((name, value)) = first(PROTOCOLS).filter(|(_, value)| value != PROTOCOL) {
            return Err(format!("{name}: {value:?} is not supported; use {PROTOCOL:?}"));
        }
        let timeout = first(TIMEOUTS).map(|(name, value)| {
            let milliseconds = value.parse().map_err(|_| {
                format!("{name}: {value:?} is not a timeout; use milliseconds, for example 10000")
            });
            milliseconds.map(Duration::from_millis)
        });
        let client = Client::new(timeout.transpose()?.unwrap_or(DEFAULT_TIMEOUT));
        let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
        let exporter = exporter.map_err(|cause| format!("traces: {cause}"))?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource())
            .build();
        let tracer = provider.tracer("serin");
        Ok(Some(Tracer { provider, tracer }))
    }

    /// Exports what still waits, for at most so long.
    pub fn finish(&self, patience: Duration) {
        if let Err(cause) = self.provider.shutdown_with_timeout(patience) {
            tracing::warn!(%cause, "the last spans were not exported");
        }
    }

    /// Begins the span of a request: a child of the client's, or the first of a trace.
    pub(super) fn start(&self, parent: Option<TraceParent>, headers: &HeaderMap) -> Exported {
        let parent = parent.map_or_else(Context::new, |parent| {
            let flags = if parent.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
            Context::new().with_remote_span_context(SpanContext::new(
                TraceId::from(parent.trace_id),
                SpanId::from(parent.parent_id),
                flags,
                true,
                trace_state::of(headers)
                    .and_then(|list| TraceState::from_str(&list).ok())
                    .unwrap_or_default(),
            ))
        });
        let builder = self.tracer.span_builder("request").with_kind(SpanKind::Server);
        Exported(self.tracer.build_with_context(builder, &parent))
    }
}

/// A span that is exported once it ends.
pub(crate) struct Exported(Span);

impl Exported {
    /// The trace and the span.
    pub(super) fn ids(&self) -> (u128, u64) {
        let context = self.0.span_context();
        let number = |bytes: &[u8]| {
            bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte))
        };
        let span = number(&context.span_id().to_bytes());
        (number(&context.trace_id().to_bytes()), u64::try_from(span).unwrap_or_default())
    }

    /// Whether the sampler keeps it.
    pub(super) fn is_recorded(&self) -> bool {
        self.0.span_context().is_sampled()
    }

    /// Ends it.
    pub(super) fn end(mut self, outcome: &Outcome<'_>) {
        let span = &mut self.0;
        if !span.is_recording() {
            return;
        }
        let Outcome { method, route, path, status, .. } = *outcome;
        let name = if method == "_OTHER" { "HTTP" } else { method };
        span.update_name(route.map_or_else(|| name.to_owned(), |route| format!("{name} {route}")));
        span.set_attribute(KeyValue::new("http.request.method", method));
        span.set_attribute(KeyValue::new("url.path", path.to_owned()));
        span.set_attribute(KeyValue::new("url.scheme", "http"));
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if let Some(route) = route {
            span.set_attribute(KeyValue::new("http.route", route.to_owned()));
        }
        if let Some(id) = outcome.request_id {
            let values = Value::Array(Array::String(vec![StringValue::from(id.to_owned())]));
            span.set_attribute(KeyValue::new("http.request.header.x-request-id", values));
        }
        if outcome.is_server_error {
            span.set_attribute(KeyValue::new("error.type", status.to_string()));
            span.set_status(Status::error(""));
        }
        if let Some(evaluation) = outcome.evaluation {
            span.set_attributes(attributes(evaluation, outcome.model));
        }
        span.end();
    }
}

/// An evaluation as the conventions for feature flags have it.
fn attributes(evaluation: Evaluation, model: &str) -> Vec<KeyValue> {
    let Evaluation { variant, reason, rollout, context_id, fallback, .. } = evaluation;
    let mut attributes = vec![
        KeyValue::new("feature_flag.key", model.to_owned()),
        KeyValue::new("feature_flag.provider.name", PROVIDER),
        KeyValue::new("feature_flag.result.variant", variant.name()),
        KeyValue::new("feature_flag.result.reason", reason.word()),
        KeyValue::new("serin.fallback", fallback),
    ];
    if rollout > 0 {
        attributes.push(KeyValue::new("feature_flag.version", rollout.to_string()));
    }
    if let Some(id) = context_id {
        attributes.push(KeyValue::new("feature_flag.context.id", format!("{id:016x}")));
    }
    attributes
}

/// The resource of the environment, called serin unless it says otherwise.
fn resource() -> Resource {
    let named = Resource::builder().build();
    let name = named.get(&"service.name".into()).map(|name| name.to_string());
    let is_default = name.is_none_or(|name| name.starts_with("unknown_service"));
    let name = is_default.then(|| KeyValue::new("service.name", "serin"));
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    Resource::builder().with_attributes(name.into_iter().chain([version])).build()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn first(names: [&'static str; 2]) -> Option<(&'static str, String)> {
    names.into_iter().find_map(|name| Some((name, variable(name)?)))
}

/// Sends batches to the collector.
struct Client {
    agent: Agent,
    clock: SystemClock,
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Client")
    }
}

/// The collector may be away for long.
static FAILED: LogLimit = LogLimit::new();

/// A collector answers with a few bytes.
const MAX_ANSWER: u64 = 64 << 10;

impl Client {
    fn new(timeout: Duration) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(timeout))
            .max_redirects(0);
        Client { agent: config.build().new_agent(), clock: SystemClock::default() }
    }

    fn sent(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let answer = self.agent.run(request.map(|body| body.to_vec()))?;
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(MAX_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.sent(request);
        let why = match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(cause) => Some(cause.to_string()),
        };
        if let Some(why) = why
            && let Some(count) = FAILED.due(self.clock.steady())
        {
            tracing::warn!(count, "the collector takes no spans: {why}");
        }
        Ok(sent?)
    }
}
