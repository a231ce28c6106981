//! Homes of keys: which replica judges the first request of a key.
//!
//! A key is randomized once, so one of its requests is judged. Replicas behind a load balancer that spreads requests do
//! not know at once which keys the others have met. So each key has one home among the replicas, drawn by a hash, and
//! only there its first request is judged; elsewhere it counts as repeated. Which requests are judged depends on neither
//! track nor outcome, so the verdict stays valid; a key that never meets its home is not judged. Where the load balancer
//! sends each key to one replica, every replica is the home of the keys that it meets.
//!
//! Highest random weight: D. G. Thaler, C. V. Ravishankar, Using name-based mappings to increase hit rates,
//! IEEE/ACM Transactions on Networking 6(1), 1998, doi:10.1109/90.663936. Of `n` replicas one that comes or goes moves
//! one of `n` keys.

use std::time::Duration;

use arc_swap::ArcSwapOption;

/// How long a change of the replicas takes to be known to all of them. Until then, a key is judged only where old and
/// new replicas agree.
const SETTLED: Duration = Duration::from_secs(5);

/// The replicas among which homes are drawn. Replaced by the ticker, read by each first request of a key.
#[derive(Default)]
pub struct Homes(ArcSwapOption<Replicas>);

struct Replicas {
    own: u64,
    now: Vec<u64>,
    /// The ones before the changes that are not settled.
    before: Vec<Vec<u64>>,
    changed_at: Duration,
}

impl Homes {
    /// Judges no key until the replicas are known.
    pub(crate) fn unknown(own: u64) -> Homes {
        let replicas =
            Replicas { own, now: Vec::new(), before: Vec::new(), changed_at: Duration::ZERO };
        Homes(ArcSwapOption::from_pointee(replicas))
    }

    /// Draws homes among these replicas, given at this time of the steady clock; whether they have changed.
    pub(crate) fn follow(&self, own: u64, replicas: Vec<u64>, at: Duration) -> bool {
        let known = self.0.load();
        let known = known.as_deref();
        let is_settled = known.is_some_and(|it| at.saturating_sub(it.changed_at) >= SETTLED);
        let (before, changed_at) = match known {
            Some(known) if known.now == replicas && (known.before.is_empty() || !is_settled) => {
                return false;
            }
            Some(known) if known.now == replicas => (Vec::new(), known.changed_at),
            Some(known) if is_settled => (vec![known.now.clone()], at),
            Some(known) => ([&known.before[..], std::slice::from_ref(&known.now)].concat(), at),
            None => (Vec::new(), at),
        };
        let has_changed = changed_at == at;
        self.0.store(Some(Replicas { own, now: replicas, before, changed_at }.into()));
        has_changed
    }

    /// Whether this replica is the home of a key with this hash.
    pub(crate) fn is_here(&self, hash: u64) -> bool {
        self.0.load().as_deref().is_none_or(|replicas| {
            let mut all = replicas.before.iter().chain([&replicas.now]);
            all.all(|them| home(them, hash) == Some(replicas.own))
        })
    }
}

/// The replica with the highest weight.
fn home(replicas: &[u64], hash: u64) -> Option<u64> {
    replicas.iter().copied().max_by_key(|id| mixed(hash ^ mixed(*id)))
}

/// The finalizer of SplitMix64: G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014, doi:10.1145/2660193.2660195.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(own: u64, replicas: &[u64]) -> Homes {
        let homes = Homes::unknown(own);
        assert!(!homes.is_here(1));
        homes.follow(own, replicas.to_vec(), Duration::ZERO);
        homes.follow(own, replicas.to_vec(), SETTLED);
        homes
    }

    #[test]
    fn each_key_has_one_home_and_each_replica_its_part() {
        let ids = [11, 12, 13, 14];
        let all = ids.map(|own| settled(own, &ids));
        let mut homes = [0_u32; 4];
        for key in 0..10_000 {
            let hash = mixed(key);
            let here: Vec<usize> = (0..4).filter(|n| all[*n].is_here(hash)).collect();
            assert_eq!(here.len(), 1);
            homes[here[0]] += 1;
        }
        assert!(homes.iter().all(|keys| (2_300..2_700).contains(keys)), "{homes:?}");
        assert!(
            (0..100).all(|key| Homes::default().is_here(key)),
            "a single process is home to all"
        );
        assert!((0..100).all(|key| settled(7, &[7]).is_here(key)));
    }

    #[test]
    fn a_key_is_judged_nowhere_twice_while_replicas_learn_of_a_change() {
        let (old, new) = ([1, 2, 3], [1, 2, 3, 4]);
        let homes = [1, 2, 3].map(|own| settled(own, &old));
        // The first two have heard of the fourth, the third has not.
        for (homes, own) in homes.iter().zip([1, 2]) {
            assert!(homes.follow(own, new.to_vec(), 2 * SETTLED));
        }
        let fourth = Homes::unknown(4);
        fourth.follow(4, new.to_vec(), Duration::ZERO);
        let all = homes.iter().chain([&fourth]);
        let mut judged = 0;
        for key in 0..4_000 {
            let here = all.clone().filter(|homes| homes.is_here(mixed(key))).count();
            assert!(here <= 1);
            judged += here;
        }
        assert!((3_200..3_450).contains(&judged), "{judged}: the fourth's keys wait");
        assert!(!homes[0].follow(1, new.to_vec(), 3 * SETTLED));
        assert!(!fourth.follow(4, new.to_vec(), SETTLED));
        assert!((0..4_000).any(|key| fourth.is_here(mixed(key))));
    }
}
