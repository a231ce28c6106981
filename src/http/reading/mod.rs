//! Reading requests.
//!
//! - [`body`]: plain JSON within limits of size and time.
//! - [`fields`]: single fields, so that an error names them.
//! - `segments`: the segments of a prediction.
//! - [`headers`]: the key and the track of a prediction.

pub mod body;
pub mod fields;
pub mod headers;
pub(crate) mod segments;
