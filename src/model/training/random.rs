//! Seeded random draws, identical in every release and on every machine.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;
use rand_xoshiro::rand_core::SeedableRng;

/// xoshiro256++, whose stream is fixed by its reference implementation.
pub(crate) struct Stream(Xoshiro256PlusPlus);

impl Stream {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Uniform over `0 <= u < 1`, in steps of 2^-53.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform over `0 .. bound`: the high half of a product, with a negligible bias of `bound` in 2^64.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Standard normal, after Box and Muller (1958), doi:10.1214/aoms/1177706645.
    pub(crate) fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    /// Exponential with the given mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.uniform()).ln()
    }

    /// Shuffles the items (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_stream() {
        let mut stream = Stream::new(42);
        let draws: Vec<usize> = (0..6).map(|_| stream.below(1000)).collect();
        assert_eq!(draws, DRAWS_OF_SEED_42);
    }

    /// Written down once; a change here changes every default model.
    const DRAWS_OF_SEED_42: [usize; 6] = [814, 318, 983, 701, 793, 588];

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut stream = Stream::new(1);
        let mut mean_square = |draw: fn(&mut Stream) -> f64| {
            let draws: Vec<f64> = (0..20_000).map(|_| draw(&mut stream)).collect();
            let mean = draws.iter().sum::<f64>() / 20_000.0;
            (mean, draws.iter().map(|x| x * x).sum::<f64>() / 20_000.0)
        };
        // Within five standard errors.
        let (mean, square) = mean_square(Stream::normal);
        assert!(mean.abs() < 0.036 && (square - 1.0).abs() < 0.05, "{mean} {square}");
        let (mean, square) = mean_square(|stream| stream.exponential(1.0));
        assert!((mean - 1.0).abs() < 0.036 && (square - 2.0).abs() < 0.16, "{mean} {square}");
        let (mean, square) = mean_square(Stream::uniform);
        assert!(
            (mean - 0.5).abs() < 0.011 && (square - 1.0 / 3.0).abs() < 0.011,
            "{mean} {square}"
        );
    }
}
