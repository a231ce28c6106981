//! The room `reading`.

pub mod body;
pub mod fields;
pub mod headers;
pub(crate) mod segments;
pub mod suggestion;
