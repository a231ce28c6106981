//! Groups of requests by what was known of them before the coin: a center for each.
//!
//! Light and heavy requests in one stream make most of its noise, and none of it says anything about the canary. Who
//! knows beforehand which request is heavy measures it against other heavy ones.

use serde::Deserialize;
use serde::Serialize;

use super::recent_mean::RecentMean;
use super::recent_spread::DOUBT;
use super::recent_spread::MIN;
use super::recent_spread::RecentSpread;
use super::recent_spread::Sums;

/// The values of one group in one tick, by track.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupValues {
    /// The number of the group; any.
    pub group: u16,
    /// The canary's values with their counts.
    pub canary: Vec<(f64, u64)>,
    /// Stable's.
    pub stable: Vec<(f64, u64)>,
}

/// Groups with a center of their own. All that come later share one more.
const OWN: usize = 15;

/// Fewer of stable's values than this say less of their group than all values do.
const MIN_IN_GROUP: f64 = 8.0;

/// The groups seen, in the order of their first request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Places {
    groups: Vec<u16>,
    /// Stable's recent mean in each, in the unit of the values.
    means: Vec<RecentMean>,
}

impl Places {
    /// The place of a group, which is given one if it is new.
    pub(super) fn place(&mut self, group: u16) -> usize {
        let known = self.groups.iter().position(|one| *one == group);
        known.unwrap_or_else(|| {
            if self.groups.len() < OWN {
                self.groups.push(group);
                self.groups.len() - 1
            } else {
                OWN
            }
        })
    }

    /// Whether there is more than one group.
    pub(super) fn are_several(&self) -> bool {
        self.groups.len() > 1
    }

    /// Stable's recent mean in a group; `None` while little is known.
    pub(super) fn mean(&self, place: usize) -> Option<f64> {
        self.means.get(place).filter(|mean| mean.count() >= MIN_IN_GROUP).and_then(RecentMean::mean)
    }

    pub(super) fn learn(&mut self, place: usize, stable: &[(f64, u64)]) {
        if self.means.len() <= place {
            self.means.resize(place + 1, RecentMean::default());
        }
        self.means.iter_mut().skip(place).take(1).for_each(|mean| mean.learn(stable));
    }
}

/// A function of the values of one group in one tick.
pub(super) struct Measured {
    pub(super) place: usize,
    pub(super) canary: Vec<(f64, u64)>,
    pub(super) stable: Vec<(f64, u64)>,
}

/// The center of each group, and the spread around the centers.
///
/// ```text
/// c_g   = m_g + (1 - pi) d        m_g = stable's recent mean in the group; of all values below 8 of the group
/// scale = root mean square of v - m_g
/// d     = the canary's mean of u - m_g, less stable's in the same tick, shrunk toward 0
/// ```
///
/// A bet with any centers fixed before the tick is fair, and each request's group is fixed before its coin: given the
/// group the expectation of its outcome is `pi (1 - pi)(u - v)`, whatever c_g is. So what is tested stays the same: the
/// mean of u over all requests of the tick. The stake must not depend on the group, or heavy requests would weigh more or
/// less than they do in that mean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupSpread {
    /// Stable's values by place.
    groups: Vec<Sums>,
    /// Stable's values minus the mean of their group.
    residual: Sums,
    /// The canary's values minus the mean of their group, less stable's of the same tick.
    difference: Sums,
}

/// The centers and the scale for one tick.
pub(super) struct Centers {
    groups: Vec<f64>,
    of_all: f64,
    pub(super) scale: f64,
}

impl GroupSpread {
    /// The spread when the second group appears, given that of all values so far. It counts little, because most of it
    /// may lie between the groups.
    pub(super) fn after(all: &RecentSpread) -> Self {
        let mut begun = Self::default();
        if let Some((_, scale)) = all.center_and_scale(1.0) {
            begun.residual = Sums { count: MIN, sum: 0.0, squares: MIN * scale * scale };
        }
        begun
    }

    /// The centers for the next tick, where `all` knows the values of all groups; `None` while too little is known.
    pub(super) fn centers(&self, all: &RecentSpread, share: f64) -> Option<Centers> {
        let (_, spread) = all.center_and_scale(1.0)?;
        let difference = self.difference.sum / (self.difference.count + DOUBT);
        let centered = |mean: f64| (mean + (1.0 - share) * difference).clamp(0.0, 1.0);
        let mean = all.mean()?;
        let of = |group: &Sums| centered(mean_of(group).unwrap_or(mean));
        let scale = match self.residual.count < MIN {
            true => spread,
            // As for all values, one that has not varied yet may.
            false => (self.residual.squares / self.residual.count)
                .max(0.25 / (self.residual.count + 1.0))
                .sqrt(),
        };
        let groups = self.groups.iter().map(of).collect();
        Some(Centers { groups, of_all: centered(mean), scale })
    }

    /// Takes in a finished tick.
    pub(super) fn learn(&mut self, all: &RecentSpread, tick: &[Measured]) {
        for one in tick {
            if self.groups.len() <= one.place {
                self.groups.resize(one.place + 1, Sums::default());
            }
            let mut values = Sums::default();
            one.stable.iter().for_each(|&(v, n)| values.add(v, n));
            self.groups.iter_mut().skip(one.place).take(1).for_each(|it| it.merge(&values));
        }
        let Some(of_all) = all.mean() else { return };
        let mean = |place: usize| self.groups.get(place).and_then(mean_of).unwrap_or(of_all);
        let (mut stable, mut canary) = (Sums::default(), Sums::default());
        for one in tick {
            let mean = mean(one.place);
            one.stable.iter().for_each(|&(v, n)| stable.add(v - mean, n));
            one.canary.iter().for_each(|&(u, n)| canary.add(u - mean, n));
        }
        self.residual.merge(&stable);
        // Within the tick, so that a change of the load does not count as a difference.
        let shift = if stable.count >= MIN { stable.sum / stable.count } else { 0.0 };
        let sum = canary.sum - shift * canary.count;
        self.difference.merge(&Sums { sum, ..canary });
    }
}

impl Centers {
    pub(super) fn of(&self, place: usize) -> f64 {
        self.groups.get(place).copied().unwrap_or(self.of_all)
    }

    /// The smallest and the largest center.
    pub(super) fn ends(&self) -> [f64; 2] {
        let all = || self.groups.iter().copied();
        [all().fold(self.of_all, f64::min), all().fold(self.of_all, f64::max)]
    }
}

fn mean_of(group: &Sums) -> Option<f64> {
    (group.count >= MIN_IN_GROUP).then(|| group.sum / group.count)
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
