//! Notification kinds, one file each.
//!
//! To add a kind: its file, its [`Format`], and its line in [`kind`].

mod cloud_events;
mod slack;

use super::message::Kind;
use super::target::Format;

/// The kind that renders a format.
pub(crate) fn kind(format: Format) -> &'static dyn Kind {
    match format {
        Format::CloudEvents => &cloud_events::CloudEvents,
        Format::Slack => &slack::Slack,
    }
}
