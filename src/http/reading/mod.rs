//! Reading requests.
//!
//! - [`body`]: plain JSON within limits of size and time.
//! - `body_room`: how much memory bodies may take together.
//! - `lenient`: JSON with NaN.
//! - [`fields`]: rules of single fields.
//! - `prediction`, `rows`, `segments`: the body of a prediction, its rows and its segments.
//! - [`headers`]: the key and the track of a prediction.

pub mod body;
pub(crate) mod body_room;
pub mod fields;
pub mod headers;
pub(crate) mod lenient;
pub(crate) mod prediction;
pub(crate) mod rows;
pub(crate) mod segments;
