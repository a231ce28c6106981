//! The room `reported`.

pub mod analysis;
pub mod feedback;
pub(crate) mod pending;
pub mod recordings;
