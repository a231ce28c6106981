//! Subscriptions of the configured targets, with their progress.

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::target::Format;
use super::target::Target;
use crate::service::wakeup::Wakeup;
use crate::store::Store;

/// All subscriptions, and the wakeup of their threads.
pub(crate) struct Notifications {
    pub(crate) subscriptions: Vec<Arc<Subscription>>,
    pub(crate) wakeup: Arc<Wakeup>,
}

/// A target and its progress.
pub(crate) struct Subscription {
    pub(crate) target: Target,
    /// The target's name in the log and the status.
    pub(crate) name: String,
    /// The target's key in the store.
    pub(crate) key: String,
    /// This process delivers the entries after this one.
    pub(crate) begin: u64,
    /// Written by the delivery thread, read by the status; held for a few assignments.
    progress: Mutex<TargetStatus>,
}

/// Progress of a target, as the status shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TargetStatus {
    /// Scheme, host and port, and the index if several targets share them; the rest of the URL may be a
    /// secret.
    pub target: String,
    /// The format of the messages.
    pub format: Format,
    /// The newest journal entry that is done: delivered, given up or not wanted.
    pub position: u64,
    /// Entries delivered since this process started.
    pub delivered: u64,
    /// The time of the newest delivery.
    pub last_delivered_at: Option<Timestamp>,
    /// Entries given up since this process started.
    pub abandoned: u64,
    /// Failed attempts at the current entry.
    pub failures: u32,
    /// The newest failure.
    pub last_error: Option<String>,
    /// The time of the next attempt.
    pub next_try_at: Option<Timestamp>,
}

impl Notifications {
    /// Subscribes the targets. A target that the store does not know gets the entries after `revision`. If
    /// the store cannot be read, entries may be missed; that must not stop the server.
    pub(crate) fn new(targets: &[Target], store: &dyn Store, revision: u64) -> Notifications {
        let delivered = store.delivered().unwrap_or_else(|cause| {
            tracing::error!(%cause, "cannot read the progress of notifications; targets get new entries only");
            Default::default()
        });
        let subscription = |(index, target): (usize, &Target)| {
            // Targets on one host are distinguished by their index.
            let is_alone = targets.iter().filter(|it| it.origin == target.origin).count() < 2;
            let origin = target.origin.clone();
            let name = if is_alone { origin } else { format!("{origin} (notify[{index}])") };
            let key = target.key();
            // A new journal in the same store is delivered from its start.
            let begin = delivered.get(&key).map_or(revision, |up_to| (*up_to).min(revision));
            if delivered.get(&key) != Some(&begin)
                && store.role().decides()
                && let Err(cause) = store.save_delivered(&key, begin)
            {
                tracing::warn!(%cause, "cannot save the progress of notifications");
            }
            let progress = Mutex::new(TargetStatus {
                target: name.clone(),
                format: target.format,
                position: begin,
                ..TargetStatus::default()
            });
            Arc::new(Subscription { target: target.clone(), name, key, begin, progress })
        };
        let subscriptions = targets.iter().enumerate().map(subscription).collect();
        Notifications { subscriptions, wakeup: Arc::default() }
    }

    /// Wakes the deliveries: the journal has a new entry.
    pub(crate) fn wake(&self) {
        self.wakeup.wake();
    }

    /// The progress of each target, in the order of the configuration.
    pub(crate) fn status(&self) -> Vec<TargetStatus> {
        self.subscriptions.iter().map(|one| one.progress.lock().clone()).collect()
    }
}

impl Subscription {
    pub(crate) fn is_up_to(&self, sequence: u64) {
        let mut progress = self.progress.lock();
        progress.position = sequence;
        (progress.failures, progress.next_try_at) = (0, None);
    }

    pub(crate) fn accepted(&self, sequence: u64, at: Timestamp) {
        let mut progress = self.progress.lock();
        progress.position = sequence;
        progress.delivered += 1;
        progress.last_delivered_at = Some(at);
        progress.last_error = None;
    }

    pub(crate) fn gave_up(&self, why: String) {
        let mut progress = self.progress.lock();
        progress.abandoned += 1;
        progress.last_error = Some(why);
    }

    /// Notes a failed attempt; `true` if the problem is new.
    pub(crate) fn failed(&self, why: &str, failures: u32, next_try_at: Timestamp) -> bool {
        let mut progress = self.progress.lock();
        let is_new = progress.failures == 0 || progress.last_error.as_deref() != Some(why);
        progress.failures = failures;
        progress.next_try_at = Some(next_try_at);
        progress.last_error = Some(why.to_owned());
        is_new
    }
}
