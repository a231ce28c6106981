//! Cohen's d: a difference of means in standard deviations.
//!
//! With enough traffic every difference is significant; d says whether it matters.

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

fn degrees_of_freedom(canary: &Moments, stable: &Moments) -> f64 {
    canary.count() as f64 + stable.count() as f64 - 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Moments {
        values.iter().copied().collect()
    }

    #[test]
    fn samples_without_variance_have_no_effect_size() {
        for (canary, stable) in
            [(&[][..], &[1.0, 2.0][..]), (&[1.0], &[2.0]), (&[3.0; 4], &[5.0; 4])]
        {
            assert_eq!(cohens_d(&of(canary), &of(stable)), None);
        }
        assert!(cohens_d(&of(&[2.0]), &of(&[1.0, 3.0])).is_some());
    }
}
