//! Routes and their handlers: what handlers are called with, and the JSON that they answer.

pub mod object;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use actix_web::Error;
use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::HttpResponseBuilder;
use actix_web::body::MessageBody;
use actix_web::dev::AppService;
use actix_web::dev::HttpServiceFactory;
use actix_web::dev::Payload;
use actix_web::dev::ResourceDef;
use actix_web::dev::ServiceRequest;
use actix_web::dev::ServiceResponse;
use actix_web::dev::fn_service;
use actix_web::error::ErrorInternalServerError;
use actix_web::http::ConnectionType;
use actix_web::http::Method;
use actix_web::http::header;
use actix_web::http::header::HeaderMap;
use actix_web::web;
use actix_web::web::Bytes;
use actix_web::web::Data;
use serde::Serialize;

use super::access::log_refused;
use super::problem::Kind;
use super::problem::Problem;
use super::reading::body;
use super::reading::body::ContentType;
use super::reading::body_room::Reserved;
use super::settings::Settings;
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
type Handler = Box<dyn Fn(Call) -> Pin<Box<dyn Future<Output = Answer>>>>;

/// Whether a request may be answered.
type Check = fn(&Settings, &HeaderMap) -> Result<(), Problem>;

/// A route: its path, the requests that it takes, and its handler.
///
/// It is a service of its own: actix-web's resources choose among routes, guards and extractors, each in a boxed future.
pub struct Route {
    path: String,
    methods: &'static [Method],
    /// Of the body; `None` for a route that takes none.
    content_type: Option<ContentType>,
    check: Option<Check>,
    handler: Handler,
}

/// A route that is read.
pub fn get<F: Future<Output = Answer> + 'static>(path: &str, handle: fn(Call) -> F) -> Route {
    Route::new(path, &[Method::GET], None, handle)
}

/// A route that is read, also by HEAD.
pub fn probe<F: Future<Output = Answer> + 'static>(path: &str, handle: fn(Call) -> F) -> Route {
    Route::new(path, &[Method::GET, Method::HEAD], None, handle)
}

/// A route that is posted to.
pub fn post<F: Future<Output = Answer> + 'static>(
    path: &str,
    content_type: ContentType,
    handle: fn(Call) -> F,
) -> Route {
    Route::new(path, &[Method::POST], Some(content_type), handle)
}

impl Route {
    fn new<F: Future<Output = Answer> + 'static>(
        path: &str,
        methods: &'static [Method],
        content_type: Option<ContentType>,
        handle: fn(Call) -> F,
    ) -> Route {
        let handler =
            Box::new(move |call| Box::pin(handle(call)) as Pin<Box<dyn Future<Output = _>>>);
        Route { path: path.to_owned(), methods, content_type, check: None, handler }
    }

    /// The route for requests that pass this check.
    pub(super) fn guarded(self, check: Check) -> Route {
        Route { check: Some(check), ..self }
    }

    async fn answer(self: Rc<Route>, request: ServiceRequest) -> Result<ServiceResponse, Error> {
        let (request, payload) = request.into_parts();
        let shared = shared_of(&request)?;
        if let Some(refusal) = self.refusal(&request, &shared) {
            // Boxed, as below, so that requests that are answered do not carry its state.
            let response = Box::pin(refused(&request, payload, &shared, refusal)).await;
            return Ok(ServiceResponse::new(request, response));
        }
        let mut is_read = true;
        let body = match self.content_type {
            Some(required) => body::read(&request, payload, required, &shared).await,
            None => {
                is_read = Box::pin(body::discard(&request, payload, &shared)).await;
                Ok((Bytes::new(), None))
            }
        };
        let answer = match body {
            Ok((body, room)) => {
                let (request, shared) = (request.clone(), shared.clone());
                (self.handler)(Call { request, body, room, shared }).await
            }
            Err(problem) => Err(problem),
        };
        let answer = answer.unwrap_or_else(|problem| problem.response(request.path()));
        let response = last_if_draining(last_unless(is_read, answer), &shared);
        Ok(ServiceResponse::new(request, response))
    }

    /// What says that this route does not take the request; `None` if it does.
    fn refusal(&self, request: &HttpRequest, shared: &Shared) -> Option<HttpResponse> {
        if let Some(check) = self.check
            && let Err(problem) = check(&shared.settings, request.headers())
        {
            log_refused(shared.service.serving.clock.steady(), request, &problem);
            return Some(problem.response(request.path()));
        }
        (!self.methods.contains(request.method())).then(|| self.wrong_method(request))
    }

    fn wrong_method(&self, request: &HttpRequest) -> HttpResponse {
        let (method, path) = (request.method(), request.path());
        let allowed = self.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let detail = format!("{path} does not take {method}; use {allowed}");
        let mut response = Problem::new(Kind::MethodNotAllowed, detail).response(path);
        // Names of methods are valid in headers.
        if let Ok(allowed) = allowed.try_into() {
            response.headers_mut().insert(header::ALLOW, allowed);
        }
        response
    }
}

impl HttpServiceFactory for Route {
    fn register(self, config: &mut AppService) {
        let path = ResourceDef::new(self.path.as_str());
        let route = Rc::new(self);
        let service = fn_service(move |request| route.clone().answer(request));
        config.register_service(path, None, service, None);
    }
}

/// The state that all handlers share.
pub(super) fn shared_of(request: &HttpRequest) -> Result<Data<Shared>, Error> {
    let shared = request.app_data::<Data<Shared>>().cloned();
    shared.ok_or_else(|| ErrorInternalServerError("no settings"))
}

/// What answers requests that no route takes.
pub(super) async fn no_route(request: ServiceRequest) -> Result<ServiceResponse, Error> {
    let (request, payload) = request.into_parts();
    let path = request.path();
    let detail = format!(
        "no route {path}; GET / lists all of them; predictions are at POST /predict, the status is at \
         GET /admin/status"
    );
    let response = Problem::new(Kind::NoSuchRoute, detail).response(path);
    let shared = shared_of(&request)?;
    let response = refused(&request, payload, &shared, response).await;
    Ok(ServiceResponse::new(request, response))
}

/// This response to a request whose body is not used.
pub(super) async fn refused(
    request: &HttpRequest,
    payload: Payload,
    shared: &Shared,
    response: HttpResponse,
) -> HttpResponse {
    let is_read = body::discard(request, payload, shared).await;
    last_if_draining(last_unless(is_read, response), shared)
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
