//! Answers: blocking work runs on its own thread, and the result becomes JSON.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web;
use actix_web::web::Data;
use serde::Serialize;

use super::problem::Problem;
use super::shared::Shared;
use crate::service::Service;

/// Answers a question about the service, with the revision as `ETag` if there is one.
pub async fn ask<T: Serialize + Send + 'static>(
    request: HttpRequest,
    shared: Data<Shared>,
    question: impl FnOnce(&Service) -> Result<T, Problem> + Send + 'static,
    revision: impl FnOnce(&T) -> Option<u64>,
) -> HttpResponse {
    let service = shared.service.clone();
    let outcome = blocking(move || question(&service)).await;
    respond(&request, outcome.and_then(|answer| json(&answer, revision(&answer))))
}

/// Runs work that waits or computes for long on a thread that handles no connections.
///
/// # Errors
/// Those of the work, and when no thread can be had.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    web::block(work)
        .await
        .map_err(|_| Problem::internal("the server is too busy; nothing was changed, try again"))?
}

/// The response, or the problem's.
pub fn respond(request: &HttpRequest, outcome: Result<HttpResponse, Problem>) -> HttpResponse {
    outcome.unwrap_or_else(|problem| problem.response(request.path()))
}

/// A response with this body, and with this revision as its `ETag`.
///
/// # Errors
/// When the answer cannot be written as JSON.
pub fn json<T: Serialize>(answer: &T, revision: Option<u64>) -> Result<HttpResponse, Problem> {
    let mut response = HttpResponse::Ok();
    if let Some(revision) = revision {
        response.insert_header((header::ETAG, format!("\"{revision}\"")));
    }
    Ok(response.insert_header(header::ContentType::json()).body(line(answer)?))
}

/// JSON on a line of its own, so that a terminal shows each answer on one.
///
/// # Errors
/// When the answer cannot be written as JSON.
pub fn line<T: Serialize>(answer: &T) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::with_capacity(256);
    serde_json::to_writer(&mut body, answer)
        .map_err(|cause| Problem::internal(format!("the answer could not be written: {cause}")))?;
    body.push(b'\n');
    Ok(body)
}
