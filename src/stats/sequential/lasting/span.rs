//! Span: the difference of the tracks' means over one length of time, as one draw.

use serde::Deserialize;
use serde::Serialize;

use super::noise::Noise;
use super::purse::Purse;

/// A sum of values and their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Total {
    pub(super) sum: f64,
    pub(super) count: f64,
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

    fn add(&mut self, other: Total) {
        self.sum += other.sum;
        self.count += other.count;
    }

    fn mean(&self) -> f64 {
        self.sum / self.count
    }
}

/// The values of both tracks since a span began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    canary: Total,
    stable: Total,
    seconds: f64,
}

/// A finished span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Closed {
    /// The canary's mean minus stable's.
    pub(super) difference: f64,
    /// 1/n of the canary plus 1/n of stable: the variance of the difference for a variance of 1 per value.
    pub(super) inverse: f64,
}

impl Open {
    /// Adds a tick; the finished span if it is `length` seconds long and both tracks have a value. Otherwise it goes
    /// on.
    pub(super) fn add(
        &mut self,
        seconds: f64,
        canary: Total,
        stable: Total,
        length: f64,
    ) -> Option<Closed> {
        self.seconds += seconds;
        self.canary.add(canary);
        self.stable.add(stable);
        // Ticks are a few milliseconds longer or shorter than a second.
        if self.seconds < 0.95 * length || self.canary.count < 1.0 || self.stable.count < 1.0 {
            return None;
        }
        let Open { canary, stable, .. } = std::mem::take(self);
        let difference = canary.mean() - stable.mean();
        Some(Closed { difference, inverse: canary.count.recip() + stable.count.recip() })
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
    last: Option<f64>,
    noise: Noise,
    purse: Purse,
    is_paused: bool,
}

/// The window of the noise, in spans, and what one difference adds at most.
const WINDOW: f64 = 30.0;
const CAP: f64 = 9.0;

/// Differences between spans that make their noise known.
const MIN_NOISE: f64 = 2.0;

/// Spans depend on each other if their noise is this many times the noise of seconds divided by the length: more
/// while it is known from few.
const DEPENDENT: f64 = 2.5;
const MIN_DEPENDENCE: f64 = 3.0;
const DOUBT: f64 = 2.0;

/// A pause ends below this share of the limit.
pub(super) const RELEASE: f64 = 0.6;

impl Span {
    pub(super) fn new(length: f64, weight: f64) -> Span {
        let noise = Noise::new(WINDOW, CAP);
        let (open, purse) = (Open::default(), Purse::default());
        Span { length, weight, open, last: None, noise, purse, is_paused: false }
    }

    /// Adds a tick. `by_second` is the variance of the difference of one second.
    pub(super) fn tick(
        &mut self,
        seconds: f64,
        canary: Total,
        stable: Total,
        by_second: Option<f64>,
    ) {
        let Some(closed) = self.open.add(seconds, canary, stable, self.length) else { return };
        if let Some(by_second) = by_second {
            let own = if self.noise.count() >= MIN_NOISE { self.noise.variance() } else { 0.0 };
            let variance = own.max(by_second / self.length);
            if variance > 0.0 && !self.is_paused {
                self.purse.bet(closed.difference / variance.sqrt());
            }
        }
        if let Some(last) = self.last {
            self.noise.learn(0.5 * (closed.difference - last) * (closed.difference - last));
        }
        self.last = Some(closed.difference);
    }

    /// Whether successive spans depend on each other, decided before the next one.
    pub(super) fn is_dependent(&self, by_second: f64) -> bool {
        let count = self.noise.count();
        if count < MIN_DEPENDENCE || by_second <= 0.0 {
            return self.is_paused;
        }
        let ratio = self.noise.variance() * self.length / by_second;
        let limit = DEPENDENT * (1.0 + DOUBT / count);
        ratio > if self.is_paused { RELEASE * limit } else { limit }
    }

    /// Pauses the bets, and gives up what they won, or resumes them.
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
