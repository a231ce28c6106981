//! Prediction quality by the labels so far.

use serde::Deserialize;
use serde::Serialize;

use crate::canary::Labels;
use crate::canary::Track;
use crate::service::reported::feedback::Feedback;
use crate::stats::Quality;

/// Prediction quality of both versions in a rollout.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QualityStatus {
    /// The rollout.
    pub rollout: u64,
    /// The stable version.
    pub stable: TrackQuality,
    /// The canary.
    pub canary: TrackQuality,
    /// Labels that count for neither track.
    pub not_counted: u64,
}

/// Prediction quality of one track; `null` without labels.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

impl QualityStatus {
    /// The quality in the rollout that collects labels; `None` if none does.
    pub(crate) fn of(feedback: &Feedback) -> Option<QualityStatus> {
        let (rollout, labels) = feedback.labels()?;
        Some(QualityStatus {
            rollout,
            stable: TrackQuality::of(&labels, Track::Stable),
            canary: TrackQuality::of(&labels, Track::Canary),
            not_counted: labels.excluded,
        })
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
            mean_predicted: quality.mean_predicted(),
            positive_rate: quality.rate(),
            accuracy: None,
            rmse: None,
            mae: None,
            mean_error: None,
        }
    }
}
