//! What the canary answers in shadow.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::tracks::LatencyStatus;
use crate::canary::Pairs;
use crate::canary::Rollout;
use crate::canary::observed::samples::Failures;
use crate::service::serving::recorder::Observed;

/// What was observed in shadow at this step.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ShadowStatus {
    /// The share of stable's requests that the canary answers in shadow, in percent.
    pub percent: f64,
    /// Whether it is judged, or only shown.
    pub judged: bool,
    /// Requests that both versions answered.
    pub pairs: u64,
    /// The share of rows with the same label; `null` without pairs.
    pub agreement_rate: Option<f64>,
    /// The share of rows with different labels.
    pub flip_rate: Option<f64>,
    /// Mean difference of the probabilities, canary minus stable.
    pub mean_difference: Option<f64>,
    /// The largest difference of any row, canary minus stable.
    pub largest_difference: f64,
    /// Requests that the canary failed.
    pub failures: u64,
    /// Failures by kind.
    pub failures_by_kind: Failures,
    /// Stable's latency.
    pub stable: LatencyStatus,
    /// The canary's latency, in the background.
    pub canary: LatencyStatus,
    /// Requests that wait for the canary.
    pub waiting: usize,
    /// Requests dropped because too many waited.
    pub dropped: u64,
    /// All of it in a sentence.
    pub message: String,
}

impl ShadowStatus {
    /// What was observed in shadow; `None` if this step has had no shadow.
    pub(crate) fn new(
        rollout: &Rollout,
        observed: &Observed,
        waiting: usize,
        dropped: u64,
    ) -> Option<ShadowStatus> {
        if rollout.shadow().is_zero() && observed.pairs.is_none() {
            return None;
        }
        let none = Pairs::default();
        let pairs = observed.pairs.as_ref().unwrap_or(&none);
        let flip_rate = pairs.flips.mean();
        let metrics = &rollout.policy.judge.metrics;
        let mut status = ShadowStatus {
            percent: rollout.shadow().percent(),
            judged: metrics.iter().any(|metric| metric.source.is_shadow()),
            pairs: pairs.answered(),
            agreement_rate: flip_rate.map(|flips| 1.0 - flips),
            flip_rate,
            mean_difference: pairs.differences.mean(),
            largest_difference: pairs.largest,
            failures: pairs.failures.total(),
            failures_by_kind: pairs.failures,
            stable: LatencyStatus::new(&pairs.stable_latency),
            canary: LatencyStatus::new(&pairs.canary_latency),
            waiting,
            dropped,
            message: String::new(),
        };
        status.message = status.sentence();
        Some(status)
    }

    fn sentence(&self) -> String {
        let ShadowStatus { pairs, failures, dropped, largest_difference, .. } = self;
        let (Some(agreement), Some(mean)) = (self.agreement_rate, self.mean_difference) else {
            return format!("no pairs yet; the canary failed {failures}, {dropped} dropped");
        };
        let judged = match self.judged {
            true => "",
            false => "; not judged, because the rollout was deployed without a shadow",
        };
        format!(
            "{pairs} pairs: {:.2} % of labels agree, scores differ by {mean:+.4} on average and \
             {largest_difference:+.4} at most; the canary failed {failures}, {dropped} dropped{judged}",
            100.0 * agreement,
        )
    }
}
