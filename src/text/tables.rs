//! Tables as people have them: encoding, separators, and numbers with marks.
//!
//! - [`encoding`]: bytes of any usual encoding, packed or not, as UTF-8 text.
//! - [`dialect`]: separator and decimal sign of a file.
//! - [`number`]: numbers with decimal commas, grouped thousands, currencies and percent signs.
//! - [`row_limit`]: an error instead of a row that fills the memory.

pub mod dialect;
pub mod encoding;
pub mod number;
pub mod row_limit;
