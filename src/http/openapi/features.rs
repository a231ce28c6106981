//! The features of the model that is served, and examples that it answers.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::operations::operations;
use crate::http::settings::UnknownFields;
use crate::http::shared::Shared;
use crate::model::Schema;
use crate::model::schema::Feature;
use crate::model::schema::FeatureKind;

/// The most features that the document names: of more, it would be too large to read.
const MAX_NAMED: usize = 1000;

/// Describes the features, segments and names of this server.
pub(super) fn describe(document: &mut Value, shared: &Shared) {
    let live = shared.service.serving.live.load();
    let schema = live.stable.inference.model().schema();
    let refuses_unknown = matches!(shared.settings.unknown_fields, UnknownFields::Refuse);
    let is_named = schema.features().len() <= MAX_NAMED;
    let schemas = &mut document["components"]["schemas"];
    schemas["Number"] = number(schema);
    if schema.features().iter().any(|feature| !feature.kind.is_numeric()) {
        schemas["Category"] = json!({
            "type": ["string", "null"],
            "description": "A category; `null` if it is unknown",
        });
    }
    if is_named {
        schemas["Features"] = row(schema, refuses_unknown, value);
        let or_boolean =
            |feature: &Feature| json!({ "anyOf": [value(feature), { "type": "boolean" }] });
        schemas["TableRow"] = row(schema, refuses_unknown, or_boolean);
    }
    if !refuses_unknown && let Some(request) = schemas["PredictRequest"].as_object_mut() {
        request.remove("additionalProperties");
    }
    schemas["RequestSegments"] = segments(shared);
    if is_named {
        add_examples(document, schema);
    }
    let model = &shared.settings.model_name;
    let version = &live.stable.version.name;
    for (_, path, operation) in operations(document) {
        let is_file = path.starts_with("/v2/repository/");
        for parameter in
            operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten()
        {
            let example = match parameter["name"].as_str() {
                Some("model") => model,
                Some("version") if !is_file => version,
                _ => continue,
            };
            parameter["example"] = json!(example);
        }
    }
}

/// Adds examples of predictions.
fn add_examples(document: &mut Value, schema: &Schema) {
    let example = json!({ "features": named(schema) });
    let rows = json!([named(schema)]);
    let mut set = |path: &str, example: Value| {
        let body = &mut document["paths"][path]["post"]["requestBody"];
        body["content"]["application/json"]["example"] = example;
    };
    set("/predict", example);
    set("/v1/models/{model}:predict", json!({ "instances": rows }));
    set("/invocations", json!({ "dataframe_records": rows }));
    let tensors: Vec<Value> = schema.features().iter().map(tensor).collect();
    for path in ["/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"] {
        set(path, json!({ "inputs": tensors }));
    }
}

/// A row: the values of all features, by name or in order.
fn row(schema: &Schema, refuses_unknown: bool, value: impl Fn(&Feature) -> Value) -> Value {
    let features = schema.features();
    let properties: Map<String, Value> =
        features.iter().map(|it| (it.name.clone(), value(it))).collect();
    let names: Vec<&str> = schema.feature_names().collect();
    let in_order: Vec<Value> = features.iter().map(&value).collect();
    json!({
        "description": "A row: the value of each feature by its name, or all values in order",
        "oneOf": [
            {
                "type": "object",
                "properties": properties,
                "required": names,
                "additionalProperties": !refuses_unknown,
            },
            {
                "type": "array",
                "prefixItems": in_order,
                "minItems": names.len(),
                "maxItems": names.len(),
            },
        ],
    })
}

fn value(feature: &Feature) -> Value {
    match &feature.kind {
        FeatureKind::Numeric { .. } | FeatureKind::Number => {
            json!({ "$ref": "#/components/schemas/Number", "description": feature.name })
        }
        FeatureKind::Categorical { levels } => {
            let known: Vec<&String> = levels.iter().take(50).collect();
            json!({
                "$ref": "#/components/schemas/Category",
                "description": feature.name,
                "examples": known,
            })
        }
    }
}

fn number(schema: &Schema) -> Value {
    let missing: Vec<&str> = schema.missing().texts_among_numbers().collect();
    let mut forms = vec![
        json!({ "type": ["number", "null"] }),
        json!({ "type": "string", "pattern": r"^\s*$" }),
    ];
    if !missing.is_empty() {
        forms.push(json!({ "type": "string", "enum": missing }));
    }
    json!({
        "description": "A number; `null`, a blank text or a marker of missing values if it is unknown",
        "anyOf": forms,
    })
}

fn segments(shared: &Shared) -> Value {
    let declared = shared.service.control.declared_segments();
    let keys = declared.keys.iter().map(|key| {
        let schema = json!({ "type": ["string", "number"] });
        (key.name.as_str().to_owned(), schema)
    });
    let keys: Map<String, Value> = keys.collect();
    json!({ "type": "object", "properties": keys, "additionalProperties": false })
}

/// A row by name.
fn named(schema: &Schema) -> Value {
    let one = |feature: &Feature| (feature.name.clone(), example(feature));
    schema.features().iter().map(one).collect::<Map<String, Value>>().into()
}

fn tensor(feature: &Feature) -> Value {
    let datatype = if feature.kind.is_numeric() { "FP64" } else { "BYTES" };
    json!({ "name": feature.name, "shape": [1, 1], "datatype": datatype, "data": [example(feature)] })
}

/// A value that is usual in training, as far as it is known.
fn example(feature: &Feature) -> Value {
    match &feature.kind {
        FeatureKind::Numeric { mean, scale } => {
            // As many digits as tell two customers apart.
            let step = 10f64.powf(scale.log10().floor() - 1.0);
            let rounded = (mean / step).round() * step;
            json!(format!("{rounded:.6}").parse::<f64>().unwrap_or(*mean))
        }
        FeatureKind::Categorical { levels } => json!(levels.first()),
        FeatureKind::Number => json!(1.0),
    }
}
