//! The model of this server, as protocols name it: its name, and whether it is ready.

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::shared::Shared;

/// The names of all models: the one.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelNames {
    models: [String; 1],
}

impl ModelNames {
    pub(super) fn of(shared: &Shared) -> ModelNames {
        ModelNames { models: [shared.settings.model_name.clone()] }
    }
}

/// A model that is ready.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelReady {
    pub(super) name: String,
    pub(super) ready: bool,
}

/// Checks that this is the name of the model.
///
/// # Errors
/// When it is another.
pub(super) fn check_name(name: &str, shared: &Shared) -> Result<(), Problem> {
    let known = &shared.settings.model_name;
    if name == known {
        return Ok(());
    }
    // The first sentence is that of KServe and Triton.
    let detail = format!(
        "Model with name {name} does not exist. This server has {known}; its versions are at \
         /v2/models/{known}/versions, and --model-name renames it."
    );
    Err(Problem::new(Kind::NoSuchModel, detail))
}

/// Checks that the server takes requests: until it shuts down, since a stable model is loaded before it listens.
///
/// # Errors
/// When it shuts down.
pub(crate) fn check_ready(shared: &Shared) -> Result<(), Problem> {
    if shared.service.serving.is_ready() {
        return Ok(());
    }
    let detail = "this server is shutting down; send the request to another one";
    Err(Problem::new(Kind::Draining, detail))
}
