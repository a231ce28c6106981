//! Commands that talk to a server.
//!
//! - [`client`]: the HTTP client, and the flags that all of them have.
//! - `page`: headline, tables and paragraphs of a report in the terminal.
//! - [`status`], [`check`], [`explain`], [`history`]: how the rollout is doing, and what happened.
//! - [`deploy`]: starts a rollout; [`decide`]: promote, rollback, revert, pause, resume; [`wait`]: for its end.

pub mod check;
pub mod client;
pub mod decide;
pub mod deploy;
pub mod explain;
pub mod history;
pub(crate) mod page;
#[cfg(test)]
mod page_tests;
pub mod status;
pub mod wait;
