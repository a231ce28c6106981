//! Open Inference Protocol v2, as KServe, Triton and MLServer speak it: `/v2`.
//!
//! - `request`, `datatype`: a body and its tensors; `rows`: from tensors to rows; `response`: output tensors.
//! - [`metadata`]: what the server and its model are, and whether they are ready.
//! - [`repository`]: the files of the models folder, loaded as the canary and unloaded.

mod datatype;
pub mod metadata;
pub mod repository;
mod request;
mod response;
mod rows;

use serde::Deserialize;

use self::response::Wanted;
use crate::canary::Track;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::predicting;
use crate::http::predicting::Asked;
use crate::http::predicting::Done;
use crate::http::predicting::Protocol;
use crate::http::predicting::Sent;
use crate::http::predicting::Written;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::protocols::model::check_name;
use crate::http::reading::fields::Text;
use crate::http::reading::fields::check_key;
use crate::http::shared::Shared;
use crate::service::serving::live::Live;
use crate::service::serving::live::Loaded;

/// The names in a path.
#[derive(Deserialize)]
struct Names {
    model: String,
    version: Option<String>,
}

impl Names {
    /// The names in the path of this request, whose model has to be the one of this server.
    fn of(call: &Call) -> Result<Names, Problem> {
        let names: Names = call.request.match_info().load().map_err(|cause| {
            Problem::new(
                Kind::NoSuchModel,
                format_args!("the path has no name of a model: {cause}"),
            )
        })?;
        check_name(&names.model, &call.shared)?;
        Ok(names)
    }
}

/// The track of the version with this name.
fn track_of(live: &Live, version: &str) -> Result<Track, Problem> {
    let canary = live.canary.as_ref().map(|canary_slot| &canary_slot.loaded.version.name);
    if live.stable.version.name == version {
        return Ok(Track::Stable);
    }
    if canary.is_some_and(|name| name == version) {
        return Ok(Track::Canary);
    }
    let loaded = versions(live).join(" and ");
    let detail = format!("Version {version} of the model is not loaded; there is {loaded}.");
    Err(Problem::new(Kind::NoSuchModel, detail))
}

/// The version that a path names, or stable.
fn loaded<'l>(live: &'l Live, version: Option<&str>) -> Result<&'l Loaded, Problem> {
    let track = version.map_or(Ok(Track::Stable), |version| track_of(live, version))?;
    Ok(match (track, &live.canary) {
        (Track::Canary, Some(canary_slot)) => &canary_slot.loaded,
        (Track::Canary, None) | (Track::Stable, _) => &live.stable,
    })
}

/// The names of the loaded versions, stable first.
fn versions(live: &Live) -> Vec<&str> {
    let canary = live.canary.as_ref().map(|canary_slot| canary_slot.loaded.version.name.as_str());
    [Some(live.stable.version.name.as_str()), canary].into_iter().flatten().collect()
}

/// Answers rows, by the version that the split draws.
#[utoipa::path(
    post,
    path = "/v2/models/{model}/infer",
    tag = "Open Inference v2",
    operation_id = "v2_infer",
    params(("model" = String, Path, description = "The name of the model")),
    request_body = request::Body,
    responses((status = 200, description = "The answers, as JSON unless binary outputs are asked for", content(
            (response::Answered = "application/json"),
            (String = "application/octet-stream")
        ))),
)]
pub async fn infer(call: Call) -> Answer {
    let version = Names::of(&call)?.version;
    predicting::answer(Inference { version }, call).await
}

/// Answers rows by this version, outside of the split and its statistics.
#[utoipa::path(
    post,
    path = "/v2/models/{model}/versions/{version}/infer",
    tag = "Open Inference v2",
    operation_id = "v2_version_infer",
    params(
        ("model" = String, Path, description = "The name of the model"),
        ("version" = String, Path, description = "The version"),
    ),
    request_body = request::Body,
    responses((status = 200, description = "The answers, as JSON unless binary outputs are asked for", content(
            (response::Answered = "application/json"),
            (String = "application/octet-stream")
        ))),
)]
pub async fn version_infer(call: Call) -> Answer {
    infer(call).await
}

/// Answers rows, on a route with the name of the model in it.
pub fn infer_named(call: Call) -> impl Future<Output = Answer> {
    predicting::answer(Inference { version: None }, call)
}

struct Inference {
    /// The version that the client asks for; `None`: the split draws it.
    version: Option<String>,
}

struct Form<'a> {
    id: Option<Text<'a>>,
    wanted: Wanted<'a>,
}

impl Protocol for Inference {
    type Form<'a> = Form<'a>;

    fn read<'a>(
        &'a self,
        sent: Sent<'a>,
        shared: &Shared,
    ) -> Result<(Asked<'a>, Form<'a>), Problem> {
        let (body, tensors) = request::read(sent)?;
        check_key("id", body.id.as_ref().map(|id| &*id.0))?;
        let mut asked = body.parameters.attributes.checked(sent.headers, shared)?;
        let live = shared.service.serving.live.load();
        let version = self.version.as_deref();
        let loaded = loaded(&live, version)?;
        if let Some(version) = version {
            asked.track = Some(track_of(&live, version)?);
        }
        let schema = version.map(|_| loaded.inference.model().schema());
        let wanted = Wanted::new(body.outputs, body.parameters.binary);
        wanted.of(loaded.inference.model().output())?;
        let unknown = shared.settings.unknown_fields.into();
        asked.inputs.rows = rows::rows(tensors, &live, schema, unknown)?;
        Ok((asked, Form { id: body.id, wanted }))
    }

    fn write(&self, done: &Done, form: &Form<'_>, shared: &Shared) -> Result<Written, Problem> {
        let answered = &done.prediction.answered_by().version.name;
        match &self.version {
            Some(version) if version != answered => Err(Problem::new(
                Kind::VersionFailed,
                format_args!(
                    "version {version} gave no answer; without a version in the path, stable answers where the canary fails"
                ),
            )),
            Some(_) | None => {
                response::write(done, form.id.as_ref().map(|id| &*id.0), &form.wanted, shared)
            }
        }
    }
}
