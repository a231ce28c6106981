//! The OpenAPI document: what the types cannot say.
//!
//! - `requests`: bodies that are read in one pass, and so have no type to derive a schema from.
//! - `features`: the features of the model that is served, with an example that works.
//! - `examples`: bodies to begin with. `errors`: the problems of each route. `security`: which routes need the token.
//! - `tidy`: mends what derived schemas get wrong.

mod errors;
mod examples;
mod features;
mod operations;
pub(super) mod requests;
mod security;
mod tidy;

use serde_json::Value;
use utoipa::openapi::OpenApi;

use super::shared::Shared;

/// The document of every server, from what the types say.
pub(super) fn of_types(api: &OpenApi) -> Value {
    // Cannot fail: every key is a text.
    let mut document = serde_json::to_value(api).unwrap_or_default();
    tidy::tidy(&mut document);
    for (name, schema) in requests::schemas() {
        document["components"]["schemas"][name] = schema;
    }
    examples::add(&mut document);
    errors::add(&mut document);
    tidy::drop_unused(&mut document);
    document
}

/// The document of this server, from that of every server.
pub(super) fn of_server(types: &Value, shared: &Shared) -> Value {
    let mut document = types.clone();
    security::add(&mut document, &shared.settings);
    features::describe(&mut document, shared);
    document
}
