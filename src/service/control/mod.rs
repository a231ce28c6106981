//! The room `control`.

pub mod audit;
pub mod checkpoint;
pub mod command;
pub(crate) mod commit;
pub mod controller;
pub(crate) mod error;
pub mod post_promotion;
pub(crate) mod questions;
pub(crate) mod rate;
pub mod registry;
pub(crate) mod sequential_judge;
pub mod startup;
