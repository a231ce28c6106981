//! What the server and its model are, and whether they are ready.

use serde::Serialize;
use utoipa::ToSchema;

use super::Names;
use super::loaded;
use super::response::Output;
use super::versions;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::protocols::model::ModelNames;
use crate::http::protocols::model::ModelReady;
use crate::http::protocols::model::check_ready;
use crate::model::OutputKind;
use crate::model::schema::Feature;
use crate::service::serving::live::Live;
use crate::service::serving::live::Loaded;

#[derive(Serialize, ToSchema)]
struct ServerMetadata {
    name: &'static str,
    version: &'static str,
    #[schema(value_type = Vec<String>)]
    extensions: [&'static str; 3],
}

#[derive(Serialize, ToSchema)]
#[schema(as = ServerHealth)]
struct Health {
    live: bool,
    ready: bool,
}

#[derive(Serialize, ToSchema)]
struct ModelVersions<'a> {
    name: String,
    versions: Vec<&'a str>,
}

#[derive(Serialize, ToSchema)]
struct ModelMetadata<'a> {
    name: &'a str,
    versions: Vec<&'a str>,
    /// The library that computes it.
    platform: String,
    inputs: Vec<TensorMetadata<'a>>,
    outputs: Vec<TensorMetadata<'a>>,
}

#[derive(Serialize, ToSchema)]
struct TensorMetadata<'a> {
    name: &'a str,
    datatype: &'static str,
    /// -1 is the number of rows.
    shape: Vec<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Classes<'a>>,
}

/// Of a tensor of probabilities.
#[derive(Serialize, ToSchema)]
struct Classes<'a> {
    classes: &'a [String],
}

/// What this server is.
#[utoipa::path(
    get,
    path = "/v2",
    tag = "Open Inference v2",
    operation_id = "v2_server",
    responses((status = 200, description = "Name, version and extensions", body = ServerMetadata)),
)]
pub async fn server(_: Call) -> Answer {
    json(&ServerMetadata {
        name: "serin",
        version: env!("CARGO_PKG_VERSION"),
        extensions: ["binary_tensor_data", "parameters", "model_repository"],
    })
}

/// Whether the process runs.
#[utoipa::path(
    get,
    path = "/v2/health/live",
    tag = "Open Inference v2",
    operation_id = "v2_live",
    responses((status = 200, description = "It does", body = Health)),
)]
pub async fn live(call: Call) -> Answer {
    let ready = call.shared.service.serving.is_ready();
    json(&Health { live: true, ready })
}

/// Whether the server takes requests.
#[utoipa::path(
    get,
    path = "/v2/health/ready",
    tag = "Open Inference v2",
    operation_id = "v2_ready",
    responses((status = 200, description = "It does", body = Health)),
)]
pub async fn ready(call: Call) -> Answer {
    check_ready(&call.shared)?;
    json(&Health { live: true, ready: true })
}

/// The name of the model.
#[utoipa::path(
    get,
    path = "/v2/models",
    tag = "Open Inference v2",
    operation_id = "v2_models",
    responses((status = 200, description = "One name", body = ModelNames)),
)]
pub async fn models(call: Call) -> Answer {
    json(&ModelNames::of(&call.shared))
}

/// Whether the model is ready.
#[utoipa::path(
    get,
    path = "/v2/models/{model}/ready",
    tag = "Open Inference v2",
    operation_id = "v2_model_ready",
    params(("model" = String, Path, description = "The name of the model")),
    responses((status = 200, description = "It is", body = ModelReady)),
)]
pub async fn model_ready(call: Call) -> Answer {
    let names = Names::of(&call)?;
    loaded(&call.shared.service.serving.live.load(), names.version.as_deref())?;
    check_ready(&call.shared)?;
    json(&ModelReady { name: names.model, ready: true })
}

/// Whether a version is ready.
#[utoipa::path(
    get,
    path = "/v2/models/{model}/versions/{version}/ready",
    tag = "Open Inference v2",
    operation_id = "v2_version_ready",
    params(
        ("model" = String, Path, description = "The name of the model"),
        ("version" = String, Path, description = "The version"),
    ),
    responses((status = 200, description = "It is", body = ModelReady)),
)]
pub async fn version_model_ready(call: Call) -> Answer {
    model_ready(call).await
}

/// The versions that are loaded.
#[utoipa::path(
    get,
    path = "/v2/models/{model}/versions",
    tag = "Open Inference v2",
    operation_id = "v2_versions",
    params(("model" = String, Path, description = "The name of the model")),
    responses((status = 200, description = "Stable first", body = ModelVersions)),
)]
pub async fn model_versions(call: Call) -> Answer {
    let names = Names::of(&call)?;
    let live = call.shared.service.serving.live.load();
    json(&ModelVersions { name: names.model, versions: versions(&live) })
}

/// Inputs and outputs of the model.
#[utoipa::path(
    get,
    path = "/v2/models/{model}",
    tag = "Open Inference v2",
    operation_id = "v2_model_metadata",
    params(("model" = String, Path, description = "The name of the model")),
    responses((status = 200, description = "Names, datatypes and shapes", body = ModelMetadata)),
)]
pub async fn model(call: Call) -> Answer {
    let names = Names::of(&call)?;
    let live = call.shared.service.serving.live.load();
    json(&described(&names.model, loaded(&live, names.version.as_deref())?, &live))
}

/// Inputs and outputs of a version.
#[utoipa::path(
    get,
    path = "/v2/models/{model}/versions/{version}",
    tag = "Open Inference v2",
    operation_id = "v2_version_metadata",
    params(
        ("model" = String, Path, description = "The name of the model"),
        ("version" = String, Path, description = "The version"),
    ),
    responses((status = 200, description = "Names, datatypes and shapes", body = ModelMetadata)),
)]
pub async fn version_metadata(call: Call) -> Answer {
    model(call).await
}

fn described<'l>(name: &'l str, loaded: &'l Loaded, live: &'l Live) -> ModelMetadata<'l> {
    let model = loaded.inference.model();
    let kind = model.output();
    ModelMetadata {
        name,
        versions: versions(live),
        platform: loaded.library().unwrap_or_else(|| "serin".to_owned()),
        inputs: model.schema().features().iter().map(input).collect(),
        outputs: Output::all(kind).iter().map(|one| output(*one, kind)).collect(),
    }
}

fn input(feature: &Feature) -> TensorMetadata<'_> {
    let datatype = if feature.kind.is_numeric() { "FP64" } else { "BYTES" };
    TensorMetadata { name: &feature.name, datatype, shape: vec![-1, 1], parameters: None }
}

fn output(output: Output, kind: &OutputKind) -> TensorMetadata<'_> {
    let (name, datatype) = (output.name(), output.datatype(kind));
    match output.width(kind) {
        None => TensorMetadata { name, datatype, shape: vec![-1], parameters: None },
        Some(width) => {
            let shape = vec![-1, i64::try_from(width).unwrap_or(i64::MAX)];
            let parameters = Some(Classes { classes: kind.classes() });
            TensorMetadata { name, datatype, shape, parameters }
        }
    }
}
