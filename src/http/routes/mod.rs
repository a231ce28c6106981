//! All routes, on one screen.
//!
//! - `/predict`: open to every client. [`feedback`]: labels of its answers.
//! - [`analysis`]: values measured elsewhere: `/record`, `/analyze`, `/status`, `/reset`.
//! - [`commands`]: `POST /admin/...`. A new command is a handler there, and a line here.
//! - [`admin`], [`rollouts`], [`shadow`]: what `/admin` reports.
//! - `protocols`: predictions as other servers take them.
//! - [`verdict`]: the verdict for gates. [`flagger`]: the same as webhooks of Flagger.
//! - [`health`]: probes of an orchestrator. [`metrics`]: numbers for Prometheus.
//! - [`documentation`]: the list of all routes, the OpenAPI document, and the page that shows it.

pub mod admin;
pub mod analysis;
pub mod analyze;
pub mod commands;
pub mod documentation;
pub mod feedback;
pub mod flagger;
pub mod health;
pub mod metrics;
mod protocols;
pub mod rollouts;
pub mod shadow;
pub mod verdict;

use actix_web::dev::fn_service;
use actix_web::middleware::from_fn;
use actix_web::web;

use super::answer::get;
use super::answer::no_route;
use super::answer::post;
use super::answer::probe;
use super::guard;
use super::page;
use super::protocols::predict;
use super::reading::body::ContentType;
use super::settings::Settings;

/// All routes.
pub fn routes(config: &mut web::ServiceConfig, settings: &Settings) {
    let (optional, required) = (ContentType::Optional, ContentType::Required);
    config
        .configure(|config| protocols::chosen(config, settings))
        .service(post("/predict", optional, predict::predict))
        .configure(|config| protocols::named(config, settings))
        .service(post("/feedback", optional, feedback::feedback).guarded(guard::report))
        .service(post("/record", optional, analysis::record).guarded(guard::report))
        .service(post("/analyze", optional, analyze::analyze))
        .service(get("/status", analysis::status))
        .service(post("/reset", optional, analysis::reset).guarded(guard::report))
        .service(get("/metrics", metrics::metrics).guarded(guard::metrics))
        .service(get("/verdict", verdict::verdict).guarded(guard::gate))
        .service(post("/hooks/flagger/gate", required, flagger::gate))
        .service(post("/hooks/flagger/rollback", required, flagger::rollback))
        .service(post("/hooks/flagger/event", required, flagger::event))
        .service(get("/", documentation::index))
        .service(get("/live", page::live))
        .service(get("/rollouts", page::rollouts))
        .service(get("/rollouts/{id}", page::rollout))
        .service(get("/bands/{metric}", page::band))
        .service(get("/assets/{digest}/{file}", page::asset))
        .service(get("/openapi.json", documentation::openapi_json))
        .service(get("/docs", documentation::docs))
        .service(get("/docs/{file:.*}", documentation::docs_file))
        .service(probe("/livez", health::livez))
        .service(probe("/readyz", health::readyz))
        .configure(protocols::protocols)
        .service(
            web::scope("/admin")
                .wrap(from_fn(guard::guard))
                .service(post("/deploy-canary", required, commands::deploy))
                .service(post("/promote-canary", required, commands::promote))
                .service(post("/rollback-canary", required, commands::roll_back))
                .service(post("/revert", required, commands::revert))
                .service(post("/pause-canary", required, commands::pause))
                .service(post("/resume-canary", required, commands::resume))
                .service(post("/set-traffic", required, commands::set_traffic))
                .service(post("/inject", required, commands::inject))
                .service(post("/toggle-slowdown", required, commands::toggle_slowdown))
                .service(get("/check-canary-health", admin::health))
                .service(get("/status", admin::status))
                .service(get("/models", admin::models))
                .service(get("/history", admin::history))
                .service(get("/rollouts", rollouts::rollouts))
                .service(get("/rollouts/{id}", rollouts::rollout))
                .service(get("/metric-history", admin::metric_history))
                .service(get("/disagreements", shadow::disagreements))
                .service(post("/replay-recent", required, shadow::replay_recent))
                .default_service(fn_service(no_route)),
        )
        .default_service(fn_service(no_route));
}
