//! Exact distribution of Mann-Whitney's U when one sample is small.
//!
//! ```text
//! sum of P(U = u) q^u = product for i = 1..m of (1 - q^(n+i)) / (1 - q^i) * i / (n+i)
//! ```
//!
//! for m values against n, the Gaussian binomial coefficient divided by its value at 1. Each factor
//! is one pass over the coefficients up to the u asked for, so the work is m u, without recursion
//! and without a table in three dimensions. U is a sum of m nearly uniform variables: for n above
//! 10^6 / m it is taken to be exactly that (Irwin-Hall) with U's own variance and a continuity
//! correction. Skewness is 0 in both and the kurtosis differs by about m^2 / n^2, so that the relative
//! error is below 1e-7 for probabilities above 1e-6.
//!
//! Mann and Whitney (1947), The Annals of Mathematical Statistics 18(1),
//! doi:10.1214/aoms/1177730491; Hall (1927), Biometrika 19(3-4), doi:10.1093/biomet/19.3-4.240.

/// P(U <= u) for `smaller` values (at most 8) against `larger`, none equal, of one distribution.
pub(crate) fn rank_sum_lower_tail(u: u64, smaller: u64, larger: u64) -> f64 {
    /// Up to here the coefficients take at most 4 MB and some milliseconds.
    const MAX_COEFFICIENTS: u64 = 1_000_000;
    let largest = smaller * larger;
    if u >= largest {
        return 1.0;
    }
    if 2 * u >= largest {
        // The distribution is symmetric, and the shorter tail has the more exact sum.
        return 1.0 - rank_sum_lower_tail(largest - u - 1, smaller, larger);
    }
    if largest <= MAX_COEFFICIENTS {
        coefficients(u as usize, smaller as usize, larger as usize).iter().sum()
    } else {
        uniform_sum_lower_tail(u as f64, smaller as f64, larger as f64)
    }
}

/// P(U = 0), ..., P(U = u).
fn coefficients(u: usize, smaller: usize, larger: usize) -> Vec<f64> {
    let mut coefficients = vec![0.0; u + 1];
    coefficients[0] = 1.0;
    for i in 1..=smaller {
        let factor = larger + i;
        for k in (factor..=u).rev() {
            coefficients[k] -= coefficients[k - factor];
        }
        for k in i..=u {
            coefficients[k] += coefficients[k - i];
        }
        let scale = i as f64 / factor as f64;
        coefficients.iter_mut().for_each(|coefficient| *coefficient *= scale);
    }
    coefficients
}

/// The same as the sum of `m` variables uniform on 0 to 1, of U's mean and variance.
fn uniform_sum_lower_tail(u: f64, m: f64, n: f64) -> f64 {
    let scale = ((m / 12.0) / (m * n / 12.0 * (m + n + 1.0))).sqrt();
    let x = 0.5 * m + (u + 0.5 - 0.5 * m * n) * scale;
    // x^m / m! - C(m, 1) (x - 1)^m / m! + ...
    let (mut sum, mut weight) = (0.0, 1.0);
    let mut k = 0.0;
    while k < x {
        let volume: f64 = (1..=m as u32).map(|i| (x - k) / f64::from(i)).product();
        sum += weight * volume;
        weight *= -(m - k) / (k + 1.0);
        k += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_distributions_are_counted() {
        // All C(5, 2) = 10 ways: U = 0, 1, 2, 2, 3, 3, 4, 4, 5, 6.
        for (u, ways) in [(0, 1.0), (1, 2.0), (2, 4.0), (3, 6.0), (4, 8.0), (5, 9.0), (6, 10.0)] {
            let found = rank_sum_lower_tail(u, 2, 3);
            assert!((found - ways / 10.0).abs() < 1e-15, "{u}: {found}");
        }
    }

    #[test]
    fn one_value_against_many_is_uniform() {
        for n in [10, 999, 100_000_000_u64] {
            let found = rank_sum_lower_tail(n / 10, 1, n);
            let expected = (n / 10 + 1) as f64 / (n + 1) as f64;
            assert!((found / expected - 1.0).abs() < 1e-9, "{n}: {found}");
        }
    }

    #[test]
    fn the_uniform_sum_continues_the_exact_distribution() {
        for m in 1..=8_u64 {
            let n = 1_000_000 / m;
            for part in [0.1, 0.2, 0.35, 0.49] {
                let u = (part * (m * n) as f64) as u64;
                let exact = rank_sum_lower_tail(u, m, n);
                let approximate = uniform_sum_lower_tail(u as f64, m as f64, n as f64);
                assert!((approximate / exact - 1.0).abs() < 1e-7, "{m} {part}: {approximate}");
            }
        }
    }
}
