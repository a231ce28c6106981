//! Tail probabilities and quantiles of the standard normal distribution.

use std::f64::consts::FRAC_1_SQRT_2;

use super::root::find_root;

/// P(Z >= z) for a standard normal variable; relative error below 1e-13 while it is above 1e-300.
///
/// ```text
/// P(Z >= z) = erfc(x) / 2,  x = z / sqrt(2)
/// ```
pub(crate) fn normal_tail(z: f64) -> f64 {
    let x = z * FRAC_1_SQRT_2;
    // In the far tail the rounding of x loses up to three digits; exp(x^2 - z^2 / 2) restores them.
    let tail = 0.5 * libm::erfc(x);
    if x > 1.0 && tail > 0.0 { tail * x.mul_add(x, -0.5 * z * z).exp() } else { tail }
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
