//! What people and programs see of a server: pure functions from state and evidence to plain values.
//!
//! - [`overview`]: everything at a glance, the answer of `/admin/status`.
//! - [`tracks`], [`health`], [`plan`], [`diagnostics`], [`inputs`], [`shadow`], [`quality`], [`post_promotion`]: its parts.
//! - [`gate`]: the verdict for gates. [`history`]: journal entries with their sentences. [`past`]: earlier rollouts.
//! - [`changes`]: what is in none.
//! - [`metrics`]: numbers for Prometheus. [`report`]: all of it in words, for people.

pub mod changes;
pub mod diagnostics;
pub mod features;
pub mod gate;
pub mod health;
pub mod history;
pub mod inputs;
pub mod metrics;
pub mod overview;
pub mod past;
pub mod plan;
pub mod post_promotion;
pub mod quality;
pub mod report;
pub mod shadow;
pub mod tracks;

pub use overview::Status;
