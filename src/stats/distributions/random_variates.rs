//! How does one draw from a distribution when all there is are random bits?
//!
//! The bits come in as a function, so that nothing here holds a generator or a seed, and the same
//! bits give the same draws on every machine of the same floating point.

use super::binomial::ln_binomial;

/// Draws from distributions, made from a source of independent random 64-bit numbers.
pub(crate) struct Variates<R> {
    random: R,
    /// Normal variables come in pairs.
    spare: Option<f64>,
}

impl<R: FnMut() -> u64> Variates<R> {
    pub(crate) fn new(random: R) -> Self {
        Self { random, spare: None }
    }

    /// Strictly between 0 and 1, in steps of 2^-53.
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// A whole number below `end`, off by at most `end` / 2^64 from equal chances.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// Standard normal, by the polar method.
    ///
    /// Marsaglia and Bray (1964), SIAM Review 6(3), doi:10.1137/1006063.
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square < 1.0 && square > 0.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(y * factor);
                return x * factor;
            }
        }
    }

    /// Binomial: how many of `n` trials succeed.
    pub(crate) fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if n == 0 || p <= 0.0 {
            return 0;
        }
        if p >= 1.0 {
            return n;
        }
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        if n as f64 * p < 10.0 {
            self.binomial_by_inversion(n, p)
        } else {
            self.binomial_by_rejection(n, p)
        }
    }

    /// Subtracts the probabilities of 0, 1, ... from a uniform variable; for few expected successes.
    fn binomial_by_inversion(&mut self, n: u64, p: f64) -> u64 {
        let odds = p / (1.0 - p);
        let mut probability = (n as f64 * (-p).ln_1p()).exp();
        let mut left = self.uniform();
        for k in 0..n {
            if left <= probability {
                return k;
            }
            left -= probability;
            probability *= odds * ((n - k) as f64 / (k + 1) as f64);
        }
        n
    }

    /// Transformed rejection with squeeze, for at least ten expected successes.
    ///
    /// Hörmann (1993), "The generation of binomial random variates", Journal of Statistical
    /// Computation and Simulation 46(1-2), doi:10.1080/00949659308811496, algorithm BTRS.
    fn binomial_by_rejection(&mut self, n: u64, p: f64) -> u64 {
        let (n, q) = (n as f64, 1.0 - p);
        let spread = (n * p * q).sqrt();
        let b = 1.15 + 2.53 * spread;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let center = n * p + 0.5;
        let squeeze = 0.92 - 4.2 / b;
        let alpha = (2.83 + 5.1 / b) * spread;
        let mode = ((n + 1.0) * p).floor();
        loop {
            let u = self.uniform() - 0.5;
            let v = self.uniform();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + center).floor();
            if us >= 0.07 && v <= squeeze {
                return k as u64;
            }
            if (0.0..=n).contains(&k) {
                let ratio = ln_binomial(k, n, p, q) - ln_binomial(mode, n, p, q);
                if (v * alpha / (a / (us * us) + b)).ln() <= ratio {
                    return k as u64;
                }
            }
        }
    }

    fn bits(&mut self) -> u64 {
        (self.random)()
    }
}

/// SplitMix64, a generator for tests.
///
/// Steele, Lea and Flood (2014), OOPSLA, doi:10.1145/2660193.2660195.
#[cfg(test)]
pub(crate) fn split_mix(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::distributions::incomplete_beta::binomial_lower_tail;
    use crate::stats::distributions::normal::normal_tail;
    use crate::stats::summary::moments::Moments;

    const DRAWS: u32 = 40_000;

    /// The share of draws at or below a value is within five standard errors of its probability.
    fn assert_share(draws: &[f64], value: f64, probability: f64, what: &str) {
        let n = draws.len() as f64;
        let share = draws.iter().filter(|draw| **draw <= value).count() as f64 / n;
        let error = (probability * (1.0 - probability) / n).sqrt();
        let gap = (share - probability).abs();
        assert!(gap <= 5.0 * error + 1e-12, "{what} at {value}: {share}, not {probability}");
    }

    #[test]
    fn binomial_draws_have_the_binomial_distribution() {
        let mut variates = Variates::new(split_mix(1));
        let cases = [
            (1, 0.3),
            (40, 0.01),
            (40, 0.9),
            (30, 0.4),
            (1000, 0.02),
            (1_000_000, 0.3),
            (500, 0.999),
        ];
        for (n, p) in cases {
            let draws: Vec<f64> = (0..DRAWS).map(|_| variates.binomial(n, p) as f64).collect();
            let (mean, spread) = (n as f64 * p, (n as f64 * p * (1.0 - p)).sqrt());
            for deviation in [-2.0, -1.0, -0.3, 0.0, 0.4, 1.0, 2.5] {
                let k = (mean + deviation * spread).floor();
                let expected = binomial_lower_tail(k, n as f64, p, 1.0 - p);
                assert_share(&draws, k, expected, &format!("{n} {p}"));
            }
        }
        assert_eq!((variates.binomial(9, 0.0), variates.binomial(9, 1.0)), (0, 9));
    }

    #[test]
    fn normal_draws_have_the_normal_distribution() {
        let mut variates = Variates::new(split_mix(3));
        let draws: Vec<f64> = (0..DRAWS).map(|_| variates.normal()).collect();
        for z in [-2.5, -1.0, 0.0, 0.5, 2.0] {
            assert_share(&draws, z, normal_tail(-z), "normal");
        }
        let moments: Moments = draws.into_iter().collect();
        assert!(moments.mean().unwrap().abs() < 0.025);
        assert!((0..1000).all(|_| variates.below(7) < 7));
    }
}
