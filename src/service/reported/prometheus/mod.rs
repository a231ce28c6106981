//! Values of another service, from Prometheus: queries of the policy, asked once an interval for both tracks.
//!
//! - [`server`]: the address, from the settings. [`client`]: one question over HTTP. `answer`: what Prometheus says.
//! - [`error`]: why there is no value.
//! - [`observer`]: which query is due, and what becomes of the answers. [`status`]: how the queries are doing.

mod answer;
pub mod client;
pub mod error;
pub mod observer;
pub mod server;
pub mod status;
