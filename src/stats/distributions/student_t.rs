//! Tail and quantiles of Student's t distribution.
//!
//! The p-value of Welch's test is this tail, and it must keep its digits where it is tiny. `statrs`
//! has the function, but its continued fraction stops after 140 terms and its log-gammas cancel:
//! at t = 2 and 1e7 degrees of freedom it is right to eight digits only (scipy). Hence our own:
//!
//! ```text
//! P(T >= t) = I_x(df/2, 1/2) / 2      x = df / (df + t^2), t >= 0, I the incomplete beta function
//! ```
//!
//! by its continued fraction; beyond 1e4 degrees of freedom by Hill's expansion toward the normal
//! distribution. Relative error below 1e-11.
//!
//! Hill (1970), "Algorithm 395: Student's t-distribution", Communications of the ACM 13(10),
//! doi:10.1145/355598.355599.

use statrs::function::gamma::ln_gamma;

use super::incomplete_beta::incomplete_beta;
use super::normal::normal_tail;
use super::root::find_root;

/// P(T >= t) for a Student t variable with `df` degrees of freedom (any positive number).
pub(crate) fn student_t_tail(t: f64, df: f64) -> f64 {
    /// Above it Hill's expansion has 13 digits and the continued fraction would need many terms.
    const EXPANSION_FROM: f64 = 1e4;
    if t < 0.0 {
        return 1.0 - student_t_tail(-t, df);
    }
    if df >= EXPANSION_FROM {
        return normal_tail(equivalent_normal(t, df));
    }
    let square = t * t;
    // Where t^2 dwarfs df, x^a is the whole tail but for a relative error of about df x.
    if square > 1e20 * df {
        let a = 0.5 * df;
        let ln_scale = a.ln() + ln_gamma(a) + ln_gamma(0.5) - ln_gamma(a + 0.5);
        return 0.5 * (a * (df.ln() - 2.0 * t.ln()) - ln_scale).exp();
    }
    0.5 * incomplete_beta(0.5 * df, 0.5, df / (df + square), square / (df + square))
}

/// The t that a Student t variable exceeds with probability `tail`: the inverse of
/// [`student_t_tail`], for tails between 0 and 1.
pub(crate) fn student_t_quantile(tail: f64, df: f64) -> f64 {
    if tail > 0.5 {
        return -student_t_quantile(1.0 - tail, df);
    }
    if tail == 0.5 {
        return 0.0;
    }
    let ln_tail = tail.ln();
    // In logarithms the curve is nearly straight: t from 1e-20 to the largest float.
    find_root(-46.0, 709.0, 1e-14, |ln_t| student_t_tail(ln_t.exp(), df).ln() - ln_tail).exp()
}

/// The standard normal value whose tail is that of t.
fn equivalent_normal(t: f64, df: f64) -> f64 {
    let a = df - 0.5;
    let b = 48.0 * a * a;
    let y = a * (t / df * t).ln_1p();
    let numerator = ((-0.4 * y - 3.3) * y - 24.0) * y - 85.5;
    let correction = numerator / (0.8 * y * y + 100.0 + b) + y + 3.0;
    (correction / b + 1.0) * y.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: f64, expected: f64, tolerance: f64, what: &str) {
        assert!((found / expected - 1.0).abs() < tolerance, "{what}: {found}, not {expected}");
    }

    #[test]
    fn tails_agree_with_scipy() {
        // scipy.stats.t.sf(t, df)
        for (t, df, expected) in [
            (2.0, 3.7, 0.06090860095261699),
            (-2.0, 3.7, 0.939091399047383),
            (1.96, 1e6, 0.024998033792634926),
            (40.0, 12.0, 1.925614790386016e-14),
            (8.0, 400.5, 6.768556667821637e-15),
            (3.5, 1.0001, 0.08857565065796212),
        ] {
            assert_close(student_t_tail(t, df), expected, 1e-12, &format!("{t} {df}"));
        }
        assert_eq!(student_t_tail(0.0, 5.0), 0.5);
    }

    #[test]
    fn far_tails_and_many_degrees_of_freedom_keep_their_digits() {
        // mpmath, 60 digits; the first is 1/2 - atan(t) / pi, of which scipy keeps eight digits
        for (t, df, expected) in [
            (1e-8, 1.0, 0.499_999_996_816_901_16),
            (5.0, 9999.5, 2.91516575584945e-07),
            (38.0, 9999.5, 1.4514590374384876e-295),
            (5.0, 10000.0, 2.9151633068313237e-07),
            (20.0, 10000.0, 1.3823262932703867e-87),
            (38.0, 10000.0, 1.4483005348856902e-295),
            (0.5, 10000.0, 0.3085430396616167),
            (12.0, 123456.7, 1.8536817876724012e-33),
            (37.0, 10000000.0, 6.00060616131917e-300),
            (2.0, 10000000.0, 0.022750145445921476),
            (100000.0, 2.5, 2.274751923175622e-13),
            (1e+100, 3.0, 1.102657790843584e-300),
            (1000000000000.0, 3.0, 1.1026577908435841e-36),
            (0.001, 50.0, 0.49960304738775085),
            (1.7, 4999.0, 0.04459656607262699),
            (25.0, 600.0, 2.2995358861890556e-95),
            (0.001, 1.0, 0.4996816902199194),
        ] {
            assert_close(student_t_tail(t, df), expected, 1e-11, &format!("{t} {df}"));
        }
        assert_eq!(student_t_tail(100.0, 1e4), 0.0);
    }

    #[test]
    fn a_quantile_has_the_required_tail() {
        for df in [1.0, 1.5, 7.0, 333.3, 9_999.0, 1e4, 1e7] {
            for tail in [0.4999, 0.25, 0.025, 1e-6, 1e-17, 1e-200] {
                let t = student_t_quantile(tail, df);
                assert_close(student_t_tail(t, df), tail, 1e-10, &format!("{tail} {df}"));
                assert_eq!(student_t_quantile(0.75, df), -student_t_quantile(0.25, df));
            }
        }
        // scipy.stats.t.ppf(0.975, [1, 2.5, 1000])
        for (df, expected) in
            [(1.0, 12.706204736174694), (2.5, 3.5746548420036817), (1e3, 1.9623390808264083)]
        {
            assert_close(student_t_quantile(0.025, df), expected, 1e-13, &format!("{df}"));
        }
    }
}
