//! Finds the operations of a document.

use serde_json::Value;

/// Every operation, with its method and path.
pub(super) fn operations(document: &mut Value) -> impl Iterator<Item = (&str, &str, &mut Value)> {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let operations = item.as_object_mut().into_iter().flatten();
        operations.map(|(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}
