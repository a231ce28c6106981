//! The room `remote`.

pub mod check;
pub mod client;
pub mod deploy;
pub mod history;
pub(crate) mod labels;
pub mod pause;
pub mod promote;
pub mod revert;
pub mod rollback;
pub mod status;
