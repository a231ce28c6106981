//! HTTP: translate a request, call the service, translate the answer back. Nothing is decided here.
//!
//! - [`problem`]: the one place that knows status codes.
//! - [`body`]: reading a body within limits of size and time.
//! - [`fields`]: reading single fields, so that an error names them.
//! - [`answer`]: writing an answer.
//! - [`access`]: who may use `/admin`.
//! - [`wish`]: what the headers of a prediction ask for.
//! - [`predict`]: `POST /predict`.
//! - [`feedback`]: `POST /feedback`.
//! - [`analysis`]: `/record`, `/analyze`, `/status` and `/reset`.
//! - [`admin`]: everything under `/admin`.
//! - [`inject`]: `POST /admin/inject`.
//! - [`shadow`]: what was seen of a canary in shadow.
//! - [`server`]: listening, and stopping without losing anything.

pub mod problem;
pub mod reading;
pub mod routes;

pub mod answer;

pub mod access;

pub mod server;

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::Resource;
use actix_web::Route;
use actix_web::middleware::from_fn;
use actix_web::web;
use actix_web::web::Data;

use crate::service::Service;
use access::Access;
use problem::Problem;
use reading::headers::RequestHeaders;
use routes::admin;
use routes::analysis;
use routes::faults;
use routes::feedback;
use routes::predict;
use routes::shadow;

pub use server::run;

/// What the HTTP server needs to be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many threads answer.
    pub workers: usize,
    /// How many connections each of them keeps at most.
    pub connections: usize,
    /// How large a body may be, in bytes.
    pub body_limit: usize,
    /// How long a client may take to send its body.
    pub body_deadline: Duration,
    /// How long requests under way may take to finish at shutdown.
    pub drain_deadline: Duration,
    /// Who may use `/admin`.
    pub access: Access,
    /// Which headers of a prediction are read.
    pub request_headers: RequestHeaders,
}

/// What every handler reads.
pub struct Shared {
    /// The service.
    pub service: Arc<Service>,
    /// The settings.
    pub settings: Settings,
    /// The turns that analyses take.
    pub analyses: analysis::Turns,
}

/// All routes, on one screen.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(post("/predict", web::post().to(predict::predict)))
        .service(post("/feedback", web::post().to(feedback::feedback)))
        .service(post("/record", web::post().to(analysis::record)))
        .service(post("/analyze", web::post().to(analysis::analyze)))
        .service(get("/status", web::get().to(analysis::status)))
        .service(post("/reset", web::post().to(analysis::reset)))
        .service(get("/livez", web::get().to(livez)).route(web::head().to(livez)))
        .service(get("/readyz", web::get().to(readyz)).route(web::head().to(readyz)))
        .service(
            web::scope("/admin")
                .wrap(from_fn(access::guard))
                .service(post("/deploy-canary", web::post().to(admin::deploy)))
                .service(get("/check-canary-health", web::get().to(admin::health)))
                .service(post("/toggle-slowdown", web::post().to(admin::slowdown)))
                .service(post("/inject", web::post().to(faults::inject)))
                .service(post("/promote-canary", web::post().to(admin::promote)))
                .service(post("/rollback-canary", web::post().to(admin::rollback)))
                .service(post("/revert", web::post().to(admin::revert)))
                .service(post("/pause-canary", web::post().to(admin::pause)))
                .service(post("/resume-canary", web::post().to(admin::resume)))
                .service(post("/set-traffic", web::post().to(admin::set_traffic)))
                .service(get("/status", web::get().to(admin::status)))
                .service(get("/disagreements", web::get().to(shadow::disagreements)))
                .service(post("/replay-recent", web::post().to(shadow::replay_recent)))
                .service(get("/models", web::get().to(admin::models)))
                .service(get("/history", web::get().to(admin::history)))
                .default_service(web::to(no_route)),
        )
        .default_service(web::to(no_route));
}

/// A resource that is read.
fn get(path: &str, route: Route) -> Resource {
    web::resource(path).route(route).default_service(web::to(|request: HttpRequest| async move {
        wrong_method(&request, "GET")
    }))
}

/// A resource that is posted to.
fn post(path: &str, route: Route) -> Resource {
    web::resource(path).route(route).default_service(web::to(|request: HttpRequest| async move {
        wrong_method(&request, "POST")
    }))
}

fn wrong_method(request: &HttpRequest, allow: &str) -> HttpResponse {
    Problem::method(request.method().as_str(), request.path(), allow).response(request.path())
}

async fn no_route(request: HttpRequest) -> HttpResponse {
    Problem::no_route(request.path()).response(request.path())
}

/// Whether the process runs.
async fn livez() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// Whether new requests are welcome. A stable model is loaded before the first of them can come.
async fn readyz(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    if shared.service.is_ready() {
        HttpResponse::Ok().content_type("text/plain").body("ok\n")
    } else {
        Problem::draining().response(request.path())
    }
}
