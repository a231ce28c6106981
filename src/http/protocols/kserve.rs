//! KServe v1, which is TensorFlow Serving's, and the form of Vertex AI: `/v1/models`.

use super::model::ModelNames;
use super::model::ModelReady;
use super::model::check_name;
use super::model::check_ready;
use super::predict::Answered;
use super::rows_protocol;
use super::rows_protocol::Members;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::openapi::requests::KserveRequest;
use crate::http::predicting;
use crate::http::predicting::Asked;
use crate::http::predicting::Done;
use crate::http::predicting::Protocol;
use crate::http::predicting::Sent;
use crate::http::predicting::Written;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::shared::Shared;

/// The name of the model.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "KServe v1",
    operation_id = "kserve_models",
    responses((status = 200, description = "One name", body = ModelNames)),
)]
pub async fn models(call: Call) -> Answer {
    json(&ModelNames::of(&call.shared))
}

/// Whether the model is ready.
#[utoipa::path(
    get,
    path = "/v1/models/{model}",
    tag = "KServe v1",
    operation_id = "kserve_model",
    params(("model" = String, Path, description = "The name of the model")),
    responses((status = 200, description = "It is", body = ModelReady)),
)]
pub async fn model(call: Call) -> Answer {
    let name = name(&call)?;
    check_ready(&call.shared)?;
    json(&ModelReady { name, ready: true })
}

/// Answers rows.
#[utoipa::path(
    post,
    path = "/v1/models/{model}:predict",
    tag = "KServe v1",
    operation_id = "kserve_predict",
    params(("model" = String, Path, description = "The name of the model")),
    request_body = KserveRequest,
    responses((status = 200, description = "The answers", body = Answered)),
)]
pub async fn predict(call: Call) -> Answer {
    name(&call)?;
    predicting::answer(Instances, call).await
}

/// A prediction of this form on any route.
pub async fn predict_instances(call: Call) -> Answer {
    predicting::answer(Instances, call).await
}

/// The name of the model in the path.
fn name(call: &Call) -> Result<String, Problem> {
    let (name,): (String,) = call.request.match_info().load().map_err(|cause| {
        Problem::new(Kind::NoSuchModel, format_args!("the path has no name of a model: {cause}"))
    })?;
    check_name(&name, &call.shared)?;
    Ok(name)
}

struct Instances;

const MEMBERS: Members = Members {
    forms: &["instances", "inputs"],
    parameters: "parameters",
    ignored: Some("signature_name"),
    example: r#"{"instances": [[0.5, 1.2, 0.8, 0.3, 1.1]]}"#,
};

impl Protocol for Instances {
    type Form<'a> = ();

    fn read<'a>(&'a self, sent: Sent<'a>, shared: &Shared) -> Result<(Asked<'a>, ()), Problem> {
        Ok((rows_protocol::read(&MEMBERS, sent, shared)?, ()))
    }

    fn write(&self, done: &Done, (): &(), shared: &Shared) -> Result<Written, Problem> {
        rows_protocol::write(done, shared)
    }
}
