//! Delivery of journal entries to one target: in order, at least once.
//!
//! ```text
//! accepted               save the progress, go on with the next entry
//! failed                 retry after 1 s, 2 s, 4 s .. 5 min (each shortened by up to half at random, so
//!                        that targets do not retry at the same moment), or as late as the target asks
//! failing for 24 h       give up the entry, and log an error
//! rejected (3xx, 4xx)    give up the entry at once
//! ```
//!
//! At most [`PAGE`] entries are in memory, however far behind a target is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt as _;

use super::kinds::kind;
use super::message::Notice;
use super::subscriptions::Notifications;
use super::subscriptions::Subscription;
use super::transport::HttpTransport;
use super::transport::Reply;
use super::transport::Transport;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::State;
use crate::canary::Version;
use crate::canary::rollout::journal::ReplayError;
use crate::canary::rollout::journal::follow;
use crate::service::clock::Clock;
use crate::store::Store;
use crate::store::StoreError;

/// The first wait after a failure; each one after it is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait, even if the target asks for more.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// The age at which an entry is given up at the next failure: it is no longer actionable.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(24 * 3600);

/// How often the journal is read without a wakeup, in case another process writes to it.
const UNASKED: Duration = Duration::from_secs(30);

/// How often a follower looks whether it leads.
const UNTIL_LEADING: Duration = Duration::from_secs(1);

/// Entries read at once.
const PAGE: usize = 16;

/// Delivers to one target.
pub(crate) struct Delivery {
    subscription: Arc<Subscription>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    transport: Box<dyn Transport>,
    /// The journal's name and the state after entry `after`; `None` before the journal was read.
    journal: Option<Journal>,
    /// The newest entry that is done: delivered, given up or not wanted.
    after: u64,
    /// The same, as saved in the store.
    saved: u64,
    /// The next entries.
    pending: VecDeque<Entry>,
    failures: u32,
    /// The earliest time of the next attempt, on the steady clock.
    not_before: Duration,
    /// Whether another replica delivers.
    is_following: bool,
}

struct Journal {
    id: String,
    /// `None` before the first entry.
    state: Option<State>,
}

/// What the thread of a target does next.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// Deliver on: there may be more.
    Deliver,
    /// Nothing to deliver.
    Idle,
    /// An attempt failed; the next one is due after this time.
    Wait(Duration),
}

impl Delivery {
    pub(crate) fn new(
        subscription: Arc<Subscription>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        transport: Box<dyn Transport>,
    ) -> Delivery {
        let (after, not_before) = (subscription.begin, Duration::ZERO);
        let pending = VecDeque::new();
        Delivery {
            subscription,
            store,
            clock,
            transport,
            journal: None,
            after,
            saved: after,
            pending,
            failures: 0,
            not_before,
            is_following: false,
        }
    }

    /// One delivery per target.
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

    /// Delivers everything that can be delivered now, and returns how long to wait for more.
    pub(crate) fn deliver(&mut self) -> Duration {
        // In a fleet the leader delivers. Another one would deliver twice.
        if !self.store.role().decides() {
            self.is_following = true;
            return UNTIL_LEADING;
        }
        if self.is_following && self.continues().is_err() {
            return UNTIL_LEADING;
        }
        loop {
            match self.attempt() {
                Next::Deliver => {}
                Next::Idle => return UNASKED,
                Next::Wait(wait) => return wait,
            }
        }
    }

    /// Continues where the leader before this one has stopped.
    fn continues(&mut self) -> Result<(), StoreError> {
        let delivered = self.store.delivered()?;
        let up_to = delivered.get(&self.subscription.key).copied().unwrap_or(self.after);
        (self.after, self.saved, self.is_following) = (up_to, up_to, false);
        self.journal = None;
        self.pending.clear();
        Ok(())
    }

    /// Makes one attempt, if it is due.
    pub(crate) fn attempt(&mut self) -> Next {
        let left = self.not_before.saturating_sub(self.clock.steady());
        if !left.is_zero() {
            return Next::Wait(left);
        }
        match self.next() {
            Ok(next) => next,
            Err(cause) => self.failed(format!("the journal cannot be read: {cause}"), None),
        }
    }

    fn next(&mut self) -> Result<Next, StoreError> {
        if self.journal.is_none() {
            self.journal = read_up_to(&*self.store, self.after)?;
        }
        if self.pending.is_empty() {
            self.pending.extend(self.store.entries(self.after, PAGE)?);
        }
        let (Some(journal), Some(entry)) = (&self.journal, self.pending.front()) else {
            self.save();
            return Ok(Next::Idle);
        };
        let after = match follow(journal.state.clone(), entry) {
            Ok(after) => after,
            Err(cause) => return Err(damaged(cause)),
        };
        let target = &self.subscription.target;
        if !target.wants(&entry.event) {
            self.done(after);
            return Ok(Next::Deliver);
        }
        let notice = Notice {
            entry,
            journal: &journal.id,
            rollout: rollout_of(&entry.event, after.rollouts),
            stable: &after.stable,
            canary: canary_of(&after).or_else(|| journal.state.as_ref().and_then(canary_of)),
            server: &target.server,
        };
        let message = kind(target.format).render(&notice);
        let message = match &target.secret {
            Some(secret) => message.signed(secret),
            None => message,
        };
        let reply = self.transport.send(target, &message);
        let (sequence, event, name) = (entry.sequence, entry.event.name(), &self.subscription.name);
        match reply {
            Reply::Accepted => {
                tracing::debug!(sequence, event, "delivered to {name}");
                self.subscription.accepted(sequence, self.clock.wall());
                self.done(after);
                self.save();
            }
            Reply::Retry { why, .. } if is_older(entry, self.clock.wall()) => {
                tracing::error!(sequence, event, "gave up on {name} after 24 hours: {why}");
                self.give_up(why, after);
            }
            Reply::Retry { why, after } => return Ok(self.failed(why, after)),
            Reply::Rejected(why) => {
                tracing::error!(sequence, event, "{name} rejected the notification: {why}");
                self.give_up(why, after);
            }
        }
        Ok(Next::Deliver)
    }

    /// Marks the first pending entry, which led to this state, as done.
    fn done(&mut self, state: State) {
        if let Some(entry) = self.pending.pop_front() {
            self.after = entry.sequence;
        }
        if let Some(journal) = &mut self.journal {
            journal.state = Some(state);
        }
        self.failures = 0;
        self.subscription.is_up_to(self.after);
    }

    fn give_up(&mut self, why: String, state: State) {
        self.subscription.gave_up(why);
        self.done(state);
        self.save();
    }

    fn failed(&mut self, why: String, after: Option<Duration>) -> Next {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.failures.min(16)).min(MAX_WAIT);
        let jittered = doubled.mul_f64(rand::rng().random_range(0.5..1.0));
        let wait = jittered.max(after.unwrap_or_default().min(MAX_WAIT));
        self.failures = self.failures.saturating_add(1);
        self.not_before = self.clock.steady() + wait;
        let next_try = self.clock.wall().saturating_add(wait).unwrap_or(Timestamp::MAX);
        // Logged once per problem, not once per attempt.
        if self.subscription.failed(&why, self.failures, next_try) {
            let name = &self.subscription.name;
            tracing::warn!(
                delivered_up_to = self.after,
                "cannot deliver to {name}: {why}; retrying"
            );
        }
        Next::Wait(wait)
    }

    /// Saves the progress. If that fails, a restart delivers again: deliveries are at least once anyway.
    fn save(&mut self) {
        if self.saved == self.after {
            return;
        }
        match self.store.save_delivered(&self.subscription.key, self.after) {
            Ok(()) => self.saved = self.after,
            Err(cause) => tracing::warn!(%cause, "cannot save the progress of notifications"),
        }
    }
}

/// The journal's name, and the state after entry `last`; `None` for an empty journal.
fn read_up_to(store: &dyn Store, last: u64) -> Result<Option<Journal>, StoreError> {
    // The first entry never changes, and no two journals begin with the same one.
    let Some(first) = store.entries(0, 1)?.pop() else { return Ok(None) };
    let (state, from) = store.state_up_to(last);
    let mut journal = Journal { id: name_of(&first), state };
    if from == last {
        return Ok(Some(journal));
    }
    for entry in store.entries_from(from) {
        let entry = entry?;
        if entry.sequence > last {
            break;
        }
        journal.state = follow(journal.state, &entry).map(Some).map_err(damaged)?;
    }
    Ok(Some(journal))
}

fn damaged(cause: ReplayError) -> StoreError {
    StoreError::Damaged { what: "the journal".to_owned(), cause: cause.to_string() }
}

/// A journal's name: a digest of its first entry.
fn name_of(first: &Entry) -> String {
    let text = serde_json::to_string(first).unwrap_or_default();
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// The canary of the rollout under way, or of the promotion under monitoring.
fn canary_of(state: &State) -> Option<&Version> {
    let promoted = || state.post_promotion.as_ref().map(|promotion| &promotion.rollout.canary);
    state.rollout.as_ref().map(|rollout| &rollout.canary).or_else(promoted)
}

/// The rollout an event belongs to, where `begun` rollouts were started up to and including it.
fn rollout_of(event: &Event, begun: u64) -> Option<u64> {
    event.rollout().or((begun > 0).then_some(begun))
}

fn is_older(entry: &Entry, now: Timestamp) -> bool {
    let age = now.duration_since(entry.at);
    age.unsigned_abs() > GIVE_UP && age.is_positive()
}
