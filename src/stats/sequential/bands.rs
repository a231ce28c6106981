//! How far are the quantiles of the sample from the true ones, at any time?
//!
//! Shown, not judged: bands on one track alone know nothing of the load, so two of them drift apart
//! when the canary's traffic comes later in the day.
//!
//! Howard and Ramdas (2022), "Sequential estimation of quantiles with applications to A/B testing
//! and best-arm identification", Bernoulli 28(3), doi:10.3150/21-BEJ1388.

use super::sample_ratio::ln_beta;
use crate::stats::distributions::root::find_root;

/// The radius of a confidence band for a whole distribution function, valid at all times.
///
/// ```text
/// 0.85 sqrt( ( ln(1 + ln n) + 0.8 ln(1612 / alpha) ) / n )
/// ```
///
/// `None` without values or for an alpha outside 0 to 1.
pub fn dkw_radius(n: u64, alpha: f64) -> Option<f64> {
    if n == 0 || !(alpha > 0.0 && alpha < 1.0) {
        return None;
    }
    let n = n as f64;
    Some(0.85 * ((n.ln().ln_1p() + 0.8 * (1612.0 / alpha).ln()) / n).sqrt())
}

/// How far to either side of the sample's p-quantile the true one may lie, as shares of the ranks:
/// with probability 1 - alpha, for all n at once, `Q_n(p - below) <= q_p <= Q_n(p + above)`.
///
/// The beta-binomial mixture of Howard and Ramdas, tightest near `tuned_for` values. `None` without
/// values or for an alpha or p outside 0 to 1.
pub fn quantile_radii(n: u64, p: f64, alpha: f64, tuned_for: f64) -> Option<(f64, f64)> {
    let inside = |x: f64| x > 0.0 && x < 1.0;
    let usable = inside(p) && inside(alpha) && tuned_for > 0.0 && tuned_for.is_finite();
    if n == 0 || !usable {
        return None;
    }
    let n = n as f64;
    let (g, h) = (p, 1.0 - p);
    let doubt = -2.0 * alpha.ln();
    let r = (tuned_for * g * h / (doubt + doubt.ln_1p()) - g * h).max(1e-3 * g * h);
    let v = n * g * h;
    // g + h = 1, so the first term of the mixture is 0.
    let log_mixture = |s: f64| {
        -(v + h * s) / h * g.ln() - (v - g * s) / g * h.ln()
            + ln_beta((r + v - g * s) / g, (r + v + h * s) / h)
            - ln_beta(r / g, r / h)
    };
    let solve = |sign: f64, most: f64| {
        let excess = |s: f64| log_mixture(sign * s) + alpha.ln();
        let nearly = most * (1.0 - 1e-12);
        if excess(nearly) < 0.0 {
            most / n
        } else {
            find_root(0.0, nearly, 1e-13 * most, excess) / n
        }
    };
    Some((solve(-1.0, n * p), solve(1.0, n * (1.0 - p))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radii_shrink_with_n_and_stay_within_the_ranks() {
        let mut last = (1.0, 1.0, f64::INFINITY);
        for n in [1, 10, 100, 10_000, 1_000_000] {
            let (below, above) = quantile_radii(n, 0.9, 0.05, 1000.0).unwrap();
            let dkw = dkw_radius(n, 0.05).unwrap();
            assert!(below <= 0.9 && above <= 0.1 + 1e-12);
            assert!(below <= last.0 && above <= last.1 && dkw < last.2);
            last = (below, above, dkw);
        }
        assert_eq!(quantile_radii(0, 0.5, 0.05, 1000.0), None);
        assert_eq!(quantile_radii(9, 1.0, 0.05, 1000.0), None);
        assert_eq!(dkw_radius(5, 0.0), None);
    }
}
