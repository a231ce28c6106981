//! Handlers: what they are called with, and the JSON that they answer.

pub mod object;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::HttpResponseBuilder;
use actix_web::Resource;
use actix_web::Route;
use actix_web::body::MessageBody;
use actix_web::http::ConnectionType;
use actix_web::http::Method;
use actix_web::http::header;
use actix_web::web;
use actix_web::web::Bytes;
use actix_web::web::Data;
use actix_web::web::Payload;
use serde::Serialize;

use super::problem::Kind;
use super::problem::Problem;
use super::reading::body;
use super::reading::body::ContentType;
use super::reading::body_room::Reserved;
use super::shared::Shared;
use crate::service::Service;

/// A response, or the problem that becomes one.
pub type Answer = Result<HttpResponse, Problem>;

/// A request as handlers see it.
pub struct Call {
    /// The request without its body.
    pub request: HttpRequest,
    /// The body; empty for GET.
    pub body: Bytes,
    /// The room that a large body takes.
    pub room: Option<Reserved>,
    /// The state that all handlers share.
    pub shared: Data<Shared>,
}

/// A handler without its type, so that all routes share the code around it.
type Handler = Rc<dyn Fn(Call) -> Pin<Box<dyn Future<Output = Answer>>>>;

fn handler<F: Future<Output = Answer> + 'static>(handle: fn(Call) -> F) -> Handler {
    Rc::new(move |call| Box::pin(handle(call)))
}

/// A resource that is read.
pub fn get<F: Future<Output = Answer> + 'static>(path: &str, handle: fn(Call) -> F) -> Resource {
    resource(path, "GET", route(Method::GET, None, handler(handle)))
}

/// A resource that is read, also by HEAD.
pub fn probe<F: Future<Output = Answer> + 'static>(path: &str, handle: fn(Call) -> F) -> Resource {
    let handler = handler(handle);
    let head = route(Method::HEAD, None, handler.clone());
    resource(path, "GET, HEAD", route(Method::GET, None, handler)).route(head)
}

/// A resource that is posted to.
pub fn post<F: Future<Output = Answer> + 'static>(
    path: &str,
    content_type: ContentType,
    handle: fn(Call) -> F,
) -> Resource {
    resource(path, "POST", route(Method::POST, Some(content_type), handler(handle)))
}

fn route(method: Method, content_type: Option<ContentType>, handler: Handler) -> Route {
    web::method(method).to(move |request: HttpRequest, payload: Payload, shared: Data<Shared>| {
        let handler = handler.clone();
        async move {
            let answer = answered(&request, payload, content_type, &handler, shared.clone()).await;
            let answer = answer.unwrap_or_else(|problem| problem.response(request.path()));
            last_if_draining(answer, &shared)
        }
    })
}

async fn answered(
    request: &HttpRequest,
    payload: Payload,
    content_type: Option<ContentType>,
    handler: &Handler,
    shared: Data<Shared>,
) -> Answer {
    let mut is_read = true;
    let (body, room) = match content_type {
        Some(required) => body::read(request, payload, required, &shared).await?,
        None => {
            is_read = body::discard(request, payload, &shared).await;
            (Bytes::new(), None)
        }
    };
    let answer = handler(Call { request: request.clone(), body, room, shared }).await;
    Ok(last_unless(is_read, answer.unwrap_or_else(|problem| problem.response(request.path()))))
}

/// A route that always answers with a problem.
pub(super) fn refusing<F: Fn(&HttpRequest) -> HttpResponse + Clone + 'static>(refusal: F) -> Route {
    web::to(move |request: HttpRequest, payload: Payload, shared: Data<Shared>| {
        let refusal = refusal.clone();
        async move {
            let is_read = body::discard(&request, payload, &shared).await;
            last_if_draining(last_unless(is_read, refusal(&request)), &shared)
        }
    })
}

/// Tells the client to open another connection, if this server is about to stop.
pub(super) fn last_if_draining(response: HttpResponse, shared: &Shared) -> HttpResponse {
    last_unless(shared.service.serving.is_ready(), response)
}

/// The last answer of its connection, unless the connection can be used again.
pub(super) fn last_unless(is_reusable: bool, mut response: HttpResponse) -> HttpResponse {
    if !is_reusable {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

/// A resource that refuses other methods than its own.
fn resource(path: &str, allowed: &'static str, route: Route) -> Resource {
    let wrong_method = move |request: &HttpRequest| wrong_method(request, allowed);
    web::resource(path).route(route).default_service(refusing(wrong_method))
}

fn wrong_method(request: &HttpRequest, allowed: &'static str) -> HttpResponse {
    let (method, path) = (request.method(), request.path());
    let detail = format!("{path} does not take {method}; use {allowed}");
    let mut response = Problem::new(Kind::MethodNotAllowed, detail).response(path);
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allowed));
    response
}

impl Call {
    /// What the service says, on a thread that handles no connections: it may wait for the disk, or
    /// compute for long.
    ///
    /// # Errors
    /// Those of the service, and when no thread is available.
    pub async fn ask<T, E>(
        &self,
        question: impl FnOnce(&Service) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Send + 'static,
        Problem: From<E>,
    {
        let service = self.shared.service.clone();
        let outcome = web::block(move || question(&service)).await;
        let outcome = outcome.map_err(|_| Problem::too_busy())?;
        Ok(outcome?)
    }
}

/// A response with this body: JSON on a line of its own, so that a terminal shows each answer on one.
///
/// # Errors
/// When the answer cannot be written as JSON.
pub fn json<T: Serialize>(answer: &T) -> Answer {
    Ok(with_body(&mut HttpResponse::Ok(), written(answer)?))
}

/// [`json`] with this revision as its `ETag`.
///
/// # Errors
/// When the answer cannot be written as JSON.
pub fn json_at<T: Serialize>(revision: u64, answer: &T) -> Answer {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::ETAG, format!("\"{revision}\"")));
    Ok(with_body(&mut response, written(answer)?))
}

/// A response with this plain text.
///
/// # Errors
/// None.
pub fn text(body: impl MessageBody + 'static) -> Answer {
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(body))
}

const JSON: header::HeaderValue = header::HeaderValue::from_static("application/json");

/// A response with this JSON.
pub(super) fn with_json(body: Vec<u8>) -> HttpResponse {
    with_body(&mut HttpResponse::Ok(), body)
}

/// How many bytes of a body are JSON, if raw tensors follow. Of requests, too.
pub(super) const JSON_BYTES_HEADER: &str = "inference-header-content-length";

/// A response with these bytes, of which the first are JSON.
pub(super) fn with_binary(body: Vec<u8>, json_bytes: usize) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((JSON_BYTES_HEADER, json_bytes));
    response.insert_header(header::ContentType::octet_stream()).body(body)
}

/// The answer as JSON.
///
/// # Errors
/// When the answer cannot be written as JSON.
pub(super) fn written<T: Serialize>(answer: &T) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::with_capacity(256);
    object::append(&mut body, answer)?;
    body.push(b'\n');
    Ok(body)
}

fn with_body(response: &mut HttpResponseBuilder, body: Vec<u8>) -> HttpResponse {
    response.insert_header((header::CONTENT_TYPE, JSON)).body(body)
}
