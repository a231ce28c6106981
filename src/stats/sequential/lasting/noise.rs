//! Noise: how much successive differences vary.

use serde::Deserialize;
use serde::Serialize;

/// The variance of a series, from the differences of values that lie a fixed number of places apart.
///
/// ```text
/// v <- v + (min( (x - y)^2 / 2, cap v ) - v) / n          n grows up to the window
/// ```
///
/// A change of the level enters a few differences and not the rest, so it hardly counts as noise. The cap bounds what
/// one of them adds, so that one stall does not blind the series for minutes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Noise {
    variance: f64,
    count: f64,
    window: f64,
    cap: f64,
}

/// From this many differences on, the cap applies.
const MIN_FOR_CAP: f64 = 8.0;

impl Noise {
    pub(super) fn new(window: f64, cap: f64) -> Noise {
        Noise { variance: 0.0, count: 0.0, window, cap }
    }

    /// Learns half of a squared difference.
    pub(super) fn learn(&mut self, half_square: f64) {
        if !half_square.is_finite() {
            return;
        }
        self.count = (self.count + 1.0).min(self.window);
        let is_capped = self.count > MIN_FOR_CAP && self.variance > 0.0;
        let most = if is_capped { self.cap * self.variance } else { f64::MAX };
        self.variance += (half_square.min(most) - self.variance) / self.count;
    }

    pub(super) fn variance(&self) -> f64 {
        self.variance
    }

    /// Differences so far, at most the window.
    pub(super) fn count(&self) -> f64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_large_difference_among_many_small_ones_hardly_counts() {
        let mut noise = Noise::new(120.0, 25.0);
        (0..100).for_each(|_| noise.learn(1.0));
        noise.learn(1e9);
        assert!((1.0..1.3).contains(&noise.variance()), "{noise:?}");
        (0..600).for_each(|_| noise.learn(4.0));
        assert!((3.9..4.0).contains(&noise.variance()), "a lasting change is learned: {noise:?}");
    }

    #[test]
    fn noise_that_begins_at_zero_is_learned() {
        let mut noise = Noise::new(120.0, 25.0);
        (0..100).for_each(|_| noise.learn(0.0));
        noise.learn(1.0);
        noise.learn(f64::NAN);
        assert!(noise.variance() > 0.0 && noise.count() == 101.0, "{noise:?}");
    }
}
