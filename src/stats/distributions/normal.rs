//! How likely is a standard normal value at least this large, and which one is that unlikely?
//!
//! `statrs` has the complementary error function, but with constants cut to ten digits: the answer
//! is right to ten digits only. The trapezoidal rule on its integral gives all of them:
//!
//! ```text
//! P(Z >= z) = erfc(x) / 2,  x = z / sqrt(2)
//! erfc(x) = 2x exp(-x^2)/pi * integral from 0 to infinity of exp(-t^2) / (t^2 + x^2) dt
//!         = h x exp(-x^2)/pi * ( 1/x^2 + 2 sum over n >= 1 of exp(-n^2 h^2) / (n^2 h^2 + x^2) )
//!           + 2 / (1 - exp(2 pi x / h))                                      while x < pi / h
//! ```
//!
//! where the last term is what the pole at t = ix takes from the rule. With h = 1/2 the error is
//! exp(-(pi/h)^2) = 7e-18.
//!
//! Matta and Reichel (1971), "Uniform computation of the error function and other related
//! functions", Mathematics of Computation 25, doi:10.1090/S0025-5718-1971-0295538-4.

use std::f64::consts::FRAC_1_SQRT_2;
use std::f64::consts::FRAC_2_SQRT_PI;
use std::f64::consts::PI;

use super::root::find_root;

/// P(Z >= z) for a standard normal variable; relative error below 1e-13 while it is above 1e-300.
pub(crate) fn normal_tail(z: f64) -> f64 {
    let x = z.abs() * FRAC_1_SQRT_2;
    // Not from x, whose rounding the exponential would enlarge a thousandfold in the far tail.
    let gaussian = (-0.5 * z * z).exp();
    let upper = 0.5 * if x < 1.0 { 1.0 - erf_series(x, gaussian) } else { erfc_rule(x, gaussian) };
    if z < 0.0 { 1.0 - upper } else { upper }
}

/// The z that a standard normal variable exceeds with probability `tail`: the inverse of
/// [`normal_tail`], for tails from 1e-300 to 1 - 1e-16.
pub(crate) fn normal_quantile(tail: f64) -> f64 {
    if tail > 0.5 {
        return -normal_quantile(1.0 - tail);
    }
    let ln_tail = tail.ln();
    find_root(0.0, 38.0, 1e-15, |z| normal_tail(z).ln() - ln_tail)
}

/// erf(x) for 0 <= x < 1 and exp(-x^2), by a series of positive terms.
fn erf_series(x: f64, gaussian: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    // At x = 1 the 25th term is below 1e-18.
    for n in 1..25 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    FRAC_2_SQRT_PI * gaussian * sum
}

/// erfc(x) for x >= 1 and exp(-x^2).
fn erfc_rule(x: f64, gaussian: f64) -> f64 {
    const H: f64 = 0.5;
    if gaussian == 0.0 {
        return 0.0;
    }
    let square = x * x;
    let sum: f64 = GAUSSIAN
        .iter()
        .zip(1_u8..)
        .map(|(weight, n)| weight / ((f64::from(n) * H).powi(2) + square))
        .sum();
    let rule = H * x * gaussian / PI * (1.0 / square + 2.0 * sum);
    if x < PI / H { rule + 2.0 / (1.0 - (2.0 * PI * x / H).exp()) } else { rule }
}

/// exp(-n^2 / 4) for n = 1, 2, ... down to 1e-18.
const GAUSSIAN: [f64; 13] = [
    0.7788007830714049,
    0.36787944117144233,
    0.10539922456186433,
    0.01831563888873418,
    0.0019304541362277093,
    0.00012340980408667956,
    4.785117392129009e-06,
    1.1253517471925912e-07,
    1.6052280551856116e-09,
    1.3887943864964021e-11,
    7.287724095819692e-14,
    2.3195228302435696e-16,
    4.4777324417183015e-19,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_agree_with_forty_digits() {
        // mpmath: erfc(z / sqrt(2)) / 2
        for (z, expected) in [
            (-6.0, 0.9999999990134123),
            (-1.0, 0.8413447460685429),
            (1e-09, 0.49999999960105773),
            (0.1, 0.460172162722971),
            (0.5, 0.3085375387259869),
            (1.0, 0.15865525393145705),
            (1.41, 0.0792698414533924),
            (1.42, 0.0778038405265464),
            (1.96, 0.024997895148220435),
            (3.0, 0.0013498980316300946),
            (5.0, 2.866515718791939e-07),
            (8.8, 6.840807685935546e-19),
            (8.9, 2.7923343749396464e-19),
            (10.0, 7.619853024160525e-24),
            (20.0, 2.7536241186062337e-89),
            (37.0, 5.725571222524577e-300),
        ] {
            let found = normal_tail(z);
            assert!((found / expected - 1.0).abs() < 1e-13, "{z}: {found:e}, not {expected:e}");
        }
        assert_eq!((normal_tail(0.0), normal_tail(-40.0), normal_tail(40.0)), (0.5, 1.0, 0.0));
        assert_eq!((normal_tail(f64::INFINITY), normal_tail(f64::NEG_INFINITY)), (0.0, 1.0));
    }

    #[test]
    fn quantiles_agree_with_scipy() {
        // scipy.stats.norm.isf(tail)
        for (tail, expected) in [
            (1e-300, 37.0470962993612),
            (1e-10, 6.361340902404056),
            (0.025, 1.9599639845400545),
            (0.2, 0.8416212335729142),
            (0.4999, 0.0002506628300880075),
        ] {
            let found = normal_quantile(tail);
            assert!((found / expected - 1.0).abs() < 1e-11, "{tail}: {found}");
            assert!((normal_quantile(1.0 - tail) + found).abs() < 1e-11 || tail < 0.02, "{tail}");
        }
        assert!(normal_quantile(0.5).abs() < 1e-14);
    }
}
