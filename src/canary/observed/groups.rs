//! Groups of requests by what is known of them before the coin: rows, segment, and a number that the client sends.
//!
//! The judge compares each request with stable's usual latency in its group, so that a mix of light and heavy requests
//! makes no noise.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use super::gaps::Gaps;
use super::gaps::Seconds;
use crate::canary::traffic::track::Track;
use crate::stats::Layout;
use crate::stats::sequential::GroupValues;

/// The group of a request. The default one has a single row, no segment and no covariate.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Group(u16);

/// Of the number of a group, what says how large a request is.
const SIZE_BITS: u32 = 6;

/// Sizes by rows: 1, 2, 3 to 4, 5 to 8, and so on up to 65 and more.
const SIZES_BY_ROWS: u32 = 8;

/// The least exponent of two of a covariate; smaller ones count as this one.
const LEAST_EXPONENT: i32 = -24;

/// The largest.
const MOST_EXPONENT: i32 = 31;

impl Group {
    /// The group of a request of this many rows, with the client's covariate, in the segment at a place.
    ///
    /// Sizes are grouped by powers of two. A covariate says more than the rows, and takes their place.
    #[inline]
    pub fn of(rows: usize, covariate: Option<f64>, segment: Option<usize>) -> Group {
        if rows <= 1 && covariate.is_none() && segment.is_none() {
            return Group::default();
        }
        let size = match covariate {
            Some(number) if number > 0.0 && number.is_finite() => {
                let exponent =
                    number.log2().floor().clamp(LEAST_EXPONENT.into(), MOST_EXPONENT.into());
                SIZES_BY_ROWS + (exponent as i32 - LEAST_EXPONENT) as u32
            }
            Some(_) | None => {
                (usize::BITS - rows.saturating_sub(1).leading_zeros()).min(SIZES_BY_ROWS - 1)
            }
        };
        let most = usize::from(u16::MAX >> SIZE_BITS);
        let segment = segment.map_or(0, |place| (place + 1).min(most));
        Group(size as u16 | (segment as u16) << SIZE_BITS)
    }

    /// Its number.
    pub fn number(self) -> u16 {
        self.0
    }

    /// The group of this number.
    pub fn numbered(number: u16) -> Group {
        Group(number)
    }
}

/// The latencies of a tick by group. The latencies of one group are those that are left of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupsIncrement {
    /// The group of what is left.
    pub rest: Group,
    /// The other groups, ascending.
    pub others: Vec<GroupIncrement>,
}

/// The latencies of one group, in seconds, as in the increment of a track.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupIncrement {
    /// The group.
    pub group: Group,
    /// Stable's.
    #[serde(with = "Gaps::<Seconds>")]
    pub stable: Vec<(f64, u64)>,
    /// The canary's.
    #[serde(with = "Gaps::<Seconds>")]
    pub canary: Vec<(f64, u64)>,
}

impl GroupIncrement {
    fn count(&self) -> u64 {
        let all = self.stable.iter().chain(&self.canary);
        all.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

impl GroupsIncrement {
    /// The groups of a tick with all these latencies, of which these belong to other groups than the default one. The
    /// largest group becomes the rest, to keep the increment short.
    pub fn of(
        mut groups: Vec<GroupIncrement>,
        stable: &[(f64, u64)],
        canary: &[(f64, u64)],
    ) -> GroupsIncrement {
        if groups.is_empty() {
            return GroupsIncrement::default();
        }
        let default = left(&groups, Group::default(), stable, canary);
        groups.push(default);
        groups.retain(|one| one.count() > 0);
        groups.sort_by_key(|one| one.group);
        let largest = groups.iter().max_by_key(|one| one.count()).map(|one| one.group);
        let rest = largest.unwrap_or_default();
        groups.retain(|one| one.group != rest);
        GroupsIncrement { rest, others: groups }
    }

    /// Adds a latency in another group than the rest.
    pub fn record(&mut self, group: Group, track: Track, latency_seconds: f64) {
        let place = self.others.binary_search_by_key(&group, |one| one.group);
        let place = place.unwrap_or_else(|place| {
            self.others.insert(place, GroupIncrement { group, ..GroupIncrement::default() });
            place
        });
        let one = self.others.iter_mut().skip(place).take(1);
        one.for_each(|one| match track {
            Track::Stable => one.stable.push((latency_seconds, 1)),
            Track::Canary => one.canary.push((latency_seconds, 1)),
        });
    }

    /// Whether all requests are of the default group.
    pub fn is_empty(&self) -> bool {
        *self == GroupsIncrement::default()
    }

    /// Whether it was written by [`of`](Self::of).
    pub(super) fn is_sound(&self) -> bool {
        let groups = self.others.iter().map(|one| one.group);
        self.others.iter().all(|one| one.group != self.rest && one.count() > 0)
            && groups.is_sorted_by(|one, next| one < next)
    }
}

impl GroupsIncrement {
    /// The latencies of each group, given all of the tick.
    pub(crate) fn values(&self, stable: &[(f64, u64)], canary: &[(f64, u64)]) -> Vec<GroupValues> {
        let GroupsIncrement { rest, others } = self;
        let rest = left(others, *rest, stable, canary);
        let values = |one: &GroupIncrement| GroupValues {
            group: one.group.number(),
            canary: one.canary.clone(),
            stable: one.stable.clone(),
        };
        std::iter::once(&rest).filter(|it| it.count() > 0).chain(others).map(values).collect()
    }
}

/// What these groups leave of all latencies.
fn left(
    groups: &[GroupIncrement],
    group: Group,
    stable: &[(f64, u64)],
    canary: &[(f64, u64)],
) -> GroupIncrement {
    let left = |all: &[(f64, u64)], of: fn(&GroupIncrement) -> &[(f64, u64)]| {
        let mut counts = BTreeMap::<usize, u64>::new();
        for (value, count) in all {
            let sum = counts.entry(Layout::Seconds.bucket(*value)).or_default();
            *sum = sum.saturating_add(*count);
        }
        for (value, count) in groups.iter().flat_map(of) {
            let sum = counts.entry(Layout::Seconds.bucket(*value)).or_default();
            *sum = sum.saturating_sub(*count);
        }
        let counts = counts.into_iter().filter(|(_, count)| *count > 0);
        counts.map(|(bucket, count)| (Layout::Seconds.value(bucket), count)).collect()
    };
    GroupIncrement {
        group,
        stable: left(stable, |one| &one.stable),
        canary: left(canary, |one| &one.canary),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_follows_from_size_and_segment() {
        let by_rows = [1, 2, 3, 4, 5, 64, 65, 100_000].map(|rows| Group::of(rows, None, None));
        assert_eq!(by_rows.map(Group::number), [0, 1, 2, 2, 3, 6, 7, 7]);
        assert_eq!(Group::of(0, None, None), Group::default());
        let by_number = [0.5, 1.0, 1.9, 2.0, 1e-300, 1e300]
            .map(|number| Group::of(9, Some(number), None).number());
        assert_eq!(by_number, [31, 32, 32, 33, 8, 63]);
        for number in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Group::of(2, Some(number), None), Group::of(2, None, None));
        }
        let segments = [None, Some(0), Some(1), Some(1021), Some(usize::MAX - 1)];
        let numbers = segments.map(|segment| Group::of(1, None, segment).number());
        assert_eq!(numbers, [0, 64, 128, 1022 << 6, 1023 << 6]);
    }

    #[test]
    fn the_largest_group_is_the_rest_and_comes_back() {
        let value = |seconds: f64| Layout::Seconds.value(Layout::Seconds.bucket(seconds));
        let (fast, slow) = (value(0.001), value(0.010));
        let one = |group: u16, stable: u64, canary: u64| GroupIncrement {
            group: Group(group),
            stable: vec![(fast, stable), (slow, 1)],
            canary: vec![(slow, canary)],
        };
        let (stable, canary) = (vec![(fast, 12), (slow, 3)], vec![(slow, 9)]);
        let groups = GroupsIncrement::of(vec![one(3, 7, 4), one(2, 1, 1)], &stable, &canary);
        assert_eq!(groups.rest, Group(3));
        let others: Vec<u16> = groups.others.iter().map(|it| it.group.0).collect();
        assert_eq!(others, [0, 2]);
        assert!(groups.is_sound());
        let values = groups.values(&stable, &canary);
        let found = values.iter().map(|it| (it.group, it.stable.len(), it.canary[0].1));
        assert_eq!(found.collect::<Vec<_>>(), [(3, 2, 4), (0, 2, 4), (2, 2, 1)]);
        assert_eq!(GroupsIncrement::of(Vec::new(), &stable, &canary), GroupsIncrement::default());
    }
}
