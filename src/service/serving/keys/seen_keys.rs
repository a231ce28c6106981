//! Seen keys of a rollout, read by each request with a key, without a lock.
//!
//! A sticky key is randomized once, so only its first request is judged (see [`SeenKeys`]). The others are
//! counted and reported.
//!
//! The memory is constant, so keys age: a full set becomes the earlier one, and an empty one begins. Without that, every
//! key would count as seen after a million of them, and the judge would no longer see what begins later. A key that
//! stays away while a whole set fills is judged again.

use std::hash::Hasher;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use siphasher::sip::SipHasher13;

use super::homes::Homes;
use crate::stats::sequential::SeenKeys;
use crate::store::SeenBefore;

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
    pub fn restored(salt: u128, answered: SeenBefore, shadowed: SeenBefore) -> RolloutKeys {
        RolloutKeys {
            answered: KeySet::restored(salt, answered),
            shadowed: KeySet::restored(salt ^ SHADOW_SALT, shadowed),
        }
    }

    /// No keys.
    pub fn new(salt: u128) -> RolloutKeys {
        RolloutKeys::restored(salt, SeenBefore::default(), SeenBefore::default())
    }

    /// Forgets all keys.
    pub fn forget(&self) {
        self.answered.forget();
        self.shadowed.forget();
    }
}

/// A set of seen keys.
pub struct KeySet {
    /// Bits of [`SeenKeys`], of the newest and the earlier set. Written by workers with relaxed atomics, because the
    /// bits are independent.
    sets: [Box<[AtomicU64]>; 2],
    /// Which set is the newest. Written by the worker that fills it, at a moment that need not be exact.
    newest: AtomicUsize,
    /// Seen slots of the newest set.
    marked: AtomicU64,
    /// A different hash from the split's, so that being judged is independent of the track.
    hasher: SipHasher13,
}

impl KeySet {
    /// No keys.
    pub fn new(salt: u128) -> KeySet {
        KeySet::restored(salt, SeenBefore::default())
    }

    /// These keys.
    pub fn restored(salt: u128, seen: SeenBefore) -> KeySet {
        let words = |seen: SeenKeys| Vec::from(seen).into_iter().map(AtomicU64::new).collect();
        let mut hasher = SipHasher13::new_with_key(&salt.to_le_bytes());
        hasher.write(b"visit");
        // A set that was saved at the moment it was full cannot cross the limit again.
        let (newest, earlier) = if seen.newest.count() >= SeenKeys::LIMIT {
            (SeenKeys::default(), seen.newest)
        } else {
            (seen.newest, seen.earlier.unwrap_or_default())
        };
        let marked = newest.count().into();
        let sets = [words(newest), words(earlier)];
        KeySet { sets, newest: AtomicUsize::new(0), marked, hasher }
    }

    /// Whether the key was seen, or shares its slot with one that was.
    pub fn knows(&self, key: &str) -> bool {
        let (word, mask) = self.place(key);
        let marks = |set: &[AtomicU64]| {
            set.get(word).is_none_or(|word| word.load(Ordering::Relaxed) & mask != 0)
        };
        self.sets.iter().any(|set| marks(set))
    }

    /// Adds the keys of another set with the same salt.
    pub fn add(&self, others: &KeySet) {
        let (newest, _) = self.newest();
        let mut added = 0;
        for other in &others.sets {
            for (word, other) in newest.iter().zip(other) {
                let other = other.load(Ordering::Relaxed);
                let before = word.fetch_or(other, Ordering::Relaxed);
                added += u64::from((other & !before).count_ones());
            }
        }
        self.count(added);
    }

    /// Marks a key as seen and returns whether it was new.
    pub fn mark(&self, key: &str) -> KeyUse {
        self.mark_hash(self.hash(key))
    }

    /// The same where a first request counts only at the home of its key, with the cell of the key, which is
    /// independent of its track.
    pub fn meet(&self, key: &str, homes: &Homes) -> (KeyUse, u8) {
        let hash = self.hash(key);
        let [.., cell] = hash.to_le_bytes();
        match self.mark_hash(hash) {
            KeyUse::First if !homes.is_here(hash) => (KeyUse::Repeated, cell),
            key_use => (key_use, cell),
        }
    }

    /// The slots that were seen since these words were noted, which are then up to date.
    pub(crate) fn since(&self, noted: &mut Vec<u64>) -> Vec<u32> {
        let [first, second] = &self.sets;
        noted.resize(first.len(), 0);
        let mut slots = Vec::new();
        for (number, (noted, (one, other))) in
            (0..).zip(noted.iter_mut().zip(first.iter().zip(second)))
        {
            let seen = one.load(Ordering::Relaxed) | other.load(Ordering::Relaxed);
            let mut new = seen & !*noted;
            while new != 0 {
                slots.push(64 * number + new.trailing_zeros());
                new &= new - 1;
            }
            *noted = seen;
        }
        slots
    }

    /// Notes these slots, so that [`since`](Self::since) leaves them out.
    pub(crate) fn note(&self, noted: &mut Vec<u64>) {
        for set in &self.sets {
            noted.resize(set.len(), 0);
            for (noted, word) in noted.iter_mut().zip(set) {
                *noted |= word.load(Ordering::Relaxed);
            }
        }
    }

    /// Marks slots that other replicas have seen.
    pub(crate) fn mark_slots(&self, slots: &[u32]) {
        let mut added = 0;
        for slot in slots {
            let (word, mask) = SeenKeys::place(u64::from(*slot));
            let (newest, _) = self.newest();
            if let Some(word) = newest.get(word) {
                added += u64::from(word.fetch_or(mask, Ordering::Relaxed) & mask == 0);
            }
        }
        self.count(added);
    }

    fn mark_hash(&self, hash: u64) -> KeyUse {
        let (word, mask) = SeenKeys::place(hash);
        let (newest, earlier) = self.newest();
        let (Some(newest), Some(earlier)) = (newest.get(word), earlier.get(word)) else {
            return KeyUse::Repeated;
        };
        // Read first: once all keys were seen, workers do not contend for the cache line.
        if newest.load(Ordering::Relaxed) & mask != 0 {
            return KeyUse::Repeated;
        }
        let was_seen = earlier.load(Ordering::Relaxed) & mask != 0;
        if newest.fetch_or(mask, Ordering::Relaxed) & mask != 0 {
            return KeyUse::Repeated;
        }
        self.count(1);
        if was_seen { KeyUse::Repeated } else { KeyUse::First }
    }

    /// Forgets all keys: samples so far are not judged.
    pub fn forget(&self) {
        self.sets.iter().for_each(|set| clear(set));
        self.marked.store(0, Ordering::Relaxed);
    }

    /// The seen keys.
    pub fn seen(&self) -> SeenBefore {
        let seen = |set: &[AtomicU64]| {
            let words = set.iter().map(|word| word.load(Ordering::Relaxed));
            SeenKeys::try_from(words.collect::<Vec<u64>>()).unwrap_or_default()
        };
        let (newest, earlier) = self.newest();
        let earlier = Some(seen(earlier)).filter(|earlier| earlier.count() > 0);
        SeenBefore { newest: seen(newest), earlier }
    }

    fn place(&self, key: &str) -> (usize, u64) {
        SeenKeys::place(self.hash(key))
    }

    fn hash(&self, key: &str) -> u64 {
        let mut hasher = self.hasher;
        hasher.write(key.as_bytes());
        hasher.finish()
    }

    /// The newest set and the earlier one.
    fn newest(&self) -> (&[AtomicU64], &[AtomicU64]) {
        let [first, second] = &self.sets;
        match self.newest.load(Ordering::Relaxed) {
            0 => (first, second),
            _ => (second, first),
        }
    }

    /// Counts new slots. The worker that crosses the limit begins an empty set; the full one becomes the earlier one.
    fn count(&self, slots: u64) {
        let before = self.marked.fetch_add(slots, Ordering::Relaxed);
        if before < SeenKeys::LIMIT && before + slots >= SeenKeys::LIMIT {
            let (_, earlier) = self.newest();
            clear(earlier);
            self.newest.fetch_xor(1, Ordering::Relaxed);
            self.marked.store(0, Ordering::Relaxed);
        }
    }
}

fn clear(set: &[AtomicU64]) {
    set.iter().for_each(|word| word.store(0, Ordering::Relaxed));
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
        assert_eq!(first as u64, keys.seen().newest.count());
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

    #[test]
    fn new_keys_are_still_judged_after_millions_of_others() {
        let keys = KeySet::new(7);
        let first = |from: u64, to: u64| {
            (from..to).filter(|n| keys.mark(&format!("user-{n}")) == KeyUse::First).count()
        };
        for million in 0..3 {
            // At worst both sets are half full: one of four new keys is judged.
            let judged = first(million * 1_000_000, (million + 1) * 1_000_000);
            assert!((250_000..900_000).contains(&judged), "{judged}");
        }
    }

    /// Marks other keys until the newest set has been replaced.
    fn fill(keys: &KeySet, others: &mut u64) {
        let before = keys.newest.load(Ordering::Relaxed);
        let limit = *others + 1_000_000;
        while keys.newest.load(Ordering::Relaxed) == before {
            keys.mark(&format!("other-{others}"));
            *others += 1;
            assert!(*others < limit, "the sets no longer take turns");
        }
    }

    #[test]
    fn keys_are_judged_again_only_after_a_whole_set_of_others() {
        let keys = KeySet::new(7);
        let mut others = 0;
        let first = |keys: &KeySet| {
            (0..1000).filter(|n| keys.mark(&format!("user-{n}")) == KeyUse::First).count()
        };
        assert!(first(&keys) > 980);
        fill(&keys, &mut others);
        assert_eq!(first(&keys), 0, "the earlier set knows them");
        fill(&keys, &mut others);
        assert_eq!(first(&keys), 0, "their visit has renewed them");
        assert_eq!(first(&KeySet::restored(7, keys.seen())), 0);
        fill(&keys, &mut others);
        fill(&keys, &mut others);
        // Every second one shares its slot with another key of the earlier set.
        let again = first(&keys);
        assert!((400..600).contains(&again), "{again}");
    }

    #[test]
    fn a_full_set_gives_way_after_a_restart() {
        let limit = usize::try_from(SeenKeys::LIMIT).unwrap();
        for full in [limit, 2 * limit] {
            let words = (0..2 * limit / 64).map(|word| if word < full / 64 { u64::MAX } else { 0 });
            let newest = SeenKeys::try_from(words.collect::<Vec<u64>>()).unwrap();
            let keys = KeySet::restored(7, SeenBefore { newest, earlier: None });
            fill(&keys, &mut 0);
        }
    }
}
