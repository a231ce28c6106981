//! Confidence sequence: the effect, with an interval that is valid at any time.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::bets::averages::is_random;

/// The score estimate of the canary's effect, from comparisons within each tick.
///
/// ```text
/// T = sum (A - pi)(y - c)      V = sum ((A - pi)(y - c))^2      n_eff = sum n pi (1 - pi)
/// effect = T / n_eff           standard error = sqrt(V) / n_eff
/// ```
///
/// over all observations y, where A is 1 on the canary and 0 on stable, pi the canary's share, c a
/// center fixed before the tick. Valid while load and share change, as the bets are. The interval
/// is *asymptotic*: with heavy tails its error rate exceeds alpha on small samples. It is for display;
/// the e-values decide.
///
/// Robbins (1970), Annals of Mathematical Statistics 41(5), doi:10.1214/aoms/1177696786;
/// Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Annals of Statistics 52(6),
/// doi:10.1214/24-AOS2408.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Score {
    total: f64,
    variance: f64,
    effective: f64,
}

/// An effect, canary minus stable, in the unit of the values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate.
    pub effect: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Score {
    /// Takes in one tick: the values of each track with their counts.
    pub fn tick(
        &mut self,
        share: f64,
        center: f64,
        canary: impl IntoIterator<Item = (f64, u64)>,
        stable: impl IntoIterator<Item = (f64, u64)>,
    ) {
        if !is_random(share) || !center.is_finite() {
            return;
        }
        let mut add = |weight: f64, value: f64, count: u64| {
            let x = weight * (value - center);
            let next = Self {
                total: self.total + x * count as f64,
                variance: self.variance + x * x * count as f64,
                effective: self.effective + share * (1.0 - share) * count as f64,
            };
            if next.total.is_finite() && next.variance.is_finite() {
                *self = next;
            }
        };
        canary.into_iter().for_each(|(value, count)| add(1.0 - share, value, count));
        stable.into_iter().for_each(|(value, count)| add(-share, value, count));
    }

    /// The effective sample size, that of canary and stable together.
    pub fn effective_samples(&self) -> f64 {
        self.effective
    }

    /// The estimate and the standard error; `None` before a value was seen.
    pub fn effect(&self) -> Option<(f64, f64)> {
        (self.effective > 0.0)
            .then(|| (self.total / self.effective, self.variance.sqrt() / self.effective))
    }

    /// The two-sided confidence sequence at level 1 - alpha, tightest near `tuned_for` effective
    /// samples.
    ///
    /// `None` before the values have varied, or for an alpha outside 0 to 1.
    pub fn interval(&self, alpha: f64, tuned_for: f64) -> Option<Interval> {
        let (effect, standard_error) = self.effect()?;
        let r = mixing_precision(tuned_for, alpha)? * self.effective;
        let half_width = half_width_two_sided(standard_error, r, alpha)?;
        let (low, high) = (effect - half_width, effect + half_width);
        Some(Interval { effect, standard_error, low, high })
    }
}

/// The mixing precision rho^2 for which the boundary is tightest near `samples`.
///
/// ```text
/// rho^2 = ( -2 ln alpha + ln(1 - 2 ln alpha) ) / samples
/// ```
///
/// `None` unless 0 < alpha < 1 and `samples` is positive and finite.
pub fn mixing_precision(samples: f64, alpha: f64) -> Option<f64> {
    let usable = alpha > 0.0 && alpha < 1.0 && samples > 0.0 && samples.is_finite();
    usable.then(|| (-2.0 * alpha.ln() + (-2.0 * alpha.ln()).ln_1p()) / samples)
}

/// Half the width of the two-sided confidence sequence, Robbins' normal mixture.
///
/// ```text
/// se sqrt( (1 + r)/r ( ln(1 + r) + 2 ln(1/alpha) ) )        r = rho^2 n
/// ```
///
/// `None` unless the standard error and r are positive and 0 < alpha < 1.
pub fn half_width_two_sided(standard_error: f64, r: f64, alpha: f64) -> Option<f64> {
    let usable = standard_error > 0.0 && r > 0.0 && r.is_finite() && alpha > 0.0 && alpha < 1.0;
    usable.then(|| standard_error * ((1.0 + r) / r * (r.ln_1p() - 2.0 * alpha.ln())).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_of_the_load_is_not_an_effect() {
        let mut score = Score::default();
        for tick in 0..1000_u32 {
            let load = 1.0 + f64::from(tick) / 1000.0;
            // The share rises as the load does: means over time would differ.
            let canary = 1 + tick / 200;
            let share = f64::from(canary) / 10.0;
            let noise = if tick % 2 == 0 { 0.1 } else { -0.1 };
            let (canary, stable) = (u64::from(canary), u64::from(10 - canary));
            score.tick(share, 1.5, [(load + noise, canary)], [(load + noise, stable)]);
        }
        let interval = score.interval(0.05, 1000.0).unwrap();
        assert!(interval.effect.abs() < 1e-9, "{interval:?}");
        assert!(interval.low < 0.0 && interval.high > 0.0);
    }

    #[test]
    fn without_values_there_is_no_interval() {
        let mut score = Score::default();
        assert_eq!((score.effect(), score.interval(0.05, 1000.0)), (None, None));
        score.tick(0.0, 0.0, [(1.0, 1)], [(1.0, 1)]);
        score.tick(0.5, f64::NAN, [(1.0, 1)], [(1.0, 1)]);
        assert_eq!(score, Score::default());
        score.tick(0.5, 1.0, [(1.0, 1)], [(1.0, 1)]);
        assert_eq!(score.interval(0.05, 1000.0), None);
        score.tick(0.5, 1.0, [(f64::NAN, 1)], [(f64::INFINITY, 1)]);
        assert_eq!(score.effect(), Some((0.0, 0.0)));
    }

    #[test]
    fn impossible_arguments_have_no_answer() {
        assert_eq!(mixing_precision(0.0, 0.05), None);
        assert_eq!(mixing_precision(100.0, 1.0), None);
        assert_eq!(half_width_two_sided(0.0, 1.0, 0.05), None);
        assert_eq!(half_width_two_sided(1.0, f64::NAN, 0.05), None);
    }
}
