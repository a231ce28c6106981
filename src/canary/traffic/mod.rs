//! The room `traffic`.

pub mod prediction_id;
pub mod split;
pub mod track;
pub mod weight;
