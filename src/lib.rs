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
//! A folder imports only what stands above it here: `stats <- canary <- { model, store } <-
//! service <- http <- cli`. `model` imports nothing of ours, and `model` and `store` never see each
//! other. `simulation` stands aside: `stats <- canary <- simulation <- cli`, so that the server never
//! sees it. `stats` and `canary` hold no clock, no thread, no file and no random generator.
//! `tests/architecture.rs` enforces this.
//!
//! Read in this order: [`canary::rollout`] (what may happen), [`service::live`] (what a prediction
//! reads), [`service::predict`], [`service::command`], then whatever you need.

pub mod text;

pub mod stats;

pub mod canary;

pub mod simulation;

pub mod model;

pub mod store;

pub mod service;

pub mod http;

pub mod cli;
