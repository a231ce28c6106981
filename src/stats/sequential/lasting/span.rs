//! Span: the difference of the tracks' means over one length of time, as one draw.

use serde::Deserialize;
use serde::Serialize;

use super::dependence::RELEASE;
use super::noise::Noise;
use super::purse::Purse;

/// A sum of values and their number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Total {
    sum: f64,
    count: f64,
}

impl Total {
    pub(super) fn of(values: &[(f64, u64)]) -> Total {
        let mut total = Total::default();
        for &(value, count) in values.iter().filter(|(value, _)| value.is_finite()) {
            total.sum += value * count as f64;
            total.count += count as f64;
        }
        total
    }
}

/// The differences of the ticks since a span began.
///
/// ```text
/// D = sum of w (canary's mean - stable's mean) / sum of w        w = n_c n_s / (n_c + n_s), tick by tick
/// ```
///
/// With equal shares in all ticks D is the difference of the means over the span. The differences are taken tick by
/// tick, so that a change of the share or a time without a canary does not compare one moment with another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    weighted: f64,
    weight: f64,
    seconds: f64,
}

/// A finished span.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Closed {
    pub(super) difference: f64,
    /// The variance of the difference for a variance of 1 per value: 1 / sum of w.
    pub(super) inverse: f64,
}

impl Open {
    /// Adds a tick; the finished span if it is `length` seconds long and something was compared. Otherwise it goes on.
    pub(super) fn add(
        &mut self,
        seconds: f64,
        canary: Total,
        stable: Total,
        length: f64,
    ) -> Option<Closed> {
        self.seconds += seconds;
        if canary.count >= 1.0 && stable.count >= 1.0 {
            // No product of two counts, which may be huge.
            let weight = (canary.count.recip() + stable.count.recip()).recip();
            self.weighted += weight * (canary.sum / canary.count - stable.sum / stable.count);
            self.weight += weight;
        }
        // Ticks are a few milliseconds longer or shorter than a second.
        if self.seconds < 0.95 * length || self.weight <= 0.0 {
            return None;
        }
        let Open { weighted, weight, .. } = std::mem::take(self);
        Some(Closed { difference: weighted / weight, inverse: weight.recip() })
    }

    fn is_empty(&self) -> bool {
        self.seconds == 0.0
    }
}

/// Bets on the differences of spans of one length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    /// In seconds.
    pub(super) length: f64,
    /// Its share of the mean of the e-values.
    pub(super) weight: f64,
    open: Open,
    fixed: Fixed,
    last: Option<f64>,
    noise: Noise,
    /// The mean of [`Closed::inverse`] over recent spans.
    inverse: f64,
    purse: Purse,
    is_paused: bool,
}

/// What was fixed when the open span began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixed {
    /// Variance per value; `None`: no bet.
    per_value: Option<f64>,
    /// Variance of the difference of a span, from the differences of spans.
    of_span: f64,
}

/// The window of the noise, in spans, and what one difference adds at most.
const WINDOW: f64 = 30.0;
const CAP: f64 = 9.0;

/// Differences between spans that make their noise known.
const MIN_NOISE: f64 = 2.0;

/// Spans depend on each other if their noise is this many times that of seconds, per value: more while it is known from
/// few.
const DEPENDENT: f64 = 2.5;
const MIN_DEPENDENCE: f64 = 3.0;
const DOUBT: f64 = 2.0;

impl Span {
    pub(super) fn new(length: f64, weight: f64, purse: Purse) -> Span {
        Span {
            length,
            weight,
            open: Open::default(),
            fixed: Fixed::default(),
            last: None,
            noise: Noise::new(WINDOW, CAP),
            inverse: 0.0,
            purse,
            is_paused: false,
        }
    }

    /// Adds a tick. `per_value` is the variance of one value that the differences of seconds show.
    pub(super) fn tick(
        &mut self,
        seconds: f64,
        canary: Total,
        stable: Total,
        per_value: Option<f64>,
    ) {
        if self.open.is_empty() {
            let is_known = self.noise.count() >= MIN_NOISE;
            let of_span = if is_known { self.noise.variance() } else { 0.0 };
            self.fixed = Fixed { per_value: per_value.filter(|_| !self.is_paused), of_span };
        }
        let Some(closed) = self.open.add(seconds, canary, stable, self.length) else { return };
        if let Some(per_value) = self.fixed.per_value {
            let variance = self.fixed.of_span.max(per_value * closed.inverse);
            if variance > 0.0 {
                self.purse.bet(closed.difference / variance.sqrt());
            }
        }
        if let Some(last) = self.last {
            self.noise.learn(0.5 * (closed.difference - last) * (closed.difference - last));
        }
        self.last = Some(closed.difference);
        self.inverse = match self.inverse {
            0.0 => closed.inverse,
            before => before + (closed.inverse - before) / 8.0,
        };
    }

    /// Whether successive spans depend on each other, decided before the next one.
    pub(super) fn is_dependent(&self, per_value: f64) -> bool {
        let count = self.noise.count();
        if count < MIN_DEPENDENCE || per_value <= 0.0 || self.inverse <= 0.0 {
            return self.is_paused;
        }
        let ratio = self.noise.variance() / (per_value * self.inverse);
        let limit = DEPENDENT * (1.0 + DOUBT / count);
        ratio > if self.is_paused { RELEASE * limit } else { limit }
    }

    /// Pauses the bets from the next span on, and gives up what they won, or resumes them.
    pub(super) fn pause(&mut self, is_paused: bool) {
        if is_paused && !self.is_paused {
            self.purse.forfeit();
        }
        self.is_paused = is_paused;
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(super) fn log_e(&self) -> f64 {
        self.purse.log_e()
    }
}
