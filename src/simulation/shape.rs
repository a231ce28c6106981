//! Distributions of simulated latencies and scores.

use std::sync::Arc;

use statrs::distribution::ContinuousCDF;
use statrs::distribution::Normal;

/// The number of equally likely values of a distribution: a 16-bit number draws one of them.
const VALUES: usize = 1 << 16;

/// A distribution as its quantiles at (i + 1/2) / 65,536, in seconds for latencies.
///
/// Its tail ends at the last of these, so that no single draw decides an hour. `f32` keeps seven
/// digits of a value, and a table that fits the processor's cache; clones share it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape(Arc<[f32]>);

impl Shape {
    fn of(quantile: impl Fn(f64) -> f64) -> Self {
        Self((0..VALUES).map(|i| quantile((i as f64 + 0.5) / VALUES as f64) as f32).collect())
    }

    /// The value that 16 random bits draw.
    #[inline]
    pub fn draw(&self, bits: u16) -> f64 {
        // A shape has a value for each of the 65,536 numbers.
        f64::from(self.0[usize::from(bits)])
    }

    /// Normal, but never below a fiftieth of the mean: a latency is positive.
    pub fn normal(mean: f64, std_dev: f64) -> Self {
        Self::of(|p| (mean + std_dev * z(p)).max(mean / 50.0))
    }

    /// Lognormal of this mean; sigma is the standard deviation of the logarithm.
    pub fn lognormal(mean: f64, sigma: f64) -> Self {
        Self::of(|p| mean * (sigma * z(p) - sigma * sigma / 2.0).exp())
    }

    /// Pareto of this mean: no moment from alpha on. Alpha must be above 1, or there is no mean.
    pub fn pareto(mean: f64, alpha: f64) -> Self {
        let least = mean * ((alpha - 1.0) / alpha);
        Self::of(|p| least * (1.0 - p).powf(-1.0 / alpha))
    }

    /// Scores: mean 0.5, standard deviation [`SCORE_STD_DEV`], within 0 and 1.
    pub fn scores() -> Self {
        Self::of(|p| (0.5 + SCORE_STD_DEV * z(p)).clamp(0.0, 1.0))
    }

    /// All values times `factor`.
    pub fn times(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|value| (f64::from(*value) * factor) as f32).collect())
    }

    /// All values plus `shift`.
    pub fn plus(&self, shift: f64) -> Self {
        Self(self.0.iter().map(|value| (f64::from(*value) + shift) as f32).collect())
    }

    /// The slowest 3 % doubled, and with them p99; the rest faster, so that the mean stays. `None` when
    /// the slowest 3 % are half of the sum or more: doubled they would leave nothing for the rest.
    pub fn with_p99_doubled(&self) -> Option<Self> {
        let cut = VALUES - 3 * VALUES / 100;
        let (body, tail) = self.0.split_at(cut);
        let sum = |values: &[f32]| values.iter().map(|value| f64::from(*value)).sum::<f64>();
        let (of_body, of_tail) = (sum(body), sum(tail));
        let faster = (of_body - of_tail) / of_body;
        if faster.is_nan() || faster <= 0.0 {
            return None;
        }
        let times = |values: &[f32], factor: f64| -> Vec<f32> {
            values.iter().map(|value| (f64::from(*value) * factor) as f32).collect()
        };
        Some(Self([times(body, faster), times(tail, 2.0)].concat().into()))
    }
}

/// The standard deviation of the scores.
pub const SCORE_STD_DEV: f64 = 0.15;

/// The sigma of a lognormal distribution whose standard deviation is `ratio` times its mean.
///
/// ```
/// // sigma^2 = ln(1 + ratio^2); math.sqrt(math.log(2))
/// let sigma = serin::simulation::shape::lognormal_sigma(1.0);
/// assert!((sigma - 0.832_554_611_157_697_8).abs() < 1e-15);
/// ```
pub fn lognormal_sigma(ratio: f64) -> f64 {
    (ratio * ratio).ln_1p().sqrt()
}

fn z(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(shape: &Shape) -> (f64, f64) {
        let values = || shape.0.iter().map(|value| f64::from(*value));
        let mean = values().sum::<f64>() / VALUES as f64;
        let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / VALUES as f64;
        (mean, variance.sqrt())
    }

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found / expected - 1.0).abs() < tolerance, "{found}, expected {expected}");
    }

    #[test]
    fn mean_and_standard_deviation_are_those_asked_for() {
        let (mean, std_dev) = moments(&Shape::normal(0.050, 0.015));
        close(mean, 0.050, 1e-4);
        close(std_dev, 0.015, 2e-3);
        let (mean, std_dev) = moments(&Shape::lognormal(0.050, lognormal_sigma(1.0)));
        close(mean, 0.050, 1e-3);
        close(std_dev, 0.050, 0.02);
        close(moments(&Shape::pareto(0.050, 2.5)).0, 0.050, 1e-3);
        close(moments(&Shape::scores()).1, SCORE_STD_DEV, 2e-3);
    }

    #[test]
    fn a_doubled_p99_leaves_the_mean() {
        let shape = Shape::lognormal(0.050, 1.0);
        let doubled = shape.with_p99_doubled().unwrap();
        close(moments(&doubled).0, moments(&shape).0, 1e-6);
        let p99 = (0.99 * VALUES as f64) as u16;
        close(doubled.draw(p99), 2.0 * shape.draw(p99), 1e-6);
    }

    #[test]
    fn a_tail_of_half_the_sum_cannot_be_doubled() {
        let doubled = |sigma| Shape::lognormal(0.050, sigma).with_p99_doubled();
        assert!(doubled(1.85).is_some_and(|shape| shape.draw(0) > 0.0));
        assert_eq!(doubled(1.9), None);
        assert_eq!(doubled(2.0), None);
    }

    #[test]
    fn a_factor_and_a_shift_move_every_value() {
        let shape = Shape::lognormal(0.050, 1.5);
        for bits in [0, 1, 40_000, u16::MAX] {
            close(shape.times(1.5).draw(bits), 1.5 * shape.draw(bits), 1e-6);
            close(shape.plus(0.25).draw(bits), 0.25 + shape.draw(bits), 1e-6);
        }
    }
}
