//! The room `routes`.

pub mod admin;
pub mod analysis;
pub mod faults;
pub mod feedback;
pub mod predict;
pub mod shadow;
