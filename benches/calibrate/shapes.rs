//! Which latencies, scores and failure rates does a simulated hour have?

use statrs::distribution::ContinuousCDF;
use statrs::distribution::Normal;

/// So many equally likely values stand for a distribution: one 16-bit number draws one of them.
pub const VALUES: usize = 1 << 16;

/// A distribution as its quantiles at (i + 1/2) / VALUES.
#[derive(Clone, Debug)]
pub struct Shape(Vec<f32>);

impl Shape {
    fn of(quantile: impl Fn(f64) -> f64) -> Self {
        Self((0..VALUES).map(|i| quantile((i as f64 + 0.5) / VALUES as f64) as f32).collect())
    }

    /// The value that 16 random bits draw.
    #[inline]
    pub fn draw(&self, bits: u16) -> f64 {
        f64::from(self.0[usize::from(bits)])
    }

    /// Mean 50 ms, standard deviation 15 ms.
    pub fn normal() -> Self {
        Self::of(|p| (0.050 + 0.015 * z(p)).max(0.001))
    }

    /// Lognormal of mean 50 ms.
    pub fn lognormal(sigma: f64) -> Self {
        Self::of(|p| 0.050 * (sigma * z(p) - sigma * sigma / 2.0).exp())
    }

    /// Pareto: no moment from alpha on.
    pub fn pareto(alpha: f64) -> Self {
        Self::of(|p| 0.030 * (1.0 - p).powf(-1.0 / alpha))
    }

    /// Scores: mean 0.5, standard deviation 0.15, within 0 and 1.
    pub fn scores() -> Self {
        Self::of(|p| (0.5 + 0.15 * z(p)).clamp(0.0, 1.0))
    }

    /// All values times `factor`.
    pub fn times(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|value| (f64::from(*value) * factor) as f32).collect())
    }

    /// All values plus `shift`.
    pub fn plus(&self, shift: f64) -> Self {
        Self(self.0.iter().map(|value| (f64::from(*value) + shift) as f32).collect())
    }

    /// The slowest 3 % doubled, and with them p99; the rest faster, so that the mean stays.
    pub fn with_p99_doubled(&self) -> Self {
        let cut = VALUES - 3 * VALUES / 100;
        let sum = |values: &[f32]| values.iter().map(|value| f64::from(*value)).sum::<f64>();
        let (body, tail) = (sum(&self.0[..cut]), sum(&self.0[cut..]));
        let factors = [(body - tail) / body, 2.0];
        let times =
            |(i, value): (usize, &f32)| (f64::from(*value) * factors[usize::from(i >= cut)]) as f32;
        Self(self.0.iter().enumerate().map(times).collect())
    }
}

/// sd = mean: sigma^2 = ln 2.
pub const SD_EQUALS_MEAN: f64 = 0.832_554_611_157_697_8;

fn z(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}
