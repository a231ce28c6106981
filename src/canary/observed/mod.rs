//! The room `observed`.

pub mod increment;
pub mod increment_codec;
pub mod labels;
pub mod pairs;
pub mod samples;
