//! Routes of the protocols of other servers.

use actix_web::middleware::from_fn;
use actix_web::web;

use super::health;
use crate::http::answer::get;
use crate::http::answer::post;
use crate::http::answer::probe;
use crate::http::guard::guard;
use crate::http::protocols::kserve;
use crate::http::protocols::mlflow;
use crate::http::protocols::open_inference;
use crate::http::protocols::open_inference::metadata;
use crate::http::protocols::open_inference::repository;
use crate::http::reading::body::ContentType;
use crate::http::settings::Settings;

/// The routes of Open Inference Protocol v2, KServe v1 and MLflow.
pub(super) fn protocols(config: &mut web::ServiceConfig) {
    let (any, json_or_csv) = (ContentType::Ignored, ContentType::JsonOrCsv);
    config
        .service(get("/v1/models", kserve::models))
        .service(post("/v1/models/{model:[^/:]+}:predict", any, kserve::predict))
        .service(probe("/v1/models/{model}", kserve::model))
        .service(post("/invocations", json_or_csv, mlflow::invocations))
        .service(probe("/ping", mlflow::ping))
        .service(probe("/health", mlflow::health))
        .service(get("/version", mlflow::version))
        .service(get("/v2", metadata::server))
        .service(get("/v2/", metadata::server))
        .service(probe("/v2/health/live", metadata::live))
        .service(probe("/v2/health/ready", metadata::ready))
        .service(get("/v2/models", metadata::models))
        .service(get("/v2/models/{model}", metadata::model))
        .service(probe("/v2/models/{model}/ready", metadata::model_ready))
        .service(post("/v2/models/{model}/infer", any, open_inference::infer))
        .service(get("/v2/models/{model}/versions", metadata::model_versions))
        .service(get("/v2/models/{model}/versions/{version}", metadata::version_metadata))
        .service(probe(
            "/v2/models/{model}/versions/{version}/ready",
            metadata::version_model_ready,
        ))
        .service(post(
            "/v2/models/{model}/versions/{version}/infer",
            any,
            open_inference::version_infer,
        ))
        .service(
            web::scope("/v2/repository")
                .wrap(from_fn(guard))
                .service(post("/index", any, repository::index))
                .service(post("/models/{version}/load", any, repository::load))
                .service(post("/models/{version}/unload", any, repository::unload)),
        );
}

/// Predictions of the model by its name. The router compares these paths as texts; those with a place for a name cost a
/// search for each, which takes longer than a prediction.
pub(super) fn named(config: &mut web::ServiceConfig, settings: &Settings) {
    let (model, any) = (&settings.model_name, ContentType::Ignored);
    config
        .service(post(&format!("/v2/models/{model}/infer"), any, open_inference::infer_named))
        .service(post(&format!("/v1/models/{model}:predict"), any, kserve::predict_instances));
}

/// The routes that the settings add. They come before all others, as a platform may choose the path of one.
pub(super) fn chosen(config: &mut web::ServiceConfig, settings: &Settings) {
    if let Some(path) = &settings.predict_route {
        config.service(post(path, ContentType::Ignored, kserve::predict_instances));
    }
    if let Some(path) = &settings.health_route {
        config.service(probe(path, health::readyz));
    }
}
