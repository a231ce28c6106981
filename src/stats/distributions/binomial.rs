//! Binomial probabilities, accurate for a billion trials.
//!
//! The plain formula subtracts log-gammas of the size of n ln n and loses as many digits. Loader's
//! saddle-point form writes the same probability exactly, as small corrections that are each
//! computed without cancellation. Fisher's test and Student's t both use it.
//!
//! ```text
//! ln b(x; n, p) = err(n) - err(x) - err(n-x) - D(x, np) - D(n-x, nq) + ln(n / (2 pi x (n-x))) / 2
//! err(z)  = ln z! - (z + 1/2) ln z + z - ln(2 pi) / 2         (the error of Stirling's formula)
//! D(x, m) = x ln(x/m) + m - x                                                   (the deviance)
//! ```
//!
//! Loader (2000), "Fast and accurate computation of binomial probabilities",
//! <http://www.herine.net/stat/papers/dbinom.pdf>.

use std::f64::consts::PI;

use statrs::function::gamma::ln_gamma;

/// The logarithm of `x` successes in `n` trials of probability `p`; `q = 1 - p` is an argument of
/// its own because the caller knows it more exactly. `x` and `n` need not be whole numbers: between
/// them the gamma function takes the factorial's place.
pub(crate) fn ln_binomial(x: f64, n: f64, p: f64, q: f64) -> f64 {
    if x == 0.0 {
        return n * ln_of_complementary(q, p);
    }
    if x == n {
        return n * ln_of_complementary(p, q);
    }
    let rest = n - x;
    stirling_error(n)
        - stirling_error(x)
        - stirling_error(rest)
        - deviance(x, n * p)
        - deviance(rest, n * q)
        + 0.5 * (n / (2.0 * PI * x * rest)).ln()
}

/// ln p, from whichever of p and q = 1 - p keeps more digits.
fn ln_of_complementary(p: f64, q: f64) -> f64 {
    if q < 0.5 { (-q).ln_1p() } else { p.ln() }
}

/// ln z! minus Stirling's approximation of it, for z > 0.
fn stirling_error(z: f64) -> f64 {
    const HALF_LN_TWO_PI: f64 = 0.918_938_533_204_672_8;
    // From 15 on, the first term that the series leaves out is below 3e-16.
    if z < 15.0 {
        return ln_gamma(z + 1.0) - (z + 0.5) * z.ln() + z - HALF_LN_TWO_PI;
    }
    let square = z * z;
    let series = 1.0 / 1680.0 - (1.0 / 1188.0) / square;
    let series = 1.0 / 1260.0 - series / square;
    let series = 1.0 / 360.0 - series / square;
    (1.0 / 12.0 - series / square) / z
}

/// x ln(x/m) + m - x, by its series where the two parts would cancel.
fn deviance(x: f64, m: f64) -> f64 {
    let gap = x - m;
    if gap.abs() >= 0.1 * (x + m) {
        return x * (x / m).ln() - gap;
    }
    let v = gap / (x + m);
    let mut sum = gap * v;
    let mut power = 2.0 * x * v;
    // |v| < 0.1, so that each term is a hundredth of the one before it: 20 are more than enough.
    for j in 1..20 {
        power *= v * v;
        let next = sum + power / f64::from(2 * j + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binomial_terms_agree_with_scipy() {
        // scipy.stats.binom.logpmf(k, n, p)
        for (k, n, p, expected) in [
            (3.0, 10.0, 0.1, -2.857787145804874),
            (0.0, 5.0, 0.5, -3.4657359027997265),
            (5.0, 5.0, 0.5, -3.4657359027997265),
            (50.0, 400.0, 0.1, -4.107251373303718),
        ] {
            let found = ln_binomial(k, n, p, 1.0 - p);
            assert!((found - expected).abs() < 1e-13 * f64::abs(expected), "{k} of {n}: {found}");
        }
    }

    #[test]
    fn a_billion_trials_lose_no_digits() {
        // mpmath, 50 digits: binomial(10^9, 5 * 10^8) / 2^(10^9)
        let found = ln_binomial(5e8, 1e9, 0.5, 0.5);
        assert!((found - -10.587_424_271_367_933).abs() < 1e-13, "{found}");
    }
}
