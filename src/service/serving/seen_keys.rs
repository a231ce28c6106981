//! Has this key been here before, in this rollout? Asked by every keyed request, without a lock.
//!
//! A sticky key is one flip of the coin, however often it comes, so only its first request is judged
//! at all times (see [`SeenKeys`]). The rest are counted and shown.

use std::hash::Hasher;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use siphasher::sip::SipHasher13;

use crate::stats::sequential::SeenKeys;

/// Whether a request is the first of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// It is, or it has no key.
    First,
    /// Its key has been here before, or shares its slot with one that has.
    Repeated,
}

/// Who has been there in a rollout. Shared by its steps.
pub struct RolloutKeys {
    /// Keys whose request went to either track.
    pub answered: Visits,
    /// Keys whose request was put to the canary in shadow.
    pub shadowed: Visits,
}

/// What is shadowed is drawn otherwise than who goes to the canary.
pub const SHADOW_SALT: u128 = 0x5ad0_5ad0_5ad0_5ad0_5ad0_5ad0_5ad0_5ad0;

impl RolloutKeys {
    /// These have been there, in a rollout with this salt.
    pub fn restored(salt: u128, answered: SeenKeys, shadowed: SeenKeys) -> RolloutKeys {
        RolloutKeys {
            answered: Visits::restored(salt, answered),
            shadowed: Visits::restored(salt ^ SHADOW_SALT, shadowed),
        }
    }

    /// Nobody has been there.
    pub fn new(salt: u128) -> RolloutKeys {
        RolloutKeys::restored(salt, SeenKeys::default(), SeenKeys::default())
    }

    /// Whoever has been there comes for the first time again.
    pub fn forget(&self) {
        self.answered.forget();
        self.shadowed.forget();
    }
}

/// Keys of which it is known whether they have come.
pub struct Visits {
    /// Bits of [`SeenKeys`]. Written by workers with relaxed atomics: each bit stands for itself.
    words: Box<[AtomicU64]>,
    /// Hashes keys otherwise than the split does, so that who is judged says nothing about the track.
    hasher: SipHasher13,
}

impl Visits {
    /// Nobody has been here.
    pub fn new(salt: u128) -> Visits {
        Visits::restored(salt, SeenKeys::default())
    }

    /// These have been here.
    pub fn restored(salt: u128, seen: SeenKeys) -> Visits {
        let words = Vec::from(seen).into_iter().map(AtomicU64::new).collect();
        let mut hasher = SipHasher13::new_with_key(&salt.to_le_bytes());
        hasher.write(b"visit");
        Visits { words, hasher }
    }

    /// Whether it has been here, or shares its slot with one that has.
    pub fn knows(&self, key: &str) -> bool {
        let (word, mask) = self.place(key);
        self.words.get(word).is_none_or(|word| word.load(Ordering::Relaxed) & mask != 0)
    }

    /// Whoever has been there has been here. The salts are the same.
    pub fn add(&self, others: &Visits) {
        for (word, other) in self.words.iter().zip(&others.words) {
            word.fetch_or(other.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    fn place(&self, key: &str) -> (usize, u64) {
        let mut hasher = self.hasher;
        hasher.write(key.as_bytes());
        SeenKeys::place(hasher.finish())
    }

    /// Notes a visit.
    pub fn visit(&self, key: &str) -> KeyUse {
        let (word, mask) = self.place(key);
        let Some(word) = self.words.get(word) else { return KeyUse::Repeated };
        // Read first: once everybody has been here, workers do not take the cache line from each other.
        if word.load(Ordering::Relaxed) & mask != 0 {
            return KeyUse::Repeated;
        }
        let before = word.fetch_or(mask, Ordering::Relaxed);
        if before & mask == 0 { KeyUse::First } else { KeyUse::Repeated }
    }

    /// Nobody has been here: what was observed until now is not judged.
    pub fn forget(&self) {
        for word in &self.words {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Who has been here.
    pub fn seen(&self) -> SeenKeys {
        let words = self.words.iter().map(|word| word.load(Ordering::Relaxed));
        SeenKeys::try_from(words.collect::<Vec<u64>>()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_visit_of_a_key_is_one_of_all_threads() {
        let visits = Visits::new(7);
        let first: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1000)
                            .filter(|n| visits.visit(&format!("user-{n}")) == KeyUse::First)
                            .count()
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(first as u64, visits.seen().count());
        // Two of a thousand keys share one of 262,144 slots about twice.
        assert!((980..=1000).contains(&first), "{first}");
    }

    #[test]
    fn whoever_was_here_before_a_restart_is_known_after_it() {
        let before = Visits::new(7);
        assert_eq!(before.visit("anna"), KeyUse::First);
        let after = Visits::restored(7, before.seen());
        assert_eq!(after.visit("anna"), KeyUse::Repeated);
        assert_eq!(after.visit("bert"), KeyUse::First);
        assert_eq!(Visits::restored(8, before.seen()).visit("anna"), KeyUse::First);
    }
}
