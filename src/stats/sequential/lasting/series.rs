//! Series: spans of several lengths over the values of one function.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

use super::EvidenceUnit;
use super::noise::Noise;
use super::span::Open;
use super::span::RELEASE;
use super::span::Span;
use super::span::Total;
use crate::stats::sequential::log_weighted_mean_exp;
use crate::stats::sequential::recent_spread::Sums;

/// The differences of the tracks' means, second by second and in longer spans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Series {
    unit: EvidenceUnit,
    spans: Vec<Span>,
    /// Stable's values, for the noise that requests alone make.
    values: Sums,
    inverse: f64,
    second: Open,
    /// The latest differences of seconds, the newest last.
    recent: VecDeque<f64>,
    by_second: Noise,
    near: Noise,
    far: Noise,
    seconds: f64,
}

/// Seconds between the compared differences. Independent ones vary no more over half a minute than from one second to
/// the next.
const LAGS: [usize; 4] = [8, 16, 24, 30];
const MAX_LAG: usize = 30;

/// The window of the noise of seconds; what one difference adds at most to it, and to the measured dependence.
const WINDOW: f64 = 120.0;
const CAP: f64 = 25.0;
const CAP_OF_DEPENDENCE: f64 = 6.0;

/// Seconds depend on each other if they vary this many times as much over half a minute as from one to the next: more
/// while that is known from few.
const DEPENDENT: f64 = 1.4;
const MIN_DEPENDENCE: f64 = 5.0;
const DOUBT: f64 = 2.0;

/// Seconds before the dependence is known, so before evidence may act.
const FIRST: f64 = 25.0;

/// Values above this are halved: the spread follows the traffic.
const MAX_VALUES: f64 = 8192.0;

impl Series {
    /// A series without values.
    pub(super) fn new(unit: EvidenceUnit, spans: Vec<Span>) -> Series {
        Series {
            unit,
            spans,
            values: Sums::default(),
            inverse: 0.0,
            second: Open::default(),
            recent: VecDeque::new(),
            by_second: Noise::new(WINDOW, CAP),
            near: Noise::new(WINDOW, CAP_OF_DEPENDENCE),
            far: Noise::new(WINDOW, CAP_OF_DEPENDENCE),
            seconds: 0.0,
        }
    }

    /// Learns values of stable from before the first tick.
    pub(super) fn remember(&mut self, stable: &[(f64, u64)]) {
        let usable = stable.iter().filter(|(value, _)| value.is_finite());
        usable.for_each(|&(value, count)| self.values.add(value, count));
        if self.values.count > MAX_VALUES {
            self.values.scale(0.5 * MAX_VALUES / self.values.count);
        }
    }

    /// Takes in a tick of this many seconds. `plain` are the canary's values without a margin, `granted` those with
    /// the margin of each span.
    pub(super) fn tick(
        &mut self,
        seconds: f64,
        plain: &[(f64, u64)],
        granted: &[Vec<(f64, u64)>],
        stable: &[(f64, u64)],
    ) {
        self.seconds += seconds;
        let known = self.known();
        let stable_total = Total::of(stable);
        for (span, granted) in self.spans.iter_mut().zip(granted) {
            span.tick(seconds, Total::of(granted), stable_total, known);
        }
        self.learn(seconds, Total::of(plain), stable_total);
        self.remember(stable);
    }

    /// The longest span, in seconds, whose successors depend on each other; 0 without dependence. Minutes are taken as
    /// independent: they are the longest unit.
    pub(super) fn dependence(&self) -> f64 {
        if self.unit != EvidenceUnit::Auto {
            return 0.0;
        }
        let by_second = self.by_second.variance();
        let is_dependent = |span: &&Span| match span.length {
            length if length < 5.0 => self.is_dependent(),
            length if length < 30.0 => span.is_dependent(by_second),
            _ => false,
        };
        self.spans.iter().filter(is_dependent).map(|span| span.length).fold(0.0, f64::max)
    }

    /// Pauses the spans up to this length, and resumes the others.
    pub(super) fn pause(&mut self, up_to: f64) {
        self.spans.iter_mut().for_each(|span| span.pause(span.length <= up_to));
    }

    /// The variance of the difference of one second: what was seen, and at least what requests alone make.
    fn known(&self) -> Option<f64> {
        if self.values.count < 10.0 || self.inverse <= 0.0 {
            return None;
        }
        let Sums { count, sum, squares } = self.values;
        let mean = sum / count;
        // A function that has not varied yet may vary in about one of this many observations.
        let variance = (squares / count - mean * mean).max(0.25 / (count + 1.0));
        Some((variance * self.inverse).max(self.by_second.variance()))
    }

    fn learn(&mut self, seconds: f64, canary: Total, stable: Total) {
        let Some(closed) = self.second.add(seconds, canary, stable, 1.0) else { return };
        let newest = closed.difference;
        self.inverse = match self.inverse {
            0.0 => closed.inverse,
            before => before + (closed.inverse - before) / 16.0,
        };
        let half = |before: f64| 0.5 * (newest - before) * (newest - before);
        if let Some(&last) = self.recent.back() {
            self.by_second.learn(half(last));
            self.near.learn(half(last));
        }
        let place = |lag: usize| self.recent.len().checked_sub(lag);
        let far: Vec<f64> =
            LAGS.iter().filter_map(|lag| self.recent.get(place(*lag)?)).map(|x| half(*x)).collect();
        if !far.is_empty() {
            self.far.learn(far.iter().sum::<f64>() / far.len() as f64);
        }
        self.recent.push_back(newest);
        if self.recent.len() > MAX_LAG {
            self.recent.pop_front();
        }
    }

    /// Whether successive seconds depend on each other.
    fn is_dependent(&self) -> bool {
        let is_paused = self.spans.first().is_some_and(Span::is_paused);
        if self.far.count() < MIN_DEPENDENCE || self.near.variance() <= 0.0 {
            return is_paused;
        }
        let ratio = self.far.variance() / self.near.variance();
        if is_paused {
            return ratio > 1.0 + RELEASE * (DEPENDENT - 1.0);
        }
        ratio > DEPENDENT * (1.0 + DOUBT / self.far.count())
    }

    /// ln E.
    pub(super) fn log_e(&self) -> f64 {
        if self.unit == EvidenceUnit::Auto && self.seconds < FIRST {
            return 0.0;
        }
        let logs: Vec<f64> = self.spans.iter().map(Span::log_e).collect();
        log_weighted_mean_exp(&logs, self.spans.iter().map(|span| span.weight))
    }

    /// The shortest span that is not paused, in seconds.
    pub(super) fn shortest(&self) -> Option<f64> {
        self.spans.iter().filter(|span| !span.is_paused()).map(|span| span.length).reduce(f64::min)
    }
}
