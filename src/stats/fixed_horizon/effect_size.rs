//! How large is a difference of means, whatever its unit?
//!
//! A p-value says whether there is a difference; with enough traffic there always is one.

use statrs::function::gamma::ln_gamma;

use crate::stats::summary::moments::Moments;

/// Cohen's d: the difference of the means in pooled standard deviations.
///
/// ```text
/// d = (mean_c - mean_s) / s        s^2 = ((n_c - 1) var_c + (n_s - 1) var_s) / (n_c + n_s - 2)
/// ```
///
/// Assumes that both samples spread about alike; otherwise d depends on how the traffic was split.
/// By convention 0.2 is small, 0.5 medium and 0.8 large.
///
/// `None` means that a sample is empty, that both have one value only, or that neither varies.
///
/// Cohen (1988), Statistical Power Analysis for the Behavioral Sciences, 2nd edition, section 2.2.
///
/// ```
/// use serin::stats::Moments;
/// use serin::stats::cohens_d;
///
/// let canary: Moments = [12.0, 15.0, 11.0, 14.0, 13.0].into_iter().collect();
/// let stable: Moments = [10.0, 11.0, 9.0, 12.0, 10.0, 11.0].into_iter().collect();
/// // numpy: (mean(c) - mean(s)) / sqrt((4 * var(c, ddof=1) + 5 * var(s, ddof=1)) / 9)
/// let d = cohens_d(&canary, &stable).unwrap();
/// assert!((d - 1.9050019050028575).abs() < 1e-14);
/// ```
pub fn cohens_d(canary: &Moments, stable: &Moments) -> Option<f64> {
    let difference = canary.mean_difference(stable)?;
    let squares = |moments: &Moments| match moments.variance() {
        Some(variance) => variance * (moments.count() - 1) as f64,
        None => 0.0,
    };
    let freedom = degrees_of_freedom(canary, stable);
    let pooled = (squares(canary) + squares(stable)) / freedom;
    (freedom > 0.0 && pooled > 0.0).then(|| difference / pooled.sqrt())
}

/// Hedges' g: Cohen's d without its bias in small samples.
///
/// ```text
/// g = J d        J = Gamma(m/2) / ( sqrt(m/2) Gamma((m - 1)/2) )        m = n_c + n_s - 2
/// ```
///
/// J is exact, not the usual 1 - 3 / (4m - 1). Assumes normal values of equal variance.
///
/// `None` as for [`cohens_d`], and with fewer than four values in all, for which J is 0.
///
/// Hedges (1981), Journal of Educational Statistics 6(2), doi:10.3102/10769986006002107.
///
/// ```
/// use serin::stats::Moments;
/// use serin::stats::hedges_g;
///
/// let canary: Moments = [12.0, 15.0, 11.0, 14.0, 13.0].into_iter().collect();
/// let stable: Moments = [10.0, 11.0, 9.0, 12.0, 10.0, 11.0].into_iter().collect();
/// // d * exp(gammaln(9 / 2) - log(sqrt(9 / 2)) - gammaln(8 / 2)), scipy.special.gammaln
/// let g = hedges_g(&canary, &stable).unwrap();
/// assert!((g - 1.740933409799093).abs() < 1e-13);
/// ```
pub fn hedges_g(canary: &Moments, stable: &Moments) -> Option<f64> {
    let freedom = degrees_of_freedom(canary, stable);
    let d = cohens_d(canary, stable)?;
    (freedom > 1.0).then(|| d * small_sample_factor(freedom))
}

fn degrees_of_freedom(canary: &Moments, stable: &Moments) -> f64 {
    canary.count() as f64 + stable.count() as f64 - 2.0
}

/// J for m degrees of freedom.
fn small_sample_factor(m: f64) -> f64 {
    let z = 0.5 * (m - 1.0);
    if z < 50.0 {
        return (ln_gamma(z + 0.5) - ln_gamma(z)).exp() / (0.5 * m).sqrt();
    }
    // Gamma(z + 1/2) / Gamma(z) / sqrt(z); from 50 on, the first term left out is below 1e-11.
    let w = 1.0 / z;
    let series =
        1.0 + w * (-1.0 / 8.0 + w * (1.0 / 128.0 + w * (5.0 / 1024.0 - w * 21.0 / 32768.0)));
    series * (z / (0.5 * m)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Moments {
        values.iter().copied().collect()
    }

    #[test]
    fn what_does_not_vary_has_no_effect_size() {
        for (canary, stable) in
            [(&[][..], &[1.0, 2.0][..]), (&[1.0], &[2.0]), (&[3.0; 4], &[5.0; 4])]
        {
            assert_eq!(cohens_d(&of(canary), &of(stable)), None);
            assert_eq!(hedges_g(&of(canary), &of(stable)), None);
        }
        assert!(cohens_d(&of(&[2.0]), &of(&[1.0, 3.0])).is_some());
        assert_eq!(hedges_g(&of(&[2.0]), &of(&[1.0, 3.0])), None);
    }

    #[test]
    fn the_factor_agrees_with_forty_digits_on_both_sides_of_its_seam() {
        // mpmath: gamma(m / 2) / sqrt(m / 2) / gamma((m - 1) / 2)
        for (m, expected) in [
            (2.0, 0.5641895835477563),
            (3.0, 0.7236012545582676),
            (9.0, 0.9138748917925523),
            (100.0, 0.9924780549814449),
            (101.0, 0.9925527454874619),
            (102.0, 0.9926259672708548),
            (5000.0, 0.9998499912494375),
            (1000000.0, 0.9999992499997813),
        ] {
            let found = small_sample_factor(m);
            assert!((found / expected - 1.0).abs() < 1e-11, "{m}: {found}");
        }
    }
}
