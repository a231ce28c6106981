//! Commands that talk to a server.
//!
//! - [`client`]: the HTTP client, and the flags that all of them have.
//! - `page`: headline, tables and paragraphs of a report in the terminal; `markdown`: the same for a pipeline.
//! - `watch`: the status as a full screen.
//! - [`status`], [`check`], [`explain`], [`history`] (with `report`, a rollout in a file): how the rollout is doing, and what happened.
//! - [`deploy`]: starts a rollout; [`decide`]: promote, rollback, revert, pause, resume; [`wait`]: for its end.
//! - [`traffic`]: the canary's share, and faults on purpose; [`reports`]: outcomes and values measured elsewhere.
//! - [`load`]: traffic as users send it; `predicted`: the answer to a prediction.
//! - [`models`]: the files of the models folder; [`shadow`]: disagreements, and recent requests once more.

pub mod check;
pub mod client;
pub mod decide;
pub mod deploy;
pub mod explain;
pub mod history;
pub mod load;
pub(crate) mod markdown;
pub mod models;
pub(crate) mod page;
#[cfg(test)]
mod page_tests;
pub(crate) mod predicted;
pub mod reports;
pub mod shadow;
pub mod status;
pub mod traffic;
pub mod wait;
mod watch;
