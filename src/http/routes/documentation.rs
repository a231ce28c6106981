//! What this server offers: a list for people, an OpenAPI document for programs, and a page that tries its routes.

use std::sync::Arc;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;
use serde_json::Value;
use utoipa::OpenApi;
use utoipa::ToSchema;
use utoipa::openapi;
use utoipa_swagger_ui::Config;

use super::admin;
use super::analysis;
use super::analyze;
use super::commands;
use super::feedback;
use super::flagger;
use super::health;
use super::metrics;
use super::rollouts;
use super::shadow;
use super::verdict;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::answer::with_json;
use crate::http::answer::written;
use crate::http::openapi as document;
use crate::http::page;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::problem::ProblemBody;
use crate::http::protocols::kserve;
use crate::http::protocols::mlflow;
use crate::http::protocols::open_inference;
use crate::http::protocols::open_inference::metadata;
use crate::http::protocols::open_inference::repository;
use crate::http::protocols::predict;
use crate::service::Service;

/// Every route, in the order of the list.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "serin",
        description = "A model server with a built-in canary. Errors are problems (RFC 9457) with a `code` for programs; \
                       under the paths of other protocols they have the form that their clients read."
    ),
    paths(
        predict::predict,
        feedback::feedback,
        analysis::record,
        analyze::analyze,
        analysis::status,
        analysis::reset,
        health::livez,
        health::readyz,
        metrics::metrics,
        verdict::verdict,
        flagger::gate,
        flagger::rollback,
        flagger::event,
        index,
        openapi_json,
        kserve::models,
        kserve::model,
        kserve::predict,
        mlflow::invocations,
        mlflow::ping,
        mlflow::health,
        mlflow::version,
        metadata::server,
        metadata::live,
        metadata::ready,
        metadata::models,
        metadata::model,
        metadata::model_ready,
        open_inference::infer,
        metadata::model_versions,
        metadata::version_metadata,
        metadata::version_model_ready,
        open_inference::version_infer,
        repository::index,
        repository::load,
        repository::unload,
        admin::status,
        admin::health,
        admin::models,
        admin::history,
        rollouts::rollouts,
        rollouts::rollout,
        admin::metric_history,
        shadow::disagreements,
        commands::deploy,
        commands::promote,
        commands::roll_back,
        commands::revert,
        commands::pause,
        commands::resume,
        commands::set_traffic,
        commands::inject,
        commands::toggle_slowdown,
        shadow::replay_recent,
    ),
    components(schemas(ProblemBody, ErrorBody, MlflowErrorBody)),
    tags(
        (name = "predictions", description = "Rows in, answers out"),
        (name = "rollout", description = "Deploy, watch, promote and roll back a canary"),
        (name = "measured elsewhere", description = "Compare values that this server did not measure"),
        (name = "operations", description = "Probes, metrics and this document"),
        (name = "Open Inference v2", description = "As KServe, Triton and MLServer speak it"),
        (name = "KServe v1", description = "As TensorFlow Serving and Vertex AI speak it"),
        (name = "MLflow", description = "MLflow's scoring server, and SageMaker"),
    )
)]
struct Api;

static API: LazyLock<openapi::OpenApi> = LazyLock::new(Api::openapi);

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| document::of_types(&API));

/// An error of Open Inference v2 and KServe v1.
#[derive(ToSchema)]
#[schema(as = Error)]
#[expect(dead_code, reason = "only describes the errors")]
struct ErrorBody {
    /// What is wrong and what to do.
    error: String,
    /// The same as a word for programs.
    code: String,
}

/// An error of MLflow.
#[derive(ToSchema)]
#[schema(as = MlflowError)]
#[expect(dead_code, reason = "only describes the errors")]
struct MlflowErrorBody {
    /// MLflow's word for it.
    error_code: String,
    /// What is wrong and what to do.
    message: String,
}

/// The answer of `/`.
#[derive(Serialize, ToSchema)]
struct Index {
    name: &'static str,
    version: &'static str,
    /// Methods with their paths.
    routes: Vec<String>,
}

/// What this server is, and its routes. A browser gets the page of the rollout.
#[utoipa::path(
    get,
    path = "/",
    tag = "operations",
    operation_id = "index",
    responses((status = 200, description = "Name, version and routes", content(
            (Index = "application/json"),
            (String = "text/html")
        ))),
)]
pub async fn index(call: Call) -> Answer {
    let accepted = call.request.headers().get(header::ACCEPT);
    if accepted.is_some_and(|types| types.as_bytes().starts_with(b"text/html")) {
        return page::now(call).await;
    }
    let routes = API.paths.paths.iter().flat_map(|(path, item)| {
        let methods = [("GET", &item.get), ("POST", &item.post)];
        let present = methods.into_iter().filter(|(_, operation)| operation.is_some());
        present.map(move |(method, _)| format!("{method} {path}"))
    });
    let routes = routes.chain(["GET /docs".to_owned()]).collect();
    json(&Index { name: "serin", version: env!("CARGO_PKG_VERSION"), routes })
}

/// This document, with the features of the model that is served.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operations",
    operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)),
)]
pub async fn openapi_json(call: Call) -> Answer {
    let _turn = call.shared.documents.acquire().await;
    let shared = call.shared.clone();
    let document = move |_: &Service| written(&document::of_server(&DOCUMENT, &shared));
    Ok(with_json(call.ask(document).await?))
}

/// What pages may load: nothing from elsewhere. Swagger UI sets styles of its own, and its icons are data.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /docs`: redirects to `/docs/`, so that the relative addresses of the page work.
pub async fn docs(_: Call) -> Answer {
    Ok(HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "docs/")).finish())
}

/// `GET /docs/...`: a file of Swagger UI, which shows the document.
pub async fn docs_file(call: Call) -> Answer {
    let path = call.request.match_info().get("file").unwrap_or_default();
    let config = Config::from("../openapi.json")
        .try_it_out_enabled(true)
        .validator_url("none")
        .use_base_layout();
    let file = utoipa_swagger_ui::serve(path, Arc::new(config)).ok().flatten();
    let Some(file) = file else {
        let detail = format!("no file {path:?}; the page is at /docs/");
        return Err(Problem::new(Kind::NoSuchRoute, detail));
    };
    let mut answer = HttpResponse::Ok();
    answer
        .content_type(file.content_type)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if file.gzpipped {
        answer.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    Ok(answer.body(file.bytes.into_owned()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::canary::judge::sequential::metric_history::MetricHistory;
    use crate::service::status::health::Health;
    use crate::service::status::history::History;
    use crate::service::status::past::PastRollout;
    use crate::service::status::past::Rollouts;
    use crate::service::status::report::Effect;
    use crate::service::status::report::Reported;

    /// The later of two types of one name would take the place of the other.
    #[test]
    fn no_two_types_have_one_name() {
        let mut all = Vec::new();
        let of_past = [Rollouts::schemas, PastRollout::schemas, MetricHistory::schemas];
        let others = [Reported::schemas, Health::schemas, History::schemas, Effect::schemas];
        for add in others.into_iter().chain(of_past) {
            add(&mut all);
        }
        let mut named: BTreeMap<String, Value> = BTreeMap::new();
        for (name, schema) in all {
            let schema = serde_json::to_value(schema).unwrap();
            let earlier = named.entry(name.clone()).or_insert_with(|| schema.clone());
            assert_eq!(*earlier, schema, "{name}");
        }
        assert!(named.len() > 100, "{}", named.len());
    }
}
