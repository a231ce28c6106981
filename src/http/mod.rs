//! HTTP: translates requests into calls of the service, and results into JSON. It decides nothing.
//!
//! - [`routes`]: all routes, and one file per group of handlers.
//! - [`reading`]: bodies, fields and headers of a request.
//! - [`protocols`]: `/predict` and the protocols of other servers: how each reads rows and writes answers.
//! - `predicting`: a prediction, whatever the protocol. [`answer`]: what handlers take and answer.
//! - [`problem`]: every error with its status code.
//! - [`page`]: the page in a browser. `past`: what is asked of past rollouts. `query`: fields of a query.
//! - [`openapi`]: what the OpenAPI document says besides the types.
//! - [`access`] and [`guard`]: who may use `/admin` and report outcomes.
//! - [`trace`]: which requests are followed in logs and traces.
//! - [`server`]: listening, and stopping without losing anything; `connection`: the time clients have; `departure`: whether one has left.

pub mod openapi;
pub mod problem;

pub mod access;
pub mod reading;

pub mod settings;
pub mod shared;

pub mod answer;
pub mod guard;

pub mod trace;

pub(crate) mod predicting;

pub mod protocols;

pub(crate) mod past;
mod query;

pub mod page;

pub mod routes;

mod connection;
mod departure;
pub mod server;

pub use server::run;
pub use settings::Settings;
