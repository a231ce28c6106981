//! The errors of each route: one response for each status and form, with the codes that it may have.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use super::operations::operations;
use crate::http::problem::Kind;
use crate::http::problem::form::Form;

/// Adds the errors of every route.
pub(super) fn add(document: &mut Value) {
    let mut used = BTreeSet::new();
    for (_, path, operation) in operations(document) {
        let form = Form::of(path);
        for status in statuses(path, operation.get("requestBody").is_some()) {
            let name = name(form, status);
            let reference = format!("#/components/responses/{name}");
            operation["responses"][status.to_string()] = json!({ "$ref": reference });
            used.insert((name, status, form.schema()));
        }
    }
    for (name, status, (media_type, schema)) in used {
        let schema = match schema {
            Some(schema) => json!({ "$ref": format!("#/components/schemas/{schema}") }),
            None => json!({ "type": "string" }),
        };
        document["components"]["responses"][name] = json!({
            "description": description(status),
            "content": { media_type: { "schema": schema } },
        });
    }
}

/// The statuses of a route's errors.
fn statuses(path: &str, has_body: bool) -> BTreeSet<u16> {
    let mut kinds = vec![Kind::Internal, Kind::Overloaded];
    if has_body {
        kinds.extend([Kind::InvalidJson, Kind::BodyTooSlow, Kind::BodyTooLarge]);
        kinds.extend([Kind::UnsupportedMediaType, Kind::InvalidBody]);
    }
    let is_report = ["/record", "/feedback", "/reset"].contains(&path);
    let is_guarded = path.starts_with("/admin/") || path.starts_with("/v2/repository/");
    let is_hook = path.starts_with("/hooks/");
    if is_guarded || is_report || is_hook || ["/metrics", "/verdict"].contains(&path) {
        kinds.extend([Kind::Unauthorized, Kind::Forbidden]);
    }
    if (is_guarded || is_report || is_hook) && has_body {
        kinds.push(Kind::NoCanary);
    }
    if is_guarded && has_body {
        kinds.extend([Kind::NoSuchModel, Kind::RevisionChanged]);
    }
    if path.contains('{') {
        kinds.push(Kind::NoSuchModel);
    }
    match path {
        "/feedback" => kinds.push(Kind::FeedbackExpired),
        "/admin/history" | "/admin/rollouts" | "/verdict" => kinds.push(Kind::InvalidQuery),
        "/admin/rollouts/{id}" => {
            kinds.extend([Kind::InvalidQuery, Kind::ReplayStopped, Kind::TooManyAnalyses]);
        }
        "/admin/metric-history" => {
            kinds.extend([Kind::InvalidQuery, Kind::NoSuchMetric, Kind::NoCanary]);
        }
        "/admin/check-canary-health" => kinds.push(Kind::NoCanary),
        _ => {}
    }
    kinds.into_iter().map(Kind::status).collect()
}

fn name(form: Form, status: u16) -> String {
    let form = match form {
        Form::ProblemJson => "Problem",
        Form::Error => "Error",
        Form::Mlflow => "MlflowError",
        Form::Line => "Line",
    };
    format!("{form}{status}")
}

/// What a status means, and the codes that say it more precisely.
fn description(status: u16) -> String {
    let kinds = Kind::ALL.iter().filter(|kind| kind.status() == status);
    let mut codes: Vec<String> =
        kinds.map(|kind| format!("`{}`: {}", kind.code(), kind.title())).collect();
    codes.dedup();
    codes.join("; ")
}
