//! Dependence: whether the successive values of a series depend on each other.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

use super::noise::Noise;

/// Compares how much values vary from one to the next and over longer distances. Independent ones vary alike.
///
/// ```text
/// near    variance from the differences of successive values
/// far     the same of values that lie `lags` places apart
/// dependent if far / near > limit (1 + 2 / n)       n values compared over the longer distances
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dependence {
    /// The latest values, the newest last.
    recent: VecDeque<f64>,
    near: Noise,
    far: Noise,
}

/// What distinguishes one series from another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The longer distances, ascending.
    pub(super) lags: [usize; 4],
    /// How much more the values may vary over them.
    pub(super) ratio: f64,
}

/// The window, in values, and what one difference adds at most.
const WINDOW: f64 = 120.0;
const CAP: f64 = 6.0;

const MIN_COUNT: f64 = 5.0;
const DOUBT: f64 = 2.0;

/// A dependence ends below this share of the limit.
pub(super) const RELEASE: f64 = 0.6;

impl Dependence {
    pub(super) fn new() -> Dependence {
        let noise = || Noise::new(WINDOW, CAP);
        Dependence { recent: VecDeque::new(), near: noise(), far: noise() }
    }

    /// Learns the next value.
    pub(super) fn learn(&mut self, newest: f64, limits: &Limits) {
        let half = |before: f64| 0.5 * (newest - before) * (newest - before);
        if let Some(&last) = self.recent.back() {
            self.near.learn(half(last));
        }
        let place = |lag: usize| self.recent.len().checked_sub(lag);
        let before = limits.lags.iter().filter_map(|lag| self.recent.get(place(*lag)?));
        let far: Vec<f64> = before.map(|before| half(*before)).collect();
        if !far.is_empty() {
            self.far.learn(far.iter().sum::<f64>() / far.len() as f64);
        }
        self.recent.push_back(newest);
        if self.recent.len() > limits.lags[3] {
            self.recent.pop_front();
        }
    }

    /// Whether the next value depends on the latest, where it did (`is_dependent`) or did not until now.
    pub(super) fn lasts(&self, is_dependent: bool, limits: &Limits) -> bool {
        if self.far.count() < MIN_COUNT || self.near.variance() <= 0.0 {
            return is_dependent;
        }
        let ratio = self.far.variance() / self.near.variance();
        if is_dependent {
            return ratio > 1.0 + RELEASE * (limits.ratio - 1.0);
        }
        ratio > limits.ratio * (1.0 + DOUBT / self.far.count())
    }
}
