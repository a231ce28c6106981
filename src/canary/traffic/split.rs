//! Traffic split: assigns each request to a track, in constant time and without a lock.
//!
//! **Without a key** the split is stratified. Let p be the smaller of the two shares, and call the
//! requests of that track picks: every 10,000 requests contain exactly `10,000 p` picks. They are cut
//! into consecutive strata of at least 20 requests, each with a fixed number of picks; a keyed hash of
//! the stratum's number selects them, every choice being equally likely. At the end of each stratum the
//! share is exact to within one request (200 requests at 10 % give exactly 20), which independent coin
//! flips do not achieve. Without the salt the picks are unpredictable, except for a client that sends
//! nearly all requests and sees which version answered.
//!
//! ```text
//! |picks among the first n requests - n p|  <  g (1 - p) + p        g = picks of the stratum of n
//! ```
//!
//! where g is 1 up to 5 %, 2 at 10 %, 5 at 25 %, 10 at 50 %. Smaller strata would track the share more
//! closely, at the cost of the independence that tests assume: within a stratum of m requests the variance
//! of a comparison grows by up to m/(m - 1), which is 1.05 for 20 and 2 for 2.
//!
//! **With a key** a keyed hash of the key is compared with the weight. It is the same on every
//! machine and in every release, and monotone: a key on the canary at 10 % stays there at 25 %.
//!
//! The hash is SipHash-1-3 (Aumasson and Bernstein 2012, "SipHash: a fast short-input PRF",
//! doi:10.1007/978-3-642-34931-7_28) with the rollout's random 128-bit salt as its key.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::weight::Weight;
use crate::canary::traffic::track::Track;

/// The split of one step of one rollout.
#[derive(Clone, Debug)]
pub struct Split {
    weight: Weight,
    /// The track with the smaller share, to which the picks go.
    picked: Track,
    /// The number of picks in every 10,000 requests. The k-th pick's *cell*, counted from 0, begins
    /// at request `(k 10,000 + phase) / picks`, rounded down; strata are made of whole cells.
    picks: u32,
    /// The picks of a stratum; the last stratum of every 10,000 requests takes the remainder.
    picks_per_stratum: u32,
    /// The number of strata in 10,000 requests.
    strata: u32,
    /// Shifts the uneven cells, so that a weight like 33.3 % does not favor the same places.
    phase: u32,
    /// The hasher of keys, which includes their purpose; the same at every step.
    keys: SipHasher13,
    /// The hasher of strata, which includes their purpose; different at each step.
    choices: SipHasher13,
}

/// The shares are exact over this many requests.
const PERIOD: u32 = Weight::WHOLE as u32;

/// The minimum number of requests in a stratum.
const MIN_STRATUM: u32 = 20;

/// Consecutive requests with a fixed number of picks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stratum {
    /// Its place among the strata of the period.
    index: u32,
    /// Its first request, counted within the period.
    begin: u32,
    requests: u32,
    picks: u32,
}

impl Split {
    /// The split at `weight` under a salt that stays the same for the whole rollout, so that keys
    /// keep their tracks. Picks without a key still differ from step to step.
    pub fn new(weight: Weight, salt: u128, step: u32) -> Split {
        let canary = u32::from(weight.basis_points());
        let (picked, picks) = if canary * 2 <= PERIOD {
            (Track::Canary, canary)
        } else {
            (Track::Stable, PERIOD - canary)
        };
        let picks_per_stratum = (picks * MIN_STRATUM).div_ceil(PERIOD).max(1);
        let strata = picks / picks_per_stratum;
        let keys = SipHasher13::new_with_key(&salt.to_le_bytes());
        let mut choices = keys;
        choices.write(b"step");
        choices.write(&step.to_le_bytes());
        let phase = keyed(purpose(&choices, b"phase"), u64::from(weight.basis_points()));
        let phase = scale(phase, u64::from(picks.max(1))) as u32;
        let (keys, choices) = (purpose(&keys, b"key"), purpose(&choices, b"stratum"));
        Split { weight, picked, picks, picks_per_stratum, strata, phase, keys, choices }
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
        let (period, place) = (n / u64::from(PERIOD), (n % u64::from(PERIOD)) as u32);
        let stratum = self.stratum_of(place);
        if stratum.is_picked(self.hash(period, &stratum), place) {
            self.picked
        } else {
            self.picked.other()
        }
    }

    /// The stratum of a request of the period. There is one whenever there are picks.
    fn stratum_of(&self, place: u32) -> Stratum {
        // The cell of a request is the last one that begins at or before it.
        let cell = ((place + 1) * self.picks - self.phase).div_ceil(PERIOD) - 1;
        let index = (cell / self.picks_per_stratum).min(self.strata - 1);
        let first = index * self.picks_per_stratum;
        let picks =
            if index + 1 == self.strata { self.picks - first } else { self.picks_per_stratum };
        let beginning = |cell: u32| (cell * PERIOD + self.phase) / self.picks;
        let begin = beginning(first);
        Stratum { index, begin, requests: beginning(first + picks) - begin, picks }
    }

    fn hash(&self, period: u64, stratum: &Stratum) -> u64 {
        let most_strata = u64::from(PERIOD / MIN_STRATUM);
        keyed(self.choices, period * most_strata + u64::from(stratum.index))
    }

    /// The track of this key.
    pub fn assign_key(&self, key: &str) -> Track {
        let mut hasher = self.keys;
        hasher.write(key.as_bytes());
        if scale(hasher.finish(), u64::from(Weight::WHOLE)) < u64::from(self.weight.basis_points())
        {
            Track::Canary
        } else {
            Track::Stable
        }
    }
}

/// A hasher for one purpose, so that no two uses share their randomness.
fn purpose(hasher: &SipHasher13, purpose: &[u8]) -> SipHasher13 {
    let mut hasher = *hasher;
    hasher.write(purpose);
    hasher
}

/// The hash of a number for the purpose of this hasher.
fn keyed(mut hasher: SipHasher13, number: u64) -> u64 {
    hasher.write_u64(number);
    hasher.finish()
}

/// A hash scaled to `0..range` by multiplication: no division, and no bias beyond `range / 2^64`.
fn scale(hash: u64, range: u64) -> u64 {
    ((u128::from(hash) * u128::from(range)) >> 64) as u64
}

impl Stratum {
    /// Whether a request is one of those that this hash picks.
    fn is_picked(&self, hash: u64, place: u32) -> bool {
        let place = u64::from(place - self.begin);
        match self.picks {
            1 => place == scale(hash, u64::from(self.requests)),
            several => choice(hash, self.requests, several) >> place & 1 == 1,
        }
    }
}

/// A choice of `picks` of up to 64 places as a bit mask, each choice equally likely: Floyd's sampling
/// (Bentley and Floyd 1987, doi:10.1145/30401.315746), which draws one number a pick.
///
/// The numbers are 32 bits long, so their bias is below 64 / 2^32.
fn choice(seed: u64, places: u32, picks: u32) -> u64 {
    let mut chosen = 0_u64;
    let (mut state, mut bits) = (seed, 0);
    for (draw, last) in (places - picks..places).enumerate() {
        bits >>= 32;
        if draw.is_multiple_of(2) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            bits = mixed(state);
        }
        let place = ((bits & 0xffff_ffff) * u64::from(last + 1)) >> 32;
        let is_taken = chosen >> place & 1;
        chosen |= 1 << if is_taken == 1 { u64::from(last) } else { place };
    }
    chosen
}

/// Spreads a number over all bits: the finalizer of SplitMix64 (Steele, Lea and Flood 2014,
/// doi:10.1145/2660193.2660195).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
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

    /// The strata of the first period of a split that picks something.
    fn strata(split: &Split) -> Vec<Stratum> {
        let mut strata: Vec<Stratum> = Vec::new();
        let mut place = 0;
        while place < PERIOD {
            let stratum = split.stratum_of(place);
            place += stratum.requests;
            strata.push(stratum);
        }
        strata
    }

    #[test]
    fn at_every_weight_strata_are_long_enough_and_no_prefix_is_farther_off_than_stated() {
        for basis_points in 1..10_000_u16 {
            let split = Split::new(Weight::from_basis_points(basis_points).unwrap(), 99, 3);
            let share = f64::from(split.picks) / f64::from(PERIOD);
            let (mut begin, mut before) = (0, 0);
            for stratum in strata(&split) {
                let Stratum { requests, picks, .. } = stratum;
                assert_eq!(stratum.begin, begin);
                assert!(requests >= MIN_STRATUM && (requests <= 64 || picks == 1));
                let hash = split.hash(0, &stratum);
                let mut seen = before;
                let off = |seen: u32, n: u32| (f64::from(seen) - f64::from(n) * share).abs();
                assert!(off(seen, begin) < share, "{basis_points} at {begin}");
                let bound = f64::from(picks) * (1.0 - share) + share;
                for n in begin + 1..=begin + requests {
                    seen += u32::from(stratum.is_picked(hash, n - 1));
                    assert!(off(seen, n) < bound, "{basis_points} at {n}");
                }
                (begin, before) = (begin + requests, before + picks);
                assert_eq!(seen, before);
            }
            assert_eq!((begin, before), (PERIOD, split.picks));
        }
    }

    proptest! {
        #[test]
        fn every_prefix_has_its_share_and_every_whole_period_has_it_exactly(
            basis_points in 0_u16..=10_000, salt: u128,
        ) {
            let split = Split::new(Weight::from_basis_points(basis_points).unwrap(), salt, 1);
            let smaller = split.weight().share().min(1.0 - split.weight().share());
            let mut seen = 0.0;
            for n in 0..20_000_u64 {
                if split.assign(n) == Track::Canary { seen += 1.0; }
                let due = (n + 1) as f64 * split.weight().share();
                let picks = match split.picks { 0 => 0, _ => split.stratum_of((n % 10_000) as u32).picks };
                let bound = f64::from(picks) * (1.0 - smaller) + smaller + 1e-9;
                prop_assert!((seen - due).abs() <= bound, "{seen} of {} at {}", n + 1, split.weight());
                if (n + 1) % 10_000 == 0 { prop_assert_eq!(seen, due.round()); }
            }
        }

        #[test]
        fn a_key_stays_on_the_canary_as_the_weight_grows(
            key in ".{0,40}", salt: u128, low in 0_u16..=10_000, high in 0_u16..=10_000,
        ) {
            let (low, high) = (low.min(high), low.max(high));
            let at = |basis_points| {
                Split::new(Weight::from_basis_points(basis_points).unwrap(), salt, 1).assign_key(&key)
            };
            if at(low) == Track::Canary { prop_assert_eq!(at(high), Track::Canary); }
        }

        #[test]
        fn any_request_number_has_a_track(n: u64, basis_points in 0_u16..=10_000, salt: u128) {
            let _ = Split::new(Weight::from_basis_points(basis_points).unwrap(), salt, 1).assign(n);
        }
    }

    #[test]
    fn every_place_of_a_stratum_is_picked_about_equally_often() {
        for (percent, due) in [(2.0, 2000), (10.0, 10_000), (25.0, 25_000), (50.0, 50_000)] {
            let size = if percent < 5.0 { 50 } else { 20 };
            let mut places = vec![0_u32; size];
            for salt in 0..200 {
                let split = split(percent, salt);
                for n in (0..10_000).filter(|&n| split.assign(n) == Track::Canary) {
                    places[n as usize % size] += 1;
                }
            }
            let due = f64::from(due) * 200.0 / 10.0 / size as f64;
            for (place, &picks) in places.iter().enumerate() {
                let off = (f64::from(picks) - due).abs() / due.sqrt();
                assert!(
                    off < 5.0,
                    "{percent} %: place {place} was picked {picks} times, due {due}"
                );
            }
        }
    }

    #[test]
    fn every_pair_of_places_is_picked_about_equally_often() {
        // At 10 % two of twenty: 190 pairs, each due 500 times, with a standard deviation of 22.
        let mut pairs = [[0_u32; 20]; 20];
        for salt in 0..190 {
            let split = split(10.0, salt);
            for stratum in strata(&split) {
                let hash = split.hash(0, &stratum);
                let (begin, end) = (stratum.begin, stratum.begin + stratum.requests);
                let picks: Vec<u32> =
                    (begin..end).filter(|&place| stratum.is_picked(hash, place)).collect();
                pairs[(picks[0] - begin) as usize][(picks[1] - begin) as usize] += 1;
            }
        }
        for (one, row) in pairs.iter().enumerate() {
            for (other, &seen) in row.iter().enumerate().skip(one + 1) {
                assert!((390..610).contains(&seen), "{one} and {other}: {seen} times");
            }
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

    /// Shares that people use, in the order of a ramp.
    const RAMP: [f64; 7] = [0.1, 1.0, 5.0, 10.0, 33.3, 50.0, 99.9];

    #[test]
    fn of_a_million_keys_each_share_is_right_and_no_ramp_moves_one_back() {
        let splits = RAMP.map(|percent| split(percent, 42));
        let mut seen = [0_u32; RAMP.len()];
        for key in 0..1_000_000 {
            let key = format!("user-{key}");
            let mut was_on_the_canary = false;
            for (split, seen) in splits.iter().zip(&mut seen) {
                let is_on_the_canary = split.assign_key(&key) == Track::Canary;
                assert!(is_on_the_canary || !was_on_the_canary, "{key} at {}", split.weight());
                *seen += u32::from(is_on_the_canary);
                was_on_the_canary = is_on_the_canary;
            }
        }
        for (percent, seen) in RAMP.into_iter().zip(seen) {
            let (mean, share) = (1e4 * percent, percent / 100.0);
            let three_sd = 3.0 * (mean * (1.0 - share)).sqrt();
            assert!((f64::from(seen) - mean).abs() <= three_sd, "{percent} %: {seen} of a million");
        }
    }

    #[test]
    fn without_keys_each_share_is_exact_to_one_request_after_every_stratum() {
        for percent in RAMP {
            let split = split(percent, 42);
            let (mut end, mut seen) = (0, 0);
            for stratum in strata(&split) {
                let requests = u64::from(end)..u64::from(end + stratum.requests);
                seen += requests.filter(|&n| split.assign(n) == Track::Canary).count() as u32;
                end += stratum.requests;
                let due = f64::from(end) * percent / 100.0;
                assert!((f64::from(seen) - due).abs() < 1.0, "{percent} %: {seen} of {end}");
            }
            assert_eq!(
                (end, seen),
                (10_000, u32::from(split.weight().basis_points())),
                "{percent} %"
            );
        }
    }

    #[test]
    fn the_hash_is_the_same_on_every_machine_and_in_every_release() {
        let salt = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
        let split = split(25.0, salt);
        let tracks: String = (0..32)
            .map(
                |n| if split.assign_key(&format!("user-{n}")) == Track::Canary { 'c' } else { '.' },
            )
            .collect();
        assert_eq!(tracks, "c..c.c.......c...c.cc..c.....c..");
        // Across the end of a period.
        let tracks = [5.0, 10.0, 33.3, 50.0, 75.0].map(|percent| {
            let split = Split::new(Weight::from_percent(percent).unwrap(), salt, 2);
            (9_980..10_020)
                .map(|n| if split.assign(n) == Track::Canary { 'c' } else { '.' })
                .collect::<String>()
        });
        let expected = [
            "....c...............c...................",
            ".......c.........c................cc....",
            "c.cc.c..c.........c......c.cc..c...c..cc",
            ".c.ccc..c.cc.c.c...cc...ccc.cc.c..cc...c",
            "ccccc..cccc.cc..ccccccccccc...cc.ccc.ccc",
        ];
        assert_eq!(tracks, expected);
    }
}
