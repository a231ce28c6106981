//! How far may a standardized sum stray, over all time?
//!
//! Robbins' normal mixture: a z statistic is compared with the average of its likelihood ratios
//! over effects drawn from a normal distribution of precision r, which is an e-value under normal
//! data and nearly one for large samples.
//!
//! Robbins (1970), "Statistical methods related to the law of the iterated logarithm", Annals of
//! Mathematical Statistics 41(5), doi:10.1214/aoms/1177696786; Howard, Ramdas, McAuliffe and Sekhon
//! (2021), Annals of Statistics 49(2), doi:10.1214/20-AOS1991.

use std::f64::consts::LN_2;
use std::f64::consts::TAU;

use crate::stats::distributions::normal::normal_tail;
use crate::stats::distributions::root::find_root;

/// The mixing precision rho^2 for which the boundary is tightest near `samples`.
///
/// ```text
/// rho^2 = ( -2 ln a + ln(1 - 2 ln a) ) / samples      a = alpha two-sided, 2 alpha one-sided
/// ```
///
/// `None` unless 0 < a < 1 and `samples` is positive and finite.
pub fn mixing_precision(samples: f64, a: f64) -> Option<f64> {
    let usable = a > 0.0 && a < 1.0 && samples > 0.0 && samples.is_finite();
    usable.then(|| (-2.0 * a.ln() + (-2.0 * a.ln()).ln_1p()) / samples)
}

/// ln E against "no effect": `- ln(1 + r)/2 + z^2 r / (2 (1 + r))`, with r = rho^2 n.
pub fn log_e_two_sided(z: f64, r: f64) -> f64 {
    -0.5 * r.ln_1p() + 0.5 * z * z * r / (1.0 + r)
}

/// ln E against "no positive effect": the mixture over positive effects only.
///
/// ```text
/// ln E = ln 2 - ln(1 + r)/2 + a^2/2 + ln Phi(a)          a = z sqrt(r / (1 + r))
/// ```
pub fn log_e_one_sided(z: f64, r: f64) -> f64 {
    let a = z * (r / (1.0 + r)).sqrt();
    if a < -30.0 {
        // Phi(a) = phi(a)/|a| (1 - 1/a^2 + ...): the squares cancel before they are computed.
        let square = a * a;
        let tail = (-1.0 / square + 3.0 / (square * square) - 15.0 / square.powi(3)).ln_1p();
        return LN_2 - 0.5 * r.ln_1p() - 0.5 * TAU.ln() - (-a).ln() + tail;
    }
    LN_2 - 0.5 * r.ln_1p() + 0.5 * a * a + normal_tail(-a).ln()
}

/// Half the width of the two-sided confidence sequence.
///
/// ```text
/// se sqrt( (1 + r)/r ( ln(1 + r) + 2 ln(1/alpha) ) )
/// ```
///
/// `None` unless the standard error and r are positive and 0 < alpha < 1.
pub fn half_width_two_sided(standard_error: f64, r: f64, alpha: f64) -> Option<f64> {
    usable(standard_error, r, alpha)
        .then(|| standard_error * ((1.0 + r) / r * (r.ln_1p() - 2.0 * alpha.ln())).sqrt())
}

/// The distance of the one-sided confidence sequence, by exact inversion; `None` as above.
pub fn half_width_one_sided(standard_error: f64, r: f64, alpha: f64) -> Option<f64> {
    if !usable(standard_error, r, alpha) {
        return None;
    }
    // The two-sided boundary at alpha lies above the one-sided one.
    let highest = half_width_two_sided(1.0, r, alpha)?;
    let z = find_root(0.0, highest, 1e-13 * highest, |z| log_e_one_sided(z, r) + alpha.ln());
    Some(standard_error * z)
}

fn usable(standard_error: f64, r: f64, alpha: f64) -> bool {
    standard_error > 0.0 && r > 0.0 && r.is_finite() && alpha > 0.0 && alpha < 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_far_tail_continues_the_near_one() {
        for r in [0.1, 1.0, 1e6] {
            let z = -30.0 / (r / (1.0_f64 + r)).sqrt();
            let (near, far) =
                (log_e_one_sided(z * 0.999_999, r), log_e_one_sided(z * 1.000_001, r));
            assert!((near - far).abs() < 1e-5, "{near} {far}");
            assert!(log_e_one_sided(-1e9, r).is_finite());
        }
    }

    #[test]
    fn impossible_arguments_have_no_answer() {
        assert_eq!(mixing_precision(0.0, 0.05), None);
        assert_eq!(mixing_precision(100.0, 1.0), None);
        assert_eq!(half_width_two_sided(0.0, 1.0, 0.05), None);
        assert_eq!(half_width_one_sided(1.0, 0.0, 0.05), None);
        assert_eq!(half_width_one_sided(1.0, f64::NAN, 0.05), None);
    }
}
