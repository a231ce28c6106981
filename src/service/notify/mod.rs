//! Notifications: every journal entry goes to the configured targets.
//!
//! - [`target`]: a target of the configuration.
//! - `subscriptions`: the targets with their progress, for the status.
//! - `delivery`: one thread per target: order, retries, progress.
//! - `message`: what is sent; `kinds`: one file per kind of message.
//! - `transport`: one POST.
//!
//! The journal is the only source: an entry is delivered however it came about, and a rollback that the
//! disk could not take is delivered once it is written. Each target has its own thread and progress, so that
//! none waits for another and no command waits for any of them.

pub(crate) mod delivery;
pub(crate) mod kinds;
pub(crate) mod message;
pub(crate) mod subscriptions;
pub mod target;
pub(crate) mod transport;

pub(crate) use subscriptions::Notifications;
pub use subscriptions::TargetStatus;

#[cfg(test)]
mod tests;
