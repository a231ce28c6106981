//! Bodies of predictions. They are read in one pass without a type, so their schemas are written here.

use serde_json::Value;
use serde_json::json;
use utoipa::ToSchema;

use crate::http::reading::fields::MAX_KEY_BYTES;
use crate::http::reading::rows::MAX_ROWS;

/// Declares bodies, each with its schema.
macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident = $schema:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(ToSchema)]
            pub(crate) struct $name;
        )*

        /// The schemas of all bodies, and of their parts, by name.
        pub(super) fn schemas() -> Vec<(&'static str, Value)> {
            let mut all = parts();
            $(all.push((stringify!($name), $schema));)*
            all
        }
    };
}

bodies! {
    /// The body of `/predict`.
    PredictRequest = json!({
        "type": "object",
        "properties": {
            "features": {},
            "instances": {},
            "key": {
                "type": ["string", "null"],
                "maxLength": MAX_KEY_BYTES,
                "description": "A user or session; requests with the same key get the same version",
            },
            "segments": reference("RequestSegments"),
            "covariate": covariate(),
            "id": {
                "type": ["string", "null"],
                "maxLength": MAX_KEY_BYTES,
                "description": "Returned unchanged in the answer",
            },
            "explain": {
                "type": ["boolean", "null"],
                "description": "Whether the answer says what each feature contributed to it",
            },
        },
        "oneOf": [
            {
                "properties": { "features": reference("Features"), "instances": { "type": "null" } },
                "required": ["features"],
            },
            {
                "properties": { "features": { "type": "null" }, "instances": rows("Features") },
                "required": ["instances"],
            },
        ],
        "additionalProperties": false,
    });

    /// The body of KServe v1, which is TensorFlow Serving's.
    KserveRequest = json!({
        "type": "object",
        "properties": {
            "instances": rows("TableRow"),
            "inputs": rows_or_columns(),
            "parameters": reference("RequestParameters"),
            "signature_name": { "description": "Has no meaning here" },
        },
        "oneOf": [{ "required": ["instances"] }, { "required": ["inputs"] }],
        "additionalProperties": false,
    });

    /// The body of MLflow's scoring server.
    MlflowRequest = json!({
        "type": "object",
        "properties": {
            "dataframe_split": {
                "type": "object",
                "properties": {
                    "columns": { "type": "array", "items": { "type": ["string", "integer"], "minimum": 0 } },
                    "data": { "type": "array", "items": { "type": "array", "items": reference("FeatureValue") }, "minItems": 1 },
                    "index": { "description": "Has no meaning here" },
                },
                "required": ["data"],
                "additionalProperties": false,
            },
            "dataframe_records": rows("TableRow"),
            "instances": rows("TableRow"),
            "inputs": rows_or_columns(),
            "params": reference("RequestParameters"),
        },
        "oneOf": [
            { "required": ["dataframe_split"] },
            { "required": ["dataframe_records"] },
            { "required": ["instances"] },
            { "required": ["inputs"] },
        ],
        "additionalProperties": false,
    });

    /// The parameters of a request.
    RequestParameters = json!({
                "type": ["object", "null"],
                "properties": {
                    "key": {
                        "type": ["string", "null"],
                        "maxLength": MAX_KEY_BYTES,
                        "description": "A user or session; requests with the same key get the same version",
                    },
                    "covariate": covariate(),
                    "binary_data_output": { "type": ["boolean", "null"] },
                },
                "description": "Other parameters have no meaning here, except `segments.NAME`",
            });

    /// Rows as CSV, of MLflow and SageMaker.
    CsvRows = json!({ "type": "string", "minLength": 1 });

    /// The values of a tensor.
    TensorData = json!({ "type": "array", "items": {} });
}

/// The parts that bodies have in common. Those of features and segments depend on the server.
fn parts() -> Vec<(&'static str, Value)> {
    vec![
        ("Features", json!({ "description": "A row" })),
        ("TableRow", json!({ "description": "A row, which may have booleans" })),
        ("RequestSegments", json!({ "type": "object" })),
        (
            "FeatureValue",
            json!({
                "type": ["number", "string", "boolean", "null"],
                "description": "A value of a feature; `null` if it is unknown",
            }),
        ),
    ]
}

fn covariate() -> Value {
    json!({
        "type": ["number", "null"],
        "exclusiveMinimum": 0,
        "description": "A number known beforehand that latency may depend on",
    })
}

/// Rows of this schema.
fn rows(row: &str) -> Value {
    json!({
        "type": "array",
        "items": reference(row),
        "minItems": 1,
        "maxItems": MAX_ROWS,
        "description": "Rows, all answered by the same version",
    })
}

fn rows_or_columns() -> Value {
    let column = json!({ "type": "array", "items": reference("FeatureValue") });
    json!({ "oneOf": [rows("TableRow"), { "type": "object", "additionalProperties": column }] })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}
