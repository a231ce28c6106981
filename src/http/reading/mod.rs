//! Reading requests.
//!
//! - [`body`]: plain JSON within limits of size and time.
//! - `under_way`: how much memory bodies may take together.
//! - [`fields`]: rules of single fields.
//! - `rows`, `segments`, `unknown`: the rows, the segments and the unknown fields of a prediction.
//! - [`headers`]: the key and the track of a prediction.

pub mod body;
pub mod fields;
pub mod headers;
pub(crate) mod rows;
pub(crate) mod segments;
pub(crate) mod under_way;
pub(crate) mod unknown;
