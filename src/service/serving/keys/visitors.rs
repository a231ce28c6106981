//! Visitors: how many different keys stable meets while no rollout is running.
//!
//! A rollout judges the first request of each key. Before it starts, the users who came lately are the only estimate of
//! how many will come.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::seen_keys::KeySet;
use super::seen_keys::KeyUse;

/// The keys that came without a canary since the process started, in constant memory.
#[derive(Default)]
pub struct Visitors {
    /// Empty before the first key.
    keys: OnceLock<KeySet>,
    /// Written for each request with a key; relaxed, because the counts are independent.
    first: AtomicU64,
    repeated: AtomicU64,
}

/// How many requests with a key came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Visits {
    /// Of keys that had not come before: the number of users.
    pub first: u64,
    /// Of the others.
    pub repeated: u64,
}

impl Visitors {
    /// Counts a request with this key.
    pub fn meet(&self, key: &str) {
        // Nothing is drawn by these keys, so they need no salt.
        let count = match self.keys.get_or_init(|| KeySet::new(0)).mark(key) {
            KeyUse::First => &self.first,
            KeyUse::Repeated => &self.repeated,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// How many came so far.
    pub fn visits(&self) -> Visits {
        let (first, repeated) = (&self.first, &self.repeated);
        let [first, repeated] = [first, repeated].map(|count| count.load(Ordering::Relaxed));
        Visits { first, repeated }
    }
}
