//! What does the canary say to stable's requests? For `/admin/status`.

use serde::Serialize;

use super::milliseconds;
use crate::canary::Pairs;
use crate::canary::Rollout;
use crate::canary::observed::samples::Failures;
use crate::service::Service;
use crate::service::serving::live::Live;
use crate::service::serving::recorder::Observed;
use crate::stats::Summary;

/// What was seen in shadow at this step.
#[derive(Clone, Debug, Serialize)]
pub struct ShadowStatus {
    /// The share of stable's requests that the canary is asked, in percent.
    pub percent: f64,
    /// Whether what is found is judged; otherwise it is shown, and leads to nothing.
    pub judged: bool,
    /// Requests that both have answered.
    pub pairs: u64,
    /// The share of labels that are the same; `null` before there are pairs.
    pub agreement_rate: Option<f64>,
    /// The share of labels that differ.
    pub flip_rate: Option<f64>,
    /// Mean probability, canary less stable.
    pub mean_difference: Option<f64>,
    /// The largest difference of any row, canary less stable.
    pub largest_difference: f64,
    /// Requests that the canary failed.
    pub failures: u64,
    /// The same by kind.
    pub failures_by_kind: Failures,
    /// What stable took.
    pub stable: LatencyStatus,
    /// What the canary took in the background.
    pub canary: LatencyStatus,
    /// Requests that wait to be asked.
    pub waiting: usize,
    /// Requests that were not asked, because too many waited.
    pub dropped: u64,
    /// It in a sentence.
    pub message: String,
}

/// Latencies in milliseconds; `null` before there are any.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LatencyStatus {
    /// Mean.
    pub mean_ms: Option<f64>,
    /// Median.
    pub p50_ms: Option<f64>,
    /// 95 % are below this.
    pub p95_ms: Option<f64>,
    /// 99 % are below this.
    pub p99_ms: Option<f64>,
}

impl LatencyStatus {
    fn new(latency: &Summary) -> LatencyStatus {
        LatencyStatus {
            mean_ms: latency.mean().map(milliseconds),
            p50_ms: latency.quantile(0.50).map(milliseconds),
            p95_ms: latency.quantile(0.95).map(milliseconds),
            p99_ms: latency.quantile(0.99).map(milliseconds),
        }
    }
}

impl Service {
    /// What was seen in shadow; `None` if nothing is asked, and nothing was.
    pub(crate) fn shadow_status(
        &self,
        rollout: &Rollout,
        live: &Live,
        observed: &Observed,
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
            waiting: self.shadow.waiting(),
            dropped: live.recorder.dropped(),
            message: String::new(),
        };
        status.message = status.sentence();
        Some(status)
    }
}

impl ShadowStatus {
    fn sentence(&self) -> String {
        let ShadowStatus { pairs, failures, dropped, largest_difference, .. } = self;
        let (Some(agreement), Some(mean)) = (self.agreement_rate, self.mean_difference) else {
            return format!("no pairs yet; the canary failed {failures}, {dropped} were dropped");
        };
        let judged = match self.judged {
            true => "",
            false => "; shown and not judged, because the rollout was deployed without a shadow",
        };
        format!(
            "{pairs} pairs: {:.2} % of labels agree, scores differ by {mean:+.4} on average and \
             {largest_difference:+.4} at most; the canary failed {failures}, {dropped} were dropped{judged}",
            100.0 * agreement,
        )
    }
}
