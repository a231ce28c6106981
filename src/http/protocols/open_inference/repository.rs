//! The model repository: the files of the models folder. Loading one deploys it as the canary, unloading the canary rolls
//! it back.

use actix_web::web::Bytes;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use utoipa::ToSchema;

use super::track_of;
use super::versions;
use crate::canary::Version;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::answer::json_at;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::reading::body;
use crate::service::Command;
use crate::service::Deployment;
use crate::service::Service;
use crate::service::status::report::Effect;

/// The body of the index.
#[derive(Deserialize, ToSchema)]
#[schema(as = RepositoryIndex)]
struct Index {
    /// Whether to list only what is loaded.
    #[serde(default)]
    ready: bool,
}

/// A version of the model: a file of the models folder.
#[derive(Serialize, ToSchema)]
#[schema(as = RepositoryModel)]
struct Listed {
    name: String,
    version: String,
    state: &'static str,
    reason: String,
}

/// The files of the models folder.
#[utoipa::path(
    post,
    path = "/v2/repository/index",
    tag = "Open Inference v2",
    operation_id = "v2_repository_index",
    request_body = Option<Index>,
    responses((status = 200, description = "Each version with its state", body = Vec<Listed>)),
)]
pub async fn index(call: Call) -> Answer {
    let Index { ready } = body::parse_or_default(&call.body)?;
    let name = call.shared.settings.model_name.clone();
    let listed = call.ask(move |service| Ok::<_, Problem>(listed(service, &name, ready)));
    json(&listed.await?)
}

fn listed(service: &Service, name: &str, only_ready: bool) -> Vec<Listed> {
    let live = service.serving.live.load();
    let of = |version: &str, reason: Option<String>| {
        let track = track_of(&live, version).ok();
        let reason = match track {
            Some(track) => track.name().to_owned(),
            None => reason.unwrap_or_else(|| "not loaded".to_owned()),
        };
        let state = if track.is_some() { "READY" } else { "UNAVAILABLE" };
        Listed { name: name.to_owned(), version: version.to_owned(), state, reason }
    };
    // A loaded version is listed even if its file is gone.
    let mut all: Vec<Listed> = versions(&live).into_iter().map(|it| of(it, None)).collect();
    for file in service.control.registry().list() {
        if !all.iter().any(|other| other.version == file.version) {
            all.push(of(&file.version, file.error));
        }
    }
    all.retain(|one| !only_ready || one.state == "READY");
    all
}

/// The body of load and unload, as Triton's clients send it.
#[derive(Deserialize, ToSchema)]
#[schema(as = RepositoryOptions)]
struct Options {
    #[schema(value_type = Option<Object>)]
    parameters: Option<Map<String, Value>>,
}

/// Deploys a file of the models folder as the canary.
#[utoipa::path(
    post,
    path = "/v2/repository/models/{version}/load",
    tag = "Open Inference v2",
    operation_id = "v2_repository_load",
    params(("version" = String, Path, description = "A file of the models folder, or the version it has")),
    request_body = Option<Options>,
    responses((status = 200, description = "What it led to", body = Effect)),
)]
pub async fn load(call: Call) -> Answer {
    let version = version(&call)?;
    check_options(&call.body)?;
    let name = call.shared.settings.model_name.clone();
    let status = call.ask(move |service| {
        let files = service.control.registry().list();
        let file = files.into_iter().find(|file| file.version == version || file.file == version);
        let is_loaded = |version: &str| track_of(&service.serving.live.load(), version).is_ok();
        // The name of the model means what is loaded, unless a file has it.
        let has_it = || match &file {
            Some(file) => is_loaded(&file.version),
            None => version == name || is_loaded(&version),
        };
        if has_it() {
            return Ok::<_, Problem>((service.status(), false));
        }
        let model_path = file.as_ref().map_or(&version, |file| &file.file).clone();
        let deployment = Deployment { model_path, ..Deployment::default() };
        match service.deploy(deployment, None) {
            Ok(status) => Ok((status, true)),
            // Another client may have loaded it meanwhile.
            Err(_) if has_it() => Ok((service.status(), false)),
            Err(refused) => Err(refused.into()),
        }
    });
    let (status, is_new) = status.await?;
    let effect = if is_new { Effect::of_deployment(&status) } else { Effect::of(&status) };
    json_at(status.revision, &effect)
}

/// Rolls the canary back.
#[utoipa::path(
    post,
    path = "/v2/repository/models/{version}/unload",
    tag = "Open Inference v2",
    operation_id = "v2_repository_unload",
    params(("version" = String, Path, description = "A file of the models folder, or the version it has")),
    request_body = Option<Options>,
    responses((status = 200, description = "What it led to", body = Effect)),
)]
pub async fn unload(call: Call) -> Answer {
    let version = version(&call)?;
    check_options(&call.body)?;
    let name = call.shared.settings.model_name.clone();
    let status = call.ask(move |service| {
        // At the revision that was read, so that no other canary is rolled back.
        let status = service.status();
        let is_of = |loaded: &Version| loaded.name == version || loaded.file == version;
        let is_canary = status.canary.as_ref().is_some_and(is_of);
        if !is_canary && (version == name || is_of(&status.stable.version)) {
            return Err(Problem::new(
                Kind::StableNeeded,
                format_args!("{version} cannot be unloaded: stable answers; load another version and promote it"),
            ));
        }
        if !is_canary {
            return Ok(status);
        }
        let reason = Some("unloaded by a client of the model repository".to_owned());
        let command = Command::RollBack { reason, quarantine: false };
        Ok(service.command(command, Some(status.revision))?)
    });
    let status = status.await?;
    json_at(status.revision, &Effect::of(&status))
}

fn version(call: &Call) -> Result<String, Problem> {
    let (version,): (String,) = call.request.match_info().load().map_err(|cause| {
        Problem::new(Kind::NoSuchModel, format_args!("the path has no name of a version: {cause}"))
    })?;
    Ok(version)
}

/// Refuses what would be silently ignored.
fn check_options(body: &Bytes) -> Result<(), Problem> {
    let Options { parameters } = body::parse_or_default(body)?;
    let is_file = |name: &&String| *name == "config" || name.starts_with("file:");
    match parameters.iter().flat_map(Map::keys).find(is_file) {
        None => Ok(()),
        Some(name) => Err(Problem::field(format_args!(
            "parameters.{name}: models and their settings are files of the models folder; put the file there, and load it \
             by its name"
        ))),
    }
}
