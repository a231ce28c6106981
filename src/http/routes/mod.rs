//! All routes, on one screen.
//!
//! - [`predict`], [`feedback`]: open to clients of the model.
//! - [`analysis`]: values measured elsewhere: `/record`, `/analyze`, `/status`, `/reset`.
//! - [`commands`]: `POST /admin/...`. A new command is a body with its [`commands::CommandBody`], and a line here.
//! - [`admin`], [`shadow`]: what `/admin` reports.
//! - [`health`]: probes of an orchestrator.

pub mod admin;
pub mod analysis;
pub mod analyze;
pub mod commands;
pub mod feedback;
pub mod health;
pub mod predict;
pub mod shadow;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::Resource;
use actix_web::Route;
use actix_web::middleware::from_fn;
use actix_web::web;

use super::guard::guard;
use super::problem::Problem;
use commands::Inject;
use commands::Pause;
use commands::Promote;
use commands::Resume;
use commands::Revert;
use commands::RollBack;
use commands::SetTraffic;
use commands::command;

/// All routes.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(post("/predict", web::post().to(predict::predict)))
        .service(post("/feedback", web::post().to(feedback::feedback)))
        .service(post("/record", web::post().to(analysis::record)))
        .service(post("/analyze", web::post().to(analyze::analyze)))
        .service(get("/status", web::get().to(analysis::status)))
        .service(post("/reset", web::post().to(analysis::reset)))
        .service(get("/livez", web::get().to(health::livez)).route(web::head().to(health::livez)))
        .service(
            get("/readyz", web::get().to(health::readyz)).route(web::head().to(health::readyz)),
        )
        .service(
            web::scope("/admin")
                .wrap(from_fn(guard))
                .service(post("/deploy-canary", web::post().to(commands::deploy)))
                .service(post("/promote-canary", web::post().to(command::<Promote>)))
                .service(post("/rollback-canary", web::post().to(command::<RollBack>)))
                .service(post("/revert", web::post().to(command::<Revert>)))
                .service(post("/pause-canary", web::post().to(command::<Pause>)))
                .service(post("/resume-canary", web::post().to(command::<Resume>)))
                .service(post("/set-traffic", web::post().to(command::<SetTraffic>)))
                .service(post("/inject", web::post().to(command::<Inject>)))
                .service(post("/toggle-slowdown", web::post().to(commands::toggle_slowdown)))
                .service(get("/check-canary-health", web::get().to(admin::health)))
                .service(get("/status", web::get().to(admin::status)))
                .service(get("/models", web::get().to(admin::models)))
                .service(get("/history", web::get().to(admin::history)))
                .service(get("/disagreements", web::get().to(shadow::disagreements)))
                .service(post("/replay-recent", web::post().to(shadow::replay_recent)))
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
