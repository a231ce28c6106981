//! JSON columns.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::error::StoreError;

/// Writes a value; `what` names it in the error.
pub(super) fn to_json<T: Serialize>(what: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|cause| StoreError::Damaged { what: what.to_owned(), cause: cause.to_string() })
}

/// Reads a value; `what` names it in the error.
pub(super) fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|cause| StoreError::Damaged { what: what.to_owned(), cause: cause.to_string() })
}
