//! One rollout of the past, as its ticks tell it.

use std::collections::VecDeque;

use crate::canary::observed::increment::Increment;
use crate::stats::Moments;

/// What is known of a canary after its rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was the artifact that was stable: whatever differed was noise.
    Equal,
    /// It was promoted and not reverted.
    Fine,
    /// Neither, or a fault was injected into it.
    Other,
}

/// One rollout of the past, second by second.
#[derive(Clone, Debug)]
pub struct PastRollout {
    /// What is known of its canary.
    pub standing: Standing,
    open: Second,
    open_seconds: f64,
    seconds: u64,
    pub(super) requests: u64,
    canary_requests: u64,
    failures: [u64; 2],
    pub(super) latency: Moments,
    weighted_difference: f64,
    weighted_stable: f64,
    recent: VecDeque<f64>,
    pub(super) near: Mean,
    /// For each of [`LAGS`].
    pub(super) far: [Mean; LAGS.len()],
    /// The variance of a difference that requests alone make, divided by the variance of one.
    pub(super) inverse: Mean,
}

#[derive(Clone, Debug, Default)]
struct Second {
    requests: [u64; 2],
    failures: [u64; 2],
    count: [f64; 2],
    sum: [f64; 2],
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    sum: f64,
    pub(super) count: f64,
}

/// Seconds between differences that are compared.
pub(super) const LAGS: [usize; 4] = [8, 16, 24, 30];
const MAX_LAG: usize = 30;

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
    }

    /// The mean of the values of all these.
    pub(super) fn of(all: impl Iterator<Item = Mean>) -> Mean {
        all.fold(Mean::default(), |a, b| Mean { sum: a.sum + b.sum, count: a.count + b.count })
    }

    pub(super) fn value(self) -> f64 {
        self.sum / self.count.max(1.0)
    }
}

impl PastRollout {
    /// A rollout without ticks.
    pub fn new(standing: Standing) -> PastRollout {
        PastRollout {
            standing,
            open: Second::default(),
            open_seconds: 0.0,
            seconds: 0,
            requests: 0,
            canary_requests: 0,
            failures: [0; 2],
            latency: Moments::default(),
            weighted_difference: 0.0,
            weighted_stable: 0.0,
            recent: VecDeque::new(),
            near: Mean::default(),
            far: Default::default(),
            inverse: Mean::default(),
        }
    }

    /// Seconds with traffic, as far as its ticks are kept.
    pub fn seconds(&self) -> u64 {
        self.seconds
    }

    /// Takes in a tick.
    pub fn tick(&mut self, increment: &Increment) {
        let tracks = [&increment.stable, &increment.canary];
        for (place, track) in tracks.into_iter().enumerate() {
            self.open.requests[place] += track.requests;
            self.open.failures[place] += track.failures;
            for &(value, count) in &track.latency {
                self.open.count[place] += count as f64;
                self.open.sum[place] += value * count as f64;
            }
        }
        for &(value, count) in &increment.stable.latency {
            self.latency.record_many(value, count);
        }
        self.open_seconds += increment.seconds();
        if self.open_seconds >= 0.9 {
            let second = std::mem::take(&mut self.open);
            self.open_seconds = 0.0;
            self.close(&second);
        }
    }

    fn close(&mut self, second: &Second) {
        let requests: u64 = second.requests.iter().sum();
        if requests == 0 {
            return;
        }
        self.seconds += 1;
        self.requests += requests;
        self.canary_requests += second.requests[1];
        (0..2).for_each(|place| self.failures[place] += second.failures[place]);
        let [stable, canary] = second.count;
        if stable == 0.0 || canary == 0.0 {
            return;
        }
        let difference = second.sum[1] / canary - second.sum[0] / stable;
        let weight = stable * canary / (stable + canary);
        self.weighted_difference += weight * difference;
        self.weighted_stable += weight * second.sum[0] / stable;
        self.inverse.add(1.0 / stable + 1.0 / canary);
        let half = |before: f64| 0.5 * (difference - before) * (difference - before);
        if let Some(last) = self.recent.back() {
            self.near.add(half(*last));
        }
        let count = self.recent.len();
        for (mean, lag) in self.far.iter_mut().zip(LAGS) {
            if let Some(before) = count.checked_sub(lag).and_then(|at| self.recent.get(at)) {
                mean.add(half(*before));
            }
        }
        self.recent.push_back(difference);
        if self.recent.len() > MAX_LAG {
            self.recent.pop_front();
        }
    }

    /// The canary's mean latency relative to stable's, less 1.
    pub(super) fn effect(&self) -> Option<f64> {
        let effect = self.weighted_difference / self.weighted_stable;
        effect.is_finite().then_some(effect)
    }

    /// The difference of the failure rates.
    pub(super) fn more_failures(&self) -> Option<f64> {
        let stable = self.requests - self.canary_requests;
        let rate = |failures: u64, requests: u64| {
            (requests > 0).then(|| failures as f64 / requests as f64)
        };
        Some(rate(self.failures[1], self.canary_requests)? - rate(self.failures[0], stable)?)
    }
}
