//! Unknown fields of a prediction, for servers that ignore them.

use serde_json::Value;

use crate::model::Schema;

/// The fields of a prediction's body.
const FIELDS: [&str; 5] = ["features", "instances", "key", "segments", "id"];

/// The body without fields that predictions do not have and features that the model does not have; `None` if
/// there are none, or it is not an object.
pub(crate) fn without_unknown(body: &[u8], schema: &Schema) -> Option<Vec<u8>> {
    let mut body: Value = serde_json::from_slice(body).ok()?;
    let fields = body.as_object_mut()?;
    let known: Vec<&str> = schema.feature_names().collect();
    let mut removed = keep(fields, &FIELDS);
    if let Some(row) = fields.get_mut("features").and_then(Value::as_object_mut) {
        removed |= keep(row, &known);
    }
    for row in fields.get_mut("instances").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(row) = row.as_object_mut() {
            removed |= keep(row, &known);
        }
    }
    if removed { serde_json::to_vec(&body).ok() } else { None }
}

/// Keeps these fields; whether there were others.
fn keep(fields: &mut serde_json::Map<String, Value>, known: &[&str]) -> bool {
    let before = fields.len();
    fields.retain(|name, _| known.contains(&name.as_str()));
    fields.len() < before
}
