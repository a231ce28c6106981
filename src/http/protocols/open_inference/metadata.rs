//! What the server and its model are, and whether they are ready.

use serde_json::Value;
use serde_json::json;

use super::Names;
use super::loaded;
use super::response::Output;
use super::versions;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::answer::json;
use crate::http::protocols::model::check_ready;
use crate::model::OutputKind;
use crate::model::schema::Feature;
use crate::service::serving::live::Live;
use crate::service::serving::live::Loaded;

/// `GET /v2`
pub async fn server(_: Call) -> Answer {
    json(&json!({
        "name": "serin",
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": ["binary_tensor_data", "parameters", "model_repository"],
    }))
}

/// `GET /v2/health/live`
pub async fn live(call: Call) -> Answer {
    let ready = call.shared.service.serving.is_ready();
    json(&json!({ "live": true, "ready": ready }))
}

/// `GET /v2/health/ready`
pub async fn ready(call: Call) -> Answer {
    check_ready(&call.shared)?;
    json(&json!({ "live": true, "ready": true }))
}

/// `GET /v2/models`
pub async fn models(call: Call) -> Answer {
    json(&json!({ "models": [call.shared.settings.model_name] }))
}

/// `GET /v2/models/{model}/ready`, also of a version.
pub async fn model_ready(call: Call) -> Answer {
    let names = Names::of(&call)?;
    loaded(&call.shared.service.serving.live.load(), names.version.as_deref())?;
    check_ready(&call.shared)?;
    json(&json!({ "name": names.model, "ready": true }))
}

/// `GET /v2/models/{model}/versions`
pub async fn model_versions(call: Call) -> Answer {
    let names = Names::of(&call)?;
    let live = call.shared.service.serving.live.load();
    json(&json!({ "name": names.model, "versions": versions(&live) }))
}

/// `GET /v2/models/{model}`, also of a version. Without one it describes stable, whose features requests have to have.
pub async fn model(call: Call) -> Answer {
    let names = Names::of(&call)?;
    let live = call.shared.service.serving.live.load();
    json(&described(&names.model, loaded(&live, names.version.as_deref())?, &live))
}

fn described(name: &str, loaded: &Loaded, live: &Live) -> Value {
    let model = loaded.inference.model();
    let kind = model.output();
    json!({
        "name": name,
        "versions": versions(live),
        "platform": loaded.library().unwrap_or_else(|| "serin".to_owned()),
        "inputs": model.schema().features().iter().map(input).collect::<Vec<Value>>(),
        "outputs": Output::all(kind).iter().map(|one| output(*one, kind)).collect::<Vec<Value>>(),
    })
}

fn input(feature: &Feature) -> Value {
    let datatype = if feature.kind.is_numeric() { "FP64" } else { "BYTES" };
    json!({ "name": feature.name, "datatype": datatype, "shape": [-1, 1] })
}

fn output(output: Output, kind: &OutputKind) -> Value {
    let mut described = json!({
        "name": output.name(),
        "datatype": output.datatype(kind),
        "shape": [-1],
    });
    if let Some(width) = output.width(kind) {
        described["shape"] = json!([-1, width]);
        described["parameters"] = json!({ "classes": kind.classes() });
    }
    described
}
