//! `GET /metrics`: numbers for Prometheus, and both tracks side by side as JSON.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::http::header::Accept;
use actix_web::http::header::Header as _;
use actix_web::http::header::Quality;

use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::problem::Problem;
use crate::service::Service;
use crate::service::status::metrics::summary::Summaries;
use crate::text::exposition::Format;

/// Numbers for Prometheus, or both tracks side by side.
///
/// Answers in the form that `Accept` prefers, and in the text format if it asks for anything else.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    operation_id = "metrics",
    responses((
        status = 200,
        description = "The metrics",
        content(
            (String = "text/plain"),
            (String = "application/openmetrics-text"),
            (Summaries = "application/json"),
        )
    )),
)]
pub async fn metrics(call: Call) -> Answer {
    let _turn = call.shared.scrapes.acquire().await;
    let format = match Form::preferred(&call) {
        Form::Json => {
            let summaries = |service: &Service| Ok::<_, Problem>(service.control.summaries());
            let mut answer = json(&call.ask(summaries).await?)?;
            answer.headers_mut().insert(header::VARY, header::HeaderValue::from_static("accept"));
            return Ok(answer);
        }
        Form::Text(format) => format,
    };
    let text = call.ask(move |service| Ok::<_, Problem>(service.metrics(format))).await?;
    let content_type = match format {
        Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::VARY, "accept"))
        .insert_header((header::CONTENT_TYPE, content_type))
        .body(text))
}

/// What is answered.
enum Form {
    Json,
    Text(Format),
}

impl Form {
    fn preferred(call: &Call) -> Form {
        let mut accept = Accept::parse(&call.request).unwrap_or_else(|_| Accept(Vec::new()));
        // Quality 0 means "not this one" (RFC 9110).
        accept.0.retain(|kind| kind.quality > Quality::ZERO);
        let ranked = if accept.0.is_empty() { Vec::new() } else { accept.ranked() };
        let form = |kind: &str| match kind {
            "application/openmetrics-text" => Some(Form::Text(Format::OpenMetrics)),
            "application/json" => Some(Form::Json),
            "text/plain" | "text/*" | "*/*" => Some(Form::Text(Format::Text)),
            _ => None,
        };
        let mut forms = ranked.iter().filter_map(|kind| form(kind.essence_str()));
        forms.next().unwrap_or(Form::Text(Format::Text))
    }
}
