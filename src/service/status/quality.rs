//! How good were the predictions, as far as labels came? As the status shows it.

use serde::Serialize;

use crate::service::reported::feedback::Feedback;
use crate::stats::Quality;

/// What the labels of a rollout say.
#[derive(Clone, Debug, Serialize)]
pub struct QualityStatus {
    /// Which rollout.
    pub rollout: u64,
    /// Of the trusted version.
    pub stable: TrackQuality,
    /// Of the version on trial.
    pub canary: TrackQuality,
    /// Labels that count for neither track.
    pub not_counted: u64,
}

/// What labels say of one track; `null` before there are any.
#[derive(Clone, Debug, Serialize)]
pub struct TrackQuality {
    /// Labels.
    pub labels: u64,
    /// Those that say the positive class.
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
}

impl QualityStatus {
    /// Of the rollout that takes labels, if one does.
    pub(crate) fn of(feedback: &Feedback) -> Option<QualityStatus> {
        let (rollout, labels) = feedback.labels()?;
        Some(QualityStatus {
            rollout,
            stable: TrackQuality::new(&labels.stable),
            canary: TrackQuality::new(&labels.canary),
            not_counted: labels.apart,
        })
    }
}

impl TrackQuality {
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
        }
    }
}
