//! Writing an answer: work that blocks goes to a thread of its own, what comes of it becomes JSON.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web;
use serde::Serialize;

use super::problem::Problem;

/// Does work that waits or computes for long, on a thread that drives no connections.
///
/// # Errors
/// Those of the work, and when the server is shutting down.
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

/// The response with this body, and with this revision as its `ETag`.
///
/// # Errors
/// When the answer cannot be written as JSON.
pub fn json<T: Serialize>(answer: &T, revision: Option<u64>) -> Result<HttpResponse, Problem> {
    let mut body = serde_json::to_vec(answer)
        .map_err(|cause| Problem::internal(format!("the answer could not be written: {cause}")))?;
    body.push(b'\n');
    let mut response = HttpResponse::Ok();
    if let Some(revision) = revision {
        response.insert_header((header::ETAG, format!("\"{revision}\"")));
    }
    Ok(response.insert_header(header::ContentType::json()).body(body))
}
