//! Which requests go to the canary? Decided in constant time, without a lock.
//!
//! **Without a key** the split is stratified: the requests of a rollout are cut into consecutive
//! cells whose sizes follow the weight, and a keyed hash of the cell's number picks exactly one
//! request of each cell. Any run of requests from the start gets its share to within one request
//! (200 requests at 10 % give exactly 20), which independent coin flips do not, and yet nobody
//! without the salt can tell which request of a cell will be picked.
//!
//! **With a key** a keyed hash of the key is compared with the weight. It is the same on every
//! machine and in every release, and monotone: whoever is on the canary at 10 % stays at 25 %.
//!
//! The hash is SipHash-1-3 (Aumasson and Bernstein 2012, "SipHash: a fast short-input PRF",
//! doi:10.1007/978-3-642-34931-7_28) with the rollout's random 128-bit salt as its key.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::signals::Track;
use super::weight::Weight;

/// The split of one step of one rollout.
#[derive(Clone, Debug)]
pub struct Split {
    weight: Weight,
    /// The track that gets one request of each cell: the one with the smaller share.
    picked: Track,
    /// The smaller share as a reduced fraction: `picks` of every `per` requests.
    picks: u64,
    per: u64,
    /// Shifts the uneven cells, so that a weight like 33.3 % does not favor the same places.
    phase: u64,
    /// Hashes keys: the same for every step.
    keys: SipHasher13,
    /// Hashes cells: different for each step.
    cells: SipHasher13,
}

impl Split {
    /// The split at `weight` under a salt that stays the same for the whole rollout, so that keys
    /// keep their tracks. The picks without a key differ from step to step all the same.
    pub fn new(weight: Weight, salt: u128, step: u32) -> Split {
        let canary = u64::from(weight.basis_points());
        let whole = u64::from(Weight::WHOLE);
        let (picked, smaller) = if canary * 2 <= whole {
            (Track::Canary, canary)
        } else {
            (Track::Stable, whole - canary)
        };
        let divisor = greatest_common_divisor(smaller, whole);
        let (picks, per) = (smaller / divisor, whole / divisor);
        let hasher = SipHasher13::new_with_key(&salt.to_le_bytes());
        let mut cells = hasher;
        cells.write(b"step");
        cells.write(&step.to_le_bytes());
        let phase = scale(keyed(&cells, b"phase", u64::from(weight.basis_points())), picks.max(1));
        Split { weight, picked, picks, per, phase, keys: hasher, cells }
    }

    /// The canary's share of traffic.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// The track of the `n`-th request without a key, counted from 0.
    pub fn assign(&self, n: u64) -> Track {
        if self.picks == 0 {
            return self.picked.other();
        }
        // Cell k begins at floor((k * per + phase) / picks). The cell of request n is the largest
        // k that begins at or before n. Past 2^63 / 10 000 requests the count starts over.
        let n = n % (u64::MAX / 2 / u64::from(Weight::WHOLE));
        let cell = ((n + 1) * self.picks - self.phase).div_ceil(self.per) - 1;
        let begin = (cell * self.per + self.phase) / self.picks;
        let end = ((cell + 1) * self.per + self.phase) / self.picks;
        let pick = begin + scale(keyed(&self.cells, b"cell", cell), end - begin);
        if n == pick { self.picked } else { self.picked.other() }
    }

    /// The track of whoever has this key.
    pub fn assign_key(&self, key: &str) -> Track {
        let mut hasher = self.keys;
        hasher.write(b"key");
        hasher.write(key.as_bytes());
        if scale(hasher.finish(), u64::from(Weight::WHOLE)) < u64::from(self.weight.basis_points())
        {
            Track::Canary
        } else {
            Track::Stable
        }
    }
}

/// The hash of a number under the salt and a purpose, so that no two uses share their randomness.
fn keyed(hasher: &SipHasher13, purpose: &[u8], number: u64) -> u64 {
    let mut hasher = *hasher;
    hasher.write(purpose);
    hasher.write(&number.to_le_bytes());
    hasher.finish()
}

/// A hash scaled to `0..range` by multiplication: no division, and no bias beyond `range / 2^64`.
fn scale(hash: u64, range: u64) -> u64 {
    ((u128::from(hash) * u128::from(range)) >> 64) as u64
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(percent: f64, salt: u128) -> Split {
        Split::new(Weight::from_percent(percent).unwrap(), salt, 1)
    }

    fn canaries(split: &Split, requests: u64) -> u64 {
        (0..requests).filter(|&n| split.assign(n) == Track::Canary).count() as u64
    }

    #[test]
    fn two_hundred_requests_at_ten_percent_give_exactly_twenty() {
        for salt in 0..500 {
            assert_eq!(canaries(&split(10.0, salt), 200), 20, "salt {salt}");
        }
    }

    #[test]
    fn no_weight_sends_nothing_and_full_weight_everything() {
        assert_eq!(canaries(&split(0.0, 7), 10_000), 0);
        assert_eq!(canaries(&split(100.0, 7), 10_000), 10_000);
        assert_eq!(split(0.0, 7).assign_key("anna"), Track::Stable);
        assert_eq!(split(100.0, 7).assign_key("anna"), Track::Canary);
    }

    proptest! {
        #[test]
        fn every_prefix_has_its_share_and_every_whole_period_has_it_exactly(
            basis_points in 0_u16..=10_000, salt: u128,
        ) {
            let split = Split::new(Weight::try_from(basis_points).unwrap(), salt, 1);
            let mut seen = 0.0;
            for n in 0..20_000_u64 {
                if split.assign(n) == Track::Canary { seen += 1.0; }
                let due = (n + 1) as f64 * split.weight().share();
                // One for the cell under way, and half a request for its uneven size.
                prop_assert!((seen - due).abs() <= 1.5, "{seen} of {} at {}", n + 1, split.weight());
                if (n + 1) % 10_000 == 0 { prop_assert_eq!(seen, due.round()); }
            }
        }

        #[test]
        fn a_key_stays_on_the_canary_as_the_weight_grows(
            key in ".{0,40}", salt: u128, low in 0_u16..=10_000, high in 0_u16..=10_000,
        ) {
            let (low, high) = (low.min(high), low.max(high));
            let at = |basis_points| {
                Split::new(Weight::try_from(basis_points).unwrap(), salt, 1).assign_key(&key)
            };
            if at(low) == Track::Canary { prop_assert_eq!(at(high), Track::Canary); }
        }

        #[test]
        fn any_request_number_has_a_track(n: u64, basis_points in 0_u16..=10_000, salt: u128) {
            let _ = Split::new(Weight::try_from(basis_points).unwrap(), salt, 1).assign(n);
        }
    }

    #[test]
    fn every_place_in_a_cell_is_picked_about_equally_often() {
        let mut places = [0_u32; 10];
        for salt in 0..200 {
            let split = split(10.0, salt);
            for n in (0..1000).filter(|&n| split.assign(n) == Track::Canary) {
                places[(n % 10) as usize] += 1;
            }
        }
        // 20 000 picks over 10 places: 2000 each, standard deviation 42.
        for (place, &picks) in places.iter().enumerate() {
            assert!((1800..2200).contains(&picks), "place {place} was picked {picks} times");
        }
    }

    #[test]
    fn another_step_picks_other_requests_and_keeps_the_keys() {
        let weight = Weight::from_percent(10.0).unwrap();
        let (one, two) = (Split::new(weight, 5, 1), Split::new(weight, 5, 2));
        assert!((0..1000).any(|n| one.assign(n) != two.assign(n)));
        let key = |n| format!("user-{n}");
        assert!((0..1000).all(|n| one.assign_key(&key(n)) == two.assign_key(&key(n))));
    }

    #[test]
    fn sticky_shares_are_right() {
        for percent in [0.1, 1.0, 5.0, 10.0, 33.3, 50.0, 99.9] {
            let split = split(percent, 42);
            let keys = 200_000;
            let seen = (0..keys)
                .filter(|key| split.assign_key(&format!("user-{key}")) == Track::Canary)
                .count() as f64;
            let (mean, share) = (f64::from(keys) * percent / 100.0, percent / 100.0);
            let three_sd = 3.0 * (mean * (1.0 - share)).sqrt();
            assert!((seen - mean).abs() <= three_sd, "{percent} %: {seen} of {keys}");
        }
    }

    #[test]
    fn the_hash_is_the_same_on_every_machine_and_in_every_release() {
        let split = split(25.0, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        let tracks: String = (0..32)
            .map(
                |n| if split.assign_key(&format!("user-{n}")) == Track::Canary { 'c' } else { '.' },
            )
            .collect();
        assert_eq!(tracks, "c..c.c.......c...c.cc..c.....c..");
    }
}
