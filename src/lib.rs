//! serin: a model server with a built-in canary.
//!
//! ```text
//!                       ┌────────────── one process ──────────────┐
//!   POST /predict ────▶ │ http ─▶ service ─▶ split ─▶ stable  90 % │
//!                       │            │            └─▶ canary  10 % │
//!                       │            ▼                             │
//!                       │        recorder ─▶ evidence ─▶ verdict   │
//!   POST /admin/... ──▶ │ http ─▶ command ─▶ rollout ─▶ journal    │
//!                       └──────────────────────────────────┬───────┘
//!                                                        store
//! ```
//!
//! Layers import downward only: `text <- stats <- canary <- { model, store } <- service <- http <- cli`. `model`
//! imports only `text`, and `model` and `store` never see each other. `simulation` is a side branch that only
//! `cli` sees: `canary <- simulation <- cli`. Inside the layers, rooms import one way as well, and no two files
//! import each other in a circle. `stats` and `canary` contain no clock, thread, file or random generator.
//! `tests/architecture.rs` enforces this.
//!
//! Read in this order: [`canary`] (its driving loop is an example), [`canary::rollout`] (what may happen),
//! [`service::serving::live`] (what a prediction reads), [`service::serving::predict`],
//! [`service::control::command`], then what you need.

pub mod text;

pub mod stats;

pub mod canary;

pub mod simulation;

pub mod model;

pub mod store;

pub mod service;

pub mod http;

pub mod cli;
