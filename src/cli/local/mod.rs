//! The room `local`.

pub mod config;
pub mod inspect;
pub mod serve;
pub mod train;
