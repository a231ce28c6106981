//! Tail of the noncentral t distribution, for the power of t-tests.
//!
//! The power of a t-test is this tail. The usual series (Lenth's AS 243) loses its digits when the
//! noncentrality is large. The definition itself is a smooth integral, and the trapezoidal rule on
//! a smooth integral over the whole line converges exponentially:
//!
//! ```text
//! T = (Z + delta) / S,     S = sqrt(chi2 / df) = exp(u)
//! P(T >= t) = integral of P(Z >= t e^u - delta) w(u) du,
//! w(u) proportional to exp(df (u - (e^(2u) - 1) / 2))
//! ```
//!
//! Dividing by the sum of the weights makes the constant of w unnecessary. Absolute error below
//! 1e-12 for every df > 0 and delta up to 100 (mpmath).
//!
//! Trefethen and Weideman (2014), "The exponentially convergent trapezoidal rule", SIAM Review
//! 56(3), doi:10.1137/130932132; Lenth (1989), "Algorithm AS 243", Applied Statistics 38(1).

use super::normal::normal_tail;

/// P(T >= t) for a noncentral t variable with `df` degrees of freedom and noncentrality `delta`.
pub(crate) fn noncentral_t_tail(t: f64, df: f64, delta: f64) -> f64 {
    // u has about the standard deviation 1 / sqrt(2 df); the normal tail bends within about
    // 1 / (|delta| + 10) of its middle. Half of either is a step with 15 digits.
    let spread = 1.0 / (2.0 * df).sqrt();
    let step = (0.4 * spread).min(0.5 / (delta.abs() + 10.0)).min(0.1);
    let mut mass = 1.0;
    let mut tail = normal_tail(t - delta);
    for direction in [-step, step] {
        for i in 1..MAX_STEPS {
            let u = direction * f64::from(i);
            let weight = weight(u, df);
            if weight < NEGLIGIBLE {
                break;
            }
            mass += weight;
            tail += weight * normal_tail(t * u.exp() - delta);
        }
    }
    tail / mass
}

/// A weight of which a thousand do not show in the 16th digit.
const NEGLIGIBLE: f64 = 1e-20;

/// More than any df above 1 and delta up to 100 sqrt(df) need.
const MAX_STEPS: u32 = 1_000_000;

/// The density of u up to a constant: 1 at its peak, u = 0.
fn weight(u: f64, df: f64) -> f64 {
    let v = 2.0 * u;
    // v - (e^v - 1), by its series where the two would cancel.
    let exponent = if v.abs() < 1e-2 {
        -v * v * (0.5 + v * (1.0 / 6.0 + v * (1.0 / 24.0 + v * (1.0 / 120.0 + v / 720.0))))
    } else {
        v - v.exp_m1()
    };
    (0.5 * df * exponent).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_agree_with_fifty_digits() {
        // mpmath
        for (t, df, delta, expected) in [
            (1.9944, 70.0, 2.8, 0.7885696357067951),
            (-1.9944, 70.0, 2.8, 0.9999988341257605),
            (12.706, 2.0, 5.0, 0.1471018630921237),
            (3.0, 2.5, 1.0, 0.1407782194996769),
            (40.0, 10.0, 40.0, 0.5589646490491886),
            (38.0, 10000000.0, 40.0, 0.9772460211270025),
            (45.0, 200.0, 40.0, 0.02122574593150053),
            (1.96, 10000000.0, 2.8, 0.799545797860055),
            (2.1, 18.0, 0.001, 0.02510076627245019),
            (100.0, 2.0, 100.0, 0.6320837800800165),
            (6.0, 8.0, -1.0, 8.056160580817535e-6),
            (63.0, 1.0, 9.0, 0.1135827828550356),
        ] {
            let found = noncentral_t_tail(t, df, delta);
            assert!((found - expected).abs() < 1e-12, "{t} {df} {delta}: {found}, not {expected}");
        }
    }

    #[test]
    fn without_a_difference_it_is_student_s_t() {
        for (t, df) in [(0.0, 2.0), (1.5, 1.0), (2.0, 38.0), (1.96, 1e7)] {
            let central = crate::stats::distributions::student_t::student_t_tail(t, df);
            assert!((noncentral_t_tail(t, df, 0.0) - central).abs() < 1e-13, "{t} {df}");
        }
    }
}
