//! When is one target told of which journal entry? In order, each until it is taken, at least once.
//!
//! ```text
//! taken                  the next entry; how far it got is kept in the store
//! not now                again after 1 s, 2 s, 4 s .. 5 min (each shortened by up to half at random, so
//!                        that targets do not all come at once), or as late as the target asks
//! not within 24 h        given up, and said so in the log
//! never (3xx, 4xx)       given up at once
//! ```
//!
//! It holds one page of the journal at most, however far behind a target is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt as _;

use super::Notifications;
use super::Subscription;
use super::message::Notice;
use super::message::body;
use super::message::signature;
use super::transport::Answer;
use super::transport::HttpTransport;
use super::transport::Message;
use super::transport::Transport;
use crate::canary::Entry;
use crate::canary::Event;
use crate::service::clock::Clock;
use crate::store::Store;
use crate::store::StoreError;

/// The first wait after a failure; each one after it is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait, whatever the target asks for.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// An entry that is older is given up at the next failure: nobody acts on it any more.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(24 * 3600);

/// How often the journal is read without a wakeup: another process may have written to it.
const UNASKED: Duration = Duration::from_secs(30);

/// Entries that are held at once.
const HELD: usize = 16;

/// Tells one target.
pub(crate) struct Delivery {
    subscription: Arc<Subscription>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    post: Box<dyn Transport>,
    /// Which journal it is, and how many rollouts it had begun by `after`; `None` before it was read.
    journal: Option<Journal>,
    /// The newest entry that needs no more telling.
    after: u64,
    /// The same, as the store knows it.
    kept: u64,
    /// What comes next.
    held: VecDeque<Entry>,
    failures: u32,
    /// On the steady clock.
    not_before: Duration,
}

struct Journal {
    id: String,
    rollouts: u64,
}

/// What comes of one turn.
#[derive(Debug, PartialEq)]
pub(crate) enum Turn {
    /// Something was done, and there may be more.
    GoOn,
    /// There is nothing to tell.
    Idle,
    /// Something failed; the next turn can do nothing before so long.
    Wait(Duration),
}

impl Delivery {
    pub(crate) fn new(
        subscription: Arc<Subscription>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        post: Box<dyn Transport>,
    ) -> Delivery {
        let (after, not_before) = (subscription.begin, Duration::ZERO);
        let held = VecDeque::new();
        Delivery {
            subscription,
            store,
            clock,
            post,
            journal: None,
            after,
            kept: after,
            held,
            failures: 0,
            not_before,
        }
    }

    /// One for each target.
    pub(crate) fn all(
        notifications: &Notifications,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
    ) -> Vec<Delivery> {
        let one = |subscription: &Arc<Subscription>| {
            let transport = Box::new(HttpTransport::new(&subscription.target));
            Delivery::new(subscription.clone(), store.clone(), clock.clone(), transport)
        };
        notifications.subscriptions.iter().map(one).collect()
    }

    /// Delivers everything that can be delivered now; how long until there may be more.
    pub(crate) fn deliver(&mut self) -> Duration {
        loop {
            match self.turn() {
                Turn::GoOn => {}
                Turn::Idle => return UNASKED,
                Turn::Wait(wait) => return wait,
            }
        }
    }

    /// Does the next thing there is to do.
    pub(crate) fn turn(&mut self) -> Turn {
        let left = self.not_before.saturating_sub(self.clock.steady());
        if !left.is_zero() {
            return Turn::Wait(left);
        }
        match self.next() {
            Ok(turn) => turn,
            Err(cause) => self.failed(format!("the journal cannot be read: {cause}"), None),
        }
    }

    fn next(&mut self) -> Result<Turn, StoreError> {
        if self.journal.is_none() {
            self.journal = read_up_to(&*self.store, self.after)?;
        }
        if self.held.is_empty() {
            self.held.extend(self.store.entries(self.after, HELD)?);
        }
        let (Some(journal), Some(entry)) = (&self.journal, self.held.front()) else {
            self.keep();
            return Ok(Turn::Idle);
        };
        let is_deployed = entry.event.starts_rollout();
        let begun = journal.rollouts + u64::from(is_deployed);
        let target = &self.subscription.target;
        if !target.wants(&entry.event) {
            self.done(begun);
            return Ok(Turn::GoOn);
        }
        let rollout = rollout_of(&entry.event, begun);
        let notice = Notice { entry, journal: &journal.id, rollout };
        let (content_type, body) = body(&notice, target.format());
        let signature = target.secret().map(|secret| signature(secret, body.as_bytes()));
        let answer = self.post.send(target, &Message { content_type, body, signature });
        let (sequence, event, name) =
            (entry.sequence, entry.event.name(), self.subscription.name());
        match answer {
            Answer::Taken => {
                tracing::debug!(sequence, event, "{name} is told");
                self.subscription.taken(sequence, self.clock.wall());
                self.done(begun);
                self.keep();
            }
            Answer::Later { why, .. } if is_older(entry, self.clock.wall()) => {
                tracing::error!(sequence, event, "{name} could not be told in a day: {why}");
                self.give_up(why, begun);
            }
            Answer::Later { why, after } => return Ok(self.failed(why, after)),
            Answer::Never(why) => {
                tracing::error!(sequence, event, "{name} will not be told: {why}");
                self.give_up(why, begun);
            }
        }
        Ok(Turn::GoOn)
    }

    /// The first entry that is held needs no more telling.
    fn done(&mut self, rollouts: u64) {
        if let Some(entry) = self.held.pop_front() {
            self.after = entry.sequence;
        }
        if let Some(journal) = &mut self.journal {
            journal.rollouts = rollouts;
        }
        self.failures = 0;
        self.subscription.is_up_to(self.after);
    }

    fn give_up(&mut self, why: String, rollouts: u64) {
        self.subscription.gave_up(why);
        self.done(rollouts);
        self.keep();
    }

    fn failed(&mut self, why: String, after: Option<Duration>) -> Turn {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.failures.min(16)).min(MAX_WAIT);
        let jittered = doubled.mul_f64(rand::rng().random_range(0.5..1.0));
        let wait = jittered.max(after.unwrap_or_default().min(MAX_WAIT));
        self.failures = self.failures.saturating_add(1);
        self.not_before = self.clock.steady() + wait;
        let next_try = self.clock.wall().saturating_add(wait).unwrap_or(Timestamp::MAX);
        // Once for each trouble, not once for each try.
        if self.subscription.failed(&why, self.failures, next_try) {
            let name = self.subscription.name();
            tracing::warn!(
                told_up_to = self.after,
                "{name} cannot be told now: {why}; trying again"
            );
        }
        Turn::Wait(wait)
    }

    /// Keeps how far it got. If the store cannot, a restart tells the target again, which may happen to it
    /// in any case.
    fn keep(&mut self) {
        if self.kept == self.after {
            return;
        }
        match self.store.save_delivered(&self.subscription.key, self.after) {
            Ok(()) => self.kept = self.after,
            Err(cause) => tracing::warn!(%cause, "how far a target was told is not kept"),
        }
    }
}

/// The journal's name, and how many rollouts it started up to entry `last`; `None` for an empty journal.
fn read_up_to(store: &dyn Store, last: u64) -> Result<Option<Journal>, StoreError> {
    // The first entry never changes, and no two journals begin with the same one.
    let Some(first) = store.entries(0, 1)?.pop() else { return Ok(None) };
    let mut journal = Journal { id: name_of(&first), rollouts: 0 };
    for entry in store.entries_from(0) {
        let entry = entry?;
        if entry.sequence > last {
            break;
        }
        journal.rollouts += u64::from(entry.event.starts_rollout());
    }
    Ok(Some(journal))
}

/// A journal's name, from its first entry: when it was begun, with which artifact.
fn name_of(first: &Entry) -> String {
    let text = serde_json::to_string(first).unwrap_or_default();
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// The rollout an event belongs to, where `begun` rollouts were started up to and including it.
fn rollout_of(event: &Event, begun: u64) -> Option<u64> {
    event.rollout().or((begun > 0).then_some(begun))
}

fn is_older(entry: &Entry, now: Timestamp) -> bool {
    let age = now.duration_since(entry.at);
    age.unsigned_abs() > GIVE_UP && age.is_positive()
}
