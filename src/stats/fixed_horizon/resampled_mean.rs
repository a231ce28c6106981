//! What could the mean have been, had the sample come out differently?
//!
//! A bootstrap mean is that of n values drawn with replacement. Drawing a million values ten
//! thousand times takes minutes, so the sample is split:
//!
//! - **Extremes**, the values farthest from the mean, are drawn exactly: how many of the n draws fall
//!   on them is binomial, and on which is multinomial.
//! - **The body**, all other draws: their sum is so nearly normal that it is drawn as one normal
//!   variable with the Cornish-Fisher correction for the body's skewness and kurtosis:
//!
//! ```text
//! sum = m mean_b + sqrt(m) sd_b ( z + (z^2-1) g/6 + (z^3-3z) k/24 - (2z^3-5z) g^2/36 )
//! g = skewness_b / sqrt(m),  k = excess kurtosis_b / m        m draws fall into the body
//! ```
//!
//! The body is the largest part of the sample with |g| <= 0.1 and |k| <= 0.02, where the correction's
//! own error is below 0.001 standard deviations of the sum; the Monte-Carlo error of an interval's
//! end at 10,000 resamples is 0.03. Heavy tails make more values extreme, so that they are drawn
//! exactly. Samples of at most 1,000 values, or of at most 32 different ones, have no body.
//!
//! Cornish and Fisher (1938), Revue de l'Institut International de Statistique 5(4),
//! doi:10.2307/1400905.

use crate::stats::distributions::random_variates::Variates;
use crate::stats::summary::points::Points;

/// Up to here every value is drawn by itself.
const MAX_LISTED: u64 = 1000;

/// Up to here the number of draws of every value is drawn.
const FEW_VALUES: usize = 32;

const MAX_SKEWNESS: f64 = 0.1;
const MAX_KURTOSIS: f64 = 0.02;

/// A sample, prepared for drawing the means of resamples.
pub(crate) struct ResampledMean {
    total: u64,
    /// All values are measured from here.
    center: f64,
    extremes: Extremes,
    extreme_share: f64,
    body: Body,
}

enum Extremes {
    /// Every value as often as it occurred.
    Listed(Vec<f64>),
    /// Each value with its share among itself and those after it.
    Counted(Vec<(f64, f64)>),
}

/// The moments of one draw from the body.
#[derive(Clone, Copy, Default)]
struct Body {
    mean: f64,
    std_dev: f64,
    skewness: f64,
    excess_kurtosis: f64,
}

impl ResampledMean {
    /// The sample has the given mean; it only has to be near, for the sake of the digits.
    pub(crate) fn of(points: &Points, mean: f64) -> Self {
        let total = points.total();
        let (body, extremes) = split(points, mean);
        let extreme_count: u64 = extremes.iter().map(|(_, count)| count).sum();
        let extreme_share = extreme_count as f64 / total as f64;
        let are_few = extremes.len() <= FEW_VALUES && extreme_count > FEW_VALUES as u64;
        let extremes = if extreme_count <= MAX_LISTED && !are_few {
            let repeated = extremes
                .iter()
                .flat_map(|(value, count)| std::iter::repeat_n(*value, *count as usize));
            Extremes::Listed(repeated.collect())
        } else {
            let mut left = extreme_count;
            let share = |(value, count): &(f64, u64)| {
                let share = *count as f64 / left as f64;
                left -= count;
                (*value, share)
            };
            Extremes::Counted(extremes.iter().map(share).collect())
        };
        Self { total, center: mean, extremes, extreme_share, body }
    }

    /// The mean of one resample.
    pub(crate) fn draw<R: FnMut() -> u64>(&self, variates: &mut Variates<R>) -> f64 {
        let extreme_draws = variates.binomial(self.total, self.extreme_share);
        let extremes = self.extremes.sum(extreme_draws, variates);
        let body = self.body.sum((self.total - extreme_draws) as f64, variates);
        self.center + (extremes + body) / self.total as f64
    }
}

impl Extremes {
    /// The sum of so many draws.
    fn sum<R: FnMut() -> u64>(&self, draws: u64, variates: &mut Variates<R>) -> f64 {
        match self {
            Self::Listed(values) => {
                (0..draws).filter_map(|_| values.get(variates.below(values.len()))).sum()
            }
            Self::Counted(shares) => {
                let mut left = draws;
                let mut sum = 0.0;
                for (value, share) in shares {
                    let times = variates.binomial(left, *share);
                    sum += value * times as f64;
                    left -= times;
                }
                sum
            }
        }
    }
}

impl Body {
    fn sum<R: FnMut() -> u64>(&self, draws: f64, variates: &mut Variates<R>) -> f64 {
        if self.std_dev == 0.0 || draws == 0.0 {
            return draws * self.mean;
        }
        let z = variates.normal();
        let (g, k) = (self.skewness / draws.sqrt(), self.excess_kurtosis / draws);
        let square = z * z;
        let corrected = z + (square - 1.0) * g / 6.0 + (square - 3.0) * z * k / 24.0
            - (2.0 * square - 5.0) * z * g * g / 36.0;
        draws * self.mean + draws.sqrt() * self.std_dev * corrected
    }
}

/// The points measured from the center, nearest first: the two sides are in order already.
fn by_distance(ascending: &[(f64, u64)], center: f64) -> Vec<(f64, u64)> {
    let (below, above) = ascending.split_at(ascending.partition_point(|point| point.0 < center));
    let centered = |point: &(f64, u64)| (point.0 - center, point.1);
    let mut below = below.iter().rev().map(centered).peekable();
    let mut above = above.iter().map(centered).peekable();
    std::iter::from_fn(|| match (below.peek(), above.peek()) {
        (Some(left), Some(right)) if -left.0 < right.0 => below.next(),
        (Some(_), None) => below.next(),
        (_, _) => above.next(),
    })
    .collect()
}

/// The largest body of a sample, and what is left of it as distances from the center.
fn split(points: &Points, center: f64) -> (Body, Vec<(f64, u64)>) {
    let ascending = points.as_slice();
    let distances = || ascending.iter().map(|point| (point.0 - center, point.1));
    if points.total() <= MAX_LISTED || ascending.len() <= FEW_VALUES {
        return (Body::default(), distances().collect());
    }
    // In units of the largest distance, so that fourth powers stay in range.
    let scale = distances().fold(f64::MIN_POSITIVE, |largest, (x, _)| largest.max(x.abs()));
    let mut whole = PowerSums::default();
    distances().for_each(|(distance, count)| whole.add(distance / scale, count));
    if let Some(body) = whole.body(scale) {
        return (body, Vec::new());
    }
    let mut by_distance = by_distance(ascending, center);
    let mut sums = PowerSums::default();
    let mut largest = (0, Body::default());
    for (index, (distance, count)) in by_distance.iter().enumerate() {
        sums.add(distance / scale, *count);
        if let Some(body) = sums.body(scale) {
            largest = (index + 1, body);
        }
    }
    let (inside, body) = largest;
    (body, by_distance.split_off(inside))
}

/// How many values there are, and the sums of their first four powers.
#[derive(Default)]
struct PowerSums([f64; 5]);

impl PowerSums {
    fn add(&mut self, value: f64, count: u64) {
        let mut term = count as f64;
        for sum in &mut self.0 {
            *sum += term;
            term *= value;
        }
    }

    /// The moments of one of these values, if a sum of as many draws as there are is nearly normal.
    fn body(&self, scale: f64) -> Option<Body> {
        let [n, mean, second, third, fourth] = self.0;
        let [mean, second, third, fourth] = [mean, second, third, fourth].map(|sum| sum / n);
        let variance = second - mean * mean;
        // The values lie around 0 on both sides, so that little cancels; below this it is rounding.
        if variance <= 1e-14 * second {
            return Some(Body { mean: mean * scale, ..Body::default() });
        }
        let std_dev = variance.sqrt();
        let third_central = third - 3.0 * mean * second + 2.0 * mean.powi(3);
        let fourth_central =
            fourth - 4.0 * mean * third + 6.0 * mean * mean * second - 3.0 * mean.powi(4);
        let skewness = third_central / (variance * std_dev);
        let excess_kurtosis = fourth_central / (variance * variance) - 3.0;
        let is_nearly_normal =
            skewness.abs() <= MAX_SKEWNESS * n.sqrt() && excess_kurtosis.abs() <= MAX_KURTOSIS * n;
        is_nearly_normal.then_some(Body {
            mean: mean * scale,
            std_dev: std_dev * scale,
            skewness,
            excess_kurtosis,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::distributions::random_variates::split_mix;

    /// Quantiles of many draws, prepared as it is and value by value.
    fn assert_alike(values: &[f64], what: &str) {
        const DRAWS: usize = 4000;
        let points = Points::from_samples(values);
        let prepared = ResampledMean::of(&points, points.moments().mean().unwrap());
        let plain = ResampledMean {
            total: values.len() as u64,
            center: 0.0,
            extremes: Extremes::Listed(values.to_vec()),
            extreme_share: 1.0,
            body: Body::default(),
        };
        let [prepared, plain] = [prepared, plain].map(|sample| {
            let mut variates = Variates::new(split_mix(7));
            let mut means: Vec<f64> = (0..DRAWS).map(|_| sample.draw(&mut variates)).collect();
            means.sort_by(f64::total_cmp);
            means
        });
        for q in [0.01, 0.025, 0.2, 0.5, 0.8, 0.975, 0.99_f64] {
            // Five standard errors of the share of draws below, on either side.
            let reach = 5.0 * (2.0 * q * (1.0 - q) / DRAWS as f64).sqrt();
            let at = |share: f64| plain[(share.clamp(0.0, 1.0) * (DRAWS - 1) as f64) as usize];
            let found = prepared[(q * (DRAWS - 1) as f64) as usize];
            let (low, high) = (at(q - reach), at(q + reach));
            let slack = 1e-9 * high.abs();
            assert!(low - slack <= found && found <= high + slack, "{what} {q}: {found}");
        }
    }

    #[test]
    fn the_body_s_normal_sum_stands_for_its_draws() {
        let mut variates = Variates::new(split_mix(11));
        let mut sample = |draw: fn(f64) -> f64| -> Vec<f64> {
            (0..3000).map(|_| draw(variates.uniform())).collect()
        };
        assert_alike(&sample(|u| u), "uniform");
        assert_alike(&sample(|u| -u.ln()), "exponential");
        assert_alike(&sample(|u| u.powf(-1.0 / 1.1)), "pareto 1.1");
        assert_alike(&sample(|u| u.powf(-1.0 / 2.5)), "pareto 2.5");
        assert_alike(&sample(|u| if u < 0.99 { 0.0 } else { 1.0 + u }), "rare");
        assert_alike(&sample(|u| f64::from(u < 0.002)), "binary");
        assert_alike(&sample(|u| 1e6 + (u * 50.0).floor()), "whole numbers far from 0");
    }
}
