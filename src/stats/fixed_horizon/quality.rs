//! Quality of predicted probabilities with known outcomes, in constant memory.

use serde::Deserialize;
use serde::Serialize;

use crate::stats::summary::histogram::Histogram;
use crate::stats::summary::histogram::LayoutMismatch;
use crate::stats::summary::layout::Layout;

/// Probabilities are clipped this far from 0 and 1, so that a single certain error has a finite loss:
/// at most 13.8.
const CLIPPED_AT: f64 = 1e-6;

/// The mean prediction is that of buckets, of which this is half the width.
pub(crate) const MEAN_PREDICTED_WITHIN: f64 = 0.0005;

/// Bins of the calibration error, of equal width.
const BINS: usize = 10;

/// The logarithmic loss of one prediction, in nats.
///
/// ```text
/// -ln p       of a positive outcome
/// -ln(1 - p)  of a negative one        p clipped to 1e-6 from 0 and 1
/// ```
///
/// ```
/// use serin::stats::log_loss;
/// // sklearn.metrics.log_loss([1], [0.8], labels=[0, 1]) = 0.2231435513142097
/// assert!((log_loss(0.8, true) - 0.2231435513142097).abs() < 1e-15);
/// ```
pub fn log_loss(probability: f64, outcome: bool) -> f64 {
    let of_outcome = if outcome { probability } else { 1.0 - probability };
    -of_outcome.clamp(CLIPPED_AT, 1.0 - CLIPPED_AT).ln()
}

/// The Brier score of one prediction: the squared distance between probability and outcome, 0 to 1.
///
/// Brier (1950), "Verification of forecasts expressed in terms of probability", Monthly Weather Review
/// 78(1), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
pub fn brier(probability: f64, outcome: bool) -> f64 {
    let distance = probability - f64::from(u8::from(outcome));
    distance * distance
}

/// The Brier score of probabilities of many classes: the sum over the classes of the squared distance between the
/// probability and the outcome, 0 to 2, as Brier defined it. Of two classes it is twice [`brier`].
///
/// ```
/// use serin::stats::brier_of_classes;
/// // (0.2 - 0)^2 + (0.3 - 1)^2 + (0.5 - 0)^2
/// assert!((brier_of_classes(&[0.2, 0.3, 0.5], 1) - 0.78).abs() < 1e-15);
/// ```
///
/// Brier (1950), as above.
pub fn brier_of_classes(probabilities: &[f64], outcome: usize) -> f64 {
    let of = |(class, probability): (usize, &f64)| brier(*probability, class == outcome);
    probabilities.iter().enumerate().map(of).sum()
}

/// Sums of what labels of many classes show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassQuality {
    count: u64,
    right: u64,
    log_loss: f64,
    brier: f64,
}

impl ClassQuality {
    /// Adds a prediction and the class that occurred.
    pub fn record(&mut self, probabilities: &[f64], outcome: usize) {
        let Some(probability) = probabilities.get(outcome) else { return };
        self.count += 1;
        let is_largest = |(class, other): (usize, &f64)| {
            other < probability || (other == probability && class >= outcome)
        };
        self.right += u64::from(probabilities.iter().enumerate().all(is_largest));
        self.log_loss += log_loss(*probability, true);
        self.brier += brier_of_classes(probabilities, outcome);
    }

    /// Number of known outcomes.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The share of outcomes that had the largest probability, accuracy; `None` without outcomes.
    pub fn accuracy(&self) -> Option<f64> {
        self.mean(self.right as f64)
    }

    /// The mean logarithmic loss, -ln of the probability of what occurred, in nats.
    pub fn mean_log_loss(&self) -> Option<f64> {
        self.mean(self.log_loss)
    }

    /// The mean of [`brier_of_classes`].
    pub fn mean_brier(&self) -> Option<f64> {
        self.mean(self.brier)
    }

    fn mean(&self, sum: f64) -> Option<f64> {
        (self.count > 0).then(|| sum / self.count as f64)
    }
}

/// Sums of the errors of scores, predicted minus observed.
///
/// ```
/// use serin::stats::ErrorQuality;
/// let mut quality = ErrorQuality::default();
/// // sklearn.metrics: root_mean_squared_error([1, 5], [4, 4]) = 2.23606797749979, mean_absolute_error = 2.0
/// quality.record(4.0, 1.0);
/// quality.record(4.0, 5.0);
/// assert!((quality.rmse().unwrap() - 2.23606797749979).abs() < 1e-15);
/// assert_eq!((quality.mae(), quality.mean_error()), (Some(2.0), Some(1.0)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorQuality {
    count: u64,
    errors: f64,
    absolute: f64,
    squares: f64,
}

impl ErrorQuality {
    /// Adds a prediction and its outcome; ignores an error that is too large to square.
    pub fn record(&mut self, predicted: f64, observed: f64) {
        let error = predicted - observed;
        if !(self.squares + error * error).is_finite() {
            return;
        }
        self.count += 1;
        self.errors += error;
        self.absolute += error.abs();
        self.squares += error * error;
    }

    /// Number of known outcomes.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The root of the mean squared error; `None` without outcomes.
    pub fn rmse(&self) -> Option<f64> {
        self.mean(self.squares).map(f64::sqrt)
    }

    /// The mean absolute error.
    pub fn mae(&self) -> Option<f64> {
        self.mean(self.absolute)
    }

    /// The mean error: above 0 where predictions are too high.
    pub fn mean_error(&self) -> Option<f64> {
        self.mean(self.errors)
    }

    fn mean(&self, sum: f64) -> Option<f64> {
        (self.count > 0).then(|| sum / self.count as f64)
    }
}

/// Quality of predictions whose outcomes are known. Mergeable; 16 kB whatever their number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// The sum of the logarithmic losses.
    log_loss: f64,
    /// The sum of the Brier scores.
    brier: f64,
    /// The probabilities predicted where the outcome was positive.
    positive: Histogram,
    /// The probabilities predicted where the outcome was negative.
    negative: Histogram,
}

impl Default for Quality {
    fn default() -> Self {
        let scores = || Histogram::new(Layout::UnitInterval);
        Self { log_loss: 0.0, brier: 0.0, positive: scores(), negative: scores() }
    }
}

impl Quality {
    /// Adds a prediction and its outcome; ignores a prediction that is not a probability.
    pub fn record(&mut self, probability: f64, outcome: bool) {
        if !(0.0..=1.0).contains(&probability) {
            return;
        }
        self.log_loss += log_loss(probability, outcome);
        self.brier += brier(probability, outcome);
        let scores = if outcome { &mut self.positive } else { &mut self.negative };
        scores.record(probability);
    }

    /// Adds the predictions of another one.
    ///
    /// # Errors
    /// When the histograms have different layouts.
    pub fn merge(&mut self, other: &Self) -> Result<(), LayoutMismatch> {
        self.positive.merge(&other.positive)?;
        self.negative.merge(&other.negative)?;
        self.log_loss += other.log_loss;
        self.brier += other.brier;
        Ok(())
    }

    /// Whether its histograms have the current layouts.
    pub fn is_sound(&self) -> bool {
        Self::default().merge(self).is_ok()
    }

    /// Number of known outcomes.
    pub fn count(&self) -> u64 {
        self.positives().saturating_add(self.negative.count())
    }

    /// Number of positive outcomes.
    pub fn positives(&self) -> u64 {
        self.positive.count()
    }

    /// The mean logarithmic loss, in nats; `None` without outcomes. Smaller is better.
    pub fn mean_log_loss(&self) -> Option<f64> {
        self.mean(self.log_loss)
    }

    /// The mean Brier score; `None` without outcomes. Smaller is better.
    pub fn mean_brier(&self) -> Option<f64> {
        self.mean(self.brier)
    }

    /// The mean predicted probability, to 0.0005; `None` without outcomes.
    pub fn mean_predicted(&self) -> Option<f64> {
        self.mean(sum(&self.positive) + sum(&self.negative))
    }

    /// The share of positive outcomes; `None` without outcomes.
    pub fn rate(&self) -> Option<f64> {
        self.mean(self.positives() as f64)
    }

    /// The area under the receiver operating characteristic: how likely a positive was predicted a
    /// larger probability than a negative, where a tie counts half. Predictions in one bucket of 0.001
    /// are tied. `None` without an outcome of each kind.
    ///
    /// Hanley and McNeil (1982), "The meaning and use of the area under a receiver operating
    /// characteristic (ROC) curve", Radiology 143(1), doi:10.1148/radiology.143.1.7063747.
    pub fn area_under_curve(&self) -> Option<f64> {
        let pairs = self.positive.count() as f64 * self.negative.count() as f64;
        if pairs == 0.0 {
            return None;
        }
        let (negative, mut below, mut next) = (self.negative.points(), 0_u64, 0);
        let negative = negative.as_slice();
        let mut won = 0.0;
        for (score, count) in self.positive.points().iter() {
            while let Some((_, more)) = negative.get(next).filter(|(other, _)| *other < score) {
                below += more;
                next += 1;
            }
            let tied = negative.get(next).filter(|(other, _)| *other == score).map_or(0, |it| it.1);
            won += count as f64 * (below as f64 + 0.5 * tied as f64);
        }
        Some(won / pairs)
    }

    /// The expected calibration error: how far the predicted probability is from the share of positive
    /// outcomes, as the mean over ten bins of equal width, weighted by their predictions. `None` without
    /// outcomes. Never below 0, so that few outcomes make it too large.
    ///
    /// Naeini, Cooper and Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian
    /// binning", AAAI 29(1), doi:10.1609/aaai.v29i1.9602.
    pub fn calibration_error(&self) -> Option<f64> {
        let mut excess = [0.0; BINS];
        let mut add = |scores: &Histogram, outcome: f64| {
            for (score, count) in scores.points().iter() {
                let bin = ((score * BINS as f64) as usize).min(BINS - 1);
                excess[bin] += count as f64 * (score - outcome);
            }
        };
        add(&self.positive, 1.0);
        add(&self.negative, 0.0);
        self.mean(excess.iter().map(|excess| excess.abs()).sum())
    }

    /// The expected calibration error that calibrated predictions have on average after this many outcomes.
    ///
    /// ```text
    /// sqrt(2/pi) sum over bins sqrt( sum p(1 - p) ) / n
    /// ```
    ///
    /// An error of about this size says nothing. By the normal approximation: a bin's excess has the mean absolute value
    /// of a normal variable with its variance. `None` without outcomes.
    pub fn calibration_error_by_chance(&self) -> Option<f64> {
        let mut variance = [0.0; BINS];
        for (score, count) in self.predictions() {
            variance[((score * BINS as f64) as usize).min(BINS - 1)] +=
                count * score * (1.0 - score);
        }
        let excess = variance.iter().map(|it| it.sqrt()).sum::<f64>();
        self.mean(excess * std::f64::consts::FRAC_2_PI.sqrt())
    }

    /// The mean variance of the outcomes of calibrated predictions, p(1 - p); `None` without outcomes.
    pub fn mean_variance(&self) -> Option<f64> {
        self.mean(self.predictions().map(|(score, count)| count * score * (1.0 - score)).sum())
    }

    /// The predicted probabilities with their counts.
    fn predictions(&self) -> impl Iterator<Item = (f64, f64)> {
        let both = [self.positive.points(), self.negative.points()];
        both.into_iter().flat_map(|points| {
            points.iter().map(|(score, count)| (score, count as f64)).collect::<Vec<_>>()
        })
    }

    fn mean(&self, sum: f64) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| sum / count as f64)
    }
}

fn sum(scores: &Histogram) -> f64 {
    scores.points().iter().map(|(score, count)| score * count as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quality(predictions: &[(f64, bool)]) -> Quality {
        let mut quality = Quality::default();
        predictions.iter().for_each(|(score, outcome)| quality.record(*score, *outcome));
        quality
    }

    /// Ten predictions with their outcomes.
    const TEN: [(f64, bool); 10] = [
        (0.1005, false),
        (0.9005, true),
        (0.8005, false),
        (0.3505, true),
        (0.2005, false),
        (0.6505, true),
        (0.5505, false),
        (0.7505, true),
        (0.0505, false),
        (0.3505, false),
    ];

    #[test]
    fn the_numbers_are_those_of_the_definitions() {
        let found = quality(&TEN);
        assert_eq!((found.count(), found.positives()), (10, 4));
        // The 24 pairs of a positive and a negative, one by one.
        let mut won = 0.0;
        for (positive, _) in TEN.iter().filter(|it| it.1) {
            for (negative, _) in TEN.iter().filter(|it| !it.1) {
                won += match positive.total_cmp(negative) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
        }
        assert!((found.area_under_curve().unwrap() - won / 24.0).abs() < 1e-12);
        let mean = |f: fn(f64, bool) -> f64| TEN.iter().map(|it| f(it.0, it.1)).sum::<f64>() / 10.0;
        assert!((found.mean_log_loss().unwrap() - mean(log_loss)).abs() < 1e-12);
        assert!((found.mean_brier().unwrap() - mean(brier)).abs() < 1e-12);
        assert!((found.mean_predicted().unwrap() - 0.4705).abs() < 1e-9);
        assert_eq!(found.rate(), Some(0.4));
        // Bins: 0.0505 | 0.1005 | 0.2005 | two of 0.3505, one positive | ... each by its distance.
        let distances = [
            0.0505,
            0.1005,
            0.2005,
            0.299,
            0.5505,
            1.0 - 0.6505,
            1.0 - 0.7505,
            0.8005,
            1.0 - 0.9005,
        ];
        let expected = distances.iter().sum::<f64>() / 10.0;
        assert!((found.calibration_error().unwrap() - expected).abs() < 1e-9);
        // numpy: sqrt(2/pi) * sum over bins of sqrt(sum p (1 - p)) / 10, and mean(p (1 - p))
        let by_chance = found.calibration_error_by_chance().unwrap();
        assert!((by_chance - 0.295_273_840_9).abs() < 1e-9, "{by_chance}");
        assert!((found.mean_variance().unwrap() - 0.166_529_75).abs() < 1e-9);
    }

    #[test]
    fn without_outcomes_there_are_no_measures() {
        let none = Quality::default();
        assert_eq!(none.mean_log_loss().or(none.mean_brier()).or(none.rate()), None);
        assert_eq!(none.area_under_curve().or(none.calibration_error()), None);
        assert_eq!(quality(&[(0.5, true)]).area_under_curve(), None);
        assert_eq!(quality(&[(f64::NAN, true), (1.1, false)]).count(), 0);
    }

    #[test]
    fn a_certain_error_has_a_finite_loss() {
        assert!((log_loss(1.0, false) - 13.815_510_557_964_274).abs() < 1e-9);
        assert_eq!(log_loss(0.0, true), log_loss(1e-9, true));
    }

    proptest! {
        #[test]
        fn parts_merge_to_the_whole_and_come_back_as_written(
            all in prop::collection::vec((0.0..=1.0_f64, any::<bool>()), 0..60),
            cut in 0_usize..60,
        ) {
            let cut = cut.min(all.len());
            let (mut merged, whole) = (quality(&all[..cut]), quality(&all));
            merged.merge(&quality(&all[cut..])).unwrap();
            prop_assert_eq!(merged.count(), whole.count());
            prop_assert_eq!(merged.area_under_curve(), whole.area_under_curve());
            prop_assert!((merged.log_loss - whole.log_loss).abs() <= 1e-9 * (1.0 + whole.log_loss));
            let text = serde_json::to_string(&whole).unwrap();
            prop_assert_eq!(serde_json::from_str::<Quality>(&text).unwrap(), whole);
        }
    }
}
