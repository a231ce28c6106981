//! Prediction quality by the labels so far.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::Labels;
use crate::canary::Track;
use crate::service::reported::feedback::Feedback;
use crate::stats::Quality;
use crate::stats::sequential::Interval;
use crate::stats::sequential::calibration_in_the_large;
use crate::stats::sequential::mean_score_error;
use crate::text::numbers::number;
use crate::text::numbers::two_digits;

/// Prediction quality of both versions in a rollout.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct QualityStatus {
    /// The rollout.
    pub rollout: u64,
    /// The stable version.
    pub stable: TrackQuality,
    /// The canary.
    pub canary: TrackQuality,
    /// Labels that count for neither track.
    pub not_counted: u64,
    /// Which predictions are too high or too low on average, in sentences. It decides nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<String>,
}

/// Prediction quality of one track; `null` without labels.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrackQuality {
    /// Labels received.
    pub labels: u64,
    /// Labels of the positive class.
    pub positives: u64,
    /// Mean logarithmic loss, in nats; smaller is better.
    pub log_loss: Option<f64>,
    /// Mean Brier score; smaller is better.
    pub brier: Option<f64>,
    /// The area under the ROC curve; `null` until both outcomes were seen. Shown, never judged.
    pub auc: Option<f64>,
    /// The expected calibration error over ten bins; smaller is better, and few labels make it large.
    pub calibration_error: Option<f64>,
    /// What the error would be by chance, on average, if the predictions were calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration_error_by_chance: Option<f64>,
    /// How much too high predictions are on average, with an interval; left out while labels are too few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_excess: Option<MeanExcess>,
    /// The mean predicted probability.
    pub mean_predicted: Option<f64>,
    /// The share of positive labels.
    pub positive_rate: Option<f64>,
    /// Of many classes: the share of labels that had the largest probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Of scores: the root of the mean squared error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
    /// Of scores: the mean absolute error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mae: Option<f64>,
    /// Of scores: the mean error, predicted minus observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_error: Option<f64>,
}

/// The mean of predicted minus observed: above 0 where predictions are too high.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MeanExcess {
    /// The estimate, as a probability, or in the unit of the scores.
    pub estimate: f64,
    /// The lower end of its confidence sequence, which may be read at any time.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The probability that the interval ever misses, asymptotically.
    pub alpha: f64,
}

/// Calibration only informs, so its level is the usual one.
const ALPHA: f64 = 0.05;

impl QualityStatus {
    /// The quality in the rollout that collects labels; `None` if none does.
    pub(crate) fn of(feedback: &Feedback) -> Option<QualityStatus> {
        let (rollout, labels) = feedback.labels()?;
        let [stable, canary] =
            [Track::Stable, Track::Canary].map(|track| TrackQuality::of(&labels, track));
        let what = if labels.of_scores.is_some() { "scores" } else { "probabilities" };
        let sentences = [("Stable's", &stable), ("The canary's", &canary)];
        let sentences =
            sentences.into_iter().filter_map(|(whose, it)| it.mean_excess?.sentence(whose, what));
        let messages = sentences.collect();
        Some(QualityStatus { rollout, stable, canary, not_counted: labels.excluded, messages })
    }
}

impl TrackQuality {
    /// The quality of a track, whatever its models answer.
    fn of(labels: &Labels, track: Track) -> TrackQuality {
        let binary = TrackQuality::new(labels.of(track));
        if let Some(of_classes) = &labels.of_classes {
            let quality = of_classes.of(track);
            return TrackQuality {
                labels: quality.count(),
                log_loss: quality.mean_log_loss(),
                brier: quality.mean_brier(),
                accuracy: quality.accuracy(),
                ..binary
            };
        }
        let Some(of_scores) = &labels.of_scores else { return binary };
        let quality = of_scores.of(track);
        TrackQuality {
            labels: quality.count(),
            rmse: quality.rmse(),
            mae: quality.mae(),
            mean_error: quality.mean_error(),
            mean_excess: mean_score_error(quality, ALPHA).map(MeanExcess::from),
            ..binary
        }
    }

    fn new(quality: &Quality) -> TrackQuality {
        TrackQuality {
            labels: quality.count(),
            positives: quality.positives(),
            log_loss: quality.mean_log_loss(),
            brier: quality.mean_brier(),
            auc: quality.area_under_curve(),
            calibration_error: quality.calibration_error(),
            calibration_error_by_chance: quality.calibration_error_by_chance(),
            mean_excess: calibration_in_the_large(quality, ALPHA).map(MeanExcess::from),
            mean_predicted: quality.mean_predicted(),
            positive_rate: quality.rate(),
            accuracy: None,
            rmse: None,
            mae: None,
            mean_error: None,
        }
    }
}

impl From<Interval> for MeanExcess {
    fn from(interval: Interval) -> MeanExcess {
        let Interval { effect, low, high, .. } = interval;
        MeanExcess { estimate: effect, low, high, alpha: ALPHA }
    }
}

impl MeanExcess {
    /// The sentence, if the predictions are too high or too low.
    fn sentence(&self, whose: &str, what: &str) -> Option<String> {
        let (direction, ends) = match self {
            it if it.low > 0.0 => ("high", [it.low, it.high]),
            it if it.high < 0.0 => ("low", [-it.high, -it.low]),
            _ => return None,
        };
        let [low, high] = ends.map(|end| number(two_digits(end)));
        let by = number(two_digits(self.estimate.abs()));
        Some(format!(
            "{whose} {what} are on average {by} too {direction} ({low} to {high}), by the labels so far."
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_high_or_too_low_is_said_in_a_sentence() {
        let excess =
            |low, high| MeanExcess { estimate: 0.5 * (low + high), low, high, alpha: ALPHA };
        assert_eq!(
            excess(0.01, 0.05).sentence("The canary's", "probabilities").unwrap(),
            "The canary's probabilities are on average 0.03 too high (0.01 to 0.05), by the labels so far."
        );
        assert_eq!(
            excess(-5.0, -3.0).sentence("Stable's", "scores").unwrap(),
            "Stable's scores are on average 4 too low (3 to 5), by the labels so far."
        );
        assert_eq!(excess(-0.01, 0.02).sentence("Stable's", "probabilities"), None);
    }
}
