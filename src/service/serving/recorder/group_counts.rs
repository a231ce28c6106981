//! Latencies by group of requests since the last tick, for one worker.

use std::collections::BTreeMap;

use crate::canary::Track;
use crate::canary::observed::groups::Group;
use crate::canary::observed::groups::GroupIncrement;
use crate::stats::Layout;
use crate::stats::is_recordable;

/// Group, track and bucket of an answer in one number, so that recording it is to append four bytes.
type Packed = u32;

/// A bucket of latencies takes this many bits.
const BUCKET_BITS: u32 = 13;

/// Appended answers are counted once there are this many: 32 kB.
const PENDING: usize = 8192;

/// The answers of one worker in other groups than the default one.
#[derive(Debug, Default)]
pub(crate) struct GroupCounts {
    pending: Vec<Packed>,
    /// Ascending.
    counted: Vec<(Packed, u64)>,
}

impl GroupCounts {
    /// Counts an answer.
    pub(crate) fn record(&mut self, group: Group, track: Track, latency_seconds: f64) {
        if !is_recordable(latency_seconds) {
            return;
        }
        let bucket = Layout::Seconds.bucket(latency_seconds) as u32;
        let track = match track {
            Track::Stable => 0,
            Track::Canary => 1,
        };
        self.pending.push((u32::from(group.number()) << 1 | track) << BUCKET_BITS | bucket);
        if self.pending.len() >= PENDING {
            self.count();
        }
    }

    /// Adds the answers of another worker.
    pub(crate) fn add(&mut self, mut other: GroupCounts) {
        other.count();
        self.count();
        self.merge(other.counted);
    }

    /// The latencies of each group, ascending.
    pub(crate) fn increments(mut self) -> Vec<GroupIncrement> {
        self.count();
        let mut groups = BTreeMap::<Group, GroupIncrement>::new();
        for (packed, count) in self.counted {
            let bucket = (packed & ((1 << BUCKET_BITS) - 1)) as usize;
            let group = Group::numbered((packed >> (BUCKET_BITS + 1)) as u16);
            let none = || GroupIncrement { group, ..GroupIncrement::default() };
            let into = groups.entry(group).or_insert_with(none);
            let values = match packed >> BUCKET_BITS & 1 {
                0 => &mut into.stable,
                _ => &mut into.canary,
            };
            values.push((Layout::Seconds.value(bucket), count));
        }
        groups.into_values().collect()
    }

    fn count(&mut self) {
        self.pending.sort_unstable();
        let equal = self.pending.chunk_by(|one, next| one == next);
        let counted = equal.map(|same| (same[0], same.len() as u64)).collect();
        self.pending.clear();
        self.merge(counted);
    }

    fn merge(&mut self, counted: Vec<(Packed, u64)>) {
        if self.counted.is_empty() {
            self.counted = counted;
            return;
        }
        self.counted.extend(counted);
        // Two ascending runs, which a stable sort merges.
        self.counted.sort();
        self.counted.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            is_same
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_two_workers_are_counted_by_group_and_track() {
        let (mut one, mut other) = (GroupCounts::default(), GroupCounts::default());
        let [light, heavy] = [2, 9].map(Group::numbered);
        for n in 0..20_000 {
            one.record(if n % 4 == 0 { heavy } else { light }, Track::Stable, 0.001);
        }
        one.record(heavy, Track::Canary, f64::NAN);
        other.record(Group::numbered(u16::MAX), Track::Canary, 1e6);
        other.record(light, Track::Canary, 0.002);
        other.record(light, Track::Stable, 0.001);
        one.add(other);
        let value = |seconds: f64| Layout::Seconds.value(Layout::Seconds.bucket(seconds));
        let expected = [
            (light, vec![(value(0.001), 15_001)], vec![(value(0.002), 1)]),
            (heavy, vec![(value(0.001), 5000)], vec![]),
            (Group::numbered(u16::MAX), vec![], vec![(value(1e6), 1)]),
        ]
        .map(|(group, stable, canary)| GroupIncrement { group, stable, canary });
        assert_eq!(one.increments(), expected);
    }
}
