//! Commands that talk to a server.
//!
//! - [`client`]: the HTTP client, and the flags that all of them have.
//! - `page`: headline, tables and paragraphs of a report in the terminal.
//! - [`status`], [`check`], [`explain`], [`history`]: how the rollout is doing, and what happened.
//! - [`deploy`], [`promote`], [`rollback`], [`revert`], [`pause`]: what a person decides.

pub mod check;
pub mod client;
pub mod deploy;
pub mod explain;
pub mod history;
pub(crate) mod page;
pub mod pause;
pub mod promote;
pub mod revert;
pub mod rollback;
pub mod status;
