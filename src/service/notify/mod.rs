//! Who is told what happens? Targets that the configuration names, of every entry of the journal.
//!
//! - [`target`]: where they are, and what they want to hear.
//! - `body`: what they are told, and the signature.
//! - `post`: one POST.
//! - `delivery`: when, and how often.
//!
//! Everything is fed from the journal, so whatever is written there is told, on whichever way it came
//! about, and nothing that is not: a rollback that the disk could not take is told once it is written. Each
//! target has a thread and a place in the journal of its own, so none waits for another, and nobody who
//! decides ever waits for any of them.

pub(crate) mod delivery;
pub(crate) mod kinds;
pub(crate) mod message;
pub(crate) mod transport;

pub mod target;

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::Serialize;

use super::wakeup::Wakeup;
use crate::store::Store;
use target::Format;
use target::Target;

/// All targets, and the bell that says that there is something to tell.
pub(crate) struct Notifications {
    pub(crate) subscriptions: Vec<Arc<Subscription>>,
    pub(crate) wakeup: Arc<Wakeup>,
}

/// One target, and how far it was told.
pub(crate) struct Subscription {
    pub(crate) target: Target,
    /// What it is called in the log and the status.
    name: String,
    /// What the store knows it by.
    key: String,
    /// The entry after which it is told, from the start of this process on.
    begin: u64,
    progress: Mutex<TargetStatus>,
}

/// How far a target was told, as the status shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetStatus {
    /// Scheme, host and port, with its place if several share them; the rest of the address may be a secret.
    pub target: String,
    /// What it is sent.
    pub format: Format,
    /// The newest journal entry that it needs no more telling of.
    pub up_to: u64,
    /// How many entries it took since this process began.
    pub told: u64,
    /// When it took the last of them.
    pub last_told_at: Option<Timestamp>,
    /// How many were given up since this process began.
    pub given_up: u64,
    /// How often the entry under way has failed in a row.
    pub failures: u32,
    /// Why the last failure was one.
    pub last_error: Option<String>,
    /// When the entry under way is tried again.
    pub next_try_at: Option<Timestamp>,
}

impl Notifications {
    /// These targets. One that the store knows nothing of is told what comes after this revision. A store
    /// that cannot be read costs telling some of it twice or not at all, no reason not to serve.
    pub(super) fn new(targets: &[Target], store: &dyn Store, revision: u64) -> Notifications {
        let told = store.delivered().unwrap_or_else(|cause| {
            tracing::error!(%cause, "how far targets were told is lost; they are told what comes");
            Default::default()
        });
        let subscription = |(index, target): (usize, &Target)| {
            // Several on one host are told apart by their place in the configuration.
            let is_alone = targets.iter().filter(|it| it.origin() == target.origin()).count() < 2;
            let origin = target.origin().to_owned();
            let name = if is_alone { origin } else { format!("{origin} (notify[{index}])") };
            let key = target.key();
            // A journal that was begun anew is told from its beginning.
            let begin = told.get(&key).map_or(revision, |told| (*told).min(revision));
            if told.get(&key) != Some(&begin)
                && let Err(cause) = store.save_delivered(&key, begin)
            {
                tracing::warn!(%cause, "how far a target was told is not kept");
            }
            let progress = Mutex::new(TargetStatus {
                target: name.clone(),
                format: target.format(),
                up_to: begin,
                told: 0,
                last_told_at: None,
                given_up: 0,
                failures: 0,
                last_error: None,
                next_try_at: None,
            });
            Arc::new(Subscription { target: target.clone(), name, key, begin, progress })
        };
        let subscriptions = targets.iter().enumerate().map(subscription).collect();
        Notifications { subscriptions, wakeup: Arc::default() }
    }

    /// There is something new in the journal.
    pub(super) fn wake(&self) {
        self.wakeup.wake();
    }

    /// How far each target was told, in the order of the configuration.
    pub(super) fn status(&self) -> Vec<TargetStatus> {
        self.subscriptions.iter().map(|one| one.progress.lock().clone()).collect()
    }
}

impl Subscription {
    /// Whom people know it as.
    fn name(&self) -> &str {
        &self.name
    }

    fn is_up_to(&self, sequence: u64) {
        let mut progress = self.progress.lock();
        progress.up_to = sequence;
        (progress.failures, progress.next_try_at) = (0, None);
    }

    fn taken(&self, sequence: u64, at: Timestamp) {
        let mut progress = self.progress.lock();
        progress.up_to = sequence;
        progress.told += 1;
        progress.last_told_at = Some(at);
        progress.last_error = None;
    }

    fn gave_up(&self, why: String) {
        let mut progress = self.progress.lock();
        progress.given_up += 1;
        progress.last_error = Some(why);
    }

    /// Whether this trouble is a new one.
    fn failed(&self, why: &str, failures: u32, next_try_at: Timestamp) -> bool {
        let mut progress = self.progress.lock();
        let is_new = progress.failures == 0 || progress.last_error.as_deref() != Some(why);
        progress.failures = failures;
        progress.next_try_at = Some(next_try_at);
        progress.last_error = Some(why.to_owned());
        is_new
    }
}

#[cfg(test)]
mod tests;
