//! Seen keys of a rollout, read by each request with a key, without a lock.
//!
//! A sticky key is randomized once, so only its first request is judged (see [`SeenKeys`]). The others are
//! counted and reported.

use std::hash::Hasher;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use siphasher::sip::SipHasher13;

use crate::stats::sequential::SeenKeys;

/// Whether a request is the first of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// Its key is new, or it has no key.
    First,
    /// Its key was seen before, or shares its slot with one that was.
    Repeated,
}

/// The keys seen in a rollout, shared by its steps.
pub struct RolloutKeys {
    /// Keys of requests that either track answered.
    pub answered: KeySet,
    /// Keys of shadowed requests.
    pub shadowed: KeySet,
}

/// Makes the draw of shadowed requests independent of the split.
pub const SHADOW_SALT: u128 = 0x5ad0_5ad0_5ad0_5ad0_5ad0_5ad0_5ad0_5ad0;

impl RolloutKeys {
    /// The keys seen before a restart, in a rollout with this salt.
    pub fn restored(salt: u128, answered: SeenKeys, shadowed: SeenKeys) -> RolloutKeys {
        RolloutKeys {
            answered: KeySet::restored(salt, answered),
            shadowed: KeySet::restored(salt ^ SHADOW_SALT, shadowed),
        }
    }

    /// No keys.
    pub fn new(salt: u128) -> RolloutKeys {
        RolloutKeys::restored(salt, SeenKeys::default(), SeenKeys::default())
    }

    /// Forgets all keys.
    pub fn forget(&self) {
        self.answered.forget();
        self.shadowed.forget();
    }
}

/// A set of seen keys.
pub struct KeySet {
    /// Bits of [`SeenKeys`]. Written by workers with relaxed atomics, because the bits are independent.
    words: Box<[AtomicU64]>,
    /// A different hash from the split's, so that being judged is independent of the track.
    hasher: SipHasher13,
}

impl KeySet {
    /// No keys.
    pub fn new(salt: u128) -> KeySet {
        KeySet::restored(salt, SeenKeys::default())
    }

    /// These keys.
    pub fn restored(salt: u128, seen: SeenKeys) -> KeySet {
        let words = Vec::from(seen).into_iter().map(AtomicU64::new).collect();
        let mut hasher = SipHasher13::new_with_key(&salt.to_le_bytes());
        hasher.write(b"visit");
        KeySet { words, hasher }
    }

    /// Whether the key was seen, or shares its slot with one that was.
    pub fn knows(&self, key: &str) -> bool {
        let (word, mask) = self.place(key);
        self.words.get(word).is_none_or(|word| word.load(Ordering::Relaxed) & mask != 0)
    }

    /// Adds the keys of another set with the same salt.
    pub fn add(&self, others: &KeySet) {
        for (word, other) in self.words.iter().zip(&others.words) {
            word.fetch_or(other.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    fn place(&self, key: &str) -> (usize, u64) {
        let mut hasher = self.hasher;
        hasher.write(key.as_bytes());
        SeenKeys::place(hasher.finish())
    }

    /// Marks a key as seen and returns whether it was new.
    pub fn mark(&self, key: &str) -> KeyUse {
        let (word, mask) = self.place(key);
        let Some(word) = self.words.get(word) else { return KeyUse::Repeated };
        // Read first: once all keys were seen, workers do not contend for the cache line.
        if word.load(Ordering::Relaxed) & mask != 0 {
            return KeyUse::Repeated;
        }
        let before = word.fetch_or(mask, Ordering::Relaxed);
        if before & mask == 0 { KeyUse::First } else { KeyUse::Repeated }
    }

    /// Forgets all keys: samples so far are not judged.
    pub fn forget(&self) {
        for word in &self.words {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// The seen keys.
    pub fn seen(&self) -> SeenKeys {
        let words = self.words.iter().map(|word| word.load(Ordering::Relaxed));
        SeenKeys::try_from(words.collect::<Vec<u64>>()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_thread_marks_a_key_first() {
        let keys = KeySet::new(7);
        let first: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1000)
                            .filter(|n| keys.mark(&format!("user-{n}")) == KeyUse::First)
                            .count()
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(first as u64, keys.seen().count());
        // Two of a thousand keys share one of 262,144 slots about twice.
        assert!((980..=1000).contains(&first), "{first}");
    }

    #[test]
    fn keys_seen_before_a_restart_are_known_after_it() {
        let before = KeySet::new(7);
        assert_eq!(before.mark("anna"), KeyUse::First);
        let after = KeySet::restored(7, before.seen());
        assert_eq!(after.mark("anna"), KeyUse::Repeated);
        assert_eq!(after.mark("bert"), KeyUse::First);
        assert_eq!(KeySet::restored(8, before.seen()).mark("anna"), KeyUse::First);
    }
}
